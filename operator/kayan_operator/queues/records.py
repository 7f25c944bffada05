"""What is remembered of a decision: its numbers and figures as compact JSON. The sentences are made anew when somebody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kayan_operator.decision.decide import Decision, Step
from kayan_operator.decision.facts import Consumers
from kayan_operator.decision.policy import Policy
from kayan_operator.decision.sentences import sentence


class RecordedStep(msgspec.Struct, frozen=True, array_like=True):
    """One rule of the chain, as ``decide.Step`` has it."""

    rule: str
    before: int
    after: int
    figures: Mapping[str, Any] = {}

    @property
    def sentence(self) -> str:
        """What it says. A rule or a figure that another version of the operator wrote down may have no words here."""
        try:
            return sentence(Step(self.rule, self.before, self.after, self.figures))
        except (LookupError, TypeError, ValueError):
            return f"{self.rule}: {self.before} → {self.after}"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A decision and the moment it was made."""

    at: float
    """Unix seconds."""
    replicas: int
    """Those there were."""
    desired: int
    load: float = 0
    mode: str = ""
    reason: str = ""
    """The rule that had the last word."""
    steps: tuple[RecordedStep, ...] = ()
    pods: int | None = None
    """Those that waited for jobs of its queues; None when nobody knew."""
    node_workers: int | None = None
    """The same of Bull's workers in Node."""

    @classmethod
    def of(cls, decision: Decision, policy: Policy, at: float, consumers: Consumers | None = None) -> Record:
        return cls(
            at=round(at, 3),
            replicas=decision.replicas,
            desired=decision.desired,
            load=round(decision.load, 3),
            mode=policy.mode,
            reason=decision.reason,
            steps=tuple(RecordedStep(step.rule, step.before, step.after, _short(step.figures)) for step in decision.steps),
            pods=len(consumers.pods) if consumers else None,
            node_workers=consumers.node if consumers else None,
        )

    @classmethod
    def parse(cls, text: bytes) -> Record | None:
        """None for what is no record."""
        try:
            return _decoder.decode(text)
        except msgspec.DecodeError:  # also of a wrong shape
            return None

    def text(self) -> bytes:
        return _encoder.encode(self)

    @property
    def because(self) -> str:
        """The sentence of the rule that had the last word."""
        steps = [step for step in self.steps if step.rule == self.reason] or list(self.steps[:1])
        return steps[-1].sentence if steps else self.reason

    def says_the_same_as(self, other: Record) -> bool:
        """Whether another look came to the same, by the same rules; figures may differ."""
        return self.outline == other.outline

    @property
    def outline(self) -> tuple[Any, ...]:
        return (self.replicas, self.desired, *((step.rule, step.before, step.after) for step in self.steps))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


def _short(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(figure, 3) if isinstance(figure, float) else figure for name, figure in figures.items()}
