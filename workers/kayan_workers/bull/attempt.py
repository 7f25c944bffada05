"""Run a handler once and name what happened: on the loop, or in a thread that can be interrupted."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from kayan_workers.bull.outcome import JobTimeoutError

if TYPE_CHECKING:
    from kayan_workers.bull.running import ActiveJob

_SOON_SECONDS = 2.0
"""How long an interrupted thread has to notice."""

Handler = Callable[[Any], Any]
"""``async def`` or plain ``def``; takes an ActiveJob, or a list of them for a batch."""


class AttemptAbandonedError(Exception):
    """The attempt was ended from outside; its result is nobody's."""


class JobInterrupted(BaseException):
    """Raised inside a handler's thread when its job has timed out, was lost, or must make way. Not an Exception, so that a
    handler's ``except Exception`` does not swallow it."""


class Runner:
    """Runs one consumer's handler. A plain ``def`` runs in one of ``slots`` threads."""

    def __init__(self, handler: Handler, slots: int, name: str) -> None:
        self._handler = handler
        self.is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004
        self._threads = None if self.is_async else ThreadPoolExecutor(max_workers=slots, thread_name_prefix=name)

    async def run(self, argument: Any, jobs: Sequence[ActiveJob], timeout_ms: float | None) -> Any:
        """The handler's result. Raises what it raises, JobTimeoutError after ``timeout_ms``, or AttemptAbandonedError.

        Code in C (a codec, a socket) hears of an interruption only when it returns; a thread that has not ended soon after its
        timeout goes along with the error, as ``lingering``.
        """
        if self.is_async:
            return await self._on_loop(argument, jobs, timeout_ms)
        return await self._in_thread(argument, jobs, timeout_ms)

    def close(self) -> None:
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # -- on the loop ---------------------------------------------------------------------------------------------------------

    async def _on_loop(self, argument: Any, jobs: Sequence[ActiveJob], timeout_ms: float | None) -> Any:
        task = asyncio.current_task()
        assert task is not None
        _listen(jobs, task.cancel)
        try:
            if not timeout_ms:
                return await self._handler(argument)
            scope = asyncio.timeout(timeout_ms / 1000)
            try:
                async with scope:
                    return await self._handler(argument)
            except TimeoutError as error:
                if scope.expired():
                    raise JobTimeoutError(timeout_ms) from error
                raise
        except asyncio.CancelledError:
            if all(job.abandoned for job in jobs):
                task.uncancel()
                raise AttemptAbandonedError from None
            raise
        finally:
            for job in jobs:
                job.on_abandon = None

    # -- in a thread ---------------------------------------------------------------------------------------------------------

    async def _in_thread(self, argument: Any, jobs: Sequence[ActiveJob], timeout_ms: float | None) -> Any:
        assert self._threads is not None
        call = _Interruptible(self._handler, argument)
        _listen(jobs, call.interrupt)
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        timed_out: JobTimeoutError | None = None
        try:
            done, _ = await asyncio.wait([future], timeout=timeout_ms / 1000 if timeout_ms else None)
            if not done and timeout_ms:
                timed_out = JobTimeoutError(timeout_ms)
                for job in jobs:
                    job.cancelled.set()
                call.interrupt()
                if not (await asyncio.wait([future], timeout=_SOON_SECONDS))[0]:
                    timed_out.lingering = future
                    raise timed_out
            return future.result()
        except JobInterrupted:
            raise timed_out or AttemptAbandonedError from None
        finally:
            for job in jobs:
                job.on_abandon = None
            if not future.done():
                future.add_done_callback(_nobody_cares)


def _nobody_cares(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()  # asked for, so that asyncio does not complain


def _listen(jobs: Sequence[ActiveJob], end: Callable[[], Any]) -> None:
    """End the call once nobody wants any of its results. The jobs of a batch share one call, and one lost job must not end it."""
    if len(jobs) == 1:
        jobs[0].on_abandon = end
        return

    def end_if_all() -> None:
        if all(job.abandoned for job in jobs):
            end()

    for job in jobs:
        job.on_abandon = end_if_all


class _Interruptible:
    """A call in a thread that another thread can end by raising JobInterrupted inside it, exactly once or not at all."""

    def __init__(self, function: Callable[[Any], Any], argument: Any) -> None:
        self._function = function
        self._argument = argument
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._interrupted = False
        self._over = False

    def __call__(self) -> Any:
        with self._lock:
            if self._interrupted:
                raise JobInterrupted
            self._thread = threading.get_ident()
        try:
            result = self._function(self._argument)
        finally:
            with self._lock:
                self._over = True
                if self._interrupted:
                    _raise_in(self._thread, None)  # ours may still be pending: it must not hit this thread's next job
        return result

    def interrupt(self) -> None:
        with self._lock:
            if self._interrupted or self._over:
                return
            self._interrupted = True
            if self._thread is not None:
                _raise_in(self._thread, JobInterrupted)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
