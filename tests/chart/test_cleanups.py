"""The CronJobs that queue the cleanups."""

from __future__ import annotations

from itertools import pairwise

import pytest
from chart.rendered import EVERYTHING, STORES, Chart, Object, merged, render
from kayan_workers.bull.cron import next_ms
from kayan_workers.processors.cleaning.policy import KINDS, as_typed

EVERY_TYPE = {
    **STORES,
    "cleanups": {
        "types": {"orphaned-objects": {"enabled": True}, "stuck-assets": {"enabled": True}},
        "retentionDays": {"notifications": 90},
    },
}
HOUR_MS = 3_600_000
SLOT_MS = {"hourly": HOUR_MS, "daily": 24 * HOUR_MS, "weekly": 7 * 24 * HOUR_MS, "monthly": 28 * 24 * HOUR_MS}
YEAR_2026_MS = 1_767_225_600_000
LONGEST_RELEASE = "a-release-whose-name-is-as-long-as-helm-allows-it-tob"


def by_type(chart: Chart) -> dict[str, Object]:
    """The CronJobs by the cleanup that their pods queue."""
    return {found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"][1]: found for found in chart.of("CronJob")}


def test_every_cleanup_has_its_cron_job() -> None:
    cronjobs = by_type(render(EVERY_TYPE))

    assert cronjobs.keys() == {as_typed(kind) for kind in KINDS}
    for cleanup, found in cronjobs.items():
        [container] = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        assert container["args"] == ["cleanup", cleanup, "--retire-node-schedule", "--time-zone", "Etc/UTC"]
        assert container["image"].startswith("kayanlive/workers-maintenance:")


@pytest.mark.parametrize("kind", KINDS)
def test_no_cleanup_is_queued_more_often_than_it_runs(kind: str) -> None:
    spec = by_type(render(EVERY_TYPE))[as_typed(kind)]["spec"]
    slots, at = [], YEAR_2026_MS
    while len(slots) < 30:
        at = next_ms(spec["schedule"], at, tz=spec["timeZone"]) or pytest.fail(f"{spec['schedule']} has no slots")
        slots.append(at)

    apart = [later - earlier for earlier, later in pairwise(slots)]
    assert min(apart) >= SLOT_MS[KINDS[kind]]
    assert max(apart) <= SLOT_MS[KINDS[kind]] * 32 / 28, "and not so seldom that a slot goes by without it"


def test_what_is_not_safe_everywhere_or_has_nothing_to_do_has_no_cron_job_and_is_off_for_the_worker() -> None:
    chart = render(STORES)

    assert {as_typed(kind) for kind in KINDS} - by_type(chart).keys() == {"orphaned-objects", "stuck-assets", "retention"}
    variables = chart.worker("cleanup").variables
    assert variables["KAYAN_CLEANUP_ORPHANED_OBJECTS"]["value"] == "off"
    assert variables["KAYAN_CLEANUP_EXPIRED_INVITATIONS"]["value"] == "on"
    assert not any(name.startswith("KAYAN_RETENTION_") for name in variables)


def test_a_cron_job_starts_in_its_zone_never_twice_at_once_and_leaves_little_behind() -> None:
    cleanups = {
        "timeZone": "Asia/Riyadh", "successfulJobsHistoryLimit": 0, "startingDeadlineSeconds": 2_592_000, "retireNodeSchedules": False,
    }  # fmt: skip
    for found in render(merged(EVERY_TYPE, {"cleanups": cleanups})).of("CronJob"):
        spec = found["spec"]
        assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("Asia/Riyadh", "Forbid")
        assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (0, 3)
        assert spec["startingDeadlineSeconds"] == 2_592_000
        job = spec["jobTemplate"]["spec"]
        assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (1800, 6)
        assert job["template"]["spec"]["restartPolicy"] == "Never"
        assert "--retire-node-schedule" not in job["template"]["spec"]["containers"][0]["args"]


def test_there_are_none_when_they_are_switched_off() -> None:
    assert render(merged(EVERYTHING, {"cleanups": {"enabled": False}})).of("CronJob") == []


@pytest.mark.parametrize("values", [{}, {"fullnameOverride": "f" * 40}, {"nameOverride": "n" * 40}])
def test_names_are_short_enough_for_the_jobs_that_are_made_of_them(values: Object) -> None:
    names = [found["metadata"]["name"] for found in render(merged(EVERY_TYPE, values), release=LONGEST_RELEASE).of("CronJob")]

    assert len(set(names)) == len(KINDS)
    assert max(map(len, names)) <= 52


def test_nothing_is_queued_that_no_worker_of_the_release_would_do() -> None:
    assert render(merged(STORES, {"workers": {"cleanup": None}})).of("CronJob") == []
    together = {"cleanup": None, "house": {"family": "maintenance", "roles": ["cleanup"]}}
    assert render(merged(STORES, {"workers": together})).of("CronJob")
