"""A fleet as Prometheus sees it: the series that each worker exports, made up."""

from __future__ import annotations

from chart.prometheus import STEP, Series
from kayan_workers.metrics import STATES
from kayan_workers.processors.table import DATABASE, MAIL, ROLES, STORAGE

QUEUES = [role.queue for role in ROLES]
LONG = 300
"""Values of a series, unless a test says otherwise: two and a half hours."""


def series(metric: str, pod: str, namespace: str = "live", **labels: str) -> str:
    """A series' name as promtool reads it."""
    return metric + "{" + ", ".join(f'{name}="{value}"' for name, value in {"namespace": namespace, "pod": pod, **labels}.items()) + "}"


def pod_of(role: str, number: int = 0) -> str:
    return f"kayan-workers-{role}-7d9f8b6c5-x{number}q4z"


def worker(
    role: str, pod: str = "", *, namespace: str = "live", born: int = 0, leaves: int = LONG, dies: int = LONG, busy: bool = True
) -> Series:
    """All series of one worker that rules may ask for.

    It is scraped from the step ``born`` to the step ``dies`` and drains from ``leaves`` on. A busy one begins 30 jobs a step; one in a
    hundred attempts fails for good. Its first answer is from before it has reached Redis.
    """
    queue, needs = next((entry.queue, entry.needs) for entry in ROLES if entry.name == role)
    pod = pod or pod_of(role)
    length = dies - born
    jobs = 30 if busy else 0

    def said(values: str) -> str:
        return f"{f'_x{born} ' if born else ''}{values}{' stale' if dies < LONG else ''}"

    def always(value: float) -> str:
        return said(f"{value}x{length - 1}")

    def counting(step: float) -> str:
        return said(f"0+{step}x{length - 1}")

    def name(metric: str, **labels: str) -> str:
        return series(metric, pod, namespace, **labels)

    found = {
        name("kayan_redis_up"): said(f"0 1x{length - 2}"),
        name("kayan_queue_depth_read_ok"): always(1),
        name("kayan_worker_draining"): said(f"0x{leaves - born - 1} 1x{dies - leaves - 1}") if leaves < dies else always(0),
        name("kayan_worker_slots", queue=queue): always(5),
        name("process_start_time_seconds"): always(born * STEP if born else -3600),
        name("kayan_jobs_started_total", queue=queue): counting(jobs),
        name("kayan_job_locks_lost_total", queue=queue): always(0),
    }
    for reason in ("permanent", "attempts"):
        found[name("kayan_jobs_failed_total", queue=queue, reason=reason)] = counting(jobs / 200)
    for edge in {DATABASE, STORAGE, MAIL}.intersection(needs):
        found[name("kayan_worker_edge_usable", edge=edge)] = always(1)
    for outcome in ("repeated", "given_up", "forgiven"):
        found[name("kayan_jobs_stalled_total", queue=queue, outcome=outcome)] = always(0)
    for each in QUEUES:
        found[name("kayan_queue_oldest_waiting_seconds", queue=each)] = always(20 if busy else 0)
        for state in STATES:
            found[name("kayan_queue_jobs", queue=each, state=state)] = always(40 if busy and state != "paused" else 0)
    return found


def fleet(namespace: str = "live", *, busy: bool = True) -> Series:
    """One healthy worker for each queue."""
    found: Series = {}
    for role in ROLES:
        # a cleanup that fails is never part of a healthy fleet
        found |= worker(role.name, namespace=namespace, busy=busy and role.name != "cleanup")
    return found
