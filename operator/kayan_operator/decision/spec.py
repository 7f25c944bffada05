"""Reads the spec of a QueueScaler or a FleetBudget: from the cluster, where the API server has checked most of it already, or from a file.

Whatever is wrong is a SpecError that names the field and says what to write. Fields, defaults and limits are those of
``charts/crds``; a test keeps the two alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from kayan_operator.decision import policy
from kayan_operator.decision.policy import WEEKDAYS, Policy

DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
DRAIN_BY = r"^(([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+|([01][0-9]|2[0-3]):[0-5][0-9]( [A-Za-z0-9_+/-]+)?)$"
MOST_REPLICAS = 10_000

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 30 * 86400

Duration = Annotated[str, Meta(pattern=DURATION)]
DurationOrAuto = Annotated[str, Meta(pattern=rf"{DURATION[:-1]}$|^auto$")]
Clock = Annotated[str, Meta(pattern=CLOCK)]
Replicas = Annotated[int, Meta(ge=0, le=MOST_REPLICAS)]
Count = Annotated[int, Meta(ge=1, le=MOST_REPLICAS)]


class SpecError(ValueError):
    """What is wrong with a spec: the field, the value and the remedy, in one sentence."""


class _Part(Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class TargetRef(_Part, frozen=True):
    name: str
    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"


class QueueRef(_Part, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1
    concurrency: Annotated[int, Meta(ge=1, le=100_000)] | UnsetType = UNSET
    redis: str = "default"
    prefix: Annotated[str, Meta(min_length=1)] | UnsetType = UNSET


class Target(_Part, frozen=True):
    jobs_per_replica: Annotated[float, Meta(gt=0)] | UnsetType = UNSET
    max_wait: Duration | UnsetType = UNSET
    drain_by: Annotated[str, Meta(pattern=DRAIN_BY)] | UnsetType = UNSET


class Pace(_Part, frozen=True):
    stabilization: Duration = "0s"
    pods: Count | UnsetType = UNSET
    percent: Annotated[float, Meta(gt=0, le=10_000)] | UnsetType = UNSET
    period: Duration = "15s"


class ScaleDown(Pace, frozen=True):
    stabilization: DurationOrAuto = "auto"
    busy: policy.Busy = "wait"


class Window(_Part, frozen=True):
    name: str
    min_replicas: Replicas
    start: Clock
    end: Clock
    time_zone: str = "UTC"
    days: list[Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]] | UnsetType = UNSET


class Failure(_Part, frozen=True):
    error_percent: Annotated[float, Meta(ge=0, le=100)] = 50
    window: Duration = "5m"
    min_jobs: Count = 20
    broken_pods: Literal["Hold", "Ignore"] = "Hold"


class Fallback(_Part, frozen=True):
    replicas: Replicas
    after: Duration = "60s"


class Protection(_Part, frozen=True):
    enabled: bool = True
    after: Duration = "10s"


class NameRef(_Part, frozen=True):
    name: str


class QueueScalerSpec(_Part, frozen=True):
    """The shape of ``spec`` as it is written."""

    scale_target_ref: TargetRef
    queues: Annotated[list[QueueRef], Meta(min_length=1, max_length=32)]
    target: Target = Target(jobs_per_replica=10)
    min_replicas: Replicas = 0
    max_replicas: Count = 10
    mode: policy.Mode = "hpa"
    paused: bool = False
    look_ahead: DurationOrAuto = "auto"
    cooldown: Duration = "2m"
    scale_up: Pace = Pace()
    scale_down: ScaleDown = ScaleDown()
    schedule: Annotated[list[Window], Meta(max_length=32)] = []
    failure: Failure = Failure()
    fallback: Fallback | UnsetType = UNSET
    disruption_protection: Protection = Protection()
    budget_ref: NameRef | UnsetType = UNSET
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0


class FleetBudgetSpec(_Part, frozen=True):
    """``spec`` of a FleetBudget: a cap of replicas or of CPUs (a quantity, 500m or 20)."""

    max_replicas: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    cpu: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?m?$")] | Annotated[int, Meta(ge=0)] | UnsetType = UNSET


def read_scaler(spec: Mapping[str, Any], *, prefix: str = "bull") -> Policy:
    """The policy of a QueueScaler's ``spec``; ``prefix`` is that of queues which name none. Raises SpecError."""
    written = _convert(spec, QueueScalerSpec)
    if written.min_replicas > written.max_replicas:
        raise _too_many("spec.minReplicas", written.min_replicas, written.max_replicas)
    queues = tuple(
        policy.Queue(name=queue.name, weight=queue.weight, concurrency=_or_none(queue.concurrency), redis=queue.redis,
                     prefix=prefix if queue.prefix is UNSET else queue.prefix)
        for queue in written.queues
    )
    if len({(queue.redis, queue.prefix, queue.name) for queue in queues}) < len(queues):
        raise SpecError("spec.queues names a queue twice: leave one of them out")
    return Policy(
        queues=queues,
        target=_target(written.target),
        min_replicas=written.min_replicas,
        max_replicas=written.max_replicas,
        mode=written.mode,
        paused=written.paused,
        look_ahead=_seconds_or_auto(written.look_ahead, "spec.lookAhead"),
        cooldown=seconds(written.cooldown, "spec.cooldown"),
        scale_up=_pace(written.scale_up, "spec.scaleUp"),
        scale_down=_pace(written.scale_down, "spec.scaleDown"),
        busy=written.scale_down.busy,
        schedule=tuple(_window(window, f"spec.schedule[{n}]", written.max_replicas) for n, window in enumerate(written.schedule)),
        failure=policy.Failure(
            error_percent=written.failure.error_percent or None,
            window=seconds(written.failure.window, "spec.failure.window"),
            min_jobs=written.failure.min_jobs,
            broken_pods=written.failure.broken_pods == "Hold",
        ),
        fallback=None if written.fallback is UNSET else policy.Fallback(
            replicas=written.fallback.replicas, after=seconds(written.fallback.after, "spec.fallback.after")
        ),
        protection=policy.Protection(
            enabled=written.disruption_protection.enabled,
            after=seconds(written.disruption_protection.after, "spec.disruptionProtection.after"),
        ),
        budget=None if written.budget_ref is UNSET else written.budget_ref.name,
        priority=written.priority,
    )


