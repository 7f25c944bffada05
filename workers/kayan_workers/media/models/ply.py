"""PLY: scans and point clouds, as text or as bytes of either order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import breaks_off, damaged
from kayan_workers.media.models import ending
from kayan_workers.media.models.faces import fans
from kayan_workers.media.models.shape import MAX_DRAWN, MAX_POINTS, Bytes, Part, Survey, sample, valid
from kayan_workers.media.reading import exactly, size_of

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2", "uint16": "u2",
    "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_ENCODINGS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_ROWS_A_BLOCK = 10_000
_BLOCK = 4_000_000
_WHAT = "the PLY model"
_FEWER = "it has fewer vertices or faces than its header says"
_MAX_LINE = 8000
_READ = {"x", "y", "z", "red", "green", "blue"}
_MAX_HEADER_LINES = 1000
_MAX_CORNERS = 1000
_GLIMPSE = 16
_MAX_FACE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    kind: str
    """numpy's code of its number, without byte order."""
    counter: str | None = None
    """The code of the number that says how long a list is; None for a single number."""


@dataclass(frozen=True, slots=True)
class _Element:
    name: str
    count: int
    properties: tuple[_Property, ...]

    @property
    def plain(self) -> bool:
        """Whether each of its rows is equally long."""
        return all(one.counter is None for one in self.properties)

    @property
    def row(self) -> ending.Row | None:
        """How its rows are written as bytes, if they hold one list each, whose length is a whole number."""
        before, counter, corner, after = 0, 0, 0, 0
        for one in self.properties:
            size = np.dtype(one.kind).itemsize
            if one.counter is None and counter:
                after += size
            elif one.counter is None:
                before += size
            elif counter or one.counter.startswith("f"):
                return None
            else:
                counter, corner = np.dtype(one.counter).itemsize, size
        return ending.Row(before, counter, corner, after) if counter else None


@dataclass(frozen=True, slots=True)
class _Header:
    order: str
    """``<`` or ``>``; empty for text."""
    elements: tuple[_Element, ...]

    def count(self, name: str) -> int:
        return sum(element.count for element in self.elements if element.name == name)

    @property
    def begins_with_places(self) -> bool:
        first = self.elements[0] if self.elements else None
        return first is not None and first.name == "vertex" and first.plain and {"x", "y", "z"} <= {one.name for one in first.properties}


def survey(source: Path) -> Survey:
    with source.open("rb") as file:
        header = _read_header(file)
        found = Survey(vertices=header.count("vertex"), faces=header.count("face"))
        for rows in _vertices(file, header):
            found.reach(_columns(rows, "x", "y", "z"))
        if _breaks_off(file, header):
            found.more["damaged"] = True
    return found


