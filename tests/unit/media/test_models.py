"""3D models: how many vertices and faces, and how large they are."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from kayan_workers.demo.samples import glb
from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examine import examine
from kayan_workers.media.file_type import FileType
from kayan_workers.media.models import models
from kayan_workers.media.sniff import sniff
from scene_files import Scene, box, shown

CORNERS = [(0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 4.0)]
FACES = [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]
BOUNDS = {"min": [0.0, 0.0, 0.0], "max": [2.0, 3.0, 4.0]}


def obj() -> bytes:
    lines = ["# tetrahedron", *("v {} {} {}".format(*corner) for corner in CORNERS), "vn 0 0 1"]
    return "\n".join([*lines, *("f {}//1 {}//1 {}//1".format(*(n + 1 for n in face)) for face in FACES)]).encode()


def binary_stl(header: bytes = b"solid of another kind") -> bytes:
    triangles = b"".join(struct.pack("<12fH", 0, 0, 0, *(value for n in face for value in CORNERS[n]), 0) for face in FACES)
    return header.ljust(80) + struct.pack("<I", len(FACES)) + triangles


def ascii_stl() -> bytes:
    loops = ["".join("vertex {} {} {}\n".format(*CORNERS[n]) for n in face) for face in FACES]
    facets = [f"facet normal 0 0 0\nouter loop\n{loop}endloop\nendfacet\n" for loop in loops]
    return ("solid tent\n" + "".join(facets) + "endsolid\n").encode()


def ply(encoding: str) -> bytes:
    header = (
        f"ply\nformat {encoding} 1.0\ncomment made here\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n"
    )
    if encoding == "ascii":
        rows = ["{} {} {} 255".format(*corner) for corner in CORNERS] + ["3 {} {} {}".format(*face) for face in FACES]
        return (header + "\n".join(rows) + "\n").encode()
    order = "<" if "little" in encoding else ">"
    body = b"".join(struct.pack(order + "3fB", *corner, 255) for corner in CORNERS)
    return header.encode() + body + b"".join(struct.pack(order + "B3i", 3, *face) for face in FACES)


@pytest.mark.parametrize(
    ("name", "content", "kind", "vertices"),
    [
        ("a.glb", glb(CORNERS, FACES), "GLB", 4),
        ("a.obj", obj(), "OBJ", 4),
        ("a.stl", binary_stl(), "STL", 12),
        ("b.stl", ascii_stl(), "STL", 12),
        ("a.ply", ply("ascii"), "PLY", 4),
        ("b.ply", ply("binary_little_endian"), "PLY", 4),
        ("c.ply", ply("binary_big_endian"), "PLY", 4),
    ],
)
def test_every_format_tells_vertices_faces_and_bounds(tmp_path: Path, name: str, content: bytes, kind: str, vertices: int) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    found = models.describe(path).metadata

    assert found["format"] == kind
    assert found["vertices"] == vertices
    assert found["faces"] == 4
    assert found["bounds"] == BOUNDS


@pytest.mark.parametrize(
    ("content", "is_model"),
    [
        (obj(), True),
        (b"# made by hand\nmtllib tent.mtl\no tent\n" + obj(), True),
        (b"v 0 0 0 0.5 0.5 0.5\r\n\tv\t1e3 -2. .5\r\n", True),
        (b"# " + b"licence " * 300 + b"\n" + obj(), True),
        (b"v 1.25 2.25 3.25\n" * 300, True),
        (b"What is new\nv 2.1 beta\nv 1.0 released\n", False),
        (b"v 1 2 3\nv 2.1 beta\n", False),
        (b"v 1 2\n", False),
        (b"mtllib is the word for\nmtllib materials\n", False),
        (b"v\n", False),
    ],
)
def test_a_file_of_another_name_is_an_obj_if_its_vertices_are_numbers(tmp_path: Path, content: bytes, is_model: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)

    assert models.can_read(path, sniff(path)) is is_model


@pytest.mark.parametrize("file_type", [FileType.MODEL_3D, FileType.OTHER, FileType.DOCUMENT])
@pytest.mark.parametrize(
    ("content", "name"), [(b"ISO-10303-21;\nHEADER;\n", "STEP"), (b'<?xml version="1.0"?><COLLADA xmlns="c"/>', "COLLADA")]
)
def test_a_model_that_nobody_here_can_read_is_stored_and_named(tmp_path: Path, content: bytes, name: str, file_type: FileType) -> None:
    path = tmp_path / "stand.stp"
    path.write_bytes(content)

    assert examine(path, file_type, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": name, "inspected": False}


@pytest.mark.parametrize("file_type", [FileType.MODEL_3D, FileType.DESIGN, FileType.DOCUMENT, FileType.OTHER, FileType.IMAGE])
@pytest.mark.parametrize(
    ("content", "name"), [(b"  0\r\nSECTION\r\n  2\r\nHEADER\r\n", "DXF"), (b"AC1032" + b"\0" * 5 + b"\4\1", "DWG")]
)
def test_a_plan_is_stored_and_named_whatever_the_app_takes_it_for(tmp_path: Path, content: bytes, name: str, file_type: FileType) -> None:
    path = tmp_path / "plan.dat"
    path.write_bytes(content)

    assert examine(path, file_type, Ffmpeg("no-ffmpeg")).facts.metadata == {"format": name, "inspected": False}


@pytest.mark.parametrize("name", ["scan.xyz", "stand.stp", "stand.x_t", "hall.c4dtext", "hall.MTL"])
def test_words_may_be_a_model_of_a_format_that_nobody_here_knows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"0.1 0.2 0.3 some words\n")

    metadata = examine(tmp_path / name, FileType.MODEL_3D, Ffmpeg("no-ffmpeg")).facts.metadata

    assert metadata == {"format": "text", "inspected": False}


@pytest.mark.parametrize(
    "name", ["stand", "stand.txt", "stand.CSV", "stand.gltf", "stand.glb", "stand.obj", "stand.stl", "stand.ply", "stand.png", "stand.docx"]
)
def test_words_under_a_name_of_another_kind_are_no_model(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"plain words")

    with pytest.raises(PermanentError, match=r"not a 3D model we can read|the OBJ model"):
        examine(tmp_path / name, FileType.MODEL_3D, Ffmpeg("no-ffmpeg"))


def test_pages_are_no_model_whatever_their_name(tmp_path: Path) -> None:
    path = tmp_path / "stand.stp"
    for content in (b"<!DOCTYPE html><html></html>", b"%PDF-1.7\n"):
        path.write_bytes(content)

        with pytest.raises(PermanentError, match="not a 3D model we can read"):
            examine(path, FileType.MODEL_3D, Ffmpeg("no-ffmpeg"))


def test_the_scenes_own_transforms_count_for_the_bounds(tmp_path: Path) -> None:
    path = tmp_path / "large.glb"
    path.write_bytes(glb(CORNERS, FACES, scale=10))

    assert models.describe(path).metadata["bounds"] == {"min": [0.0, 0.0, 0.0], "max": [20.0, 30.0, 40.0]}


def scene(nodes: list[dict[str, object]]) -> bytes:
    return json.dumps({
        "asset": {"version": "2.0"}, "scenes": [{"nodes": [0]}], "nodes": nodes,
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"count": 3, "componentType": 5126, "type": "VEC3", "min": [1, 0, 0], "max": [1, 0, 0]}],
    }).encode()  # fmt: skip


def test_a_turned_and_moved_node_stands_where_it_was_put(tmp_path: Path) -> None:
    quarter = 2**-0.5
    path = tmp_path / "turned.gltf"
    nodes: list[dict[str, object]] = [{"children": [1], "translation": [0, 0, 5]}, {"mesh": 0, "rotation": [0, 0, quarter, quarter]}]
    path.write_bytes(scene(nodes))

    bounds = models.describe(path).metadata["bounds"]

    assert isinstance(bounds, dict)
    assert bounds["min"] == pytest.approx([0, 1, 5])


def test_a_scene_that_runs_in_a_circle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "circle.gltf"
    path.write_bytes(scene([{"children": [0], "mesh": 0}]))

    with pytest.raises(PermanentError, match="circle"):
        models.describe(path)


def test_a_glb_that_does_not_begin_with_its_scene_is_not_blamed_on_its_version(tmp_path: Path) -> None:
    path = tmp_path / "headless.glb"
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 20) + struct.pack("<I4s", 4, b"BIN\0") + b"nope")

    with pytest.raises(PermanentError, match="damaged or incomplete: it does not begin with its JSON part"):
        models.describe(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.glb", glb(CORNERS, FACES)[:-30]),
        ("odd.glb", b"glTF" + struct.pack("<II", 2, 20) + struct.pack("<I4s", 4, b"JSON") + b"nope"),
        ("none.gltf", b'{"asset": {"version": "2.0"}, "scenes": [{"nodes": [7]}], "nodes": [{}], "meshes": []}'),
        ("cut.ply", ply("binary_little_endian")[:-80]),
        ("cut2.ply", ply("ascii")[:120]),
        ("empty.obj", b"# nothing\n"),
        ("long.obj", b"v " + b"1" * 100_000),
        ("bad.obj", b"v one two three\n"),
        ("none.stl", b"solid x\nfacet\nendsolid\n"),
    ],
)
def test_a_damaged_model_is_refused_in_words(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(PermanentError, match="model"):
        models.describe(path)


def test_a_picture_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)

    with pytest.raises(PermanentError, match="PNG"):
        models.describe(path)


def test_a_description_nested_without_end_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "deep.gltf"
    path.write_bytes(b'{"asset": {"version": "2.0"}, "meshes": [], "extras": ' + b"[" * 100_000 + b"]" * 100_000 + b"}")

    with pytest.raises(PermanentError, match="damaged"):
        models.describe(path)


def lie(scene: Scene, where: str) -> None:
    accessors, views = scene.description["accessors"], scene.description["bufferViews"]
    match where:
        case "vertices beyond their view":
            accessors[0]["count"] = 10**12
        case "faces beyond their view":
            accessors[1]["count"] += 3
        case "a view beyond its buffer":
            accessors[0]["count"], views[0]["byteLength"] = 10**9, 12 * 10**9
        case "vertices that stand nowhere":
            accessors[0] = {"count": 10**12, "componentType": 5126, "type": "VEC3"}


@pytest.mark.parametrize("binary", [True, False], ids=["GLB", "glTF"])
@pytest.mark.parametrize(
    "where", ["vertices beyond their view", "faces beyond their view", "a view beyond its buffer", "vertices that stand nowhere"]
)
def test_more_vertices_or_faces_than_there_are_bytes_for_are_no_fact(tmp_path: Path, where: str, binary: bool) -> None:
    scene = shown(box())
    path = tmp_path / "lies"
    path.write_bytes(scene.glb() if binary else scene.gltf())
    assert models.describe(path).metadata["vertices"] == 8

    lie(scene, where)
    path.write_bytes(scene.glb() if binary else scene.gltf())

    with pytest.raises(PermanentError, match="damaged"):
        models.describe(path)
