"""Wrong secrets and addresses: the pod says which and what to do, is not ready, and recovers by itself when they are put right."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from cluster import timings
from cluster.kube import CommandError, Object, ready, until
from cluster.release import Release, Values, only
from cluster.stores import real, secret

WRONG_PASSWORD = "postgresql://kayan:wrong@{postgres}:5432/kayanlive"
WITHIN = 75
"""Seconds: a minute for the pod to say so, and the time to start it."""


def put(release: Release, one: Object) -> None:
    """In place of the Secret that is there, if one is."""
    release.namespace.kubectl("delete", "secret", "mine", "--ignore-not-found")
    release.namespace.apply(one)


def said(release: Release, component: str) -> str:
    """Everything the pods of a worker have said, those containers that ended too."""
    pods = release.namespace.pod_names(component)
    return "\n".join(release.namespace.kubectl("logs", pod, *which, check=False) for pod in pods for which in ((), ("--previous",)))


@pytest.mark.parametrize(
    ("wrong", "component", "words"),
    [
        pytest.param({"DATABASE_URL": WRONG_PASSWORD}, "notification", "password authentication failed", id="password-of-the-database"),
        pytest.param({"DATABASE_URL": None}, "notification", "DATABASE_URL is not set", id="key-missing"),
        pytest.param({"REDIS_PASSWORD": "wrong"}, "notification", "invalid username-password pair", id="password-of-redis"),
        pytest.param({"AWS_SECRET_ACCESS_KEY": "wrong"}, "thumbnail", "AWS_SECRET_ACCESS_KEY", id="key-of-the-store"),
    ],
)
def test_a_wrong_secret_is_named_by_pods_that_are_not_ready_and_recover_when_it_is_put_right(
    stores: Release, new_release: Callable[..., Release], wrong: dict[str, str | None], component: str, words: str
) -> None:
    release = new_release()
    host = f"{stores.name}-demo-postgres.{stores.namespace.name}.svc"
    put(release, secret(stores, **{name: value and value.format(postgres=host) for name, value in wrong.items()}))
    release.install(real(stores), only(component), wait=False)
    until(lambda: words in said(release, component), WITHIN, what=f"a pod says {words}", trouble=release.trouble)
    assert not any(ready(pod) for pod in release.namespace.pods(component))
    release.namespace.apply(secret(stores))
    began = time.monotonic()
    release.wait_ready(timeout=400)
    timings.note(f"Secret put right ({words}) → pods ready by themselves", time.monotonic() - began)


@pytest.mark.parametrize(
    ("values", "component", "words"),
    [
        pytest.param({"redis": {"host": "no-such-redis"}}, "notification", "no-such-redis", id="redis"),
        pytest.param({"storage": {"bucket": "no-such-bucket"}}, "thumbnail", "no-such-bucket", id="bucket"),
        pytest.param({"storage": {"endpoint": "http://no-such-store:7070"}}, "thumbnail", "no-such-store", id="store"),
    ],
)
def test_what_cannot_be_reached_is_named_within_a_minute(
    stores: Release, new_release: Callable[..., Release], values: Values, component: str, words: str
) -> None:
    release = new_release()
    put(release, secret(stores))
    release.install(real(stores), only(component), values, wait=False)

    def named() -> list[Object]:
        lines = [json.loads(line) for line in said(release, component).splitlines() if line.startswith("{")]
        return [event for event in lines if event["level"] == "error" and words in str(event)]

    until(named, WITHIN, what=f"an error names {words}", trouble=lambda: release.trouble() + said(release, component))
    assert not any(ready(pod) for pod in release.namespace.pods(component))


def test_a_secret_that_is_not_there_is_named_too(stores: Release, new_release: Callable[..., Release]) -> None:
    release = new_release()
    release.install(real(stores), only("notification"), wait=False)
    lacks = "DATABASE_URL is not set"
    until(lambda: lacks in said(release, "notification"), WITHIN, what="the pod says what it lacks", trouble=release.trouble)
    put(release, secret(stores))
    release.wait_ready(timeout=400)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"redis": {"hots": "redis"}}, "additional properties 'hots' not allowed", id="typo"),
        pytest.param({"workers": {"email": {"replicas": "three"}}}, "/workers/email/replicas", id="type"),
        pytest.param({"redis": {"host": "redis"}}, "storage.bucket", id="redis-without-a-bucket"),
    ],
)
def test_a_wrong_value_fails_the_install_and_is_named(new_release: Callable[..., Release], values: Values, words: str) -> None:
    release = new_release()
    with pytest.raises(CommandError, match=words.replace(".", r"\.")):
        release.install(values)
    assert release.deployments() == []
