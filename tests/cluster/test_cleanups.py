"""The CronJobs: Kubernetes fires them, a worker cleans, once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from cluster.kube import until
from cluster.release import Release, merged, only


def test_a_cronjob_fires_and_its_cleanup_happens_once_however_often_it_is_queued(new_release: Callable[..., Release]) -> None:
    began = datetime.now(UTC).date()
    every_minute = {"cleanups": {"types": {"expired-links": {"schedule": "* * * * *"}}}, "demo": {"seed": True}}
    release = new_release().install(merged(only("cleanup"), every_minute))
    cronjob = f"{release.name}-expired-links"

    def fired() -> object:
        return release.namespace.get("cronjobs", cronjob)[0].get("status", {}).get("lastSuccessfulTime")

    until(fired, 120, what="it fired", trouble=release.trouble)
    for again in ("by-hand", "once-more"):
        release.namespace.kubectl("create", "job", again, f"--from=cronjob/{cronjob}")
        release.namespace.kubectl("wait", "--for=condition=complete", f"job/{again}", "--timeout=60s")
    first, *rest = release.namespace.logs("job/once-more").splitlines()
    assert "may lose everything" in first
    assert "queued before" in rest[-1]
    with release.redis() as redis:
        ids = [job_id for job_id in redis.zrange("bull:cleanup:completed", 0, -1) if job_id.startswith("cleanup-EXPIRED_LINKS-")]
        assert ids, "it was queued"
        assert len(ids) <= len({began, datetime.now(UTC).date()}), "one for each day that the test has seen"
    with release.database() as connection:
        runs = connection.execute("SELECT count(*) FROM kayan_workers.cleanups WHERE job_id = %s", (ids[0],)).fetchone()
        expired = connection.execute('SELECT count(*) FROM asset_share_links WHERE "isActive" AND "expiresAt" < now()').fetchone()
    assert runs == (1,)
    assert expired == (0,)
    names = {one["metadata"]["name"] for one in release.namespace.get("cronjobs")}
    assert {f"{release.name}-temp-files", f"{release.name}-old-variants"} <= names
