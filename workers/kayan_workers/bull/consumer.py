"""Take jobs from one queue, run its handler on them, write down what became of them; leave cleanly.

A consumer has a number of slots. Its lanes settle finished jobs and claim others in the same call; its watch waits for jobs when the
queue is empty; its caretaker does the queue's chores when it is this worker's turn. ``attempt`` names what happened to a job and the
lanes are the only writer.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from redis.exceptions import RedisError

from kayan_workers.bull import outcome, settle
from kayan_workers.bull.attempt import Handler
from kayan_workers.bull.backoff import Series, Strategies
from kayan_workers.bull.capacity import Capacity
from kayan_workers.bull.caretaker import Caretaker
from kayan_workers.bull.ending import end
from kayan_workers.bull.job import text_of
from kayan_workers.bull.lanes import Lanes
from kayan_workers.bull.line import Line
from kayan_workers.bull.locks import LockKeeper
from kayan_workers.bull.observer import Observer
from kayan_workers.bull.pulse import Pulse
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.scripts import Script
from kayan_workers.bull.slots import Slots
from kayan_workers.bull.watch import Watch

_LOOK_SECONDS = 0.05
"""How long a job that was claimed ahead may wait for its slot."""
_LAST_SECONDS = 3.0
"""What a consumer that stops has beyond the grace period, to hand back jobs and to write results."""

_PAUSED = "this worker takes nothing for now"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerSettings:
    """How a consumer behaves. All workers of a queue, Node's too, should agree on locks, stalls, limiter and metrics."""

    lock_duration_ms: int = 30_000
    """How long a job stays ours without a renewal. Bull's own default, like the others here."""
    lock_renew_ms: int = 15_000
    stalled_interval_ms: int = 30_000
    """How often unlocked active jobs are looked for; 0 for never."""
    max_stalled_count: int = 1
    """How many times a job may stall in its life before it fails."""
    guard_interval_ms: int = 5_000
    """The longest sleep between two looks at the delayed jobs."""
    grace_seconds: float = 25.0
    """How long running jobs may take to finish once the consumer is told to stop; then they are handed back."""
    backoff: Series = "documented"
    backoff_strategies: Strategies | None = None
    limiter: settle.Limiter | None = None
    metrics_minutes: int = 0
    """How many minutes of Bull's metrics to keep; 0 for none."""
    job_timeout_ms: float | None = None
    """The longest an attempt may run when the job itself names no ``timeout``."""


