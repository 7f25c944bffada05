"""A cluster with one Deployment and its queues, from event to event: jobs come, pods start, take the oldest job, finish it, and end.

Nothing ticks: time jumps to whatever is next, so a quiet night costs nothing. Equal inputs give equal outcomes.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from kayan_operator.decision.facts import QueueFacts
from kayan_operator.simulate.chance import chance
from kayan_operator.simulate.rule import Look, Rule
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.traffic import Job

PATIENCE = 3600.0
"""Seconds in which no job came or was done, beyond what the longest takes, after which those that are left count as never done."""


class Pod:
    """``running`` counts its jobs by queue, ``jobs`` names them."""

    __slots__ = ("born", "busy_since", "gone", "jobs", "leaving", "listed", "ready", "running")

    def __init__(self, born: float, queues: int) -> None:
        self.born = born
        self.ready = self.leaving = self.gone = False
        self.running = [0] * queues
        self.listed = [False] * queues
        self.jobs: set[int] = set()
        self.busy_since = 0.0


@dataclass(slots=True)
class _Queue:
    slots: int
    waiting: deque[int] = field(default_factory=deque)
    delayed: list[tuple[float, int]] = field(default_factory=list)
    """When due, and which; sorted."""
    free: deque[Pod] = field(default_factory=deque)
    """Pods with a free slot, the next to take a job first."""
    active: int = 0
    added: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """The number of replicas changed, why, and the sentences that say so."""

    at: float
    before: int
    after: int
    reason: str
    sentences: tuple[str, ...]


class World:
    """``began`` and ``ended`` say of each job when it first began to run and when it was done; None: it did not."""

    def __init__(self, jobs: Sequence[Job], queues: Sequence[tuple[str, int]], rule: Rule, setting: Setting) -> None:
        """``jobs`` in the order in which they are added; ``queues`` are names and a pod's slots."""
        self.jobs, self.rule, self.setting = jobs, rule, setting
        self.now = 0.0
        self.began: list[float | None] = [None] * len(jobs)
        self.ended: list[float | None] = [None] * len(jobs)
        self.changes: list[Change] = []
        self.interrupted = 0
        self.unfinished = len(jobs)
        self.peak_pods = 0
        self.start_replicas = rule.replicas
        places = {name: place for place, (name, _) in enumerate(queues)}
        self._place = [places.get(job.queue, 0) for job in jobs]
        self._queues = [_Queue(slots) for _, slots in queues]
        self._chance = chance(setting.seed, "startup")
        self._pods: dict[Pod, None] = {}
        self._leaving: set[Pod] = set()
        self._ready = 0
        self._pod_seconds = self._busy_seconds = 0.0
        self._events: list[tuple[float, int, str, Pod | None, int]] = []
        self._order = 0
        self._next_job = 0
        self._not_due = 0
        self._patience = PATIENCE + max((job.seconds for job in jobs), default=0.0)
        self._look_at = rule.first_look
        self._progress = 0.0
        for _ in range(rule.replicas):
            self._become_ready(self._create(0.0))

    # -- what a rule may see ---------------------------------------------------------------------------------------------------------

    @property
    def replicas(self) -> int:
        return len(self._pods)

    @property
    def ready(self) -> int:
        return self._ready

    @property
    def waiting(self) -> list[int]:
        """The length of each queue's list of waiting jobs: what one who knows nothing else of Bull sees."""
        return [len(queue.waiting) for queue in self._queues]

    def facts(self, ahead: float) -> tuple[QueueFacts, ...]:
        """The queues, with the delayed jobs that are due within ``ahead`` seconds."""
        return tuple(self._facts(queue, ahead) for queue in self._queues)

    def _facts(self, queue: _Queue, ahead: float) -> QueueFacts:
        if not queue.delayed:
            return QueueFacts(waiting=len(queue.waiting), active=queue.active, added=queue.added, oldest_age=self._age(queue))
        due = bisect_right(queue.delayed, (self.now + ahead, len(self.jobs)))
        return QueueFacts(
            waiting=len(queue.waiting), active=queue.active, added=queue.added, oldest_age=self._age(queue), delayed=len(queue.delayed),
            due=due, next_due=queue.delayed[due][0] - self.now if due < len(queue.delayed) else None,
        )

    def _age(self, queue: _Queue) -> float | None:
        return self.now - self.jobs[queue.waiting[0]].due if queue.waiting else None

    # -- time passes -----------------------------------------------------------------------------------------------------------------

    def run(self, until: float = math.inf) -> None:
        """Go on until that moment; without one until every job is done, or nothing comes of waiting."""
        forever = until == math.inf
        while True:
            arrival = self.jobs[self._next_job].at if self._next_job < len(self.jobs) else math.inf
            event = self._events[0][0] if self._events else math.inf
            moment = min(arrival, event, self._look_at)
            if moment > until:
                self.now = until
                return
            if forever and (not self.unfinished or self._hopeless(moment)):
                return
            self.now = moment
            if arrival == moment:
                self._arrive()
            elif event == moment:
                self._happen()
            else:
                self._look()

    def _hopeless(self, moment: float) -> bool:
        """Nothing else will come, and what is there is not done: everybody sleeps over it, or ends pods over it again and again."""
        return self._next_job == len(self.jobs) and not self._not_due and moment > self._progress + self._patience

    def _push(self, at: float, what: str, pod: Pod | None, job: int = -1) -> None:
        self._order += 1
        heapq.heappush(self._events, (at, self._order, what, pod, job))

    def _happen(self) -> None:
        _, _, what, pod, job = heapq.heappop(self._events)
        if what == "due":
            self._come_due(self._queues[self._place[job]])
        elif pod is None or pod.gone:
            return
        elif what == "finish":
            self._finish(pod, job)
        elif what == "ready":
            if not pod.leaving:
                self._become_ready(pod)
                self.rule.started(self.now - pod.born)
        else:
            self._end(pod)

    def _look(self) -> None:
        look = self.rule.look(self)
        self._look_at = max(look.again, math.nextafter(self.now, math.inf))
        if look.desired != self.replicas:
            self._scale(look)

    # -- jobs ------------------------------------------------------------------------------------------------------------------------

    def _arrive(self) -> None:
        number, self._progress = self._next_job, self.now
        self._next_job += 1
        queue, job = self._queues[self._place[number]], self.jobs[number]
        queue.added += 1
        if job.delay > 0:
            self._not_due += 1
            insort(queue.delayed, (job.due, number))
            self._push(job.due, "due", None, number)
        else:
            queue.waiting.append(number)
            self._hand_out(queue)
        self._look_at = self.rule.woken(self.now, self._look_at)

    def _come_due(self, queue: _Queue) -> None:
        """Workers move due jobs to the line; where there is none, they stay where they are."""
        self._progress = self.now
        self._not_due -= 1
        if self._ready:
            self._promote(queue)

    def _promote(self, queue: _Queue) -> None:
        count = bisect_right(queue.delayed, (self.now, len(self.jobs)))
        queue.waiting.extend(number for _, number in queue.delayed[:count])
        del queue.delayed[:count]
        self._hand_out(queue)

    def _hand_out(self, queue: _Queue) -> None:
        """The oldest job to the pod whose turn it is. Turns spread work over the pods, and none is left idle by itself."""
        place = self._queues.index(queue) if len(self._queues) > 1 else 0
        while queue.waiting and queue.free:
            pod = queue.free.popleft()
            pod.listed[place] = False
            if pod.leaving or pod.running[place] >= queue.slots:
                continue
            self._begin(pod, place, queue, queue.waiting.popleft())
            self._list(pod, place, queue)

    def _list(self, pod: Pod, place: int, queue: _Queue) -> None:
        if not pod.listed[place] and pod.running[place] < queue.slots:
            pod.listed[place] = True
            queue.free.append(pod)

    def _begin(self, pod: Pod, place: int, queue: _Queue, number: int) -> None:
        if self.began[number] is None:
            self.began[number] = self.now
        if not pod.jobs:
            pod.busy_since = self.now
        pod.jobs.add(number)
        pod.running[place] += 1
        queue.active += 1
        self._push(self.now + self.jobs[number].seconds, "finish", pod, number)

    def _finish(self, pod: Pod, number: int) -> None:
        self._lay_down(pod, number)
        self.ended[number] = self._progress = self.now
        self.unfinished -= 1
        if pod.leaving:
            if not pod.jobs:
                self._end(pod)
            return
        place = self._place[number]
        queue = self._queues[place]
        self._list(pod, place, queue)
        if queue.waiting:
            self._hand_out(queue)

    def _lay_down(self, pod: Pod, number: int) -> None:
        pod.jobs.remove(number)
        pod.running[self._place[number]] -= 1
        self._queues[self._place[number]].active -= 1
        if not pod.jobs:
            self._busy_seconds += self.now - pod.busy_since

    # -- pods ------------------------------------------------------------------------------------------------------------------------

    def _scale(self, look: Look) -> None:
        before = self.replicas
        if look.desired > before:
            for _ in range(look.desired - before):
                pod = self._create(self.now)
                self._push(self.now + self.setting.actuation + self.setting.startup.draw(self._chance), "ready", pod)
        else:
            for pod in self._victims(before - look.desired):
                self._remove(pod)
        if self.replicas != before:
            self.changes.append(Change(self.now, before, self.replicas, look.reason, look.sentences()))

    def _create(self, at: float) -> Pod:
        pod = Pod(at, len(self._queues))
        self._pods[pod] = None
        self.peak_pods = max(self.peak_pods, len(self._pods) + len(self._leaving))
        return pod

    def _become_ready(self, pod: Pod) -> None:
        pod.ready = True
        self._ready += 1
        for place, queue in enumerate(self._queues):
            self._list(pod, place, queue)
            self._promote(queue)

    def _victims(self, count: int) -> list[Pod]:
        """Who ends: pods that are not ready first, then the newest, among those whom the rule may end."""
        newest = list(reversed(self._pods))
        newest.sort(key=lambda pod: pod.ready)
        if self.rule.victims == "newest":
            return newest[:count]
        idle = [pod for pod in newest if not pod.jobs][:count]
        if self.rule.victims == "drain":
            idle += sorted((pod for pod in newest if pod.jobs), key=lambda pod: len(pod.jobs))[: count - len(idle)]
        return idle

    def _remove(self, pod: Pod) -> None:
        del self._pods[pod]
        self._ready -= pod.ready
        pod.leaving = True
        self._leaving.add(pod)
        if pod.jobs:
            self._push(self.now + self.setting.grace, "end", pod)
        else:
            self._end(pod)

    def _end(self, pod: Pod) -> None:
        """The pod is gone. What it still ran goes back to the head of its line."""
        for number in sorted(pod.jobs, reverse=True):
            self._lay_down(pod, number)
            self.interrupted += 1
            self._queues[self._place[number]].waiting.appendleft(number)
        pod.gone = True
        self._leaving.discard(pod)
        self._pod_seconds += self.now - pod.born
        for queue in self._queues:
            self._hand_out(queue)

    # -- what it cost ----------------------------------------------------------------------------------------------------------------

    @property
    def pod_seconds(self) -> float:
        """Of all pods, those that start or leave too, until now."""
        return self._pod_seconds + sum(self.now - pod.born for pod in (*self._pods, *self._leaving))

    @property
    def idle_seconds(self) -> float:
        """Those in which a pod ran nothing."""
        busy = sum(self.now - pod.busy_since for pod in (*self._pods, *self._leaving) if pod.jobs)
        return self.pod_seconds - self._busy_seconds - busy
