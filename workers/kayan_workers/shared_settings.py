"""What workers and the operator are told in the same words: where Redis is, what its keys begin with, who we are, how to log."""

from __future__ import annotations

import re
import socket
import sys
from typing import Any
from urllib.parse import unquote

from kayan_workers.bull.server import RedisAddress
from kayan_workers.environment import Environment

_LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"}


def redis_address(environment: Environment, start: str = "REDIS_") -> RedisAddress:
    """Where Redis is, from the variables whose names begin with ``start``."""
    example = "redis://user:password@localhost:6379/0 (rediss:// for TLS)"
    sentinels = _hosts(environment, f"{start}SENTINELS", "sentinel-0:26379,sentinel-1:26379", 26379)
    cluster = environment.flag(f"{start}CLUSTER")
    if cluster and sentinels:
        environment.complain(f"{start}CLUSTER and {start}SENTINELS are both set: a Redis is one or the other. Unset one of them")
    database = environment.integer(f"{start}DB", 0, 0, 2**31 - 1)
    if cluster and database:
        environment.complain(f"{start}DB is {database}: Redis Cluster has database 0 only. Unset it")
    certificate, key = environment.file(f"{start}TLS_CERT_FILE"), environment.file(f"{start}TLS_KEY_FILE")
    if bool(certificate) is not bool(key):
        environment.complain(f"{start}TLS_CERT_FILE and {start}TLS_KEY_FILE belong together: set both or neither")
    return RedisAddress(
        url=environment.url(f"{start}URL", ("redis", "rediss", "unix"), example),
        host=environment.text(f"{start}HOST", "localhost") or "",
        port=environment.port(f"{start}PORT", 6379),
        db=database,
        username=environment.text(f"{start}USERNAME"),
        password=environment.text(f"{start}PASSWORD"),
        tls=environment.flag(f"{start}TLS"),
        ca_file=environment.file(f"{start}TLS_CA_FILE"),
        cert_file=certificate,
        key_file=key,
        sentinels=sentinels,
        sentinel_master=environment.text(f"{start}SENTINEL_MASTER", "mymaster") or "",
        sentinel_password=environment.text(f"{start}SENTINEL_PASSWORD"),
        cluster=cluster,
    )


def _hosts(environment: Environment, name: str, example: str, default_port: int) -> tuple[tuple[str, int], ...]:
    hosts = []
    for entry in filter(None, (part.strip() for part in (environment.text(name) or "").split(","))):
        host, _, port = entry.rpartition(":") if ":" in entry else (entry, "", str(default_port))
        if not host or not port.isdigit() or not 1 <= int(port) <= 65535:
            environment.complain(f"{name}: {entry!r} is not host:port. It should look like {name}={example}")
        else:
            hosts.append((host, int(port)))
    return tuple(hosts)


def queue_prefix(environment: Environment) -> str:
    """What every key of a queue starts with; in Redis Cluster it carries a hash tag."""
    prefix = environment.text("BULL_PREFIX", "bull") or ""
    if re.search(r"[*?\[\]\s]", prefix) or prefix.startswith("kayan:"):
        environment.complain(f"BULL_PREFIX is {prefix!r}: it may hold no * ? [ ] or spaces, nor start with kayan:. The web app uses bull")
    if environment.flag("REDIS_CLUSTER") and not re.search(r"\{[^}]+\}", prefix):
        environment.complain(
            f"BULL_PREFIX is {prefix!r}: in Redis Cluster it needs a hash tag, so that the keys of a queue stay together. "
            "Set BULL_PREFIX={bull}, in the web app as well"
        )
    return prefix


def pod_name(environment: Environment) -> str:
    """Who we are to others. A lock's token is ``<pod>/<random>`` and may hold no ``@``; a host may be called anything."""
    name = environment.text("POD_NAME") or environment.text("HOSTNAME") or socket.gethostname()
    return re.sub(r"[^A-Za-z0-9._-]", "-", name) or "localhost"


def log_settings(environment: Environment) -> dict[str, Any]:
    """``log_level`` and ``log_format``. In production lines are for machines, at a terminal for people."""
    production = (environment.text("NODE_ENV") or "").lower() == "production"
    automatic = "text" if sys.stdout.isatty() and not production else "json"
    return {
        "log_level": environment.choice("LOG_LEVEL", _LEVELS, "info" if production else "debug"),
        "log_format": environment.choice("LOG_FORMAT", {"auto": automatic, "json": "json", "text": "text"}, "auto"),
    }


def secrets_in(environment: Environment, names: tuple[str, ...], urls: tuple[str, ...]) -> tuple[str, ...]:
    """The values of the variables ``names`` and the passwords in the variables ``urls``, longest first, so that masking one does not
    leave the rest of another."""
    found = {environment.text(name) for name in names}
    for name in urls:
        value = environment.text(name)
        if value and "@" in value:
            password = value.rpartition("@")[0].partition("://")[2].partition(":")[2]
            found |= {password, unquote(password)}
    return tuple(sorted((secret for secret in found if secret and len(secret) >= 4), key=len, reverse=True))
