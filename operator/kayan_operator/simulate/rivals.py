"""The rivals by name, and how their terms are said: ``keda``, or ``keda:target=5,polling=10s``. What is not said comes from the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kayan_operator.decision.policy import JobsPerReplica, Policy
from kayan_operator.simulate.amounts import duration
from kayan_operator.simulate.hpa import HpaTerms
from kayan_operator.simulate.keda import KedaTerms
from kayan_operator.simulate.trouble import SimulationError

_Reader = Callable[[str, str], Any]


def _whole(written: str, field: str) -> int:
    if not written.isdecimal():
        raise SimulationError(f"{field} is {written!r}: write a whole number")
    return int(written)


def _above_zero(written: str, field: str) -> float:
    if not (amount := duration(written, field)):
        raise SimulationError(f"{field} is {written!r}: write a number above zero")
    return amount


_BOTH: dict[str, tuple[str, _Reader]] = {
    "target": ("target", _above_zero), "min": ("min_replicas", _whole), "max": ("max_replicas", _whole), "sync": ("sync", _above_zero),
}  # fmt: skip
_TERMS: Mapping[str, Mapping[str, tuple[str, _Reader]]] = {
    "keda": {**_BOTH, "activation": ("activation", _whole), "polling": ("polling", _above_zero), "cooldown": ("cooldown", duration)},
    "hpa": {**_BOTH, "stabilization": ("stabilization", duration)},
}


@dataclass(frozen=True, slots=True)
class Rival:
    """A rival's rule, and what of its terms is not taken from the policy."""

    rule: str
    terms: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def parse(cls, written: str) -> Rival:
        """Raises SimulationError."""
        rule, _, rest = written.partition(":")
        if rule not in _TERMS:
            raise SimulationError(f"--against is {rule!r}, and there are {' and '.join(_TERMS)}")
        known, terms = _TERMS[rule], []
        for part in filter(None, rest.split(",")):
            name, _, value = part.strip().partition("=")
            if name not in known:
                raise SimulationError(f"--against {rule} knows no {name!r}; it knows {', '.join(known)}")
            field, read = known[name]
            terms.append((field, read(value, f"--against {rule}: {name}")))
        return cls(rule, tuple(terms))


def terms_of(rival: Rival, policy: Policy) -> HpaTerms | KedaTerms:
    """A rival's terms: the policy's limits and jobs for each pod, unless they are said."""
    given = dict(rival.terms)
    limits = {"min_replicas": policy.min_replicas, "max_replicas": policy.max_replicas}
    target = {"target": policy.target.jobs} if isinstance(policy.target, JobsPerReplica) else {}
    terms: HpaTerms | KedaTerms
    if rival.rule == "keda":
        terms = KedaTerms(**limits | target | given)
    else:
        terms = HpaTerms(**{"target": 5.0} | limits | target | given)
        terms = replace(terms, min_replicas=max(1, terms.min_replicas))
    if terms.min_replicas > terms.max_replicas:
        raise SimulationError(f"--against {rival.rule}: min is {terms.min_replicas}, more than max, {terms.max_replicas}")
    return terms


