"""The Secret in which replicas share their certificate and its authority: made by whoever comes first, renewed by whoever sees it due."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kayan_workers import logs

from kayan_operator.metrics_api.certificates import BrokenError, Lifetimes, Material, made, next_step, with_next_authority
from kayan_operator.metrics_api.kubernetes_api import ConflictError, KubernetesApi, Object

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the Secret is, and what it is labelled with when it is made."""

    namespace: str
    name: str
    labels: Mapping[str, str]

    @property
    def collection(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.name}"


class SharedMaterial:
    """Keeps the Secret's contents what they should be now, for a server of these ``names``.

    Until it has been read or made, ``material`` is one that nobody else has and ``shared`` is False; later on it is what was read last.
    """

    def __init__(
        self, api: KubernetesApi, place: Place, names: Sequence[str], lifetimes: Lifetimes, *, clock: Callable[[], datetime]
    ) -> None:
        self._api = api
        self._place = place
        self._names = names
        self._lifetimes = lifetimes
        self._clock = clock
        self._published_since: tuple[bytes, datetime] | None = None
        self.material = made(names, clock(), lifetimes)
        self.shared = False

    async def keep(self, published: bytes | None) -> None:
        """Read the Secret, and take the next step where one is due. ``published`` is the bundle that clients are told of, if any.

        ``published`` was read before, so it never holds an authority that is not in the Secret yet. Raises KubernetesError, and then
        ``material`` stays.
        """
        for _ in range(_ATTEMPTS):
            secret = await self._api.find(self._place.path)
            wanted, reason = self._wanted(secret, published)
            try:
                if reason:
                    await self._store(secret, wanted, reason)
            except ConflictError:
                continue  # another replica has made or changed it: what stands there now is to be looked at
            self.material, self.shared = wanted, True
            return
        raise ConflictError(f"Secret {self._place.name} changes all the time", 409)

    def _wanted(self, secret: Object | None, published: bytes | None) -> tuple[Material, str]:
        """What the Secret should hold, and why it is to be written, or nothing."""
        now = self._clock()
        if secret is None and self.shared:
            # who deletes it wants another authority, and no moment in which the clients trust the wrong one
            return with_next_authority(self.material, self._names, now, self._lifetimes), "the Secret was deleted"
        if secret is None or not secret.get("data"):
            return self.material, "there is none"
        try:
            found = Material.parse(_decoded(secret["data"]))
        except BrokenError as error:
            logs.get().warning("certificate.broken", name=self._place.name, error=error)
            return (self.material if self.shared else made(self._names, now, self._lifetimes)), f"the Secret is broken: {error}"
        return next_step(found, self._names, now, self._lifetimes, published_for=self._published_for(found.bundle, published, now))

    def _published_for(self, bundle: bytes, published: bytes | None, now: datetime) -> timedelta | None:
        if bundle != published:
            self._published_since = None
            return None
        if self._published_since is None or self._published_since[0] != bundle:
            self._published_since = (bundle, now)
        return now - self._published_since[1]

    async def _store(self, secret: Object | None, material: Material, reason: str) -> None:
        data = {name: base64.b64encode(value).decode() for name, value in material.data().items()}
        if secret is None:
            metadata = {"name": self._place.name, "labels": dict(self._place.labels)}
            body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}
            await self._api.create(self._place.collection, body)
        else:
            version = secret["metadata"]["resourceVersion"]
            await self._api.patch(self._place.path, {"metadata": {"resourceVersion": version}, "data": data})
        logs.get().info(
            "certificate.made", name=self._place.name, reason=reason, valid_until=material.certificate.not_valid_after_utc.isoformat(),
            authorities=len(material.authorities),
        )  # fmt: skip


def _decoded(data: Mapping[str, str]) -> dict[str, bytes]:
    try:
        return {name: base64.b64decode(value) for name, value in data.items()}
    except (binascii.Error, ValueError) as error:
        raise BrokenError(f"its data is not base64: {error}") from error
