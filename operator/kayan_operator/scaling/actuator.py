"""Brings one target's number to what was decided: by itself or through an HPA, at once when it grows, with care when it shrinks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from kayan_workers.bull.ending import end

from kayan_operator.cluster import hpa, kube
from kayan_operator.cluster.fleet import Autoscaler, Deployment, Fleet, Key, Scaler, deployment_of
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.decision.policy import Mode
from kayan_operator.scaling.scale_in import Fences, Outcome, ScaleIn

_LOOK_SECONDS = 0.2
_HPA_PATIENCE_SECONDS = 60.0
"""An HPA looks every 15 seconds; one that has not lowered the number by then is not going to."""
_HPA_GRACE_SECONDS = 5.0
"""An HPA that has read a number may take so long to act on it."""
_CONFLICTS = 5

Written = Callable[[Scaler, int, int, Mode], None]
"""Hears of each change of the number: from, to, and by whom."""


class Actuator:
    """The hand of one scaler. ``want`` tells it what was decided; it must be asked by one task at a time, and only by the leader."""

    def __init__(
        self, api: Kube, fleet: Fleet, key: Key, fences: Fences, *, may_act: Callable[[], bool], written: Written, log: Any
    ) -> None:
        self._api = api
        self._fleet = fleet
        self._key = key
        self._may_act = may_act
        self._written = written
        self._log = log
        self.wanted = 0
        self.mode: Mode = "advisory"
        self.published: int | None = None
        """What the external metric says; None where there is none."""
        self.outcome = Outcome()
        """Of the latest scale-in."""
        self.scale_in = ScaleIn(api, fences, self._lower, log=log)
        self._shrinking: asyncio.Task[None] | None = None
        self._is_tidy = False

    @property
    def is_shrinking(self) -> bool:
        return self._shrinking is not None and not self._shrinking.done()

    def is_at_rest(self, scaler: Scaler, target: Deployment, wanted: int, mode: Mode) -> bool:
        """Whether ``want`` would find nothing to do."""
        if mode != self.mode or self.is_shrinking or self.scale_in.asked or (mode != "advisory" and wanted != target.replicas):
            return False
        seen = self._fleet.own_autoscaler(scaler)
        if mode != "hpa":
            return seen is None
        return self.published == wanted and seen is not None and not self._hpa_differs(scaler, target, wanted, seen)

    async def want(self, scaler: Scaler, target: Deployment, wanted: int, mode: Mode) -> None:
        """Bring ``target`` to ``wanted`` replicas, or begin to. Raises ApiError, and what the fences raise."""
        self.wanted, self.mode = wanted, mode
        if mode == "advisory":
            await self.scale_in.forget()
            await self._drop_hpa(scaler)
            return
        if not self._is_tidy and target.replicas:
            await self.scale_in.tidy(target)
            self._is_tidy = True
        if mode == "direct":
            await self._drop_hpa(scaler)
        if wanted >= target.replicas:
            self.outcome.waits_for = ""
            if not self.is_shrinking:
                await self.scale_in.forget()
            await self._grow(scaler, target)
        elif not self.is_shrinking:
            if mode == "hpa":
                await self._say(scaler, target, target.replicas)
            self._shrinking = asyncio.create_task(self._shrink(scaler, target, wanted))

    async def stop(self) -> None:
        """Let go. What a scale-in has fenced takes jobs again as soon as its fences end."""
        if self._shrinking:
            await end([self._shrinking])

    # -- growing -------------------------------------------------------------------------------------------------------------

    async def _grow(self, scaler: Scaler, target: Deployment) -> None:
        by_hpa = self.mode == "hpa" and target.replicas > 0  # from 0 an HPA does nothing
        if self.wanted > target.replicas and not by_hpa:
            await self._write(scaler, target, target.replicas, self.wanted)
        if self.mode == "hpa":
            await self._say(scaler, target, self.wanted)

    # -- shrinking -----------------------------------------------------------------------------------------------------------

    async def _shrink(self, scaler: Scaler, target: Deployment, wanted: int) -> None:
        assert scaler.policy
        try:
            self.outcome = await self.scale_in.run(target, wanted, scaler.policy.busy)
        except ApiError as error:
            self._fail(str(error), error)
        except Exception as error:  # of the fences: Redis has gone in the midst of it
            self._fail(f"the fences cannot be set: {error}", error)

    def _fail(self, waits_for: str, error: Exception) -> None:
        self.outcome = Outcome(waits_for=waits_for)
        if self._may_act():
            self._log.warning("scale.failed", error=str(error))
        else:  # somebody else leads, and sees to it
            self._log.info("scale.left", error=str(error))

    async def _lower(self, now: int, number: int) -> bool:
        scaler, target = self._fleet.scalers.get(self._key), None
        if scaler and scaler.target:
            target = self._fleet.deployments.get(scaler.target)
        if scaler is None or target is None or self.wanted > number or self.mode == "advisory" or not self._may_act():
            return False
        if self.mode == "hpa" and number > 0:
            return await self._lower_by_hpa(scaler, target, number)
        lowered = await self._write(scaler, target, now, number)
        if lowered and self.mode == "hpa":
            await self._say(scaler, target, number)
        return lowered

    async def _lower_by_hpa(self, scaler: Scaler, target: Deployment, number: int) -> bool:
        """Publish the number and wait for the HPA. While it may act on what it has read, the chosen pods must stay fenced."""
        await self._say(scaler, target, number)
        begun = time.monotonic()
        while self._replicas(target) > number:
            is_ours = self.mode == "hpa"  # else the HPA has been deleted meanwhile, and must not come back
            if self.wanted > number or not is_ours or not self._may_act() or time.monotonic() - begun > _HPA_PATIENCE_SECONDS:
                if is_ours:
                    await self._say(scaler, target, max(self.wanted, self._replicas(target)))
                await asyncio.sleep(_HPA_GRACE_SECONDS)
                return self._replicas(target) <= number
            await asyncio.sleep(_LOOK_SECONDS)
        self._written(scaler, target.replicas, number, "hpa")
        return True

    def _replicas(self, target: Deployment) -> int:
        seen = self._fleet.deployments.get(target.key)
        return seen.replicas if seen else 0

    # -- writing -------------------------------------------------------------------------------------------------------------

    async def _write(self, scaler: Scaler, target: Deployment, now: int, number: int) -> bool:
        """Write the number, if it still is what we think; False when somebody else has changed it. Raises ApiError."""
        path = kube.deployments(target.key.namespace, target.key.name, "scale")
        for _ in range(_CONFLICTS):
            patch: dict[str, Any] = {"spec": {"replicas": number}}
            if number < now:
                found = await self._api.get(kube.deployments(*target.key))
                there = deployment_of(found)
                if there.replicas != now or there.is_switched_off:
                    return False
                patch["metadata"] = {"resourceVersion": found["metadata"]["resourceVersion"]}
            if not self._may_act():
                return False
            try:
                answer = await self._api.merge(path, patch)
            except ApiError as error:
                if not error.is_conflict:
                    raise
                continue
            self._fleet.scaled(target.key, number, int(answer["metadata"].get("resourceVersion") or 0))
            self._written(scaler, now, number, "direct")
            return True
        return False

    async def _say(self, scaler: Scaler, target: Deployment, number: int) -> None:
        """Publish a number, and see to it that the HPA is there and acts on it."""
        self.published = number
        seen = self._fleet.own_autoscaler(scaler)
        if seen is None:
            await self._create_hpa(scaler, self._hpa(scaler, target, number, None))
        elif self._hpa_differs(scaler, target, number, seen) and self._may_act():
            spec = self._hpa(scaler, target, number, seen)["spec"]
            self._fleet.see_autoscaler(await self._api.merge(kube.autoscalers(*seen.key), {"spec": spec}))

    def _hpa(self, scaler: Scaler, target: Deployment, number: int, seen: Autoscaler | None) -> dict[str, Any]:
        exact = seen is not None and hpa.is_exact(seen.spec)
        return hpa.body(scaler, current=self._replicas(target), published=number, exact=exact)

    def _hpa_differs(self, scaler: Scaler, target: Deployment, number: int, seen: Autoscaler) -> bool:
        return hpa.differs(self._hpa(scaler, target, number, seen)["spec"], seen.spec)

    async def _create_hpa(self, scaler: Scaler, body: dict[str, Any]) -> None:
        if not self._may_act():
            return
        try:
            self._fleet.see_autoscaler(await self._api.create(kube.autoscalers(scaler.key.namespace), body))
        except ApiError as error:
            if not error.is_conflict:  # else it is there, and the watch will tell whose it is
                raise

    async def _drop_hpa(self, scaler: Scaler) -> None:
        """Outside of mode hpa nobody but us may write the number."""
        self.published = None
        if (seen := self._fleet.own_autoscaler(scaler)) is None or not self._may_act():
            return
        try:
            await self._api.delete(kube.autoscalers(*seen.key), uid=seen.uid)
        except ApiError as error:
            if not error.is_gone:
                raise
        self._fleet.lose_autoscaler(seen.key)
