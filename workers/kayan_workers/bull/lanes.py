"""Group commit: finished jobs gather while a call is under way, and the next call settles them all and claims others.

Two lanes share one connection, so that Redis works on one call while the jobs of the other run. An idle worker answers at once, a
busy one speaks to Redis rarely. This is also where a lost connection is made good: results whose reply never came are sent again
and recognised, and jobs that a lost reply had claimed go back to the head of the line (windows W2, W8).
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from kayan_workers.bull import settle
from kayan_workers.bull.ending import end
from kayan_workers.bull.job import text_of, whole
from kayan_workers.bull.line import LOST_CONNECTION, Line, now_ms
from kayan_workers.bull.outcome import Completed, Failed, retention
from kayan_workers.bull.refusal import Refusal
from kayan_workers.bull.running import ActiveJob

if TYPE_CHECKING:
    from kayan_workers.bull.keys import Keys
    from kayan_workers.bull.pulse import Pulse
    from kayan_workers.bull.server import Server

log = logging.getLogger(__name__)

_LANES = ("lane 1", "lane 2")
_CONNECTION = "connection"
_MOST_FINISHES = 250
MOST_CLAIMS = 500
_SWEEP_AGAIN_SECONDS = 3.0
_FLUSH_SECONDS = 0.005
"""How often a consumer that leaves looks whether its last calls are answered."""


class Crew(Protocol):
    """What the lanes ask of their consumer."""

    keys: Keys
    lock_ms: int
    running: dict[str, ActiveJob]

    @property
    def share(self) -> int:
        """How many jobs one of the lanes carries when both are busy."""

    @property
    def may_claim(self) -> bool:
        """Neither paused nor stopping."""

    def appetite(self, finished: int) -> int:
        """How many jobs to claim with the call that settles ``finished`` jobs; the slots are reserved at once."""

    def receive(self, claimed: list[ActiveJob], asked: int, *, fenced: bool) -> None:
        """The claimed jobs, of the number asked for; the reservation ends."""

    def settled(self, outcomes: Sequence[Completed | Failed]) -> None:
        """Redis has the outcomes."""

    def refused(self, outcome: Completed | Failed, why: str) -> None:
        """The job was not ours any more; nothing was written."""

    def dropped(self, job_ids: list[str]) -> None:
        """Ids that waited without a job behind them."""

    def new_job(self, claimed: settle.Claimed, token: str, now: int) -> ActiveJob:
        """A claimed job as a value."""

    def warn(self, message: str) -> None:
        """Say that something is odd."""


class Lanes:
    """The consumer's calls to Redis."""

    def __init__(
        self,
        server: Server,
        crew: Crew,
        *,
        events: str,
        pod: str,
        limiter: settle.Limiter,
        metrics_minutes: int,
        pulse: Pulse,
    ) -> None:
        self._server = server
        self._crew = crew
        self._keys = crew.keys
        self._events = events
        self._pod = pod
        self._limiter = limiter
        self._metrics_minutes = metrics_minutes
        self._pulse = pulse
        self._nonce = f"{pod}/{secrets.token_hex(6)}-"
        self._calls = 0
        self._under_way = 0
        self._line: Line | None = None
        self._refusal = Refusal(crew.warn, "Redis refused to write results or to claim jobs")
        self._connected = asyncio.Event()
        self._done: deque[Completed | Failed] = deque()
        self._doubtful: dict[str, set[int]] = {}
        """Lock token of an outcome whose reply was lost -> the times under which it was sent."""
        self._idle_lanes: deque[asyncio.Future[None]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life ----------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep a connection and work it, until cancelled."""
        lanes = [asyncio.create_task(self._lane(name), name=f"{name} of {self._keys.queue}") for name in _LANES]
        try:
            while True:
                line = await self._server.line(self._keys.wait, on_try=lambda: self._pulse.beat(_CONNECTION))
                self._pulse.beat(_CONNECTION)
                try:
                    await self._prepare(line)
                except (RedisError, OSError) as error:
                    self._server.note_down(error)
                    line.close()
                    await asyncio.sleep(1)
                    continue
                self._pulse.rest(_CONNECTION)
                self._line = line
                self._connected.set()
                self.wake()
                await asyncio.wait([line.closed, *lanes], return_when=asyncio.FIRST_COMPLETED)
                for lane in lanes:
                    if lane.done():
                        lane.result()  # a lane never ends: this raises what went wrong in ours
                self._connected.clear()
                self._line = None
                self._server.note_down(line.closed.result() or RedisConnectionError("closed"))
        finally:
            await end([*lanes, *self._tasks])
            for loop in (_CONNECTION, *_LANES):
                self._pulse.rest(loop)
            if self._line:
                self._line.close()

    async def _prepare(self, line: Line) -> None:
        await asyncio.gather(*(line.send("SCRIPT", "LOAD", script.text) for script in settle.HOT))
        await self._sweep(line)
        # What the old connection had sent may still reach Redis after the new one did: look once more.
        self.later(self._sweep_again(line))

    def later(self, chore: Coroutine[Any, Any, None]) -> None:
        """Do something beside the lanes, at most as long as they live."""
        task = asyncio.create_task(chore, name=f"chore of {self._keys.queue}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _sweep_again(self, line: Line) -> None:
        await asyncio.sleep(_SWEEP_AGAIN_SECONDS)
        if line.is_open:
            try:
                await self._sweep(line)
            except (RedisError, OSError) as error:
                log.debug("no second look at %s: %s", self._keys.queue, error)

    async def _sweep(self, line: Line) -> None:
        """Hand back the jobs that are locked under our tokens and that we do not run: claims whose reply was lost."""
        if not self._calls:
            return
        held = await settle.claimed_by(line, self._keys, self._nonce)
        strays = [(job_id, token) for job_id, token in held if token not in self._crew.running]
        if strays:
            back = len(strays) - len(await settle.hand_back(line, self._keys, strays))
            if back:
                self._crew.warn(f"{back} jobs were claimed by a call whose reply was lost; they wait again at the head of the line")

    @property
    def is_calling(self) -> bool:
        """Whether an answer of Redis is on its way, which may bring jobs."""
        return self._under_way > 0

    async def flush(self) -> None:
        """Wait until everything finished stands in Redis, and every claim has arrived."""
        while self._done or self._under_way:
            self.wake()
            await asyncio.sleep(_FLUSH_SECONDS)

    # -- for the consumer ----------------------------------------------------------------------------------------------------

    def put(self, outcome: Completed | Failed) -> None:
        """An attempt has ended; write it down with the next call."""
        outcome.job.ended = True
        self._done.append(outcome)
        self.wake()

    def wake(self) -> None:
        """There may be something to do: a result to write, a slot to fill."""
        while self._idle_lanes:
            lane = self._idle_lanes.popleft()
            if not lane.done():
                lane.set_result(None)
                return

    async def line(self) -> Line:
        """The open connection; waits for it while Redis is away."""
        while self._line is None:
            await self._connected.wait()
        return self._line

    @property
    def open_line(self) -> Line | None:
        """The connection as it stands now."""
        return self._line

    async def claim(self, want: int, turn_token: bytes | str = "") -> None:
        """Claim up to ``want`` jobs, whose slots the caller has reserved, and give the turn back in the same step.

        A caller that is cancelled meanwhile does not lose the claim: its jobs arrive, and are handed back by a consumer that stops.
        """
        if self._line is None:
            self._crew.receive([], want, fenced=False)
            raise RedisConnectionError("the connection to Redis is closed")
        task = asyncio.ensure_future(self._call(self._line, [], want, turn_token))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    # -- a lane --------------------------------------------------------------------------------------------------------------

    async def _lane(self, name: str) -> None:
        while True:
            self._pulse.rest(name)
            line = await self.line()
            outcomes = self._take()
            # Results that wait to be written hold claims back: otherwise quick batches pile up in `active`, whose length every finish pays.
            want = 0 if self._done else self._crew.appetite(len(outcomes))
            if outcomes or want:
                self._pulse.beat(name)
                try:
                    await self._call(line, outcomes, want)
                    self._refusal.over()
                except LOST_CONNECTION:
                    line.close()
                    await asyncio.sleep(0)
                except RedisError as error:
                    self._refusal.met(error)
                    await asyncio.sleep(1)
                continue
            waiter = asyncio.get_running_loop().create_future()
            self._idle_lanes.append(waiter)
            await waiter

    def _take(self) -> list[Completed | Failed]:
        """No more than a lane's share, so that the other lane's call is as full as this one."""
        done = self._done
        most = min(_MOST_FINISHES, self._crew.share)
        if len(done) <= most:
            taken = list(done)
            done.clear()
            return taken
        return [done.popleft() for _ in range(most)]

    async def _call(self, line: Line, outcomes: list[Completed | Failed], want: int, turn_token: bytes | str = "") -> None:
        """Write outcomes and claim ``want`` jobs. When the call fails, the outcomes wait for the next one."""
        now = now_ms()
        self._calls += 1
        token = f"{self._nonce}{self._calls:x}"
        claimed: list[ActiveJob] = []
        fenced = False
        for outcome in outcomes:
            outcome.job.renewed = math.inf  # its lock is about to go, and the keeper must not miss it
        failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        finished = [outcome for outcome in outcomes if isinstance(outcome, Completed)]
        self._under_way += 1
        refused: dict[str, int] = {}
        try:
            if failures:
                refused = await settle.fail(line, self._keys, failures, now=now, metrics_minutes=self._metrics_minutes)
            if finished or want or turn_token:
                reply = await settle.settle(
                    line,
                    self._keys,
                    now=now,
                    lock_ms=self._crew.lock_ms,
                    events=self._events,
                    pod=self._pod,
                    finished=finished,
                    token=token,
                    want=want,
                    turn_token=turn_token,
                    say_drained=self._crew.may_claim and (want > 0 or bool(finished)),
                    metrics_minutes=self._metrics_minutes,
                    limiter=self._limiter,
                )
                refused |= reply.refused
                fenced = reply.fenced
                if reply.gone:
                    self._crew.dropped([text_of(job_id) for job_id in reply.gone])
                claimed = [self._crew.new_job(one, token, now) for one in reply.claimed]
        except BaseException:
            self._doubt(outcomes, now)
            raise
        finally:
            self._under_way -= 1
            self._crew.receive(claimed, want, fenced=fenced)
        written: list[Completed | Failed] = []
        unclear = deque(outcomes)
        try:
            while unclear:
                outcome = unclear[0]
                code = refused.get(outcome.job.id) if refused else None
                if code is None or await self._was_written(line, outcome):
                    written.append(outcome)
                else:
                    self._crew.refused(outcome, settle.WHY[code])
                # no sooner: a consumer that stops waits for what is running
                self._crew.running.pop(outcome.job.token, None)
                unclear.popleft()
        finally:  # also when the connection is lost over a question about one of them
            self._crew.settled(written)
            self._doubt(list(unclear), now)
        if self._doubtful:
            for outcome in outcomes:
                self._doubtful.pop(outcome.job.token, None)

    def _doubt(self, outcomes: list[Completed | Failed], now: int) -> None:
        """The reply is lost: perhaps Redis has the outcomes, perhaps not. Send them again, and remember when they were sent."""
        for outcome in outcomes:
            self._doubtful.setdefault(outcome.job.token, set()).add(now)
            outcome.job.renewed = 0.0
        self._done.extendleft(reversed(outcomes))

    async def _was_written(self, line: Line, outcome: Completed | Failed) -> bool:
        """Whether an earlier call, whose reply was lost, has written this refused outcome already."""
        sent = self._doubtful.get(outcome.job.token)
        if not sent:
            return False
        job = outcome.job
        finished_on, attempts_made = await line.send("HMGET", self._keys.job(job.id), "finishedOn", "attemptsMade")
        if isinstance(outcome, Failed):
            if finished_on is None and attempts_made is None:
                return outcome.fate == "failed" and retention(job.options.keep_failed)[0] == 0
            return whole(attempts_made) >= outcome.attempts_made
        if finished_on is None:
            return retention(job.options.keep_completed)[0] == 0
        return whole(finished_on) in sent
