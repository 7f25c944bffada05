"""Two releases beside each other, and a pod from nothing to its first job."""

from __future__ import annotations

import time
from collections.abc import Callable

from cluster import load, timings
from cluster.kube import until
from cluster.release import Release, only


async def test_releases_in_two_namespaces_leave_each_other_alone(new_release: Callable[..., Release], bull_installed: None) -> None:
    quiet = {"demo": {"seed": False}}
    one, other = new_release(), new_release()
    for release in (one, other):
        release.install(only("email"), quiet, wait=False)
    for release in (one, other):
        release.wait_ready()
    async with load.producer(one, "email") as node:
        mails = await load.add_many(node, "email", load.mails(50))
    with one.redis() as redis:
        until(lambda: set(mails) <= set(redis.zrange("bull:email:completed", 0, -1)), 30, what="the mails are sent", trouble=one.trouble)
    assert {event["job_id"] for event in one.logged("email") if event["event"] == "job.completed"} >= set(mails)
    assert [event for event in other.logged("email") if event["event"].startswith("job.")] == []


async def test_a_job_that_waits_for_the_first_pod_is_begun_as_soon_as_it_runs(
    new_release: Callable[..., Release], bull_installed: None
) -> None:
    release = new_release().install(only("email"), {"demo": {"seed": False}})
    with release.redis() as redis:
        release.upgrade({"workers": {"email": {"replicas": 0}}}, wait=False)
        until(lambda: not release.namespace.get("pods", "--selector", "app.kubernetes.io/component=email"), 60, what="no pod is left")
        async with load.producer(release, "email") as node:
            [job_id] = await load.add_many(node, "email", load.mails(1))
        began = time.time()
        release.namespace.kubectl("scale", release.worker("email"), "--replicas=1")
        until(lambda: "processedOn" in load.job(redis, "email", job_id), 60, what="the job runs", trouble=release.trouble)
        at = int(load.job(redis, "email", job_id)["processedOn"]) / 1000
        timings.note("from 0 to 1 pod → first job (scheduling and container start included)", at - began)