def target_of(spec: Mapping[str, Any]) -> str:
    """The name of the Deployment that a QueueScaler's ``spec`` scales. Raises SpecError."""
    return str(_convert(spec, QueueScalerSpec).scale_target_ref.name)


def read_budget(spec: Mapping[str, Any]) -> tuple[float, Literal["replicas", "cpu"]]:
    """The cap of a FleetBudget's ``spec``, and of what. Raises SpecError."""
    written = _convert(spec, FleetBudgetSpec)
    if (written.max_replicas is UNSET) == (written.cpu is UNSET):
        raise SpecError("a FleetBudget has one of spec.maxReplicas and spec.cpu: set just one")
    if written.max_replicas is not UNSET:
        return float(written.max_replicas), "replicas"
    return cpus(str(written.cpu)), "cpu"


def cpus(quantity: str) -> float:
    """A quantity of CPU as Kubernetes writes it (500m, 2, 0.5), in CPUs."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def seconds(duration: str, field: str) -> float:
    """A duration (30s, 1h30m) in seconds. Raises SpecError, which names ``field``."""
    parts = re.findall(r"([0-9.]+)(ms|s|m|h|d)", duration)
    amount = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if amount > _LONGEST:
        raise SpecError(f"{field} is {duration}, more than 30 days: write a shorter time")
    return amount


def _seconds_or_auto(written: str, field: str) -> float | None:
    return None if written == "auto" else seconds(written, field)


def _convert(spec: Mapping[str, Any], shape: Any) -> Any:
    try:
        return msgspec.convert(spec, shape)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        field = "spec" + where.rstrip("`").replace("[...]", "")
        raise SpecError(f"{field}: {what[:1].lower()}{what[1:]}") from error


def _too_many(field: str, replicas: int, most: int) -> SpecError:
    return SpecError(f"{field} is {replicas}, more than spec.maxReplicas, {most}: lower the one or raise the other")


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _target(target: Target) -> policy.Target:
    given = [value for value in (target.jobs_per_replica, target.max_wait, target.drain_by) if value is not UNSET]
    if len(given) != 1:
        raise SpecError("spec.target has one of jobsPerReplica, maxWait and drainBy: set just one")
    if target.jobs_per_replica is not UNSET:
        return policy.JobsPerReplica(target.jobs_per_replica)
    if target.max_wait is not UNSET:
        return policy.MaxWait(_positive(target.max_wait, "spec.target.maxWait"))
    assert target.drain_by is not UNSET
    clock, _, zone = target.drain_by.partition(" ")
    if ":" not in clock:
        return policy.DrainBy(seconds=_positive(clock, "spec.target.drainBy"))
    return policy.DrainBy(minute_of_day=_minute(clock), zone=_zone(zone or "UTC", "spec.target.drainBy"))


def _positive(duration: str, field: str) -> float:
    if not (amount := seconds(duration, field)):
        raise SpecError(f"{field} is {duration}: write a time above zero")
    return amount


def _pace(pace: Pace, field: str) -> policy.Pace:
    return policy.Pace(
        stabilization=_seconds_or_auto(pace.stabilization, f"{field}.stabilization"),
        pods=_or_none(pace.pods),
        percent=_or_none(pace.percent),
        period=_positive(pace.period, f"{field}.period"),
    )


def _window(window: Window, field: str, most: int) -> policy.Window:
    if window.min_replicas > most:
        raise _too_many(f"{field}.minReplicas", window.min_replicas, most)
    return policy.Window(
        name=window.name,
        replicas=window.min_replicas,
        start=_minute(window.start),
        end=_minute(window.end),
        zone=_zone(window.time_zone, f"{field}.timeZone"),
        days=frozenset(WEEKDAYS.index(day) for day in (WEEKDAYS if window.days is UNSET else window.days)),
    )


def _minute(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def _zone(name: str, field: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, a folder of zones, no name at all
        raise SpecError(f"{field}: there is no time zone {name!r}; write one such as Europe/Berlin") from error
