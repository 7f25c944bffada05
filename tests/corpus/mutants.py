"""Damages files the way disks, networks and attackers do: a little here, a little there, most of it still in place."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from random import Random

from corpus.files import zipped

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]
"""From chance, a file and its relatives, another file."""

_EXTREMES = (b"0", b"-1", b"1", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e308", b"-1e-308", b"nan", b"0.0000001")
_TAG = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def mutant(chance: Random, data: bytes, relatives: Sequence[bytes]) -> bytes:
    """One to four damages. Those of a package go inside, where no checksum finds them at the door; a PNG gets its checksums set right."""
    if data.startswith(b"PK\3\4") and chance.random() < 0.8:
        data = _within_a_package(chance, data, relatives)
    else:
        for _ in range(chance.choice((1, 1, 1, 2, 3, 4))):
            data = chance.choice(MUTATIONS)(chance, data, relatives)
    return _with_checksums(data) if data.startswith(b"\x89PNG") and chance.random() < 0.7 else data


def _place(chance: Random, data: bytes) -> int:
    """Somewhere, and every other time near the beginning, where the headers are."""
    return chance.randrange(min(len(data), 512) if chance.random() < 0.5 else len(data)) if data else 0


def _run(chance: Random, data: bytes) -> slice:
    begin = _place(chance, data)
    return slice(begin, begin + min(len(data) - begin, 2 ** chance.randrange(12)))


def _flip(chance: Random, data: bytes, _relatives: Sequence[bytes]) -> bytes:
    out = bytearray(data)
    for _ in range(2 ** chance.randrange(6) if data else 0):
        out[_place(chance, data)] ^= 1 << chance.randrange(8)
    return bytes(out)


def _overwrite(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    run = _run(chance, data)
    size = run.stop - run.start
    return data[: run.start] + chance.choice((bytes(size), b"\xff" * size, chance.randbytes(size))) + data[run.stop :]


def _truncate(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: _place(chance, data)]


def _remove(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    run = _run(chance, data)
    return data[: run.start] + data[run.stop :]


def _repeat(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    run = _run(chance, data)
    return data[: run.stop] + data[run] * 2 ** chance.randrange(8) + data[run.stop :]


def _splice(chance: Random, data: bytes, relatives: Sequence[bytes]) -> bytes:
    other = chance.choice(relatives)
    return data[: _place(chance, data)] + other[_place(chance, other) :]


def _length(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Some number of two, four or eight bytes made extreme: a size, a count or an offset more often than not."""
    code = chance.choice(("H", "I", "I", "Q"))
    order, size = chance.choice("<>"), struct.calcsize(f"={code}")
    if len(data) < size:
        return data
    at = min(_place(chance, data), len(data) - size)
    (number,) = struct.unpack_from(order + code, data, at)
    top = 256**size - 1
    new = chance.choice((0, 1, number + 1, number - 1, number * 2, number // 2, top, top >> 1, (top >> 1) + 1, chance.randrange(top)))
    return data[:at] + struct.pack(order + code, new % (top + 1)) + data[at + size :]


def _chunk(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A chunk or box doubled, moved or left out, as far as its four letters tell where it begins."""
    begins = [max(0, match.start() - 4) for match in _TAG.finditer(data[:200_000])]
    if len(begins) < 3:
        return data
    at = chance.randrange(len(begins) - 1)
    begin, end = begins[at], begins[at + 1]
    to = chance.choice(begins)
    moved = data[begin:end] * chance.choice((0, 1, 2, 100))
    return data[:to] + moved + data[to:] if chance.random() < 0.5 else data[:begin] + moved + data[end:]


def _number(chance: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """A number that is written in digits made extreme."""
    found = list(_NUMBER.finditer(data[:200_000]))
    if not found:
        return data
    match = chance.choice(found)
    return data[: match.start()] + chance.choice(_EXTREMES) + data[match.end() :]


MUTATIONS: tuple[Mutation, ...] = (_flip, _overwrite, _truncate, _remove, _repeat, _splice, _length, _length, _chunk, _number)


def _within_a_package(chance: Random, data: bytes, relatives: Sequence[bytes]) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            members = [(entry.filename, package.read(entry)) for entry in package.infolist()]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError):
        return _flip(chance, data, relatives)
    at = chance.randrange(len(members))
    name, content = members[at]
    others = [other for _, other in members]
    for _ in range(chance.randrange(1, 4)):
        content = chance.choice(MUTATIONS)(chance, content, others)
    members[at] = (name, content)
    return zipped(members, stored=data[8:10] == b"\0\0")


def _with_checksums(png: bytes) -> bytes:
    out, at = bytearray(png), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)
