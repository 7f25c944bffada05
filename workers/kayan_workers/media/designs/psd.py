"""Photoshop files (PSD and PSB): the canvas, the layers by name, and the merged picture that every program keeps beside them.

The merged picture is not decoded here. Its rows are packed as TIFF's are, so it is given a TIFF's head and handed to libvips as it stands.
"""

from __future__ import annotations

import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import pyvips

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import breaks_off, damaged
from kayan_workers.media.reading import exactly

MODES = {0: "bitmap", 1: "grayscale", 2: "indexed", 3: "rgb", 4: "cmyk", 7: "multichannel", 8: "duotone", 9: "lab"}
_BITMAP, _INDEXED, _RGB, _CMYK = 0, 2, 3, 4
_CHANNELS = {0: 1, 1: 1, 2: 1, 3: 3, 4: 4, 7: 1, 8: 1}
_PHOTOMETRIC = {0: 0, 1: 1, 2: 3, 3: 2, 4: 5, 7: 1, 8: 1}
_RAW, _PACKED = 0, 1
_PROFILE, _THUMBNAIL, _VERSION, _RESOLUTION = 1039, 1036, 1057, 1005
_MAX_SIDE, _MAX_CHANNELS = 300_000, 56
_MAX_NAMES = 200
_MAX_LAYERS = 10_000
_MAX_RESOURCE = 50_000_000
_MAX_TIFF = 4_000_000_000
_CHUNK = 1024 * 1024
_LONG = 4
"""TIFF's code of a number of four bytes."""
_WIDE_KEYS = {b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid", b"FXid", b"PxSD"}
"""Blocks whose length takes eight bytes in a PSB."""
_WHAT = "the PSD design"
_BEYOND_ANY_FILE = 2**40
"""A PSB writes lengths of eight bytes. Nobody uploads a terabyte, and file systems refuse to seek far beyond what they can hold."""


@dataclass(slots=True)
class Layer:
    """``kind`` is layer or group; ``depth`` counts the groups around it."""

    name: str
    kind: str = "layer"
    hidden: bool = False
    depth: int = 0


@dataclass(slots=True)
class Psd:
    """A file's canvas in pixels, and where in the file its parts are."""

    version: int
    channels: int
    height: int
    width: int
    depth: int
    mode: int
    resources: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Offset and length of each resource by its number."""
    palette: bytes = b""
    layers: list[Layer] = field(default_factory=list)
    merged: int = 0

    @property
    def wide(self) -> bool:
        return self.version == 2

    @property
    def format(self) -> str:
        return "PSB" if self.wide else "PSD"


def read_psd(source: Path) -> Psd:
    """Raises PermanentError when the file breaks off or its head makes no sense."""
    with source.open("rb") as file:
        version, channels, height, width, depth, mode = struct.unpack(">4xH6xHIIHH", _exactly(file, 26))
        psd = Psd(version, channels, height, width, depth, mode)
        if version not in (1, 2) or not width or not height or depth not in (1, 8, 16, 32):
            raise damaged(_WHAT, f"its header says version {version}, {width}x{height} pixels of {depth} bits")
        size = _number(file, 4)
        psd.palette = _exactly(file, size) if size == 768 else b""
        file.seek(0 if psd.palette else size, 1)
        end = _number(file, 4) + file.tell()
        _read_resources(file, psd, end)
        file.seek(end)
        end = _number(file, 8 if psd.wide else 4) + file.tell()
        psd.layers = _layers(file, psd, end)
        psd.merged = end
    return psd


def merged_picture(source: Path, psd: Psd, to: Path) -> bool:
    """Write the merged picture as a TIFF at ``to``; the small JPEG that Photoshop keeps if there is none; False if there is neither.

    Raises PermanentError when the picture breaks off.
    """
    with source.open("rb") as file:
        if _is_merged(file, psd) and _wrap(file, psd, to):
            return True
        offset, length = psd.resources.get(_THUMBNAIL, (0, 0))
        if not 28 < length < _MAX_RESOURCE:
            return False
        file.seek(offset + 28)
        to.write_bytes(file.read(length - 28))
        return True


def is_cut(source: Path, psd: Psd) -> bool:
    """Whether the file ends within its layers or its merged picture; one that ends between them may never have had the picture."""
    size = source.stat().st_size
    with source.open("rb") as file:
        if psd.merged >= size or not _is_merged(file, psd):
            return psd.merged > size
        try:
            rows = _rows(file, psd)
        except PermanentError:
            return True
        return rows is not None and file.tell() + sum(rows.sizes) > size


def resolution(source: Path, psd: Psd) -> int | None:
    """Pixels an inch."""
    if _RESOLUTION not in psd.resources:
        return None
    with source.open("rb") as file:
        file.seek(psd.resources[_RESOLUTION][0])
        return round(int.from_bytes(file.read(4), "big") / 65536) or None


def _read_resources(file: BinaryIO, psd: Psd, end: int) -> None:
    while file.tell() + 12 <= end:
        if _exactly(file, 4) != b"8BIM":
            return
        number = _number(file, 2)
        file.seek(_number(file, 1) | 1, 1)
        length = _number(file, 4)
        psd.resources[number] = (file.tell(), length)
        file.seek(length + length % 2, 1)


def _layers(file: BinaryIO, psd: Psd, end: int) -> list[Layer]:
    """Layers and groups from top to bottom. Those of pictures with 16 or 32 bits stand in a block further on."""
    size = 8 if psd.wide else 4
    if end - file.tell() < size:
        return []
    length = _number(file, size)
    if length:
        return _records(file, psd)
    if end - file.tell() < 4:
        return []
    file.seek(_number(file, 4), 1)
    while file.tell() + 12 <= end and _exactly(file, 4) in (b"8BIM", b"8B64"):
        key = _exactly(file, 4)
        length = _number(file, 8 if psd.wide and key in _WIDE_KEYS else 4)
        if key in (b"Lr16", b"Lr32", b"Layr"):
            return _records(file, psd)
        file.seek(length + -length % 4, 1)
    return []


def _records(file: BinaryIO, psd: Psd) -> list[Layer]:
    """A negative count says that the first channel of transparency belongs to the merged picture."""
    (count,) = struct.unpack(">h", _exactly(file, 2))
    found = []
    for _ in range(min(abs(int(count)), _MAX_LAYERS)):
        file.seek(16, 1)
        file.seek(_number(file, 2) * (10 if psd.wide else 6), 1)
        _exactly(file, 8)
        hidden = bool(_exactly(file, 4)[2] & 2)
        end = _number(file, 4) + file.tell()
        found.append(_layer(file, psd, end, hidden=hidden))
        file.seek(end)
    return _nested(found[::-1])


def _layer(file: BinaryIO, psd: Psd, end: int, *, hidden: bool) -> Layer:
    for _ in ("mask", "blending ranges"):
        file.seek(_number(file, 4), 1)
    length = _number(file, 1)
    layer = Layer(_exactly(file, length).decode("latin-1"), hidden=hidden)
    file.seek(-(length + 1) % 4, 1)
    while file.tell() + 12 <= end and _exactly(file, 4) in (b"8BIM", b"8B64"):
        key = _exactly(file, 4)
        length = _number(file, 8 if psd.wide and key in _WIDE_KEYS else 4)
        after = file.tell() + length
        if key == b"luni":
            layer.name = _exactly(file, min(2 * _number(file, 4), max(0, length - 4), 1000)).decode("utf-16-be", "replace").rstrip("\0")
        elif key in (b"lsct", b"lsdk") and length >= 4:
            layer.kind = {1: "group", 2: "group", 3: "end"}.get(_number(file, 4), "layer")
        file.seek(after)
    return layer


def _nested(layers: list[Layer]) -> list[Layer]:
    """Groups and what is in them, without the marks that end a group."""
    depth, kept = 0, []
    for layer in layers:
        if layer.kind == "end":
            depth = max(0, depth - 1)
            continue
        layer.depth = depth
        kept.append(layer)
        depth += layer.kind == "group"
    return kept


def names(layers: list[Layer]) -> list[dict[str, object]]:
    """The first layers as the database keeps them."""
    return [
        {"name": layer.name[:100], "kind": layer.kind, **({"hidden": True} if layer.hidden else {}), "depth": layer.depth}
        for layer in layers[:_MAX_NAMES]
    ]


def _is_merged(file: BinaryIO, psd: Psd) -> bool:
    """Whether the program that wrote the file put a real picture there, and not white paper."""
    if _VERSION not in psd.resources:
        return True
    file.seek(psd.resources[_VERSION][0] + 4)
    return file.read(1) != b"\0"


class _Rows(NamedTuple):
    """Of the merged picture, channel by channel. ``sizes`` are the bytes of each row; of raw ones, those of all rows of a channel."""

    sizes: list[int]
    packed: bool


def _rows(file: BinaryIO, psd: Psd) -> _Rows | None:
    """How long they are; the first begins where the file then stands. None for a mode or packing that TIFF has not."""
    wanted = _CHANNELS.get(psd.mode)
    file.seek(psd.merged)
    packing = int.from_bytes(file.read(2), "big")
    if wanted is None or psd.channels < wanted or packing not in (_RAW, _PACKED) or (psd.mode == _INDEXED and len(psd.palette) != 768):
        return None
    if max(psd.width, psd.height) > _MAX_SIDE or psd.channels > _MAX_CHANNELS:
        return None  # no program writes that
    if packing == _RAW:
        return _Rows([(psd.width * psd.depth + 7) // 8 * psd.height] * wanted, packed=False)
    size = 4 if psd.wide else 2
    table = file.read(size * psd.height * psd.channels)[: size * psd.height * wanted]
    if len(table) != size * psd.height * wanted:
        raise breaks_off(_WHAT)
    file.seek(psd.merged + 2 + size * psd.height * psd.channels)
    return _Rows(list(struct.unpack(f">{psd.height * wanted}{'I' if psd.wide else 'H'}", table)), packed=True)


def _wrap(file: BinaryIO, psd: Psd, to: Path) -> bool:
    """Give the merged picture a TIFF's head; False for a mode or packing that TIFF has not."""
    rows = _rows(file, psd)
    if rows is None:
        return False
    with to.open("wb") as tiff:
        tiff.write(b"MM\0*\0\0\0\0")
        left = sum(rows.sizes)
        while chunk := file.read(min(left, _CHUNK)):
            tiff.write(chunk)
            left -= len(chunk)
        if left:
            raise breaks_off(_WHAT)
        if tiff.tell() > _MAX_TIFF:
            return False
        _write_directory(tiff, psd, rows.sizes, packed=rows.packed, profile=_profile(file, psd))
    return _inverted(to) if psd.mode == _CMYK else True


def _profile(file: BinaryIO, psd: Psd) -> bytes:
    offset, length = psd.resources.get(_PROFILE, (0, 0))
    file.seek(offset)
    return file.read(length) if 128 < length < _MAX_RESOURCE and psd.mode in (_RGB, _CMYK, 1) else b""


def _write_directory(tiff: BinaryIO, psd: Psd, counts: list[int], *, packed: bool, profile: bytes) -> None:
    """TIFF's list of tags, after the rows: one strip a row of each channel, or one a channel."""
    channels = _CHANNELS[psd.mode]
    offsets, at = [], 8
    for count in counts:
        offsets.append(at)
        at += count
    samples = 3 if psd.depth == 32 else 1
    tags: dict[int, tuple[int, list[int]]] = {
        256: (_LONG, [psd.width]), 257: (_LONG, [psd.height]), 258: (3, [psd.depth] * channels),
        259: (3, [32773 if packed else 1]), 262: (3, [_PHOTOMETRIC[psd.mode]]), 273: (_LONG, offsets), 277: (3, [channels]),
        278: (_LONG, [1 if packed else psd.height]), 279: (_LONG, counts), 284: (3, [2 if channels > 1 else 1]),
        339: (3, [samples] * channels),
    }  # fmt: skip
    if psd.mode == _INDEXED:
        tags[320] = (3, [value * 257 for value in psd.palette])
    if profile:
        tags[34675] = (7, list(profile))
    codes = {3: "H", _LONG: "I", 7: "B"}
    tiff.seek(at + at % 2)
    entries = b""
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f">{len(values)}{codes[kind]}", *values)
        if len(data) > 4:
            entries += struct.pack(">HHII", tag, kind, len(values), tiff.tell())
            tiff.write(data + b"\0" * (len(data) % 2))
        else:
            entries += struct.pack(">HHI4s", tag, kind, len(values), data.ljust(4, b"\0"))
    place = tiff.tell()
    tiff.write(struct.pack(">H", len(tags)) + entries + bytes(4))
    tiff.seek(4)
    tiff.write(struct.pack(">I", place))


def _inverted(tiff: Path) -> bool:
    """Photoshop writes how much paper is left, TIFF how much ink there is."""
    upright = tiff.with_name(tiff.name + ".upright")
    try:
        pyvips.Image.tiffload(str(tiff), access="sequential").invert().tiffsave(str(upright))
    except pyvips.Error as error:
        raise damaged(_WHAT, "its merged picture cannot be read") from error
    shutil.move(upright, tiff)
    return True


def _number(file: BinaryIO, size: int) -> int:
    number = int.from_bytes(_exactly(file, size), "big")
    if number >= _BEYOND_ANY_FILE:
        raise breaks_off(_WHAT)
    return number


def _exactly(file: BinaryIO, size: int) -> bytes:
    return exactly(file, size, _WHAT)