def parts(source: Path) -> list[Part]:
    with source.open("rb") as file:
        header = _read_header(file)
        vertices, faces = header.count("vertex"), header.count("face")
        if faces and vertices > MAX_POINTS:
            raise PermanentError(f"it has {vertices} vertices, more than the {MAX_POINTS} that are drawn")
        every = 1 if faces else max(1, -(-vertices // MAX_POINTS))
        points, colours = [], []
        for block in _vertices(file, header):
            rows = block[sample(len(block), every)]
            points.append(_columns(rows, "x", "y", "z"))
            colours.append(_colours(rows))
        if not points:
            raise PermanentError("its vertices have no place")
        placed = np.concatenate(points).astype(np.float32)
        coloured = None if any(block is None for block in colours) else np.concatenate([block for block in colours if block is not None])
        triangles = _triangles(file, header)
    if not faces:
        return [Part(points=placed, colours=coloured)]
    step = max(1, -(-len(triangles) // MAX_DRAWN))
    chosen = valid(triangles[sample(len(triangles), step)], len(placed))
    return [Part(points=placed, triangles=chosen if len(chosen) else None, colours=coloured, step=step)]


def _read_header(file: BinaryIO) -> _Header:
    order: str | None = None
    elements: list[tuple[str, int, list[_Property]]] = []
    for _ in range(_MAX_HEADER_LINES):
        words = file.readline(1024).decode("ascii", "replace").split()
        match words:
            case ["format", encoding, *_]:
                order = _ENCODINGS[encoding]
            case ["element", name, count, *_]:
                elements.append((name, int(count), []))
            case ["property", "list", counter, kind, name]:
                elements[-1][2].append(_Property(name, _TYPES[kind], _TYPES[counter]))
            case ["property", kind, name]:
                elements[-1][2].append(_Property(name, _TYPES[kind]))
            case ["end_header", *_]:
                if order is None or any(count < 0 for _, count, _ in elements):
                    break
                if max((count for _, count, _ in elements), default=0) > size_of(file):
                    raise breaks_off(_WHAT, _FEWER)  # no row is shorter than a byte
                return _Header(order, tuple(_Element(name, count, tuple(properties)) for name, count, properties in elements))
    raise damaged(_WHAT, "its header does not say how it is written, or breaks off")


def _vertices(file: BinaryIO, header: _Header) -> Iterator[NDArray[np.void]]:
    """Rows with a field for each property, if the vertices come first and say where they are."""
    if not header.begins_with_places:
        return
    first = header.elements[0]
    for start in range(0, first.count, _ROWS_A_BLOCK):
        yield _rows(file, header.order, first, min(_ROWS_A_BLOCK, first.count - start))


def _breaks_off(file: BinaryIO, header: _Header) -> bool:
    """Whether the file, whose vertices have been read, ends before its faces do, if they come next."""
    others = [element for element in header.elements[1:] if element.count]
    if not others or not header.begins_with_places:
        return False
    if not header.order:
        last = others[-1].properties
        list_at = next((at for at, one in enumerate(last) if one.counter is not None), None)
        return ending.within_lines(file, sum(one.count for one in others), words=len(last), list_at=list_at)
    face = others[0]
    row = face.row if face.name == "face" else None
    return row is not None and ending.within_rows(file, face.count, row, "big" if header.order == ">" else "little")


def _rows(file: BinaryIO, order: str, element: _Element, count: int) -> NDArray[np.void]:
    names = [one.name if one.name in _READ else f"{number}" for number, one in enumerate(element.properties)]
    kind = np.dtype([(name, (order or "<") + one.kind) for name, one in zip(names, element.properties, strict=True)])
    if order:
        return np.frombuffer(exactly(file, kind.itemsize * count, _WHAT, _FEWER), kind)
    rows = np.empty(count, kind)
    width = len(element.properties)
    values = np.fromstring(b" ".join(_lines(file, count)), sep=" ")
    if values.size != count * width:
        raise ValueError("a line has more or fewer numbers than its header says")
    for number, name in enumerate(names):
        rows[name] = values[number::width]
    return rows


def _columns(rows: NDArray[np.void], *names: str) -> NDArray[np.float64]:
    return np.stack([rows[name].astype(np.float64) for name in names], axis=1)


def _colours(rows: NDArray[np.void]) -> Bytes | None:
    """Red, green and blue, which are bytes or numbers up to 1."""
    if not {"red", "green", "blue"} <= set(rows.dtype.names or ()):
        return None
    values = _columns(rows, "red", "green", "blue")
    scale = 255.0 if rows.dtype["red"].kind == "f" else 255.0 / max(1, np.iinfo(rows.dtype["red"]).max)
    return np.nan_to_num(values * scale).clip(0, 255).astype(np.uint8)


def _triangles(file: BinaryIO, header: _Header) -> NDArray[np.int64]:
    """What the faces, which stand after the vertices, are made of; nothing if the rows of something else cannot be passed over."""
    for element in header.elements[1:]:
        lists = [number for number, one in enumerate(element.properties) if one.counter is not None]
        if element.name == "face":
            if not lists or element.properties[lists[0]].name not in ("vertex_indices", "vertex_index"):
                break
            read = _written_faces if not header.order else _packed_faces
            found = [fans(corners, counts) for corners, counts in read(file, header.order, element, lists[0])]
            return np.concatenate(found) if found else np.empty((0, 3), np.int64)
        if lists:
            break
        for start in range(0, element.count, _ROWS_A_BLOCK):
            _rows(file, header.order, element, min(_ROWS_A_BLOCK, element.count - start))
    return np.empty((0, 3), np.int64)


_Faces = tuple[NDArray[np.int64], NDArray[np.int64]]
"""The corners of some faces one after the other, and how many each face has."""


def _written_faces(file: BinaryIO, _: str, element: _Element, before: int) -> Iterator[_Faces]:
    for start in range(0, element.count, _ROWS_A_BLOCK):
        lines = _lines(file, min(_ROWS_A_BLOCK, element.count - start))
        lengths = np.array([len(line.split()) for line in lines])
        values = np.nan_to_num(np.fromstring(b" ".join(lines), sep=" ")).astype(np.int64)
        begins = np.cumsum(lengths) - lengths + before
        if values.size != lengths.sum() or (lengths <= before).any():
            raise ValueError("a face has something else than numbers")
        counts = values[begins]
        if (counts < 0).any() or (counts > lengths - before - 1).any():
            raise ValueError("a face has fewer corners than it says")
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        yield values[np.repeat(begins + 1, counts) + within], counts


def _packed_faces(file: BinaryIO, order: str, element: _Element, at: int) -> Iterator[_Faces]:
    """Runs of faces with equally many corners are taken at once: the strides of numpy pass over what else a row holds."""
    before = sum(np.dtype(one.kind).itemsize for one in element.properties[:at])
    the_list = element.properties[at]
    counter, corner = np.dtype(order + str(the_list.counter)), np.dtype(order + the_list.kind)
    after = element.properties[at + 1 :]
    fixed = sum(np.dtype(one.kind).itemsize for one in after if one.counter is None)
    equally_long = all(one.counter is None for one in after)
    data, left, ahead = b"", element.count, _GLIMPSE
    while left:
        block = file.read(_BLOCK)
        data += block
        here, corners, counts = 0, [], []
        while left and len(data) - here >= before + counter.itemsize:
            count = int(np.frombuffer(data, counter, 1, here + before)[0])
            if not 0 <= count <= _MAX_CORNERS:
                raise ValueError(f"a face has {count} corners")
            begin = here + before + counter.itemsize
            end = begin + count * corner.itemsize
            stride = _skipped(data, end, order, after) - here if not equally_long else end + fixed - here
            rows = min(left, ahead, (len(data) - here) // stride)
            if rows == 0:
                break
            run = 1
            if equally_long:
                said = np.ndarray(rows, counter, data, here + before, stride)
                different = said != count
                run = int(different.argmax()) if different.any() else rows
                ahead = 2 * ahead if run == rows else _GLIMPSE  # many short runs must not look at all that follows each time
            corners.append(np.ndarray((run, count), corner, data, begin, (stride, corner.itemsize)).astype(np.int64).ravel())
            counts.append(np.full(run, count))
            here, left = here + run * stride, left - run
        if counts:
            yield np.concatenate(corners), np.concatenate(counts)
        data = data[here:]
        if not block or len(data) > _MAX_FACE_BYTES:
            if left:
                raise breaks_off(_WHAT, _FEWER)
            return


def _skipped(data: bytes, at: int, order: str, properties: tuple[_Property, ...]) -> int:
    """Where a row ends whose last ``properties``, from ``at`` on, hold lists too; beyond the data when it is not all there."""
    for one in properties:
        size = np.dtype(one.kind).itemsize
        if one.counter is None:
            at += size
            continue
        counter = np.dtype(order + one.counter)
        if at + counter.itemsize > len(data):
            return len(data) + 1
        at += counter.itemsize + max(0, int(np.frombuffer(data, counter, 1, at)[0])) * size
    return at


def _lines(file: BinaryIO, count: int) -> list[bytes]:
    lines = [file.readline(_MAX_LINE) for _ in range(count)]
    if not lines[-1]:
        raise breaks_off(_WHAT, _FEWER)
    return lines
