"""Somebody's own Redis, database and bucket: those of a demo in another namespace, and what a release has to be told of them."""

from __future__ import annotations

from typing import Any

from cluster import load
from cluster.kube import Object
from cluster.release import Release, Values, merged


def real(stores: Release, **changed: Any) -> Values:
    """Values that name those stores, with the Secret ``mine``."""
    domain = f"{stores.namespace.name}.svc"
    values = {
        "redis": {"host": f"{stores.name}-demo-redis.{domain}"},
        "storage": {"bucket": load.BUCKET, "endpoint": f"http://{stores.name}-demo-s3.{domain}:7070", "publicUrl": "https://files.example.com"},
        "secret": {"existingSecret": "mine"},
        "mail": {"transport": "outbox"},
    }
    return merged(values, changed)


def secret(stores: Release, **changed: str | None) -> Object:
    password = stores.password()
    url = f"postgresql://kayan:{password}@{stores.name}-demo-postgres.{stores.namespace.name}.svc:5432/kayanlive"
    right = {"DATABASE_URL": url, "REDIS_PASSWORD": password, "AWS_ACCESS_KEY_ID": "kayan-demo", "AWS_SECRET_ACCESS_KEY": password}
    given = {name: value for name, value in {**right, **changed}.items() if value is not None}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "stringData": given, "data": {}}
