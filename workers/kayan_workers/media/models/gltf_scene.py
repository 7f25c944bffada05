"""What a glTF file says of its scene: only the fields that are used here are read, however many others there are."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Annotated

import msgspec

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import breaks_off, damaged
from kayan_workers.media.reading import exactly, size_of

_GLB = "the GLB model"
_MAX_JSON = 64_000_000
_MAX_ENTRIES = 2_000_000
"""Things and numbers in the description; each takes some hundred bytes of memory, however few it takes in the file."""

Index = Annotated[int, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Three = tuple[float, float, float]


class Sparse(msgspec.Struct, rename="camel"):
    class Places(msgspec.Struct, rename="camel"):
        buffer_view: Index
        component_type: int = 5126
        byte_offset: Count = 0

    count: Count
    indices: Places
    values: Places


class Accessor(msgspec.Struct, rename="camel"):
    count: Count
    component_type: int
    type: str
    buffer_view: Index | None = None
    byte_offset: Count = 0
    normalized: bool = False
    min: list[float] | None = None
    max: list[float] | None = None
    sparse: Sparse | None = None


class BufferView(msgspec.Struct, rename="camel"):
    buffer: Index
    byte_length: Count
    byte_offset: Count = 0
    byte_stride: Count | None = None
    extensions: dict[str, msgspec.Raw] = {}


class Buffer(msgspec.Struct, rename="camel"):
    byte_length: Count = 0
    uri: str | None = None


class Primitive(msgspec.Struct, rename="camel"):
    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: int = 4
    extensions: dict[str, msgspec.Raw] = {}


class Mesh(msgspec.Struct, rename="camel"):
    primitives: list[Primitive] = []


class Node(msgspec.Struct, rename="camel"):
    children: list[Index] = []
    mesh: Index | None = None
    matrix: tuple[float, ...] | None = None
    rotation: tuple[float, float, float, float] = (0, 0, 0, 1)
    scale: Three = (1, 1, 1)
    translation: Three = (0, 0, 0)


class SceneOfNodes(msgspec.Struct, rename="camel"):
    nodes: list[Index] = []


class TextureUse(msgspec.Struct, rename="camel"):
    index: Index
    tex_coord: Index = 0


class Surface(msgspec.Struct, rename="camel"):
    base_color_factor: tuple[float, float, float, float] = (1, 1, 1, 1)
    base_color_texture: TextureUse | None = None


class Material(msgspec.Struct, rename="camel"):
    pbr_metallic_roughness: Surface = msgspec.field(default_factory=Surface)


class Texture(msgspec.Struct, rename="camel"):
    source: Index | None = None


class Picture(msgspec.Struct, rename="camel"):
    buffer_view: Index | None = None
    uri: str | None = None


class Origin(msgspec.Struct, rename="camel"):
    generator: str = ""


class Scene(msgspec.Struct, rename="camel"):
    """The whole description."""

    asset: Origin = msgspec.field(default_factory=Origin)
    scene: Index = 0
    scenes: list[SceneOfNodes] = []
    nodes: list[Node] = []
    meshes: list[Mesh] = []
    accessors: list[Accessor] = []
    buffer_views: list[BufferView] = []
    buffers: list[Buffer] = []
    materials: list[Material] = []
    textures: list[Texture] = []
    images: list[Picture] = []
    animations: list[msgspec.Raw] = []


def read_scene(source: Path, *, binary: bool) -> tuple[Scene, tuple[int, int]]:
    """The description, and where in the file the buffer stands that a GLB brings along: first byte and length, 0 if there is none.

    Raises PermanentError when the file breaks off or its description is too large or no glTF.
    """
    with source.open("rb") as file:
        if not binary:
            return _decoded(_bounded(file.read(_MAX_JSON + 1))), (0, 0)
        _, version, length = struct.unpack("<4sII", exactly(file, 12, _GLB))
        size, chunk = struct.unpack("<I4s", exactly(file, 8, _GLB))
        if version != 2:
            raise PermanentError(f"the GLB model is of version {version}, and version 2 is what can be read", "export it anew")
        if chunk != b"JSON":
            raise damaged(_GLB, "it does not begin with its JSON part")
        if length > size_of(file):
            raise breaks_off(_GLB)
        scene = _decoded(_bounded(exactly(file, min(size, _MAX_JSON + 1), _GLB)))
        head = file.read(8)
        if len(head) == 8 and head[4:] == b"BIN\0":
            return scene, (file.tell(), int.from_bytes(head[:4], "little"))
        return scene, (0, 0)


def _bounded(text: bytes) -> bytes:
    if len(text) > _MAX_JSON:
        limit = _MAX_JSON // 1_000_000
        raise PermanentError(f"the model's description has more than the {limit} MB that are read here", "export it as GLB")
    if text.count(b",") + text.count(b"{") + text.count(b"[") > _MAX_ENTRIES:
        raise PermanentError(f"the model's description has more than the {_MAX_ENTRIES} entries that are read here")
    return text


def _decoded(text: bytes) -> Scene:
    try:
        return msgspec.json.decode(text, type=Scene, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise damaged("the model", "its description is no glTF") from error
