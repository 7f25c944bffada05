"""The loop of the leader: look at queues, decide, have it carried out. One lane for each Redis server, so that none waits for another's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from kayan_workers import logs
from kayan_workers.bull.ending import end, undisturbed

from kayan_operator.cluster.events import Events
from kayan_operator.cluster.fleet import Deployment, Fleet, Key, Scaler
from kayan_operator.cluster.kube import Kube
from kayan_operator.decision.decide import Decision, decide
from kayan_operator.decision.facts import Consumers, QueueFacts, Snapshot, Unread
from kayan_operator.decision.history import FIRST_STARTUP, History
from kayan_operator.decision.policy import Policy, Queue
from kayan_operator.metrics import Metrics
from kayan_operator.scaling import status
from kayan_operator.scaling.agenda import Agenda
from kayan_operator.scaling.allotment import Allotment
from kayan_operator.scaling.obstacles import MetricsApiState, mode_to_be_had, obstacle, readiness
from kayan_operator.scaling.scale_in import Fences
from kayan_operator.scaling.track import Plan, Track
from kayan_operator.scaling.turns import Turns

_SETTLED_SECONDS = 0.05
"""After a change in the cluster: several come together."""
_TRY_AGAIN_SECONDS = 1.0
_STRETCH_SECONDS, _PAUSE_SECONDS = 0.002, 0.001
"""A look at a thousand scalers is long: after each stretch of it everything else has its turn."""


class QueueServer(Protocol):
    """One Redis server."""

    async def read(self, queues: Sequence[tuple[Queue, float, float]]) -> list[QueueFacts | Unread]:
        """All of them in one round trip: each queue with its look-ahead and its window, in seconds."""

    def consumers(self, queue: Queue) -> Consumers | None:
        """Who waits for its jobs, by a list that may be some minutes old; None while nobody knows. Returns at once."""

    def know(self, queues: Iterable[Queue]) -> None:
        """The queues of which there is to be word when a job is added."""

    def tell(self, rung: Callable[[str, str], None], changed: Callable[[], None]) -> None:
        """Call ``rung`` with prefix and name of each queue to which a job was added, ``changed`` when the server goes or comes back."""


class Ledger(Protocol):
    """Remembers decisions for people."""

    def note(self, key: Key, policy: Policy, decision: Decision, *, changed: bool, consumers: Consumers | None = None) -> None: ...

    def forget(self, key: Key) -> None: ...


class Controller:
    """Sees to all scalers for as long as ``lead`` runs."""

    def __init__(self, *, api: Kube, fleet: Fleet, servers: Mapping[str, QueueServer], fences: Callable[[Sequence[Queue]], Fences],
                 may_act: Callable[[], bool], metrics: Metrics, events: Events, ledger: Ledger,
                 metrics_api: Callable[[], MetricsApiState], clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._fleet = fleet
        self._servers = servers
        self._fences = fences
        self._may_act = may_act
        self._metrics = metrics
        self._events = events
        self._ledger = ledger
        self._metrics_api = metrics_api
        self._clock = clock
        self._looked_at = clock()
        self._tracks: dict[Key, Track] = {}
        self._agendas = {name: Agenda(clock) for name in servers}
        self._of_queue: dict[tuple[str, str, str], set[Key]] = {}
        self._turns = Turns(clock)
        self._unknown: set[str] = set()
        """Servers whose queues are not the ones they know."""
        self._allotment = Allotment(api, fleet, metrics, self.look_at, clock)

    # -- what others ask -----------------------------------------------------------------------------------------------------

    def statuses(self) -> Iterable[tuple[Key, Mapping[str, Any]]]:
        """The statuses of what this replica sees to; none when it does not lead."""
        return [(key, track.status) for key, track in self._tracks.items() if track.status]

    def published(self, key: Key) -> int | None:
        """What the external metric says of a scaler: of the leader what it has decided, of the others what its status tells."""
        track = self._tracks.get(key)
        if track is not None and track.actuator.published is not None:
            return track.actuator.published
        scaler = self._fleet.scalers.get(key)
        return scaler.status.get("publishedReplicas") if scaler else None

    def seconds_since_look(self) -> float:
        """How long ago queues were last looked at, or leading began. While there are no scalers there is nothing to look at."""
        return self._clock() - self._looked_at if self._fleet.scalers else 0.0

    def look_at(self, key: Key) -> None:
        """Something about a scaler has changed."""
        scaler = self._fleet.scalers.get(key)
        if scaler is not None:
            self._agenda(scaler).look_at(key, _SETTLED_SECONDS)
        elif key in self._tracks:
            self._agendas["default"].look_at(key)

    # -- leading -------------------------------------------------------------------------------------------------------------

    async def lead(self) -> None:
        """See to all scalers until cancelled."""
        self._metrics.is_leader.set(1)
        self._looked_at = self._clock()
        self._fleet.changed = self.look_at
        for name, server in self._servers.items():
            server.tell(self._ring_of(name), self._change_of(name))
        for key in list(self._fleet.scalers):
            self.look_at(key)
        tasks = [asyncio.create_task(self._lane(agenda)) for agenda in self._agendas.values()]
        tasks.append(asyncio.create_task(self._allotment.run()))
        try:
            await asyncio.gather(*tasks)
        finally:
            self._metrics.is_leader.set(0)
            self._fleet.changed = lambda key: None
            for server in self._servers.values():
                server.tell(lambda prefix, queue: None, lambda: None)
            await undisturbed(self._let_go(tasks))

    async def _let_go(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        """End all that is under way: what went on after us would write beside the next leader, or find its connections closed."""
        await end(tasks)
        await asyncio.gather(*(self._drop(key) for key in list(self._tracks)))

    def _agenda(self, scaler: Scaler) -> Agenda:
        home = scaler.policy.queues[0].redis if scaler.policy else ""
        return self._agendas.get(home) or self._agendas["default"]

    def _ring_of(self, server: str) -> Callable[[str, str], None]:
        def ring(prefix: str, queue: str) -> None:
            for key in self._of_queue.get((server, prefix, queue), ()):
                scaler = self._fleet.scalers.get(key)
                target = self._fleet.deployments.get(scaler.target) if scaler and scaler.target else None
                if scaler and target:
                    self._agenda(scaler).ring(key, wakes=not target.replicas)

        return ring

    def _change_of(self, server: str) -> Callable[[], None]:
        def change() -> None:
            for (name, _, _), keys in self._of_queue.items():
                for key in keys if name == server else ():
                    self.look_at(key)

        return change

    async def _lane(self, agenda: Agenda) -> None:
        while True:
            await self._see_to(agenda, await agenda.next())

    # -- looking -------------------------------------------------------------------------------------------------------------

    async def _see_to(self, agenda: Agenda, due: Mapping[Key, float | None]) -> None:
        try:
            await self._look(agenda, due)
        except Exception as error:  # of one scaler's making or not: the others go on
            logs.get().error("operator.stumbled", error=error, exc_info=True)
            for key in due:
                agenda.look_at(key, _TRY_AGAIN_SECONDS)

    async def _look(self, agenda: Agenda, due: Mapping[Key, float | None]) -> None:
        fit: list[tuple[Track, Scaler, Deployment]] = []
        begun = time.monotonic()
        for key in due:
            if time.monotonic() - begun > _STRETCH_SECONDS:
                await asyncio.sleep(_PAUSE_SECONDS)
                begun = time.monotonic()
            scaler = self._fleet.scalers.get(key)
            if scaler is None:
                gone = self._tracks.get(key)
                for agenda in self._agendas.values():  # before anything is awaited: another may take its name meanwhile
                    agenda.forget(key)
                await self._drop(key)
                if gone:
                    gone.let_go()
                self._metrics.forget(key)
                self._ledger.forget(key)
                continue
            track = await self._track(scaler)
            if hindrance := obstacle(scaler, self._fleet, self._servers):
                track.follow(Plan(scaler=scaler, conditions=(hindrance,)))
                self._agenda(scaler).look_again(key, at_work=False, within=None)
                continue
            assert scaler.target
            fit.append((track, scaler, self._fleet.deployments[scaler.target]))
        self._introduce()
        facts = await self._read(fit)
        self._looked_at = self._clock()
        self._metrics.last_look.set_to_current_time()
        looked_at_since: set[Key] = set()
        begun = time.monotonic()
        for track, scaler, before in fit:
            if time.monotonic() - begun > _STRETCH_SECONDS:
                looked_at_since |= await self._pause(agenda)
                begun = time.monotonic()
            target = self._fleet.deployments.get(before.key)
            if target and self._tracks.get(scaler.key) is track and scaler.key not in looked_at_since:
                self._decide(track, scaler, target, facts, due[scaler.key])

    async def _pause(self, agenda: Agenda) -> set[Key]:
        """In the midst of a look: others have their turn, and a job that was just added does not wait for the rest. Who was looked at."""
        await asyncio.sleep(_PAUSE_SECONDS)
        if rung := agenda.take_rung():
            await self._see_to(agenda, rung)
        return set(rung)

    async def _read(self, fit: Sequence[tuple[Track, Scaler, Deployment]]) -> dict[tuple[Key, Queue], QueueFacts | Unread]:
        """The queues of all of these, in one round trip for each server."""
        wanted: dict[str, list[tuple[Key, Queue, float, float]]] = {}
        for track, scaler, _ in fit:
            assert scaler.policy
            policy = scaler.policy
            ahead = track.history.look_ahead(policy) if track.history else policy.look_ahead or FIRST_STARTUP
            for queue in policy.queues:
                wanted.setdefault(queue.redis, []).append((scaler.key, queue, ahead, policy.failure.window))

        async def read(name: str) -> list[QueueFacts | Unread]:
            with self._metrics.read_seconds.labels(name).time():
                return await self._servers[name].read([(queue, ahead, window) for _, queue, ahead, window in wanted[name]])

        answers = await asyncio.gather(*(read(name) for name in wanted))
        return {
            (key, queue): facts
            for name, answer in zip(wanted, answers, strict=True)
            for (key, queue, _, _), facts in zip(wanted[name], answer, strict=True)
        }

    def _decide(self, track: Track, scaler: Scaler, target: Deployment, facts: Mapping[tuple[Key, Queue], QueueFacts | Unread],
                rung: float | None) -> None:
        policy = scaler.policy
        assert policy
        snapshot = Snapshot(
            at=self._clock(),
            wall=time.time(),
            queues=tuple(facts[scaler.key, queue] for queue in policy.queues),
            replicas=target.replicas,
            ready=target.ready,
            broken=track.examiner.look(target),
            consumers=self._consumers(policy.queues) if target.replicas else None,
        )
        history = self._history(track, snapshot, target)
        snapshot = self._allotment.allot(scaler, target, snapshot, history)
        decision = decide(snapshot, policy, history)
        before, track.decision, track.history = track.decision, decision, decision.history
        changed = before is None or (before.desired, before.reason) != (decision.desired, decision.reason)
        if changed:
            self._metrics.decisions.labels(*scaler.key, decision.reason).inc()
        self._ledger.note(scaler.key, policy, decision, changed=changed, consumers=snapshot.consumers)
        self._metrics.show_consumers(scaler.key, snapshot.consumers)
        mode, of_metrics = mode_to_be_had(policy, target, self._metrics_api())
        queues = status.of_queues(snapshot, [queue.name for queue in policy.queues])
        conditions = [readiness(policy, target, queues), queues, status.of_work(decision, snapshot), status.of_limits(decision)]
        active = sum(one.active for one in snapshot.queues if isinstance(one, QueueFacts))
        if attendance := track.attendance.look(target, snapshot.consumers, [queue.name for queue in policy.queues], active=active):
            conditions.append(attendance)
        track.follow(Plan(
            scaler=scaler, target=target, snapshot=snapshot, decision=decision, mode=mode, rung=rung,
            conditions=(*conditions, of_metrics) if of_metrics else tuple(conditions),
        ))
        at_work = decision.load > 0 or decision.desired != target.replicas or target.ready != target.replicas or not queues.status
        self._agenda(scaler).look_again(scaler.key, at_work=at_work, within=decision.look_again)

    def _consumers(self, queues: Sequence[Queue]) -> Consumers | None:
        """Of all of them together; None when of one it is not known."""
        total = Consumers(read_at=self._clock())
        for queue in queues:
            found = self._servers[queue.redis].consumers(queue)
            if found is None:
                return None
            total += found
        return total

    def _history(self, track: Track, snapshot: Snapshot, target: Deployment) -> History:
        history = track.history or History.begin(snapshot)
        seconds = track.startups.look(snapshot.at, target.replicas, target.ready, broken=bool(snapshot.broken))
        return history if seconds is None else history.started(seconds)

    def _introduce(self) -> None:
        """Tell the servers of queues that are new, or nobody's any more."""
        unknown, self._unknown = self._unknown & self._servers.keys(), set()
        for name in unknown:
            self._servers[name].know({queue for track in self._tracks.values() for queue in track.queues if queue.redis == name})

    # -- tracks --------------------------------------------------------------------------------------------------------------

    async def _track(self, scaler: Scaler) -> Track:
        track, queues = self._tracks.get(scaler.key), scaler.policy.queues if scaler.policy else ()
        if track is not None and track.scaler_uid == scaler.uid and track.queues == queues:
            return track
        before = track.history if track is not None and track.scaler_uid == scaler.uid else None
        await self._drop(scaler.key)
        for queue in queues:
            self._of_queue.setdefault((queue.redis, queue.prefix, queue.name), set()).add(scaler.key)
        self._unknown.update(queue.redis for queue in queues)
        key = scaler.key
        track = Track(scaler, queues, api=self._api, fleet=self._fleet, fences=self._fences(queues), may_act=self._may_act,
                      metrics=self._metrics, events=self._events, changed=lambda: self.look_at(key), turns=self._turns,
                      clock=self._clock)
        track.history = replace(before, rates=()) if before else None
        self._tracks[key] = track
        return track

    async def _drop(self, key: Key) -> None:
        track = self._tracks.pop(key, None)
        if track is None:
            return
        for queue in track.queues:
            of_queue = self._of_queue.get((queue.redis, queue.prefix, queue.name), set())
            of_queue.discard(key)
            if not of_queue:
                self._of_queue.pop((queue.redis, queue.prefix, queue.name), None)
            self._unknown.add(queue.redis)
        self._allotment.forget(key)
        await track.stop()
