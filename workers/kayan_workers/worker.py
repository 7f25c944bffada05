"""The worker process: builds every part from the settings, runs the chosen queues, and leaves cleanly.

The first SIGTERM or SIGINT drains: nothing more is claimed, what runs may finish. The second exits at once.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

import uvloop

from kayan_workers import logs
from kayan_workers.binding import Processors, Rehearsal
from kayan_workers.bull.consumer import Consumer, ConsumerSettings
from kayan_workers.bull.ending import end
from kayan_workers.bull.locks import LockKeeper
from kayan_workers.bull.pulse import Pulse
from kayan_workers.bull.queue import Queue
from kayan_workers.bull.server import Server
from kayan_workers.bull.settle import Limiter
from kayan_workers.edges import Edges
from kayan_workers.errors import PermanentError, SettingsError
from kayan_workers.given_up import GivenUp
from kayan_workers.health import Answer, HealthServer
from kayan_workers.health_table import HealthTable
from kayan_workers.holding import EdgeCheck, Holding
from kayan_workers.lifecycle import Lifecycle
from kayan_workers.metrics import CONTENT_TYPE, Depths, Metrics
from kayan_workers.mounted import Mounted
from kayan_workers.pong import answering
from kayan_workers.processors.table import DATABASE, MAIL, ROLES, STORAGE, Role
from kayan_workers.readiness import DatabaseCheck, MailCheck, Readiness, StorageCheck, redis_check
from kayan_workers.settings import Settings

HUNG_SECONDS = 120.0
"""No step of a healthy loop takes so long: a call to Redis is given up after 23 s, a try to connect after a minute."""
SETTINGS_SECONDS = 5.0
"""How often the mounted settings are looked at; the kubelet brings a change within a minute or so."""
ECHO_SECONDS = 0.2
"""A signal that comes again this soon is the same one: some wrappers send it to a process and to its group."""


def run_worker(roles: Sequence[Role], settings: Settings) -> int | None:
    """Work the queues of ``roles`` until a signal says to stop; returns the exit code, or None when the worker is to begin anew.

    Raises SettingsError when it cannot begin (no roles, a taken port, a processor that is not installed).
    """
    logs.configure(level=settings.log_level, form=settings.log_format, secrets=settings.secrets)
    if settings.notice:
        logs.get().warning("worker.notice", message=settings.notice)
    rehearsal = Rehearsal(roles)
    worker = Worker(roles, settings)
    if problems := rehearsal.problems():
        raise SettingsError(problems)
    gc.collect()
    gc.freeze()  # what has been imported stays: no collection looks at it again
    gc.set_threshold(20_000)  # a batch makes thousands of objects at once: looking for rings every 700 takes a twelfth of all work
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(worker.run())
    sys.stdout.flush()
    if worker.begins_anew:
        return None
    _leave(code)
    return code


def _leave(code: int) -> None:
    """Python waits at its end for every thread; one that sits in a codec after the grace period must not keep us."""
    stuck = [thread for thread in threading.enumerate() if thread is not threading.current_thread() and not thread.daemon]
    if any(thread.is_alive() and not _ends_soon(thread) for thread in stuck):
        os._exit(code)


def _ends_soon(thread: threading.Thread) -> bool:
    thread.join(0.5)
    return not thread.is_alive()


class Worker:
    """One process: a consumer for each role, one Redis, one set of edges, one health port."""

    def __init__(self, roles: Sequence[Role], settings: Settings) -> None:
        if not roles:
            raise SettingsError(["no roles: a worker needs at least one queue to work"])
        self.roles = roles
        self.settings = settings
        self.server = Server(settings.redis)
        self.metrics = Metrics()
        self.log = logs.get()
        self.edges = Edges(settings, slots=sum(self._slots(role) for role in roles))
        self.checks = self._checks()
        for check in self.checks.values():  # each in a process of its own, while we load: no job waits longer for it than it must
            check.begin()
        self.processors = Processors(roles, self.edges)
        self.given_up = GivenUp(self.processors)
        self.consumers: list[Consumer] = []
        self.code = 0
        self.draining = False
        self.begins_anew = False
        """Whether another worker is to follow in this process, once this one has left."""
        self._told_at = -math.inf
        self._began = time.monotonic()

    async def run(self) -> int:
        """Everything from the first line to the last; returns the exit code."""
        queues = {role.queue: Queue(role.queue, self.server, prefix=self.settings.prefix) for role in (*ROLES, *self.roles)}
        keeper = LockKeeper(self.server, self.settings.lock_renew_ms)
        holding = Holding(self.roles, self.checks, self._hold)
        for edge in self.checks:
            self.metrics.watch_edge(edge, partial(holding.can_use, edge))
        self.consumers = [self._consumer(role, queues[role.queue], keeper, holding) for role in self.roles]
        depths = Depths(queues, self.metrics)
        pulses = {"all queues": keeper.pulse, **{consumer.queue.name: consumer.pulse for consumer in self.consumers}}
        health = self._health(depths, pulses)
        self._listen_to_signals()
        self._listen_to_redis()
        await self._start_health(health)
        self._say_hello()
        holding.begin()
        aside = [asyncio.create_task(self._examine(), name="examine")]
        if logs.LEVELS[self.settings.log_level] <= logs.LEVELS["info"]:  # who logs no such line must not take the turn of one who does
            aside.append(asyncio.create_task(self._health_table(depths).run(), name="health table"))
        aside += [asyncio.create_task(holding.watch(edge), name=f"watch {edge}") for edge in self.checks]
        if self.settings.mounted is not None:
            aside.append(asyncio.create_task(self._watch_settings(self.settings.mounted), name="watch settings"))
        try:
            await self._consume(aside)
        finally:
            await end(aside)
            for check in self.checks.values():
                check.close()
            await self.given_up.close()
            await health.close()
            keeper.close()
            for queue in queues.values():
                await queue.close()
            await self.server.close()
            self.edges.close()
        self.log.info("worker.stopped", exit_code=self.code, seconds=round(time.monotonic() - self._began))
        return self.code

    def stop(self) -> None:
        """Drain: ``run`` returns when the consumers are done."""
        self.draining = True
        self.metrics.draining.set(1)
        for consumer in self.consumers:
            consumer.stop()

    # -- parts ---------------------------------------------------------------------------------------------------------------

    def _slots(self, role: Role) -> int:
        return self.settings.concurrency.get(role.name, role.concurrency)

    def _consumer(self, role: Role, queue: Queue, keeper: LockKeeper, holding: Holding) -> Consumer:
        slots = self._slots(role)
        numbers = self.metrics.of(role.queue, slots)
        observer = Lifecycle(
            role.queue, numbers, level=self.settings.log_level,
            on_given_up=self.given_up.of(role, queue), on_trouble=lambda: holding.doubt(role),
        )  # fmt: skip
        handler = answering(self.processors.handler(role), batch=role.batch > 1, pod=self.settings.pod)
        consumer = Consumer(
            queue, handler, concurrency=slots, batch=role.batch, spread=role.spread,
            settings=self._consumer_settings(role), observer=observer, pod=self.settings.pod, keeper=keeper,
        )
        numbers.running.set_function(lambda: consumer.in_flight)
        numbers.holding.set_function(lambda: consumer.paused)
        return consumer

    def _consumer_settings(self, role: Role) -> ConsumerSettings:
        settings = self.settings
        timeout = settings.timeout_seconds.get(role.name, role.timeout_seconds)
        rate = settings.rates.get(role.name)
        return ConsumerSettings(
            lock_duration_ms=settings.lock_duration_ms,
            lock_renew_ms=settings.lock_renew_ms,
            stalled_interval_ms=settings.stalled_interval_ms,
            max_stalled_count=settings.max_stalled_count,
            guard_interval_ms=settings.guard_interval_ms,
            grace_seconds=settings.grace_seconds,
            backoff=settings.backoff,
            metrics_minutes=settings.metrics_minutes,
            limiter=Limiter(rate.jobs, rate.per_ms) if rate else None,
            job_timeout_ms=timeout * 1000 if timeout else None,
        )

    def _checks(self) -> dict[str, EdgeCheck]:
        settings, needs = self.settings, {need for role in self.roles for need in role.needs}
        checks: dict[str, EdgeCheck] = {}
        if settings.database_url and DATABASE in needs:
            checks[DATABASE] = DatabaseCheck(self.edges, settings.database_url)
        if STORAGE in needs and (settings.bucket or settings.storage_folder):
            checks[STORAGE] = StorageCheck(self.edges, None if settings.storage_folder else settings.bucket, settings.aws_region)
        if MAIL in needs and settings.outbox is None:
            checks[MAIL] = MailCheck(self.edges, settings.ses_region)
        return checks

    def _hold(self, role: Role, is_held: bool) -> None:
        """A role whose edge cannot be used claims nothing."""
        consumer = self.consumers[self.roles.index(role)]
        if is_held:
            consumer.pause_locally()
        else:
            consumer.resume_locally()

    def _health(self, depths: Depths, pulses: Mapping[str, Pulse]) -> HealthServer:
        readiness = Readiness({"redis": redis_check(self.server), **self.checks})
        told: set[str] = set()

        async def alive() -> Answer:
            hung = {queue: loops for queue, pulse in pulses.items() if (loops := pulse.hung(HUNG_SECONDS))}
            for queue in hung.keys() - told:
                self.log.error("worker.hung", queue=queue, loops=", ".join(hung[queue]), seconds=HUNG_SECONDS)
            told.clear()
            told.update(hung)
            return Answer.json(not hung, {"alive": not hung, "seconds": round(time.monotonic() - self._began), "hung": hung})

        async def ready() -> Answer:
            problems = {"worker": "draining: it was told to stop"} if self.draining else await readiness.problems()
            return Answer.json(not problems, {"ready": not problems, "roles": [role.name for role in self.roles], "problems": problems})

        async def metrics() -> Answer:
            await depths.refresh()
            return Answer(HTTPStatus.OK, self.metrics.exposition(), CONTENT_TYPE)

        return HealthServer({"/healthz": alive, "/livez": alive, "/readyz": ready, "/metrics": metrics})

    def _health_table(self, depths: Depths) -> HealthTable:
        labels = {role.queue: role.label for role in (*ROLES, *self.roles)}
        return HealthTable(self.server, depths, prefix=self.settings.prefix, pod=self.settings.pod, labels=labels)

    async def _start_health(self, health: HealthServer) -> None:
        if self.settings.health_port is not None:
            port = await health.start(self.settings.health_host, self.settings.health_port)
            self.log.info("health.listening", host=self.settings.health_host, port=port)

    # -- life ----------------------------------------------------------------------------------------------------------------

    def _say_hello(self) -> None:
        for message in self.settings.warnings:
            self.log.warning("settings.odd", message=message)
        slots = {role.name: self._slots(role) for role in self.roles}
        self.log.info("worker.started", roles=slots, redis=str(self.settings.redis), pod=self.settings.pod, pid=os.getpid())

    async def _consume(self, aside: Iterable[asyncio.Task[None]]) -> None:
        """Run every consumer until all have stopped. One that breaks stops the others, as does a duty aside, and the process fails: a
        worker whose watch has died would hold its roles, or not hold them, for ever."""
        running = {asyncio.create_task(consumer.run(), name=f"consumer of {consumer.queue.name}") for consumer in self.consumers}
        watched = running | set(aside)
        while running:
            done, watched = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            running -= done
            for task in done:
                if error := task.exception():
                    self.log.error("worker.broken", error=str(error), part=task.get_name(), exc_info=error)
                    self.code = 1
                    self.stop()

    async def _examine(self) -> None:
        """Ask Redis what it is, once it can be reached, and pass on what its operator should know."""
        while True:
            try:
                for message in await self.server.examine():
                    self.log.warning("redis.advice", message=message)
                return
            except PermanentError as error:
                self.log.error("worker.broken", error=str(error))
                self.code = 1
                self.stop()
                return
            except Exception:  # of uvloop too, while a connection closes: advice is no reason to end a worker
                await asyncio.sleep(1)

    async def _watch_settings(self, mounted: Mounted) -> None:
        """Begin anew when the mounted files say something else than what we were started with. With files that we would not even start
        with, the worker goes on as it is, and looks again: what they name may be there a moment later."""
        said = ""
        while True:
            await asyncio.sleep(SETTINGS_SECONDS)
            names: list[str] = []
            try:
                if (found := mounted.anew(os.environ)) is None:
                    said = ""
                    continue
                names, variables = found
                Settings.from_environment(variables, self.roles)
            except SettingsError as error:
                if (problems := "; ".join(error.problems)) != said:
                    said = problems
                    self.log.error("settings.wrong", variables=names, error=said)
                continue
            self.log.info("settings.changed", variables=names)
            self._begin_anew()
            return

    # -- signals and news ----------------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        """By handlers of Python's own: uvloop's are dead after its last turn, and swallow what comes between that and an ``exec``."""
        loop = asyncio.get_running_loop()

        def hear(number: int, _frame: object) -> None:
            self.begins_anew = False  # here and now: the loop may have turned for the last time
            try:
                loop.call_soon_threadsafe(self._on_signal, signal.Signals(number))
            except RuntimeError:  # it is closed: there is nothing left to finish
                os._exit(self.code)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, hear)
        loop.add_signal_handler(signal.SIGUSR2, self._begin_anew)

    def _on_signal(self, number: signal.Signals) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._told_at + ECHO_SECONDS:
            return
        told_before, self._told_at = self._told_at > -math.inf, now
        if told_before:
            self.log.error("worker.killed", signal=number.name)
            sys.stdout.flush()
            os._exit(128 + number)
        self.begins_anew = False  # although SIGUSR2 may have been heard just before
        self._drain(signal=number.name)

    def _begin_anew(self) -> None:
        """Leave as on SIGTERM, for a worker with the settings and sources of that moment. Who was told to leave for good does so."""
        if not self.draining:
            self.begins_anew = True
            self._drain()

    def _drain(self, **why: str) -> None:
        running = sum(consumer.in_flight for consumer in self.consumers)
        self.log.info("worker.draining", **why, running=running, grace_seconds=self.settings.grace_seconds)
        self.stop()

    def _listen_to_redis(self) -> None:
        address = str(self.settings.redis)

        def tell(up: bool, error: Exception | None) -> None:
            self.metrics.redis_up.set(up)
            if up:
                self.log.info("redis.connected", address=address)
            else:
                self.log.error("redis.lost", address=address, error=str(error))

        self.server.on_change.append(tell)
