"""Pods that go while they work: rolled out, drained, killed, out of memory. No job is lost, and nothing happens twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from at_work import queue_at
from cluster import load, timings
from cluster.kube import Namespace, last_end, run, until
from cluster.release import QUICK, Release, merged, only, wait_finished

EMAIL, THUMBNAIL, VARIANT = "email", "thumbnail-generation", "variant-generation"
FILM_SECONDS = 60


@pytest.fixture(scope="module")
def release(cluster: None, bull_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """Two pods for each of three queues, the demo's files, and a film."""
    two = {"workers": {name: {"replicas": 2} for name in ("email", "thumbnail", "variant")}}
    paced = {"workers": {"email": {"rateLimit": {"email": "100/1000"}}}}
    with Namespace.made() as namespace:
        release = Release(namespace).install(only("email", "thumbnail", "variant"), two, paced, QUICK)
        with release.redis() as redis:
            until(lambda: namespace.get("jobs")[0].get("status", {}).get("succeeded"), 120, what="the demo's files are there")
            wait_finished(redis, 120, (EMAIL, THUMBNAIL, VARIANT))
        load.upload_film(release, tmp_path_factory.mktemp("film"), FILM_SECONDS)
        yield release


async def test_a_rollout_under_load_loses_and_stalls_nothing_while_long_jobs_finish_on_the_old_pods(release: Release) -> None:
    old = set(release.namespace.pod_names("variant"))
    with release.redis() as redis:
        async with load.producer(release, EMAIL, THUMBNAIL, VARIANT) as node:
            [film] = await load.add_many(node, VARIANT, [load.FILM])
            pod = until(lambda: load.holder(redis, VARIANT, film), 30, what="the film is being worked")
            thumbnails = await load.add_many(node, THUMBNAIL, load.pictures(release, 300))
            mails = await load.add_many(node, EMAIL, load.mails(1700))
        assert pod in old
        began = time.monotonic()
        for name in ("email", "thumbnail", "variant"):
            release.namespace.kubectl("rollout", "restart", release.worker(name))
        release.wait_ready()
        timings.note("rollout of six pods under a load of 2,000 jobs", time.monotonic() - began)
        assert load.holder(redis, VARIANT, film) == pod, "the old pod still has its film when the new ones are there"
        assert pod not in release.namespace.pod_names("variant")
        nothing = load.FILM | {"assetId": "nobody", "variants": []}
        async with load.producer(release, VARIANT) as node:
            [later] = await load.add_many(node, VARIANT, [nothing])
        until(lambda: "finishedOn" in load.job(redis, VARIANT, later), 20, what="a new pod takes a new job")
        assert load.holder(redis, VARIANT, film) == pod
        wait_finished(redis, 240, (EMAIL, THUMBNAIL, VARIANT))
        for queue, jobs in ((EMAIL, mails), (THUMBNAIL, thumbnails), (VARIANT, [film])):
            assert load.not_completed(redis, queue, jobs) == {}
            assert load.stalled(redis, queue, jobs) == []
    with release.database() as connection:
        counts = "count(*), count(DISTINCT job_id), count(*) FILTER (WHERE maybe_twice)"
        select = f"SELECT {counts} FROM kayan_workers.mails WHERE job_id = ANY (%s)"
        assert connection.execute(select, (mails,)).fetchone() == (1700, 1700, 0), "each mail was sent once"


async def test_draining_a_node_moves_its_work_and_loses_nothing(release: Release) -> None:
    # One pod: of two, the second would stay until the first is back, which on a cluster of one node never is.
    release.upgrade({"workers": {"email": {"replicas": 1}}})
    node_name = release.namespace.pods("email")[0]["spec"]["nodeName"]
    with release.redis() as redis:
        async with load.producer(release, EMAIL) as node:
            mails = await load.add_many(node, EMAIL, load.mails(600))
        try:
            selector = f"app.kubernetes.io/component=email,app.kubernetes.io/instance={release.name}"
            run("kubectl", "drain", node_name, "--pod-selector", selector, "--ignore-daemonsets",
                "--delete-emptydir-data", "--timeout", "120s")  # fmt: skip
        finally:
            run("kubectl", "uncordon", node_name)
        release.wait_ready()
        wait_finished(redis, 60, (EMAIL,))
        assert load.not_completed(redis, EMAIL, mails) == {}
        assert load.stalled(redis, EMAIL, mails) == []


async def test_the_jobs_of_a_pod_that_is_killed_without_warning_finish_elsewhere(release: Release) -> None:
    with release.redis() as redis:
        async with load.producer(release, VARIANT) as node:
            [job_id] = await load.add_many(node, VARIANT, [load.FILM])
        pod = until(lambda: load.holder(redis, VARIANT, job_id), 30, what="the film is being worked")
        began = time.monotonic()
        release.namespace.kubectl("delete", "pod", pod, "--grace-period=0", "--force", check=False)

        def another() -> str:
            now = load.holder(redis, VARIANT, job_id)
            return "" if now == pod else now

        other = until(another, 60, what="another pod has it")
        timings.note("pod killed with its job → job runs elsewhere (locks of 15 s)", time.monotonic() - began)
        assert [event["job_id"] for event in release.logged("variant") if event["event"] == "job.stalled"] == [job_id]
        wait_finished(redis, 240, (VARIANT,))
        assert load.not_completed(redis, VARIANT, [job_id]) == {}
        assert other in release.namespace.pod_names("variant")
    with release.database() as connection:
        select = 'SELECT "variantType"::text FROM asset_variants WHERE "assetId" = %s ORDER BY 1'
        rows = connection.execute(select, (load.FILM["assetId"],)).fetchall()
    assert [name for (name,) in rows] == ["MOBILE", "PREVIEW", "THUMBNAIL", "WEB_OPTIMIZED"], "one of each, though two pods worked on them"


async def test_a_pod_that_runs_out_of_memory_says_so_and_its_job_is_done_when_there_is_more(
    new_release: Callable[..., Release], bull_installed: None
) -> None:
    small = {"workers": {"email": {"resources": {"requests": {"memory": "64Mi"}, "limits": {"memory": "110Mi"}}}}}
    patient = {"settings": {"maxStalledCount": 20}}
    release = new_release().install(merged(only("email"), QUICK, patient, small, {"demo": {"seed": False}}))
    big = "x" * 25_000_000
    mail = {"to": "lead@example.com", "subject": "Plans", "template": "", "data": {"html": "Hi", "text": "Hi"},
            "attachments": [{"filename": "plans.txt", "content": big, "contentType": "text/plain"}]}  # fmt: skip
    with release.redis_url() as url, release.redis() as redis:
        async with queue_at(url, EMAIL) as queue:
            job_id = (await queue.add(mail)).id

        def why() -> str:
            return str(next((last_end(pod).get("reason", "") for pod in release.namespace.pods("email")), ""))

        assert until(why, 60, what="the worker was ended") == "OOMKilled"
        release.upgrade({"workers": {"email": {"resources": {"limits": {"memory": "1Gi"}}}}})
        until(lambda: job_id in redis.zrange(f"bull:{EMAIL}:completed", 0, -1), 90, what="the mail is sent", trouble=release.trouble)
        assert load.stalled(redis, EMAIL, [job_id]) == [job_id]
    assert [event["job_id"] for event in release.logged("email") if event["event"] == "job.stalled"]
