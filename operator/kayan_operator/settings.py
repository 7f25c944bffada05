"""Everything the operator can be told, read once at start-up from its environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kayan_workers.bull.server import RedisAddress
from kayan_workers.environment import Environment
from kayan_workers.errors import SettingsError
from kayan_workers.shared_settings import log_settings, pod_name, queue_prefix, redis_address, secrets_in

_OUR_PREFIXES = ("KAYAN_OPERATOR_", "KAYAN_REDIS_", "REDIS_")
_OWN_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The environment, typed."""

    redis: Mapping[str, RedisAddress]
    """By the name that a QueueScaler's queue gives (``redis: eu``); ``default`` is the fleet's own."""
    prefix: str = "bull"
    namespace: str
    """Where the operator itself runs."""
    namespaces: tuple[str, ...] = ()
    """Whose QueueScalers it sees to; empty: those of all namespaces."""
    identity: str
    name: str = "kayan-operator"
    """Of its Lease, its Service, its certificate's Secret and its own Deployment."""
    metrics_api: bool = True
    """Whether ``external.metrics.k8s.io`` is served."""
    metrics_host: str = "0.0.0.0"  # noqa: S104  the API server comes from outside
    metrics_port: int = 6443
    health_host: str = "0.0.0.0"  # noqa: S104
    health_port: int = 8080
    log_level: str = "info"
    log_format: str = "json"
    warnings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> Settings:
        """Raises SettingsError with every problem found."""
        environment = Environment(os.environ if variables is None else variables)
        redis = {"default": redis_address(environment)} | _more_redis(environment)
        namespace = environment.text("KAYAN_OPERATOR_NAMESPACE") or _own_namespace()
        if not namespace:
            environment.required("KAYAN_OPERATOR_NAMESPACE", "the namespace in which the operator keeps its Lease", "kayan")
        settings = cls(
            redis=redis,
            prefix=queue_prefix(environment),
            namespace=namespace,
            namespaces=_namespaces(environment, namespace),
            identity=pod_name(environment),
            name=environment.text("KAYAN_OPERATOR_NAME", "kayan-operator") or "",
            metrics_api=environment.flag("KAYAN_OPERATOR_METRICS_API", True),
            metrics_port=environment.integer("KAYAN_OPERATOR_METRICS_PORT", 6443, 0, 65535),
            metrics_host=environment.text("KAYAN_OPERATOR_METRICS_HOST", "0.0.0.0") or "",  # noqa: S104
            health_host=environment.text("HEALTH_HOST", "0.0.0.0") or "",  # noqa: S104
            health_port=environment.integer("HEALTH_PORT", 8080, 0, 65535),
            secrets=_secrets(environment, redis),
            warnings=(*environment.warnings, *environment.suspicious(_OUR_PREFIXES)),
            **log_settings(environment),
        )
        if environment.problems:
            raise SettingsError(environment.problems)
        return settings


def _more_redis(environment: Environment) -> dict[str, RedisAddress]:
    """``KAYAN_REDIS_SERVERS=eu,us`` names more servers; each has the variables of the fleet's own under its name: KAYAN_REDIS_EU_URL."""
    servers = {}
    for name in filter(None, (part.strip() for part in (environment.text("KAYAN_REDIS_SERVERS") or "").split(","))):
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,30}", name) or name in ("default", "servers"):
            environment.complain(f"KAYAN_REDIS_SERVERS: {name!r} is no name for a server. Write small letters, digits and -: eu, eu-2")
            continue
        servers[name] = redis_address(environment, _start(name))
    return servers


def _start(name: str) -> str:
    return f"KAYAN_REDIS_{name.upper().replace('-', '_')}_"


def _namespaces(environment: Environment, own: str) -> tuple[str, ...]:
    wanted = environment.text("KAYAN_OPERATOR_NAMESPACES", own) or own
    return () if wanted == "*" else tuple(filter(None, (part.strip() for part in wanted.split(","))))


def _own_namespace() -> str:
    try:
        with open(_OWN_NAMESPACE) as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def _secrets(environment: Environment, servers: Mapping[str, RedisAddress]) -> tuple[str, ...]:
    starts = ["REDIS_", *(_start(name) for name in servers if name != "default")]
    return secrets_in(
        environment,
        tuple(f"{start}{what}" for start in starts for what in ("PASSWORD", "SENTINEL_PASSWORD")),
        tuple(f"{start}URL" for start in starts),
    )
