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

_REMIND_SECONDS = 10.0
"""When a thread that goes on all the same is interrupted again: something has swallowed the first time."""

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
        self._reminders: set[asyncio.Task[None]] = set()

    async def run(self, argument: Any, jobs: Sequence[ActiveJob], timeout_ms: float | None) -> Any:
        """The handler's result. Raises what it raises, JobTimeoutError after ``timeout_ms``, or AttemptAbandonedError.

        Once the time is up nothing the handler still returns or raises counts. Code in C (a codec, a socket) hears of an interruption
        only when it returns; a thread that has not ended soon after its timeout goes along with the error, as ``lingering``.
        CancelledError means that this very call was cancelled, and nothing else: one of the handler's own making is its failure.
        """
        if self.is_async:
            return await self._on_loop(argument, jobs, timeout_ms)
        return await self._in_thread(argument, jobs, timeout_ms)

    def close(self) -> None:
        for reminder in self._reminders:
            reminder.cancel()
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)

    # -- on the loop ---------------------------------------------------------------------------------------------------------

    async def _on_loop(self, argument: Any, jobs: Sequence[ActiveJob], timeout_ms: float | None) -> Any:
        task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        _listen(jobs, task.cancel)
        try:
            if not timeout_ms:
                return await self._handler(argument)
            return await self._within(timeout_ms, argument)
        except asyncio.CancelledError as error:
            if all(job.abandoned for job in jobs):
                raise AttemptAbandonedError from None
            if task.cancelling() > cancels:
                raise
            raise RuntimeError("the handler waited for something that was cancelled") from error
        finally:
            for job in jobs:
                job.on_abandon = None
            if jobs[0].abandoned:
                while task.cancelling() > cancels:  # also when the handler swallowed it: this task works other jobs after this one
                    task.uncancel()

    async def _within(self, timeout_ms: float, argument: Any) -> Any:
        scope = asyncio.timeout(timeout_ms / 1000)
        try:
            async with scope:
                value = await self._handler(argument)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if scope.expired():
                raise JobTimeoutError(timeout_ms) from error
            raise
        if scope.expired():
            raise JobTimeoutError(timeout_ms)
        return value

    # -- in a thread ---------------------------------------------------------------------------------------------------------

    async def _in_thread(self, argument: Any, jobs: Sequence[ActiveJob], timeout_ms: float | None) -> Any:
        assert self._threads is not None
        call = _Interruptible(self._handler, argument)
        future: asyncio.Future[Any] = asyncio.get_running_loop().run_in_executor(self._threads, call)
        _listen(jobs, lambda: self._interrupt(call, future))
        timed_out: JobTimeoutError | None = None
        try:
            done, _ = await asyncio.wait([future], timeout=timeout_ms / 1000 if timeout_ms else None)
            # a handler that has returned in this very moment is in time: its result is on its way
            if not done and timeout_ms and self._interrupt(call, future):
                timed_out = JobTimeoutError(timeout_ms)
                for job in jobs:
                    job.cancelled.set()
                if not (await asyncio.wait([future], timeout=_SOON_SECONDS))[0]:
                    timed_out.lingering = future
                    raise timed_out
            value, error = await future
        finally:
            for job in jobs:
                job.on_abandon = None
        if timed_out:
            raise timed_out from (None if isinstance(error, JobInterrupted) else error)
        if error is None:
            return value
        try:
            if not isinstance(error, JobInterrupted | asyncio.CancelledError):
                raise error
            if all(job.abandoned for job in jobs):
                raise AttemptAbandonedError
            raise RuntimeError(f"the handler ended with {type(error).__name__}") from error
        finally:
            del error  # it refers to this frame

    def _interrupt(self, call: _Interruptible, future: asyncio.Future[Any]) -> bool:
        """End a call; False when it has ended already. One that goes on is told again from time to time."""
        if not call.interrupt():
            return False
        reminder = asyncio.create_task(self._remind(call, future))
        self._reminders.add(reminder)
        reminder.add_done_callback(self._reminders.discard)
        return True

    async def _remind(self, call: _Interruptible, future: asyncio.Future[Any]) -> None:
        while not (await asyncio.wait([future], timeout=_REMIND_SECONDS))[0]:
            call.interrupt()


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
    """A call in a thread that another thread can end by raising JobInterrupted inside it. Nothing of that outlives the call: the
    thread's next one is not touched."""

    def __init__(self, function: Callable[[Any], Any], argument: Any) -> None:
        self._function = function
        self._argument = argument
        self._lock = threading.Lock()
        self._thread: int | None = None
        self._interrupted = False
        self._over = False

    def __call__(self) -> tuple[Any, BaseException | None]:
        """What the function returned, or what it raised. Raises nothing: no future takes StopIteration or CancelledError as it is."""
        try:
            try:
                return self._run()
            finally:
                self._end()
        except JobInterrupted as interruption:  # it came on the way out
            self._end()
            return None, interruption

    def _run(self) -> tuple[Any, BaseException | None]:
        with self._lock:
            if self._interrupted:
                return None, JobInterrupted()
            self._thread = threading.get_ident()
        try:
            return self._function(self._argument), None
        except BaseException as error:
            return None, error

    def _end(self) -> None:
        with self._lock:
            self._over = True
            if self._interrupted and self._thread is not None:
                _raise_in(self._thread, None)  # ours may still be pending: it must not hit this thread's next job

    def interrupt(self) -> bool:
        """False when the call is over already."""
        with self._lock:
            if self._over:
                return False
            self._interrupted = True
            if self._thread is not None:
                _raise_in(self._thread, JobInterrupted)
            return True


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error) if error else None)
