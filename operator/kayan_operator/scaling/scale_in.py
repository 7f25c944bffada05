"""Scale-in that ends no job: choose idle pods and fence them, mark them, lower the number by just as many, see who went.

1. *Choose.* One script reads the locks of what runs, takes pods without any, and sets their fences; claims read the fence in the same
   step as they claim, so from then on a chosen pod stays idle. If too few are idle, busy pods are fenced as well, those with least to do
   first: they go on with what they have, take nothing more, and are chosen when they have finished.
2. *Mark.* The chosen get the lowest ``pod-deletion-cost``. Kubernetes ranks pods by readiness before it looks at costs: a busy pod that is
   not ready holds everybody up, and one that is idle and not ready yet is fenced as well, as it may go in place of a chosen one.
3. *Lower* the number by exactly those that were chosen: through ``Lower``, which is the scale subresource or an HPA.
4. *Verify.* Whoever of the chosen has survived loses fence and mark. If others went in their place, their jobs count as interrupted.

Fences end by themselves soon after nobody renews them: an operator that dies in the midst of this leaves pods that work again in half a
minute, and marks that the next operator takes away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kayan_workers.bull.ending import end

from kayan_operator.cluster import pods
from kayan_operator.cluster.fleet import Deployment
from kayan_operator.cluster.kube import Kube
from kayan_operator.cluster.pods import CHOSEN_COST, DELETION_COST, Pod, Pods
from kayan_operator.decision.policy import Busy as BusyPolicy
from kayan_operator.queues.fences import FENCE_SECONDS, Busy, Chosen

_RENEW_SECONDS = 8.0
_SETTLE_SECONDS = 1.0
"""Between the marks and the lower number. Kubernetes' own controllers must have seen the marks first, and who is ready: they watch as we
do, on a machine that is busy starting pods some tenths of a second later, and end whom they take for the first to go."""
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 15.0
"""When none of the busy pods that wait for their end has come to it for so long, one more is asked to."""


class Fences(Protocol):
    """The fences of one target's pods, on all servers that have queues of its. Errors of Redis pass through."""

    async def begin(self) -> None:
        """Whoever led before us touches no fence from now on."""

    async def choose(self, candidates: Sequence[str], count: int) -> Chosen:
        """Fence up to ``count`` idle pods, the first of ``candidates`` first; who is busy is told as well."""

    async def fence(self, pods: Collection[str]) -> None:
        """Fence pods whatever they run, or renew their fences."""

    async def keep(self, pods: Collection[str]) -> bool:
        """Renew standing fences; False when one had fallen, so that its pod may have jobs again."""

    async def lift(self, pods: Collection[str]) -> None: ...

    async def busy(self) -> Mapping[str, Busy]:
        """Who has jobs; nothing is changed."""


