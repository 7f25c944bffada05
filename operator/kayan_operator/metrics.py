"""What Prometheus can ask of the operator. The names are documented in README.md, and a test keeps both alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kayan_operator.cluster.fleet import Key
from kayan_operator.decision.facts import Consumers

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each counter was made: nobody asks

_SCALER = ["namespace", "scaler"]
_BUDGET = ["namespace", "budget"]
_FAST = (0.01, 0.02, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15)

Statuses = Callable[[], Iterable[tuple[Key, Mapping[str, Any]]]]
"""The status of every scaler that this replica sees to."""

_OF_STATUS = {
    "desiredReplicas": ("kayan_scaler_desired_replicas", "Pods that were decided on"),
    "replicas": ("kayan_scaler_replicas", "spec.replicas of the target"),
    "readyReplicas": ("kayan_scaler_ready_replicas", "Ready pods of the target"),
    "backlog": ("kayan_scaler_backlog_jobs", "Jobs that wait, run or are due soon, weighted"),
    "waiting": ("kayan_scaler_waiting_jobs", "Jobs that a worker could take now"),
    "active": ("kayan_scaler_active_jobs", "Jobs that run"),
    "due": ("kayan_scaler_due_jobs", "Delayed jobs that are due within the look-ahead"),
    "oldestWaitingSeconds": ("kayan_scaler_oldest_waiting_seconds", "How long the next job to be taken has been waiting"),
}


def _remove(metric: Counter | Gauge, labels: Mapping[str, str]) -> None:
    """Take away every series that has these labels, and perhaps more."""
    found = {tuple(sample.labels.values()) for family in metric.collect() for sample in family.samples
             if labels.items() <= sample.labels.items()}
    for values in found:
        metric.remove(*values)


class _Scalers(Collector):
    """Gauges out of the statuses, made when they are asked for."""

    def __init__(self) -> None:
        self.statuses: Sequence[tuple[Key, Mapping[str, Any]]] = ()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = {field: GaugeMetricFamily(name, text, labels=_SCALER) for field, (name, text) in _OF_STATUS.items()}
        conditions = GaugeMetricFamily(
            "kayan_scaler_condition", "1 for the status that a condition has", labels=[*_SCALER, "type", "status", "reason"]
        )
        for key, status in self.statuses:
            for field, family in families.items():
                if (value := status.get(field)) is not None:
                    family.add_metric(key, value)
            for one in status.get("conditions") or ():
                conditions.add_metric([*key, one["type"], one["status"], one["reason"]], 1)
        yield from families.values()
        yield conditions


class Metrics:
    """One registry, and an attribute for each metric that is counted as things happen."""

    def __init__(self, statuses: Statuses = tuple) -> None:
        registry = self.registry = CollectorRegistry()
        self._counted: set[Key] = set()
        """Those of which it is known who consumes."""
        ProcessCollector(registry=registry)
        self._statuses, self._scalers = statuses, _Scalers()
        registry.register(self._scalers)

        def gauge(name: str, text: str, labels: list[str]) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        def counter(name: str, text: str, labels: list[str]) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def histogram(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(name, text, labels, buckets=_FAST, registry=registry)

        self.is_leader = Gauge("kayan_operator_is_leader", "Whether this replica acts", registry=registry)
        self.last_look = Gauge("kayan_operator_last_look_timestamp_seconds", "When queues were last looked at", registry=registry)
        self.redis_up = gauge("kayan_operator_redis_up", "Whether a Redis server answers", ["server"])
        self.consumers = gauge("kayan_scaler_consumers", "Pods, and workers of Bull in Node, that wait for its jobs", [*_SCALER, "kind"])
        self.budget_cap = gauge("kayan_budget_cap", "What a FleetBudget allows, in replicas or CPUs", _BUDGET)
        self.budget_used = gauge("kayan_budget_used", "What its scalers use of it", _BUDGET)
        self.budget_wanted = gauge("kayan_budget_wanted", "What its scalers would use without it", _BUDGET)
        self.decisions = counter("kayan_scaler_decisions", "Decisions that differ from the one before", [*_SCALER, "reason"])
        self.writes = counter("kayan_scaler_scale_writes", "Changes of a target's number", [*_SCALER, "direction", "mode"])
        self.interrupted = counter("kayan_jobs_interrupted_by_scaling", "Jobs on pods that went in another's place", _SCALER)
        self.survived = counter("kayan_scaler_fences_lifted", "Chosen pods that were not ended after all", _SCALER)
        self.fenced = counter("kayan_scaler_pods_fenced", "Pods that were fenced and went", _SCALER)
        self.api_requests = counter("kayan_operator_api_requests", "Requests to the Kubernetes API", ["verb", "resource", "code"])
        self.reaction = histogram("kayan_scaler_reaction_seconds", "From the message of a new job to the number written")
        self.read_seconds = histogram("kayan_operator_redis_read_seconds", "One look at queues", "server")

    def forget(self, key: Key) -> None:
        """A scaler is gone, and all that was counted of it."""
        for metric in (self.decisions, self.writes, self.interrupted, self.survived, self.fenced, self.consumers):
            _remove(metric, {"namespace": key.namespace, "scaler": key.name})
        self._counted.discard(key)

    def show_consumers(self, key: Key, consumers: Consumers | None) -> None:
        """Who waits for its jobs. While nobody knows there is no such series: unknown is not zero."""
        for kind, count in (("pod", len(consumers.pods)), ("node", consumers.node)) if consumers else ():
            self.consumers.labels(*key, kind).set(count)
        if consumers is None and key in self._counted:
            _remove(self.consumers, {"namespace": key.namespace, "scaler": key.name})
        (self._counted.add if consumers else self._counted.discard)(key)

    def forget_budget(self, key: Key) -> None:
        """A budget is gone, or another replica tells of it."""
        for gauge in (self.budget_cap, self.budget_used, self.budget_wanted):
            _remove(gauge, {"namespace": key.namespace, "budget": key.name})

    async def page(self) -> bytes:
        """All of them in Prometheus' text format. Of a thousand scalers that is a fifth of a second of work, for which no job waits: a
        thread does it, from the statuses of this moment."""
        self._scalers.statuses = list(self._statuses())
        return await asyncio.to_thread(generate_latest, self.registry)
