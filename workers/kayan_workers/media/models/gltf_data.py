"""The numbers of a glTF file: out of its buffers, as arrays. Buffers in other files or on the net are never asked for."""

from __future__ import annotations

import base64
import binascii
import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kayan_workers.errors import PermanentError
from kayan_workers.media.models.gltf_scene import Accessor, Buffer, BufferView, Scene
from kayan_workers.media.models.shape import MAX_POINTS

_KINDS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_MAX_NUMBERS = 4 * MAX_POINTS
_MAX_BUFFER = 100_000_000
"""Bytes of a buffer that is written into the description."""


class Data:
    """The arrays of one file."""

    def __init__(self, source: Path, scene: Scene, own: tuple[int, int]) -> None:
        self._source = source
        self._scene = scene
        self._start, self._length = own
        self._held = [self._bytes_of_buffer(number, buffer) for number, buffer in enumerate(scene.buffers)]

    def check(self, number: int) -> None:
        """Raises ValueError when an accessor claims more values than there are bytes for. Buffers in other files are believed.

        What is compressed with meshopt is checked against the size that it unpacks to.
        """
        accessor = self._scene.accessors[number]
        width, kind = self._layout(accessor)
        if accessor.buffer_view is None:
            if accessor.count * width > _MAX_NUMBERS:
                raise ValueError("more values than anybody writes stand nowhere")
            return
        view = self._scene.buffer_views[accessor.buffer_view]
        end = accessor.byte_offset + _bytes_of_rows(view, accessor.byte_offset, accessor.count, kind.itemsize * width)
        if not _is_meshopt(view) and view.byte_offset + end > self._held[view.buffer]:
            raise ValueError("some of its values stand outside of their buffer")

    def array(self, number: int) -> NDArray[np.generic]:
        """An accessor's values (count, width) in the type they are written in, or as floats where they are normalized."""
        accessor = self._scene.accessors[number]
        width, kind = self._layout(accessor)
        if accessor.count * width > _MAX_NUMBERS:
            raise PermanentError(f"one of its parts has {accessor.count} vertices, more than the {MAX_POINTS} that are drawn")
        if accessor.buffer_view is None:
            values = np.zeros((accessor.count, width), kind)
        else:
            values = self._values(accessor.buffer_view, accessor.byte_offset, accessor.count, width, kind)
        if accessor.sparse is not None:
            values = self._replaced(values, accessor, kind)
        if not accessor.normalized or kind.kind == "f":
            return values
        return np.maximum(values / np.float32(np.iinfo(kind).max), -1).astype(np.float32)

    def bytes_of(self, view_number: int) -> bytes:
        """A buffer view as it stands."""
        view = self._scene.buffer_views[view_number]
        return self._read(view_number, view.byte_offset, view.byte_length)

    def _layout(self, accessor: Accessor) -> tuple[int, np.dtype[Any]]:
        """How many numbers a value has, and of which type."""
        width = _WIDTHS.get(accessor.type)
        if width is None or accessor.component_type not in _KINDS:
            raise ValueError(f"values of type {accessor.type[:20]}, {accessor.component_type}")
        return width, np.dtype(_KINDS[accessor.component_type])

    def _bytes_of_buffer(self, number: int, buffer: Buffer) -> int:
        """How many bytes of a buffer there are at most; of one in another file, how many it is said to have."""
        if buffer.uri is None:
            return min(self._length, self._source.stat().st_size - self._start) if number == 0 and self._start else 0
        if not buffer.uri.startswith("data:"):
            return buffer.byte_length
        return len(buffer.uri) - buffer.uri.find(",") - 1

    def _replaced(self, values: NDArray[np.generic], accessor: Accessor, kind: np.dtype[np.generic]) -> NDArray[np.generic]:
        sparse = accessor.sparse
        if sparse is None or sparse.count > accessor.count:
            raise ValueError("more values are replaced than there are")
        where, what = sparse.indices, sparse.values
        places = self._values(where.buffer_view, where.byte_offset, sparse.count, 1, np.dtype(_KINDS[where.component_type]))
        values = values.copy()
        values[places.ravel()] = self._values(what.buffer_view, what.byte_offset, sparse.count, values.shape[1], kind)
        return values

    def _values(self, view_number: int, offset: int, count: int, width: int, kind: np.dtype[np.generic]) -> NDArray[np.generic]:
        view = self._scene.buffer_views[view_number]
        row = kind.itemsize * width
        size = _bytes_of_rows(view, offset, count, row)
        if count == 0:
            return np.zeros((0, width), kind)
        data = self._read(view_number, view.byte_offset + offset, size)
        return np.ndarray((count, width), kind, data, 0, (view.byte_stride or row, kind.itemsize))

    def _read(self, view_number: int, offset: int, size: int) -> bytes:
        view = self._scene.buffer_views[view_number]
        if _is_meshopt(view):
            raise PermanentError("its shape is compressed with meshopt, which cannot be drawn here", "export it without compression")
        buffer = self._scene.buffers[view.buffer]
        if buffer.uri is not None:
            data = self._written(view.buffer)[offset : offset + size]
        else:
            if view.buffer != 0 or not self._start or offset + size > self._length:
                raise ValueError("some of its values stand outside of the file")
            with self._source.open("rb") as file:
                file.seek(self._start + offset)
                data = file.read(size)
        if len(data) != size:
            raise ValueError("some of its values stand outside of their buffer")
        return data

    @functools.lru_cache(maxsize=2)  # noqa: B019  it lives as long as the file is worked on
    def _written(self, number: int) -> bytes:
        return unpacked(self._scene.buffers[number].uri or "")


def _bytes_of_rows(view: BufferView, offset: int, count: int, row: int) -> int:
    """How many bytes ``count`` rows of ``row`` bytes take from ``offset`` on. Raises ValueError when they do not fit into the view."""
    stride = view.byte_stride or row
    size = stride * (count - 1) + row if count else 0
    if stride < row or stride > 255 or offset + size > view.byte_length:
        raise ValueError("some of its values stand outside of their buffer")
    return size


def _is_meshopt(view: BufferView) -> bool:
    return any("meshopt" in name for name in view.extensions)


def unpacked(uri: str) -> bytes:
    """What a ``data:`` address carries."""
    head, comma, body = uri.partition(",")
    if not head.startswith("data:") or not comma:
        raise PermanentError("its shape stands in another file, which was not uploaded with it", "export it as GLB")
    if len(body) > _MAX_BUFFER:
        raise PermanentError(f"it carries a buffer of more than the {_MAX_BUFFER // 1_000_000} MB that are read here", "export it as GLB")
    try:
        return base64.b64decode(body) if head.endswith(";base64") else body.encode("latin-1")
    except (binascii.Error, ValueError) as error:
        raise ValueError("a buffer is not what its address says") from error