class Consumer:
    """Works one queue. ``run`` returns after ``stop``, with everything it held finished or handed back."""

    def __init__(
        self,
        queue: Queue,
        handler: Handler,
        *,
        concurrency: int = 1,
        batch: int = 1,
        spread: bool = False,
        settings: ConsumerSettings | None = None,
        observer: Observer | None = None,
        pod: str | None = None,
        keeper: LockKeeper | None = None,
    ) -> None:
        """``handler`` takes an ActiveJob and returns any JSON value; ``async def`` runs on the loop, plain ``def`` in a thread.

        With ``batch`` above 1 it takes a list of up to that many jobs, which fill one of the ``concurrency`` slots together, and returns
        a list: per job its result, or the exception that this job alone deserves. ``spread`` claims one job a turn, for heavy work.
        ``pod`` names this worker in lock tokens; it must not contain ``@``.
        """
        self.queue = queue
        self.keys = queue.keys
        self.settings = settings or ConsumerSettings()
        self.observer = observer or Observer()
        self.lock_ms = self.settings.lock_duration_ms
        self.running: dict[str, ActiveJob] = {}
        """Lock token -> job, from the claim until the result is on its way to Redis."""
        self.fenced = False
        self.paused = False
        self.pulse = Pulse()
        self._pod = (pod or socket.gethostname()).replace("@", "-")
        self._slots = Slots(
            self,
            handler,
            count=concurrency,
            batch=batch,
            timeout_ms=self.settings.job_timeout_ms,
            series=self.settings.backoff,
            strategies=self.settings.backoff_strategies,
        )
        self._keeper = keeper
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        """The loop's."""
        self._lanes: Lanes
        self._capacity = Capacity(concurrency, batch=batch, spread=spread)
        self._draining = False
        self._stop_requested = asyncio.Event()
        self._watch_may_go = asyncio.Event()
        self._looking_at: object = None
        self._returning: dict[str, tuple[ActiveJob, str]] = {}
        """What a consumer that stops is about to hand back: lock token -> (job, why)."""

    # -- for whoever runs it -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Claim and work jobs until ``stop``; an unreachable Redis is waited for."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        server = self.queue.server
        keeper = self._keeper or LockKeeper(server, self.settings.lock_renew_ms)
        keeper.add(self)
        self._lanes = Lanes(
            server,
            self,
            events=self.queue.token,
            pod=self._pod,
            limiter=self.settings.limiter or settle.NO_LIMIT,
            metrics_minutes=self.settings.metrics_minutes,
            pulse=self.pulse,
        )
        caretaker = Caretaker(
            server,
            self,
            pod=self._pod,
            guard_interval_ms=self.settings.guard_interval_ms,
            stalled_interval_ms=self.settings.stalled_interval_ms,
            max_stalled_count=self.settings.max_stalled_count,
            pulse=self.pulse,
        )
        watch = Watch(server, self._lanes, self, pod=self._pod, pulse=self.pulse)
        lanes = asyncio.create_task(self._lanes.run(), name=f"lanes of {self.queue.name}")
        slots = asyncio.create_task(self._slots.run(), name=f"slots of {self.queue.name}")
        takers = [
            asyncio.create_task(watch.run(), name=f"watch of {self.queue.name}"),
            asyncio.create_task(caretaker.run(), name=f"caretaker of {self.queue.name}"),
        ]
        tasks = [lanes, slots, *takers]
        stopping = asyncio.create_task(self._stop_requested.wait())
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # none of them returns: this raises what went wrong in ours
            self._draining = True
            deadline = self._loop.time() + self.settings.grace_seconds
            await asyncio.gather(self._hand_back_unstarted(deadline), end(takers))
            await self._drain(deadline)
        finally:
            stopping.cancel()
            await end(tasks)
            keeper.remove(self)
            if self._keeper is None:
                keeper.close()

    def stop(self) -> None:
        """Claim nothing more, hand back what has not begun, let the rest finish within the grace period, hand back what does not."""
        self._draining = True
        self._stop_requested.set()

    def pause_locally(self) -> None:
        """Claim nothing more in this process until ``resume_locally``, and hand back what has not begun. What runs goes on, the queue's
        chores too; nobody else is told."""
        self.paused = True
        self._take_back(_PAUSED)

    def resume_locally(self) -> None:
        self.paused = False
        self._capacity.is_hungry = True
        self._look_around()

    @property
    def in_flight(self) -> int:
        """Jobs claimed and not yet settled."""
        return len(self.running)

    def tell_soon(self, script: Script, job_id: str, args: Sequence[Any]) -> None:
        """Send a script about a job whose outcome nobody waits for, from any thread, in order with the jobs' results."""
        assert self._loop is not None
        if threading.get_ident() == self._thread:
            self._tell(script, job_id, args)  # at once: a lane may be about to send the result
        else:
            self._loop.call_soon_threadsafe(self._tell, script, job_id, args)

    def _tell(self, script: Script, job_id: str, args: Sequence[Any]) -> None:
        line = self._lanes.open_line
        if line is None or not line.is_open:
            self.warn(f"{script.name} of job {job_id} was not written: Redis is away")
            return
        # sent here and now: the job's result, which a lane sends later, must not overtake it
        line.tell_script(
            script, (self.keys.wait,), (self.keys.base, job_id, *args), lambda error: self.warn(f"{script.name} of job {job_id}: {error}")
        )

    # -- capacity ------------------------------------------------------------------------------------------------------------

    @property
    def may_claim(self) -> bool:
        return not (self._draining or self.paused)

    @property
    def share(self) -> int:
        return self._capacity.share

    def appetite(self, finished: int) -> int:
        return self._capacity.reserve_for_lane(finished) if self.may_claim else 0

    def reserve(self) -> int:
        return self._capacity.reserve_for_watch() if self.may_claim else 0

    @property
    def wants_more(self) -> bool:
        return self.may_claim and self._capacity.is_for_the_watch

    async def until_it_wants_more(self) -> None:
        while not self.wants_more:
            self._watch_may_go.clear()
            await self._watch_may_go.wait()

    def _look_around(self) -> None:
        """A slot is free or the queue has changed: let whoever should act notice."""
        if not self.may_claim:
            return
        if self._capacity.is_for_the_watch:
            self._watch_may_go.set()
        elif self._capacity.is_for_a_lane and self._loop is not None:
            self._lanes.wake()

    def _look_at_waiting(self) -> None:
        """Jobs that were claimed ahead and do not come to begin go back: the work is not as quick as it was."""
        oldest = self._slots.oldest_waiting
        if oldest is not None and oldest is self._looking_at:
            self._take_back("the jobs before it take longer than usual")
            oldest = None
        self._looking_at = oldest
        if oldest is not None and self._loop is not None:
            self._loop.call_later(_LOOK_SECONDS, self._look_at_waiting)

    def _take_back(self, why: str) -> None:
        jobs, slots = self._slots.take_back()
        if jobs:
            self._capacity.given_back(slots)
            self._lanes.later(self._give_back(jobs, why))

    async def _give_back(self, jobs: list[ActiveJob], why: str) -> None:
        """When Redis goes away meanwhile, the lanes find these jobs after it has come back, as nobody here runs them."""
        for job in jobs:
            self.running.pop(job.token, None)
        with suppress(RedisError, OSError):
            await self._return([(job, why) for job in jobs])

    # -- for the lanes -------------------------------------------------------------------------------------------------------

    def new_job(self, claimed: settle.Claimed, token: str, now: int) -> ActiveJob:
        job_id = text_of(claimed[-1])
        return ActiveJob(self.queue.name, job_id, f"{token}.{job_id}", claimed, now, self)

    def receive(self, claimed: list[ActiveJob], asked: int, *, fenced: bool) -> None:
        if not asked:
            return
        for job in claimed:
            self.running[job.token] = job
        self._capacity.claimed(len(claimed), asked, self._slots.put(claimed))
        if self.paused and not self._draining:  # since the call left
            self._take_back(_PAUSED)
        if self._capacity.free < 0 and self._looking_at is None:
            self._look_at_waiting()
        if fenced is not self.fenced:
            self.fenced = fenced
            self.observer.queue_fenced(self.queue.name, fenced)
        self._look_around()

    def settled(self, results: Sequence[outcome.Completed | outcome.Failed]) -> None:
        if completed := [result for result in results if isinstance(result, outcome.Completed)]:
            self.observer.jobs_completed(completed)
        for result in results:
            if not isinstance(result, outcome.Failed):
                continue
            if result.is_postponed:
                self.observer.job_postponed(result.job, result.error, result.delay_ms, result.seconds)
            elif result.fate == "failed":
                self.observer.job_failed(result.job, result.error, result.seconds)
            else:
                self.observer.job_retried(result.job, result.error, result.delay_ms, result.seconds)

    def refused(self, result: outcome.Completed | outcome.Failed, why: str) -> None:
        self._tell_lost(result.job, why)

    def warn(self, message: str) -> None:
        self.observer.queue_warning(self.queue.name, message)

    def dropped(self, job_ids: list[str]) -> None:
        self.observer.jobs_dropped(self.queue.name, job_ids)

    def lock_lost(self, job: ActiveJob, why: str) -> None:
        """From the keeper's thread: end the handler, its result is nobody's."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(job.abandon, why)

    def _tell_lost(self, job: ActiveJob, why: str) -> None:
        """A job that is no more and one that is another worker's are different news."""
        (self.observer.job_removed if why == settle.REMOVED else self.observer.job_lost)(job, why)

    async def open_line(self) -> Line:
        return await self._lanes.line()

    # -- for the slots -------------------------------------------------------------------------------------------------------

    @property
    def line_now(self) -> Line | None:
        return self._lanes.open_line

    def finished(self, result: outcome.Completed | outcome.Failed) -> None:
        self._lanes.put(result)

    def gave_up(self, job: ActiveJob) -> None:
        if self.running.pop(job.token, None) is not None and not self._draining:
            self._tell_lost(job, job.abandoned or "it was abandoned")

    def slot_freed(self, seconds: float) -> None:
        self._capacity.freed(seconds)
        self._look_around()

    # -- leaving -------------------------------------------------------------------------------------------------------------

    async def _drain(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        last = deadline + _LAST_SECONDS
        while self._busy and loop.time() < deadline:
            await asyncio.sleep(0.02)
            await self._hand_back_unstarted(deadline)  # a claim that was under way may bring more
        left = [job for job in self.running.values() if not job.ended and job.token not in self._returning]
        for job in left:
            job.abandon("this worker stops")
        self._returning = {job.token: (job, "it did not finish within the grace period") for job in left} | self._returning
        await self._hand_back(last)
        try:
            async with asyncio.timeout_at(last):
                await self._lanes.flush()
        except TimeoutError:
            self._say_what_is_unwritten()
        await self._hand_back_unstarted(last)
        if self._returning:
            ids = [job.id for job, _ in self._returning.values()]
            self.warn(f"{len(ids)} jobs could not be handed back, the stalled pass will recover them: {_some(ids)}")

    async def _hand_back_unstarted(self, deadline: float) -> None:
        unstarted, slots = self._slots.close()
        self._capacity.given_back(slots)
        self._returning |= {job.token: (job, "this worker stops before it began") for job in unstarted}
        await self._hand_back(deadline)

    async def _hand_back(self, deadline: float) -> None:
        """Return jobs to the head of the line, in their order. What Redis has not taken back by the deadline is left for another try."""
        returning = list(self._returning.values())
        if not returning or asyncio.get_running_loop().time() >= deadline:
            return
        try:
            async with asyncio.timeout_at(deadline):
                await self._return(returning)
        except (TimeoutError, RedisError, OSError):
            return
        self._returning.clear()

    async def _return(self, jobs: Sequence[tuple[ActiveJob, str]]) -> None:
        """Put jobs back at the head of the line, each with the reason why. Raises what the call to Redis raises."""
        refused = await settle.hand_back(await self._lanes.line(), self.keys, [(job.id, job.token) for job, _ in jobs])
        for job, why in jobs:
            self.running.pop(job.token, None)
            if job.id not in refused:
                self.observer.job_handed_back(job, why)

    def _say_what_is_unwritten(self) -> None:
        unwritten = [job.id for job in self.running.values() if job.ended]
        if unwritten:
            what = f"{len(unwritten)} results could not be written, their jobs may run again elsewhere"
            self.warn(f"Redis is away: {what}: {_some(unwritten)}")

    @property
    def _busy(self) -> bool:
        """Whether waiting has a point. A slot whose job has failed and whose thread sits in code that nothing interrupts has none."""
        return bool(self.running) or self._lanes.is_calling


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:20]) + (" …" if len(ids) > 20 else "")
