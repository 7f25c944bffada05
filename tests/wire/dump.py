"""Everything a queue has in Redis, as one comparable value: what "the same bytes" means in these tests.

Clocks, tokens and stack texts differ from run to run; they are replaced by marks. Everything else stands as it is, but for the guard of
the stalled pass, which comes and goes by the clock, on both sides alike.
"""

from __future__ import annotations

import json
import re
from typing import Any

from redis.asyncio import Redis

_CLOCKS = frozenset({"timestamp", "processedOn", "finishedOn", "retriedOn", "prevTS"})
_MS = re.compile(r"\b1[6-9]\d{11}\b")


async def dump(redis: Redis, queue: str, *, prefix: str = "bull") -> dict[str, Any]:
    """Key (without the queue's base) -> content. What expires just now is not there."""
    base = f"{prefix}:{queue}:"
    keys = sorted([key async for key in redis.scan_iter(match=f"{base}*", count=1000) if key != f"{base}stalled-check"])
    contents = {_MS.sub("<ms>", key.removeprefix(base)): await _content(redis, key) for key in keys}
    return {key: content for key, content in contents.items() if content is not None}


async def job_hash(redis: Redis, queue: str, job_id: str, *, prefix: str = "bull") -> dict[str, Any]:
    """A job's hash, its clocks and stack text masked, its JSON members decoded."""
    return _masked(await redis.hgetall(f"{prefix}:{queue}:{job_id}"))


async def _content(redis: Redis, key: str) -> Any:
    kind = await redis.type(key)
    if kind == "hash":
        return _masked(await redis.hgetall(key))
    if kind == "list":
        return await redis.lrange(key, 0, -1)
    if kind == "set":
        return sorted(await redis.smembers(key))
    if kind == "zset":
        # sorted again: members whose clocks differ in one run may share a millisecond in another
        return sorted((_MS.sub("<ms>", member), _score(score)) for member, score in await redis.zrange(key, 0, -1, withscores=True))
    if key.endswith(":lock"):
        return "<token>"
    text = await redis.get(key)
    return None if text is None else _MS.sub("<ms>", text)


def _score(score: float) -> str | float:
    return "<ms>" if score > 1e12 else score


def _masked(fields: dict[str, str]) -> dict[str, Any]:
    return {name: _mask(name, value) for name, value in fields.items()}


def _mask(name: str, value: str) -> Any:
    if name in _CLOCKS:
        return "<ms>"
    if name == "stacktrace":
        return f"{len(json.loads(value))} traces"
    return _mask_json(json.loads(value)) if name == "opts" else value


def _mask_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mask_json(member) for name, member in value.items()}
    if isinstance(value, str):
        return _MS.sub("<ms>", value)
    return "<ms>" if isinstance(value, int | float) and value > 1.6e12 else value
