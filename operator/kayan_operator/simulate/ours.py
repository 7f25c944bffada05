"""Our own rule: ``decide``, with the operator's cadence around it."""

from __future__ import annotations

from kayan_operator.decision.decide import Decision, decide
from kayan_operator.decision.facts import Snapshot
from kayan_operator.decision.history import History
from kayan_operator.decision.lulls import LONGEST_WINDOW
from kayan_operator.decision.policy import Policy
from kayan_operator.decision.sentences import sentence
from kayan_operator.simulate.chance import chance
from kayan_operator.simulate.clock import Clock
from kayan_operator.simulate.hpa import SYNC
from kayan_operator.simulate.rule import Look, Victims
from kayan_operator.simulate.setting import Setting
from kayan_operator.simulate.world import World

_BREATH = 0.06
"""Seconds between two looks at least."""


class Ours:
    """Sleeps until a job comes, looks each second while there is work, and when the decision asks to be looked at again.

    In mode ``hpa`` the operator itself takes a target from zero and to zero, and everything else happens at the HPA's next sync. An
    advisory policy is tried as if it acted.
    """

    def __init__(self, policy: Policy, setting: Setting, start: float) -> None:
        self.policy, self.setting, self.start = policy, setting, start
        self.history: History | None = None
        self.replicas = policy.min_replicas
        self.victims: Victims = "drain" if policy.busy == "drain" else "idle"
        self.first_look = 0.0
        self._startups: list[float] = []
        self._busy = False
        self._clock = Clock(SYNC, chance(setting.seed, "sync").uniform(0, SYNC))
        self._sync_at: float | None = None

    @property
    def linger(self) -> float:
        window = self.policy.scale_down.stabilization
        if window is None:
            window = self.history.taper(self.history.since).window if self.history else LONGEST_WINDOW
        return self.policy.cooldown + window + self.setting.poll

    def look(self, world: World) -> Look:
        decision = self._decide(world)
        desired = decision.desired
        again = world.now + self.setting.poll
        if decision.look_again is not None:
            again = min(again, world.now + max(decision.look_again, _BREATH))
        if self.policy.mode == "hpa":
            desired, again = self._at_a_sync(world, desired, again)
        self._busy = decision.load > 0 or decision.desired != world.replicas
        if self._busy:
            again = min(again, world.now + self.setting.look)
        return Look(desired, again, decision.reason, lambda: tuple(sentence(step) for step in decision.steps))

    def _decide(self, world: World) -> Decision:
        remembered = self.history or History(since=world.now, last_work=world.now)
        queues = world.facts(remembered.look_ahead(self.policy))
        snapshot = Snapshot(at=world.now, wall=self.start + world.now, queues=queues, replicas=world.replicas, ready=world.ready)
        history = self.history or History.begin(snapshot)
        for seconds in self._startups:
            history = history.started(seconds)
        self._startups.clear()
        decision = decide(snapshot, self.policy, history)
        self.history = decision.history
        return decision

    def _at_a_sync(self, world: World, desired: int, again: float) -> tuple[int, float]:
        """What is wanted, if the HPA has looked since it was; else what there is, until it looks."""
        if not desired or not world.replicas or desired == world.replicas:
            self._sync_at = None
            return desired, again
        if self._sync_at is None:
            self._sync_at = self._clock.after(world.now)
        if world.now < self._sync_at:
            return world.replicas, min(again, self._sync_at)
        self._sync_at = None
        return desired, again

    def woken(self, now: float, again: float) -> float:
        return again if self._busy else min(again, now + self.setting.wake)

    def started(self, seconds: float) -> None:
        self._startups.append(seconds)
