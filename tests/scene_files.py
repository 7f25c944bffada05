"""Makers of 3D files for tests: a glTF scene put together piece by piece, and a few shapes to fill it with."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Points (n, 3) and triangles (m, 3)."""

_KINDS = {"f4": 5126, "u4": 5125, "u2": 5123, "u1": 5121, "i2": 5122, "i1": 5120}
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


def box(width: float = 1, height: float = 1, depth: float = 1) -> Shape:
    """A box around 0, whose corners are shared by its sides."""
    corners = [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))]
    return np.array(corners, np.float32) * np.array([width, height, depth], np.float32), np.array(triangles)


def ring(around: int = 60, across: int = 30) -> Shape:
    """A torus that lies flat."""
    u, v = np.meshgrid(np.arange(around) * 2 * np.pi / around, np.arange(across) * 2 * np.pi / across, indexing="ij")
    points = np.stack([(1 + 0.4 * np.cos(v)) * np.cos(u), 0.4 * np.sin(v), (1 + 0.4 * np.cos(v)) * np.sin(u)], axis=-1).reshape(-1, 3)
    i, j = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    a, b = i * across + j, (i + 1) % around * across + j
    c, d = (i + 1) % around * across + (j + 1) % across, i * across + (j + 1) % across
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return points.astype(np.float32), triangles


class Scene:
    """A glTF scene. ``description`` may be changed freely before it is written."""

    def __init__(self) -> None:
        self.description: dict[str, Any] = {
            "asset": {"version": "2.0"}, "scenes": [{"nodes": []}],
            **{name: [] for name in ("nodes", "meshes", "accessors", "bufferViews", "materials", "textures", "images")},
        }  # fmt: skip
        self._binary = b""

    def view(self, data: bytes, **more: Any) -> int:
        self._binary += bytes(-len(self._binary) % 4)
        self.description["bufferViews"].append({"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data), **more})
        self._binary += data
        return len(self.description["bufferViews"]) - 1

    def accessor(self, values: NDArray[Any], **more: Any) -> int:
        kind, width = _KINDS[values.dtype.str[1:]], 1 if values.ndim == 1 else values.shape[1]
        entry = {"bufferView": self.view(values.tobytes()), "count": len(values), "componentType": kind, "type": _TYPES[width]}
        self.description["accessors"].append({**entry, **more})
        return len(self.description["accessors"]) - 1

    def material(self, colour: tuple[float, float, float], **more: Any) -> int:
        self.description["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [*colour, 1], **more}})
        return len(self.description["materials"]) - 1

    def texture(self, picture: bytes) -> int:
        self.description["images"].append({"bufferView": self.view(picture), "mimeType": "image/png"})
        self.description["textures"].append({"source": len(self.description["images"]) - 1})
        return len(self.description["textures"]) - 1

    def mesh(self, shape: Shape, colour: tuple[float, float, float] | None = None, **attributes: NDArray[Any]) -> int:
        primitive: dict[str, Any] = {
            "attributes": {"POSITION": self.accessor(shape[0]), **{name: self.accessor(values) for name, values in attributes.items()}},
            "indices": self.accessor(shape[1].astype("<u4").ravel()),
        }
        if colour is not None:
            primitive["material"] = self.material(colour)
        return self.add_mesh(primitive)

    def add_mesh(self, primitive: dict[str, Any]) -> int:
        self.description["meshes"].append({"primitives": [primitive]})
        return len(self.description["meshes"]) - 1

    def show(self, mesh: int, **node: Any) -> None:
        self.description["nodes"].append({"mesh": mesh, **node})
        self.description["scenes"][0]["nodes"].append(len(self.description["nodes"]) - 1)

    def glb(self) -> bytes:
        text = json.dumps({**self.description, "buffers": [{"byteLength": len(self._binary)}]}).encode()
        text += b" " * (-len(text) % 4)
        binary = self._binary + bytes(-len(self._binary) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

    def gltf(self, uri: str | None = None) -> bytes:
        """As text, with the buffer written into it, or at ``uri``."""
        uri = uri or "data:application/octet-stream;base64," + base64.b64encode(self._binary).decode()
        return json.dumps({**self.description, "buffers": [{"byteLength": len(self._binary), "uri": uri}]}).encode()


def shown(shape: Shape, colour: tuple[float, float, float] | None = None) -> Scene:
    """A scene of one mesh on one node."""
    scene = Scene()
    scene.show(scene.mesh(shape, colour))
    return scene
