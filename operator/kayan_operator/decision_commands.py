"""``kayan why NAME`` and ``kayan decisions NAME``: what the operator saw and did, read from Redis.

Redis is where the environment of every other ``kayan`` command says. Each function here is a command by an entry of ``kayan.commands`` in
``pyproject.toml``.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NoReturn, Optional

import msgspec
import typer

FAILED, USAGE = 1, 2

Namespace = Annotated[
    Optional[str],  # noqa: UP045  typer reads it at run time
    typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Of the QueueScaler, if several have one of this name."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a QueueScaler, as kubectl get queuescalers lists them.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def why(name: Name, namespace: Namespace = None, as_json: AsJson = False) -> None:
    """Say why a QueueScaler has the pods it has: the chain of reasoning of the operator's latest look, and what was decided before."""
    typer.echo(_run(lambda server: why_text(server, name, namespace, as_json=as_json)))


def decisions(
    name: Name,
    namespace: Namespace = None,
    count: Annotated[int, typer.Option("--count", "-c", metavar="N", min=1, max=100, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List what the operator decided for a QueueScaler, the latest first: from how many pods to how many, and why."""
    typer.echo(_run(lambda server: decisions_text(server, name, namespace, count, as_json=as_json)))


class NothingKnownError(Exception):
    """Nothing is remembered of that scaler, or of several. Says what to do."""


async def why_text(server: Any, name: str, namespace: str | None, *, as_json: bool = False) -> str:
    """What ``kayan why`` prints. Raises NothingKnownError; errors of Redis pass through."""
    from kayan_operator import explain
    from kayan_operator.queues.ledger import decisions_of, latest_look_at

    namespace = await _namespace(server, name, namespace)
    look, earlier = await asyncio.gather(latest_look_at(server, namespace, name), decisions_of(server, namespace, name))
    if look is None and not earlier:
        raise NothingKnownError(await _nothing(server, name, namespace))
    if look is None:
        last = f"the operator has not looked at {namespace}/{name} within a day; its last decision was made {explain.clock(earlier[0].at)}"
        raise NothingKnownError(f"{last}: `kayan decisions {name} --namespace {namespace}` lists it")
    if as_json:
        scaler = {"namespace": namespace, "name": name}
        return _json(scaler | explain.as_json(look) | {"decisions": [explain.as_json(record) for record in earlier]})
    return explain.why(f"{namespace}/{name}", look, earlier, time.time())


async def decisions_text(server: Any, name: str, namespace: str | None, count: int, *, as_json: bool = False) -> str:
    """What ``kayan decisions`` prints. Raises NothingKnownError; errors of Redis pass through."""
    from kayan_operator import explain
    from kayan_operator.queues.ledger import decisions_of

    namespace = await _namespace(server, name, namespace)
    records = await decisions_of(server, namespace, name, count)
    if not records:
        raise NothingKnownError(await _nothing(server, name, namespace))
    if as_json:
        return _json([explain.as_json(record) for record in records])
    return explain.decisions(records, time.time())


async def _namespace(server: Any, name: str, given: str | None) -> str:
    """The namespace that is meant: the given one, else the only one that has a scaler of this name."""
    from kayan_operator.queues.ledger import known_scalers

    if given:
        return given
    namespaces = [namespace for namespace, scaler in await known_scalers(server) if scaler == name]
    if len(namespaces) > 1:
        raise NothingKnownError(f"there are QueueScalers named {name} in {', '.join(sorted(namespaces))}: say which with --namespace")
    if not namespaces:
        raise NothingKnownError(await _nothing(server, name, None))
    return namespaces[0]


async def _nothing(server: Any, name: str, namespace: str | None) -> str:
    from kayan_operator.queues.ledger import known_scalers

    scalers = [f"{namespace}/{scaler}" for namespace, scaler in await known_scalers(server)]
    those = f"decisions are remembered of {', '.join(sorted(scalers)[:10])}" if scalers else "no operator has written any to this Redis"
    wanted = f"{namespace}/{name}" if namespace else name
    return f"no decision is remembered of a QueueScaler {wanted}; {those}"


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _run(work: Callable[[Any], Awaitable[str]]) -> str:
    """With the server that the environment names; every expected error becomes one line and an exit code."""
    from kayan_workers.bull.server import Server
    from kayan_workers.environment import Environment
    from kayan_workers.shared_settings import redis_address
    from redis.exceptions import RedisError

    environment = Environment(os.environ)
    address = redis_address(environment)
    if environment.problems:
        _fail("\n".join(environment.problems), USAGE)

    async def connected() -> str:
        server = Server(address, call_timeout=10)
        try:
            return await work(server)
        finally:
            await server.close()

    try:
        return asyncio.run(connected())
    except NothingKnownError as error:
        _fail(str(error))
    except (RedisError, OSError) as error:
        _fail(f"Redis at {address}: {str(error).rstrip('.')}. Check REDIS_HOST, REDIS_PORT, REDIS_PASSWORD or REDIS_URL")


def _fail(message: str, code: int = FAILED) -> NoReturn:
    from kayan_workers.tables import printable

    typer.echo(printable(f"kayan: {message}", keep="\n"), err=True)
    raise typer.Exit(code)
