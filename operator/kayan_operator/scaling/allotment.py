"""Applies FleetBudgets: tells each scaler its share, and each budget how it stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kayan_workers import logs

from kayan_operator.cluster import kube
from kayan_operator.cluster.fleet import Budget, Deployment, Fleet, Key, Scaler
from kayan_operator.cluster.kube import ApiError, Kube
from kayan_operator.decision.budget import Claim, shares
from kayan_operator.decision.decide import decide
from kayan_operator.decision.facts import Snapshot
from kayan_operator.decision.history import History
from kayan_operator.decision.policy import Policy
from kayan_operator.metrics import Metrics
from kayan_operator.scaling.status import Condition, differs, with_conditions

_REPORT_SECONDS = 5.0
_PATIENCE_SECONDS = 3.0
"""For a first look at everybody of a budget; at a Redis that does not answer it takes two."""

Members = Mapping[Key, tuple[Policy, Deployment]]


class Allotment:
    """The budgets of the fleet, and what their scalers last wanted. ``look_at`` has a scaler looked at soon."""

    def __init__(self, api: Kube, fleet: Fleet, metrics: Metrics, look_at: Callable[[Key], None],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._fleet = fleet
        self._metrics = metrics
        self._look_at = look_at
        self._clock = clock
        self._wanted: dict[Key, int] = {}
        self._given: dict[Key, int] = {}
        self._unheard: dict[Key, dict[Key, float]] = {}
        """Of each budget those that nobody has looked at yet, and since when they are waited for."""
        self._unreported: dict[Key, str] = {}
        """Why the status of a budget could not be written, of those of which that is so."""

    def allot(self, scaler: Scaler, target: Deployment, snapshot: Snapshot, history: History) -> Snapshot:
        """The snapshot with the share that the scaler's budget leaves it; unchanged without a budget."""
        policy = scaler.policy
        assert policy
        if policy.budget is None:
            return snapshot
        self._wanted[scaler.key] = decide(snapshot, policy, history).desired
        budget = self._fleet.budgets.get(Key(scaler.key.namespace, policy.budget))
        if budget is None or budget.error:  # nobody knows how much there is
            trouble = f"FleetBudget {policy.budget} says: {budget.error}" if budget else f"there is no FleetBudget {policy.budget}"
            return replace(snapshot, share=target.replicas, budget=policy.budget, budget_trouble=trouble)
        members = self._members(budget)
        given = shares(budget.cap, self._claims(budget, members, grow=not self._waits(budget.key, members)))
        for key, share in given.items():
            if key != str(scaler.key) and self._given.get(_key(key)) != share:
                self._look_at(_key(key))
            self._given[_key(key)] = share
        return replace(snapshot, share=given.get(str(scaler.key), 0), budget=policy.budget)

    def _waits(self, budget: Key, members: Members) -> bool:
        """Whether somebody may still want what the others would take: nobody has looked at it since we lead, or since it is there."""
        now, before = self._clock(), self._unheard.pop(budget, {})
        unheard = {key: before.get(key, now) for key in members if key not in self._wanted}
        if unheard:
            self._unheard[budget] = unheard
        return any(now - since < _PATIENCE_SECONDS for since in unheard.values())

    def forget(self, key: Key) -> None:
        self._wanted.pop(key, None)
        self._given.pop(key, None)

    async def run(self) -> None:
        """Keep the statuses of the budgets, until cancelled."""
        told: set[Key] = set()
        try:
            while True:
                for key in told - self._fleet.budgets.keys():
                    self._metrics.forget_budget(key)
                told = set(self._fleet.budgets)
                await self._report_all()
                await asyncio.sleep(_REPORT_SECONDS)
        finally:
            for key in told:
                self._metrics.forget_budget(key)

    async def _report_all(self) -> None:
        for budget in list(self._fleet.budgets.values()):
            try:
                await self._report(budget)
                self._unreported.pop(budget.key, None)
            except ApiError as error:
                if not error.is_gone and self._unreported.get(budget.key) != str(error):
                    self._unreported[budget.key] = str(error)
                    logs.get(namespace=budget.key.namespace, budget=budget.key.name).warning("budget.unreported", error=str(error))

    def _members(self, budget: Budget) -> Members:
        """Those that can have any of it."""
        found = {}
        for scaler in self._fleet.of_budget(budget.key):
            target = self._fleet.deployments.get(scaler.target) if scaler.target else None
            if target and scaler.policy:
                found[scaler.key] = scaler.policy, target
        return found

    def _claims(self, budget: Budget, members: Members, *, grow: bool = True) -> list[Claim]:
        """Without ``grow`` nobody claims more than it has."""
        claims = []
        for key, (policy, target) in members.items():
            wanted = self._wanted.get(key, target.replicas)
            wanted = wanted if grow else min(wanted, target.replicas)
            claims.append(Claim(
                name=str(key),
                wanted=wanted,
                floor=min(policy.min_replicas, wanted),
                priority=policy.priority,
                cost=1.0 if budget.of == "replicas" else target.cpu,
                present=max(target.replicas, target.present) + target.terminating,
            ))
        return claims

    async def _report(self, budget: Budget) -> None:
        claims = self._claims(budget, self._members(budget))
        used = sum(claim.present * claim.cost for claim in claims)
        wanted = sum(claim.wanted * claim.cost for claim in claims)
        self._metrics.budget_cap.labels(*budget.key).set(budget.cap)
        self._metrics.budget_used.labels(*budget.key).set(used)
        self._metrics.budget_wanted.labels(*budget.key).set(wanted)
        numbers: Mapping[str, Any] = {
            "used": _number(used),
            "wanted": _number(wanted),
            "scalers": len(claims),
            "shares": [{"name": _key(claim.name).name, "replicas": self._given.get(_key(claim.name), claim.present)} for claim in claims],
        }
        conditions = [
            Condition("Ready", False, "InvalidSpec", budget.error) if budget.error else Condition("Ready", True, "Sharing"),
            Condition("Exhausted", wanted > budget.cap, "MoreWanted" if wanted > budget.cap else "Sufficient",
                      f"{_number(wanted)} of {_number(budget.cap)} {budget.of} are wanted"),
        ]
        now = time.time()
        status = with_conditions(numbers, conditions, before=budget.status, generation=budget.generation, now=now)
        if differs(status, budget.status, closely=True):
            answer = await self._api.merge(kube.budgets(*budget.key, "status"), {"status": status})
            budget.status = answer.get("status") or {}


def _key(text: str) -> Key:
    namespace, _, name = text.partition("/")
    return Key(namespace, name)


def _number(amount: float) -> float:
    """Replicas or CPUs, as a status says them: 20, 1.5."""
    return round(amount) if abs(amount - round(amount)) < 1e-9 else round(amount, 3)
