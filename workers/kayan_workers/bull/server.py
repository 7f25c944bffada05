"""One Redis, and how to reach it: a single server, a Sentinel group or a cluster, with the same calls for each.

The rest of the library asks a Server for clients and lines; nobody else knows which of the three it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, ReadOnlyError, RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from kayan_workers.bull import scripts
from kayan_workers.bull.line import Line, now_ms
from kayan_workers.bull.scripts import Script
from kayan_workers.errors import PermanentError

OLDEST_VERSION = (6, 2)
"""BLMOVE came with Redis 6.2; watching without popping needs it."""

CALL_TIMEOUT = 15.0
"""Seconds a call may take before its connection counts as dead. Far above any script of ours."""
_OTHER_NODES = 3
"""How many nodes of a cluster, beyond those it was given, a blocking client asks where the others are."""

CLOCKS_APART_MS = 2000
"""How far our clock may be from Redis's before it is worth a word: every time on the wire is its writer's."""

_TRY_SECONDS = 60.0
"""How long one try to connect may take: a cluster's nodes are asked one after another, and everybody who asks waits for the one before."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 5.0
"""A server that goes again before it was there for this long has had a relapse: whoever comes back waits longer each time."""

_MOST_RELAPSES = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is. ``url`` (redis://, rediss://, unix://) wins over the single parts where it says something.

    ``sentinels`` are (host, port) pairs and make it a Sentinel group; ``cluster`` makes it a Redis Cluster.
    """

    url: str | None = field(default=None, repr=False)
    host: str = "localhost"
    port: int = 6379
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    sentinel_master: str = "mymaster"
    sentinel_password: str | None = field(default=None, repr=False)
    cluster: bool = False

    def __str__(self) -> str:
        """For people and logs: no user, no password."""
        if self.sentinels:
            return f"sentinel {self.sentinel_master} of " + ", ".join(f"{host}:{port}" for host, port in self.sentinels)
        if self.url:
            parts = urlsplit(self.url)
            return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/{self.db}"

    def options(self) -> dict[str, Any]:
        """Keyword arguments for a redis-py client, without those of Sentinel and cluster."""
        options: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "db": self.db,
            "username": self.username,
            "password": self.password,
        }
        tls = self.tls
        if self.url:
            from redis.connection import parse_url

            if parse_qs(urlsplit(self.url).query).get("ssl_cert_reqs") == ["none"]:
                options["ssl_check_hostname"] = False
            parsed = dict(parse_url(self.url))  # type: ignore[no-untyped-call]
            tls = tls or (parsed.pop("connection_class", None) is not None and urlsplit(self.url).scheme == "rediss")
            if "path" in parsed:
                parsed["unix_socket_path"] = parsed.pop("path")
            options |= parsed
        if tls:
            options |= {"ssl": True, "ssl_ca_certs": self.ca_file, "ssl_certfile": self.cert_file, "ssl_keyfile": self.key_file}
        return options


class _Cluster(aredis.RedisCluster):
    """redis-py's own error for a cluster of which no node answers is none of its RedisErrors: nobody here would take it for an outage."""

    async def initialize(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().initialize(*args, **options)
        except RedisClusterException as error:
            raise redis.exceptions.ConnectionError(str(error)) from error


class _BlockingCluster(redis.RedisCluster):
    """The same, for threads: it looks for its nodes when it is made.

    When a call fails it asks for them again, one node after the other: those it was given and a few more, not all of a large cluster. In an
    outage each costs a time limit, and whoever waits for the call must not seem to hang.
    """

    def __init__(self, **options: Any) -> None:
        try:
            super().__init__(**options, dynamic_startup_nodes=False)
        except RedisClusterException as error:
            raise redis.exceptions.ConnectionError(str(error)) from error
        known = self.get_nodes()  # type: ignore[no-untyped-call]
        for node in random.sample(known, min(_OTHER_NODES, len(known))):
            self.nodes_manager.startup_nodes[node.name] = node


class Server:
    """The one way to Redis. Clients are made when first asked for; nothing connects before it must."""

    def __init__(self, address: RedisAddress, *, call_timeout: float = CALL_TIMEOUT) -> None:
        self.address = address
        self.call_timeout = call_timeout
        self.is_up: bool | None = None
        """None before the first contact, then what the last contact said."""
        self.trouble: Exception | None = None
        """Why it is not up."""
        self.on_change: list[Callable[[bool, Exception | None], None]] = []
        """Called with (up, error) whenever Redis goes or comes back."""
        self._closed = False
        self._up_at = 0.0
        self._relapses = 0

    # -- clients -------------------------------------------------------------------------------------------------------------

    @cached_property
    def commands(self) -> Any:
        """A pooled redis-py client (Redis or RedisCluster) for everything that is not the hot path. Replies are bytes."""
        return self._client(socket_timeout=self.call_timeout)

    def connection(self, *, name: str | None = None) -> Any:
        """A redis-py client of its own, for pub/sub and long scans; the caller closes it. ``name`` is its CLIENT SETNAME."""
        return self._client(client_name=name)

    def blocking_client(self, timeout: float = 5.0) -> Any:
        """A synchronous redis-py client, for threads such as the one that renews locks. ``timeout`` is how many seconds it waits for a
        connection, and for a reply."""
        options = self._options() | {"retry": Retry(NoBackoff(), 0), "socket_timeout": timeout, "socket_connect_timeout": timeout}
        if self.address.sentinels:
            group = Sentinel(  # type: ignore[no-untyped-call]
                list(self.address.sentinels), sentinel_kwargs=self._sentinel_options(), **_without_address(options)
            )
            return group.master_for(self.address.sentinel_master)  # type: ignore[no-untyped-call]
        if self.address.cluster:
            return _BlockingCluster(**_for_cluster(options))
        return redis.Redis(**options)

    def _client(self, *, client_name: str | None = None, socket_timeout: float | None = None) -> Any:
        # Never let redis-py send a command twice on its own: what a lost reply means differs from call to call.
        options = self._options() | {
            "retry": AsyncRetry(NoBackoff(), 0),
            "socket_timeout": socket_timeout,
            "socket_connect_timeout": 5,
            "client_name": client_name,
        }
        if self.address.sentinels:
            group = AsyncSentinel(  # type: ignore[no-untyped-call]
                list(self.address.sentinels), sentinel_kwargs=self._sentinel_options(), **_without_address(options)
            )
            return group.master_for(self.address.sentinel_master)
        if self.address.cluster:
            return _Cluster(**_for_cluster(options))
        return aredis.Redis(**options)

    def _options(self) -> dict[str, Any]:
        return self.address.options() | {"protocol": 2, "decode_responses": False}

    def _sentinel_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"socket_timeout": 2, "socket_connect_timeout": 2, "protocol": 2}
        return options | ({"password": self.address.sentinel_password} if self.address.sentinel_password else {})

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run a script through the pooled client. A master that has become a replica is left, and asked for anew by the next call."""
        try:
            return await scripts.run(self.commands, script, keys, args)
        except ReadOnlyError:
            if not self.address.cluster:  # which tells where its masters are
                await self.commands.connection_pool.disconnect(inuse_connections=False)
            raise

    # -- lines ---------------------------------------------------------------------------------------------------------------

    async def open_line(self, key: str, *, name: str | None = None, timeout: float | None = None) -> Line:
        """A line to whichever server holds ``key``; ``timeout`` is how many seconds a call may take, None for the server's own
        ``call_timeout``, infinity for calls that block. Raises RedisError or OSError when it cannot be reached now."""
        connection = await self._connection_for(key)
        connection.client_name = None
        connection.retry = AsyncRetry(NoBackoff(), 0)
        try:
            await connection.connect()
        except RuntimeError as error:  # uvloop's word for a transport that closes while redis-py still greets the server
            raise redis.exceptions.ConnectionError(f"the connection closed while it was made: {error}") from error
        if (task := asyncio.current_task()) and task.cancelling():
            # Python 3.11's wait_for, which redis-py connects with, forgets a cancellation that comes while it returns
            await connection.disconnect(nowait=True)
            raise asyncio.CancelledError
        line = Line(self.call_timeout if timeout is None else timeout)
        line.take_over(connection)
        if name:
            line.tell("CLIENT", "SETNAME", name)  # for people and getWorkers(); whom an ACL refuses it works all the same
        return line

    async def _connection_for(self, key: str) -> Any:
        if self.address.cluster:
            await self.commands.initialize()
            node = self.commands.get_node_from_key(key)
            if node is None:
                await self.commands.aclose()
                raise redis.exceptions.ConnectionError(f"no node of the cluster holds the slot of {key}")
            return node.connection_class(**node.connection_kwargs)
        pool = self.commands.connection_pool
        return pool.connection_class(**pool.connection_kwargs)

    async def line(
        self, key: str, *, name: str | None = None, timeout: float | None = None, on_try: Callable[[], None] | None = None
    ) -> Line:
        """Like ``open_line``, but tries for ever, with growing, jittered pauses, until Redis takes work. ``is_up`` says how it stands,
        ``on_try`` is called before each try."""
        pause = min(_FIRST_PAUSE * 2**self._relapses, _LONGEST_PAUSE)
        if self._relapses:
            await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311  jitter, not a secret
        while True:
            if on_try is not None:
                on_try()
            try:
                async with asyncio.timeout(_TRY_SECONDS):
                    line = await self.open_line(key, name=name, timeout=timeout)
                    await self._try_out(line, key)
            except (TimeoutError, RedisError, OSError) as error:
                if (task := asyncio.current_task()) and task.cancelling():
                    raise asyncio.CancelledError from error  # whoever makes connections may turn a cancellation into an error of its own
                self.note_down(error if str(error) else TimeoutError(f"no connection within {_TRY_SECONDS:g} s"))
                if self.address.cluster:
                    if on_try is not None:
                        on_try()
                    await self._forget_cluster()
                await asyncio.sleep(random.uniform(pause / 2, pause))  # noqa: S311
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self.note_up()
                return line

    async def _try_out(self, line: Line, key: str) -> None:
        """Whether more than the connection stands: a server that loads its file, follows another or has a full disk takes connections
        and refuses the work. PERSIST is a write, and changes nothing here: no key of Bull's or ours that it is asked about has a time
        to live."""
        try:
            async with asyncio.timeout(self.call_timeout):
                await line.send("PERSIST", key)
        except BaseException as error:
            if not str(error).startswith("NOPERM"):  # a user who may not do this may do all the rest: the calls themselves will tell
                line.close()
                raise

    async def _forget_cluster(self) -> None:
        """Ask the cluster again for its nodes: a failover may have moved the slot."""
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_TRY_SECONDS):
                await self.commands.aclose()

    # -- state ---------------------------------------------------------------------------------------------------------------

    def note_up(self) -> None:
        self._note(True, None)

    def note_down(self, error: Exception) -> None:
        self._note(False, error)

    def _note(self, up: bool, error: Exception | None) -> None:
        if self.is_up is up or self._closed:
            return
        self.is_up, self.trouble = up, error
        if up:
            self._up_at = time.monotonic()
        else:
            was_steady = time.monotonic() - self._up_at > _STEADY_SECONDS
            self._relapses = 0 if was_steady else min(self._relapses + 1, _MOST_RELAPSES)
        for tell in self.on_change:
            tell(up, error)

    async def examine(self) -> list[str]:
        """Ask the server what it is; returns warnings for its operator.

        Raises PermanentError when it is older than Redis 6.2. Redis errors pass through.
        """
        info = await self._info()
        version = tuple(int(part) for part in re.findall(r"\d+", str(info.get("redis_version", "0")))[:2])
        if version < OLDEST_VERSION:
            raise PermanentError(
                f"Redis at {self.address} is version {info.get('redis_version')}; the workers need 6.2 or newer (for BLMOVE): "
                "upgrade the server"
            )
        warnings = []
        policy = str(info.get("maxmemory_policy", "noeviction"))
        if policy != "noeviction":
            warnings.append(
                f"Redis at {self.address} has maxmemory-policy {policy}: when memory runs out it deletes jobs and locks without a word. "
                "Set it to noeviction (CONFIG SET maxmemory-policy noeviction), so that a full Redis refuses new jobs instead."
            )
        # `server_time_usec` is what the reply to INFO carries of the server's clock
        behind_ms = int(info["server_time_usec"]) / 1000 - now_ms() if "server_time_usec" in info else 0.0
        if abs(behind_ms) > CLOCKS_APART_MS:
            effect = "late" if behind_ms > 0 else "early"
            warnings.append(
                f"The clock of this machine is {abs(behind_ms) / 1000:.0f} s {'behind' if behind_ms > 0 else 'ahead of'} that of Redis at "
                f"{self.address}: delayed jobs and retries start that much too {effect}. Let both keep the time (NTP)."
            )
        return warnings

    async def _info(self) -> dict[str, Any]:
        info = await self.commands.info()
        return cast("dict[str, Any]", next(iter(info.values())) if self.address.cluster and "redis_version" not in info else info)

    async def close(self) -> None:
        self._closed = True
        if "commands" in self.__dict__:
            await self.commands.aclose()


def is_credentials_error(error: BaseException) -> bool:
    """True when trying again will not help until somebody mends user, password or permissions."""
    return isinstance(error, AuthenticationError | NoPermissionError)


def _without_address(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in ("host", "port", "unix_socket_path")}


def _for_cluster(options: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key not in ("db", "unix_socket_path", "retry")}
