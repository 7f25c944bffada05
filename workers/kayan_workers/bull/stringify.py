"""JSON as ``JSON.stringify`` prints it, so that a payload written here reads in Node like one written there.

No spaces, non-ASCII raw, NaN and infinities as null, whole floats without ``.0``, dates as ``2026-01-02T03:04:05.678Z``,
bytes as Node prints a Buffer. Source: wire document, section 0.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_PLAIN = frozenset({str, int, bool, type(None)})
"""Types that msgspec already prints as JavaScript does. A look at the exact type is what keeps the usual payload fast."""
_EXACT = 2**53
_KEPT = (dt.datetime, bytes, bytearray, memoryview)


def stringify(value: Any) -> str:
    """The JSON text of ``value``.

    Takes what JSON knows, and dataclasses, msgspec structs, enums, UUIDs, decimals, dates and bytes besides. A datetime
    without time zone is taken as UTC. Raises TypeError for anything else.
    """
    prepared = value if type(value) in _PLAIN else _prepare(value)
    try:
        return _encode(prepared).decode()
    except UnicodeEncodeError:
        return _with_lone_surrogates(prepared)


def _prepare(value: Any) -> Any:
    """``value`` with everything replaced that msgspec prints differently; the same object when there is nothing."""
    kind = type(value)
    if kind is dict:
        changed: dict[str, Any] | None = None
        for key, member in value.items():
            prepared = member if type(member) in _PLAIN else _prepare(member)
            if changed is None:
                if prepared is member and type(key) is str:
                    continue
                changed = {}
                for before, unchanged in value.items():
                    if before is key:
                        break
                    changed[before] = unchanged
            changed[_key(key)] = prepared
        return value if changed is None else changed
    if kind is list or kind is tuple:
        for index, member in enumerate(value):
            if type(member) not in _PLAIN and (prepared := _prepare(member)) is not member:
                return [*value[:index], prepared, *(each if type(each) in _PLAIN else _prepare(each) for each in value[index + 1 :])]
        return value
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return _prepare_uncommon(value)


def _prepare_uncommon(value: Any) -> Any:
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, dt.datetime):
        return _iso(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"type": "Buffer", "data": list(bytes(value))}
    if isinstance(value, dict):  # a subclass, like the next ones
        return _prepare(dict(value))
    if isinstance(value, list | tuple):
        return _prepare(list(value))
    if isinstance(value, float):
        return _prepare(float(value))
    built: Any = msgspec.to_builtins(value, builtin_types=_KEPT)
    return built if type(built) in _PLAIN else _prepare(built)


def _key(name: Any) -> str:
    """A member's name as JavaScript would have it: every property name is a string there."""
    if isinstance(name, str):
        return name
    if isinstance(name, int | float | None):
        return _encode(_prepare(name)).decode()
    if isinstance(name, dt.datetime):
        return _iso(name)
    return str(msgspec.to_builtins(name, str_keys=True))


def _iso(moment: dt.datetime) -> str:
    utc = moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    return utc.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _with_lone_surrogates(value: Any) -> str:
    """UTF-8 has no lone surrogates, so they are printed as ``\\udXXX``, which is what JSON.stringify does."""
    import json

    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
