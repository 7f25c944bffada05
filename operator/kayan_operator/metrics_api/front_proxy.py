"""Whom Kubernetes' front proxy is known by, and in which headers it says for whom it asks.

An aggregated API is reached through kube-apiserver, which has authenticated the caller already. It shows a client certificate and puts
the caller's name, groups and extra fields into headers. Which certificates and which headers stands in a ConfigMap, and clusters change it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from cryptography import x509
from kayan_workers import logs
from multidict import CIMultiDictProxy

from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.kubernetes_api import KubernetesApi, KubernetesError
from kayan_operator.metrics_api.signatures import issued_by

CONFIG_MAP: Final = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"

READ_EVERY_SECONDS: Final = 60.0
SUSPECTED_EVERY_SECONDS: Final = 3.0
"""The soonest after a read that a certificate nobody trusts leads to another one."""


class FrontProxyError(ValueError):
    """The ConfigMap does not say what is needed; the message says what is wrong."""


@dataclass(frozen=True)
class FrontProxy:
    """What the ConfigMap says. Without ``allowed_names`` every certificate of the authorities will do."""

    authorities: str
    """Certificates in PEM, one or more."""
    allowed_names: tuple[str, ...]
    name_headers: tuple[str, ...]
    uid_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> FrontProxy:
        """The meaning of the ConfigMap's data. Raises FrontProxyError."""
        authorities = data.get("requestheader-client-ca-file", "")
        if not authorities.strip():
            raise FrontProxyError("requestheader-client-ca-file is empty: this cluster has no aggregation layer")
        try:
            x509.load_pem_x509_certificates(authorities.encode())
        except ValueError as error:
            raise FrontProxyError(f"requestheader-client-ca-file is not PEM: {error}") from error
        names = ("allowed-names", "username-headers", "uid-headers", "group-headers", "extra-headers-prefix")
        return cls(authorities, *(_list(data, f"requestheader-{name}") for name in names))

    def allows(self, common_name: str) -> bool:
        """Whether a trusted certificate of this name is the front proxy's."""
        return not self.allowed_names or common_name in self.allowed_names

    def issued(self, certificate_der: bytes) -> bool:
        """Whether one of the authorities signed a certificate itself."""
        certificate = x509.load_der_x509_certificate(certificate_der)
        return any(issued_by(certificate, authority) for authority in x509.load_pem_x509_certificates(self.authorities.encode()))

    def names(self, headers: CIMultiDictProxy[str]) -> Identity | None:
        """For whom a request is made, or None when its headers do not say."""
        name = next((value for header in self.name_headers if (value := headers.get(header))), "")
        if not name:
            return None
        uid = next((value for header in self.uid_headers if (value := headers.get(header))), "")
        groups = [value for header in self.group_headers for value in headers.getall(header, ()) if value]
        return Identity.of(name, uid, groups, self._extra(headers))

    def _extra(self, headers: CIMultiDictProxy[str]) -> dict[str, list[str]]:
        extra: dict[str, list[str]] = {}
        for prefix in (prefix.lower() for prefix in self.extra_prefixes):
            for header, value in headers.items():
                if header.lower().startswith(prefix):
                    extra.setdefault(unquote(header[len(prefix) :].lower()), []).append(value)
        return extra


class FrontProxyWatch:
    """Keeps what the ConfigMap says up to date, and tells ``changed`` of each difference, the first included.

    While it cannot be read, what was read last still holds. ``trouble`` is why it could not be read, or None.
    """

    def __init__(
        self, api: KubernetesApi, changed: Callable[[FrontProxy], None],
        *, every: float = READ_EVERY_SECONDS, suspected_every: float = SUSPECTED_EVERY_SECONDS,
    ) -> None:  # fmt: skip
        self._api = api
        self._changed = changed
        self._every, self._suspected_every = every, suspected_every
        self._suspected = asyncio.Event()
        self._known: FrontProxy | None = None
        self.trouble: Exception | None = KubernetesError("the ConfigMap has not been read yet")

    def suspect(self) -> None:
        """A certificate was not trusted: perhaps there is a new authority, so look soon."""
        self._suspected.set()

    async def run(self) -> None:
        """Read for ever: at an interval, and soon when something is suspected."""
        while True:
            began = time.monotonic()
            self._suspected.clear()
            await self.read()
            with contextlib.suppress(TimeoutError):
                # what is not read yet is what everybody waits for
                every = self._every if self._known else self._suspected_every
                await asyncio.wait_for(self._suspected.wait(), timeout=every)
                await asyncio.sleep(began + self._suspected_every - time.monotonic())

    async def read(self) -> None:
        """Read once; what goes wrong becomes ``trouble`` and one line of the log."""
        try:
            config_map = await self._api.find(CONFIG_MAP) or {}
            known = FrontProxy.parse(config_map.get("data") or {})
            if known != self._known:
                self._changed(known)
                logs.get().info("front_proxy.known" if self._known is None else "front_proxy.changed", names=known.allowed_names)
                self._known = known
            self.trouble = None
        except Exception as error:
            # also what TLS does not like about the authorities: to end here would be to miss the next ones
            if str(error) != str(self.trouble):
                logs.get().warning("front_proxy.unknown", error=error)
            self.trouble = error


def common_name(peer_certificate: Mapping[str, Any]) -> str:
    """The CN of a certificate as the module ssl describes one; empty when it has none."""
    subject: Sequence[Sequence[tuple[str, str]]] = peer_certificate.get("subject", ())
    return next((value for parts in subject for key, value in parts if key == "commonName"), "")


def _list(data: Mapping[str, str], key: str) -> tuple[str, ...]:
    try:
        found = json.loads(data.get(key) or "[]")
    except ValueError as error:
        raise FrontProxyError(f"{key} is not JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise FrontProxyError(f"{key} is no list of texts: {found!r}")
    return tuple(found)