Lower = Callable[[int, int], Coroutine[Any, Any, bool]]
"""Lower ``spec.replicas`` from one number to another. True when that has happened; False when it has not and will not any more."""


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What one scale-in came to."""

    went: int = 0
    survived: int = 0
    """Chosen pods in whose place others went, or that nobody ended."""
    interrupted: int = 0
    """Jobs that ran on pods which went though they were not chosen."""
    waits_for: str = ""
    """What keeps the rest from going just now, in words."""


class ScaleIn:
    """Lowers one target's number when it is asked to, and remembers from one time to the next which busy pods it waits for."""

    def __init__(self, api: Kube, fences: Fences, lower: Lower, *, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._fences = fences
        self._lower = lower
        self._log = log
        self._clock = clock
        self.asked: dict[str, float] = {}
        """Busy pods that take nothing more, and since when."""

    async def run(self, target: Deployment, desired: int, busy_policy: BusyPolicy) -> Outcome:
        """Bring the number towards ``desired`` as far as pods are idle. Raises ApiError, and what the fences raise."""
        found = await pods.of_deployment(self._api, target)
        surplus = len(found.staying) - desired
        if surplus <= 0:  # the number is higher than there are pods
            await self.forget()
            return Outcome(went=0) if await self._lower(target.replicas, desired) else Outcome(waits_for="the number has just changed")
        if desired and not target.is_settled:
            await self.forget()
            return Outcome(waits_for="a rollout is under way, in which Kubernetes chooses the pods that go")
        order = sorted(found.staying, key=lambda pod: (pod.rank, pod.name not in self.asked, _newest_first(pod)))
        found_idle = await self._fences.choose([pod.name for pod in order], surplus)
        chosen, busy = list(found_idle.idle), found_idle.busy
        waits_for = await self._shortfall(found.staying, busy, chosen, surplus, busy_policy)
        still = await self._hold_still([pod.name for pod in found.staying if not pod.is_ready and pod.name not in (*chosen, *busy)])
        going, in_the_way = _first_to_go(found.staying, chosen, still)
        if not target.is_settled and len(going) < len(found.staying):
            going, in_the_way = [], "a rollout is under way, in which Kubernetes chooses the pods that go"
        number = len(found.staying) - len(going)
        if going and number >= target.replicas:
            going, in_the_way = [], "pods that are to go have yet to be ended"
        await self._fences.lift([name for name in chosen if name not in going])
        if not going:
            await self._fences.lift(still)
        await self._unmark(target, (pod.name for pod in found.staying if pod.is_chosen and pod.name not in going))
        if not going:
            return Outcome(waits_for=in_the_way or waits_for)
        try:
            outcome = await self._end(target, found, going, still, busy)
        finally:
            await self._fences.lift(still)
        outcome.waits_for = in_the_way or waits_for
        return outcome

    async def forget(self, but: Collection[str] = ()) -> None:
        """Let the busy pods that were to go take jobs again, ``but`` those that have been chosen since."""
        names, self.asked = [name for name in self.asked if name not in but], {}
        if names:
            await self._fences.lift(names)

    async def tidy(self, target: Deployment) -> None:
        """Take away the marks that an operator has left which died in the midst of a scale-in; its fences end by themselves. If it only
        stood still it can do no more of it."""
        await self._fences.begin()
        found = await pods.of_deployment(self._api, target)
        await self._unmark(target, (pod.name for pod in found.staying if pod.is_chosen))

    # -- steps ---------------------------------------------------------------------------------------------------------------

    async def _hold_still(self, unready: Sequence[str]) -> Collection[str]:
        """Fence pods that are not ready and have no jobs; those that have some by now are left out."""
        return (await self._fences.choose(unready, len(unready))).idle if unready else ()

    async def _shortfall(
        self, staying: Sequence[Pod], busy: Mapping[str, Busy], chosen: list[str], surplus: int, policy: BusyPolicy
    ) -> str:
        """Too few pods are idle: have busy ones go as soon as they can (they join ``chosen`` when the policy does not wait)."""
        missing = surplus - len(chosen)
        candidates = sorted(
            (pod.name for pod in staying if pod.name in busy and pod.name not in chosen),
            key=lambda name: (name not in self.asked, busy[name].jobs, -(busy[name].oldest_started_seconds or 0), name),
        )
        if missing <= 0 or not candidates:
            await self.forget(chosen)
            return ""
        if policy == "drain":
            await self._fences.fence(candidates[:missing])
            chosen.extend(candidates[:missing])
            self.asked = {}
            return ""
        now = self._clock()
        asking = candidates[: missing + self._more_to_ask(now, missing, len(candidates))]
        await self._fences.lift([name for name in self.asked if name not in asking and name not in chosen])
        self.asked = {name: self.asked.get(name, now) for name in asking}
        await self._fences.fence(asking)
        return f"{len(candidates)} of {len(staying)} pods are busy; {len(asking)} of them take no more jobs and go when they have finished"

    def _more_to_ask(self, now: float, missing: int, candidates: int) -> int:
        """Those that were asked may have long jobs, while another would soon be done: one more for each time that patience ran out."""
        if not self.asked:
            return 0
        waited = now - min(self.asked.values())
        return max(0, min(int(waited / _PATIENCE_SECONDS), candidates // 2 - missing))

    async def _end(
        self, target: Deployment, found: Pods, going: Collection[str], still: Collection[str], busy: Mapping[str, Busy]
    ) -> Outcome:
        namespace = target.key.namespace
        lowered = False
        try:
            marks = [pods.annotate(self._api, namespace, name, {DELETION_COST: CHOSEN_COST}) for name in going]
            await asyncio.gather(*marks)
            await asyncio.sleep(_SETTLE_SECONDS)
            lowered = await self._while_fenced((*going, *still), self._lower(target.replicas, len(found.staying) - len(going)))
        finally:
            if not lowered:
                await self._fences.lift(going)
                await self._unmark(target, going)
        if not lowered:
            return Outcome(waits_for="more pods are wanted again")
        return await self._verify(target, found, going, busy)

    async def _while_fenced(self, names: Collection[str], work: Coroutine[Any, Any, bool]) -> bool:
        """Await ``work``, with the fences kept meanwhile. Not begun, or given up, when one of them has fallen."""
        working = None
        try:
            while await self._fences.keep(names):
                working = working or asyncio.ensure_future(work)
                if (await asyncio.wait([working], timeout=_RENEW_SECONDS))[0]:
                    return working.result()
            return False
        finally:
            if working is None:
                work.close()
            elif not working.done():
                await end([working])

    async def _verify(self, target: Deployment, before: Pods, going: Collection[str], busy: Mapping[str, Busy]) -> Outcome:
        """Wait until the chosen are on their way, and see whether anybody else is."""
        deadline = self._clock() + FENCE_SECONDS - _RENEW_SECONDS
        while True:
            now = await pods.of_deployment(self._api, target)
            alive = {pod.name for pod in now.staying}
            survivors = [name for name in going if name in alive]
            if not survivors or len(alive) <= len(before.staying) - len(going) or self._clock() > deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        outcome = Outcome(went=len(going) - len(survivors), survived=len(survivors))
        if survivors:
            busy_now = await self._fences.busy()
            others = [pod.name for pod in before.staying if pod.name not in alive and pod.name not in going]
            outcome.interrupted = sum(max(each[name].jobs for each in (busy, busy_now) if name in each)
                                      for name in others if name in busy or name in busy_now)
            self._log.warning("scale.survived", pods=survivors, instead=others, interrupted=outcome.interrupted)
            await self._fences.lift(survivors)
            await self._unmark(target, survivors)
        return outcome

    async def _unmark(self, target: Deployment, names: Iterable[str]) -> None:
        for name in names:
            await pods.annotate(self._api, target.key.namespace, name, {DELETION_COST: None})


def _newest_first(pod: Pod) -> tuple[int, ...]:
    """Of pods that are alike the newest go, whose caches are the coldest."""
    return tuple(-ord(letter) for letter in pod.created)


def _first_to_go(staying: Sequence[Pod], chosen: Collection[str], still: Collection[str]) -> tuple[list[str], str]:
    """Those of the chosen that Kubernetes will end before anybody who works, and who is in the way of the others, in words."""
    others = [pod for pod in staying if pod.name not in chosen and pod.name not in still]
    if not others:
        return list(chosen), ""
    obstacle = min(others, key=lambda pod: pod.rank)
    going = [pod.name for pod in staying if pod.name in chosen and pod.rank <= obstacle.rank]
    if len(going) == len(chosen):
        return going, ""
    return going, f"pod {obstacle.name} has jobs and is not ready, and Kubernetes would end it first"
