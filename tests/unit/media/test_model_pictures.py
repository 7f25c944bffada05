"""Pictures of 3D models: what stands in front is seen, in its colour and place, however the file writes it down."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kayan_workers.errors import PermanentError
from kayan_workers.media.models import gltf, gltf_scene, models, stl
from kayan_workers.media.models import obj as obj_files
from numpy.typing import NDArray
from PIL import Image
from scene_files import Scene, Shape, box, ring, shown

RED, BLUE, GREEN = (0.7, 0.02, 0.02), (0.02, 0.05, 0.7), (0.02, 0.5, 0.05)
Picture = NDArray[np.int16]


def drawn(path: Path, content: bytes) -> Picture:
    path.write_bytes(content)
    models.preview(path, path.with_name("page"), (400, 300))
    with Image.open(path.with_name("page")) as page:
        return np.asarray(page.convert("RGB")).astype(np.int16)


def where(picture: Picture, channel: int) -> NDArray[np.bool_]:
    """The pixels in which one of red, green and blue is far above both others."""
    others = np.delete(picture, channel, axis=2).max(axis=2)
    return np.asarray(picture[..., channel] > others + 50)


def model(picture: Picture) -> NDArray[np.bool_]:
    """The pixels that are neither paper nor shadow on it: grey of a model without colour is darker than either."""
    return np.asarray(picture.max(axis=2) < 215)


def alike(one: Picture, other: Picture) -> bool:
    return float(np.abs(one - other).mean()) < 1.5


def binary_stl(points: NDArray[Any], triangles: NDArray[Any]) -> bytes:
    records = np.zeros(len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
    records["corners"] = points[triangles]
    return bytes(80) + struct.pack("<I", len(triangles)) + records.tobytes()


def ascii_stl(points: NDArray[Any], triangles: NDArray[Any]) -> bytes:
    loops = ["".join("vertex {} {} {}\n".format(*point) for point in points[triangle]) for triangle in triangles]
    facets = [f"facet normal 0 0 0\nouter loop\n{loop}endloop\nendfacet\n" for loop in loops]
    return ("solid x\n" + "".join(facets) + "endsolid\n").encode()


def obj(points: NDArray[Any], triangles: NDArray[Any], corner: str = "{0}") -> bytes:
    faces = ["f " + " ".join(corner.format(n + 1, n - len(points)) for n in triangle) for triangle in triangles]
    return "\n".join([*("v {} {} {}".format(*point) for point in points), *faces]).encode()


def ply_file(points: NDArray[Any], faces: list[list[int]], encoding: str, colours: NDArray[Any] | None = None) -> bytes:
    axes = "".join(f"property float {name}\n" for name in ("x", "y", "z"))
    channels = "".join(f"property uchar {name}\n" for name in ("red", "green", "blue")) if colours is not None else ""
    lists = f"element face {len(faces)}\nproperty list uchar int vertex_indices\n" if faces else ""
    header = f"ply\nformat {encoding} 1.0\nelement vertex {len(points)}\n{axes}{channels}{lists}end_header\n"
    rows = [[*point, *(colours[n] if colours is not None else ())] for n, point in enumerate(points)]
    if encoding == "ascii":
        lines = [*(" ".join(map(str, row)) for row in rows), *(f"{len(face)} " + " ".join(map(str, face)) for face in faces)]
        return (header + "\n".join(lines) + "\n").encode()
    order = "<" if "little" in encoding else ">"
    code = order + "3f" + ("3B" if colours is not None else "")
    packed = [struct.pack(code, *row[:3], *map(int, row[3:])) for row in rows]
    return header.encode() + b"".join(packed) + b"".join(struct.pack(f"{order}B{len(face)}i", len(face), *face) for face in faces)


def test_a_model_stands_in_the_middle_of_light_paper_and_fills_it(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.glb", shown(box(), RED).glb())

    rows, columns = np.nonzero(where(picture, 0))
    assert picture.shape == (300, 400, 3)
    assert rows.min() < 45
    assert rows.max() > 255
    assert abs(columns.mean() - 200) < 10
    assert picture[:, [0, -1]].min() > 200


def test_sides_that_face_the_light_differently_are_told_apart(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.glb", shown(box(), RED).glb())

    shades = {int(value) // 12 for value in picture[where(picture, 0)][:, 0]}
    assert len(shades) >= 3


def test_a_curve_is_shaded_smoothly_although_it_is_made_of_flat_faces(tmp_path: Path) -> None:
    coarse = drawn(tmp_path / "a.glb", shown(ring(24, 12)).glb())
    flat = drawn(tmp_path / "b.stl", binary_stl(*(np.roll(ring(24, 12)[0], 1, axis=1), ring(24, 12)[1])))

    def steps(picture: Picture) -> float:
        inner = picture[140:230, 120:280, 0]
        return float(np.percentile(np.abs(np.diff(inner, axis=1)), 99))

    assert steps(coarse) < steps(flat) / 2


def test_each_mesh_stands_where_its_node_puts_it_and_what_is_in_front_hides_what_is_behind(tmp_path: Path) -> None:
    scene = Scene()
    red, blue, green = (scene.mesh(box(), colour) for colour in (RED, BLUE, GREEN))
    scene.show(red, translation=[-2, 0, 0])
    scene.show(blue, translation=[2, 0, 0], scale=[1, 2, 1])
    scene.show(green, translation=[-2, 0, 0], scale=[0.9, 0.9, 0.9])  # inside of the red one

    picture = drawn(tmp_path / "a.glb", scene.glb())

    assert np.nonzero(where(picture, 0))[1].max() < np.nonzero(where(picture, 2))[1].min()
    assert where(picture, 2).sum() > where(picture, 0).sum()
    assert not where(picture, 1).any()


def test_a_mesh_that_many_nodes_show_is_drawn_as_often(tmp_path: Path) -> None:
    scene = Scene()
    mesh = scene.mesh(box(), RED)
    for place in range(5):
        scene.show(mesh, translation=[2 * place, 0, 0])

    picture = drawn(tmp_path / "a.glb", scene.glb())

    columns = where(picture, 0).sum(axis=0) > 3
    assert int(np.count_nonzero(np.diff(columns.astype(int)) == 1)) == 5


def test_vertex_colours_and_the_material_make_the_colour_together(tmp_path: Path) -> None:
    points, triangles = box()
    colours = np.where(points[:, :1] > 0, (0, 0, 1, 1), (1, 0, 0, 1)).astype("<f4")
    scene = Scene()
    scene.show(scene.mesh((points, triangles), COLOR_0=colours))

    picture = drawn(tmp_path / "a.glb", scene.glb())

    assert np.nonzero(where(picture, 0))[1].mean() < np.nonzero(where(picture, 2))[1].mean()


def test_the_picture_on_a_surface_is_seen(tmp_path: Path) -> None:
    half = Image.new("RGB", (64, 64), (220, 20, 20))
    half.paste((20, 20, 220), (32, 0, 64, 64))
    half.save(file := io.BytesIO(), "PNG")
    scene = Scene()
    texture = scene.texture(file.getvalue())
    corners = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32)
    mesh = scene.mesh((corners, np.array([(0, 1, 2), (0, 2, 3)])), TEXCOORD_0=np.array([(0, 1), (1, 1), (1, 0), (0, 0)], np.float32))
    scene.description["meshes"][mesh]["primitives"][0]["material"] = scene.material((1, 1, 1), baseColorTexture={"index": texture})
    scene.show(mesh)

    picture = drawn(tmp_path / "a.glb", scene.glb())

    assert np.nonzero(where(picture, 0))[1].max() <= np.nonzero(where(picture, 2))[1].min() + 3


@pytest.mark.parametrize("bad", [b"no picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\2\0\0\0"])
def test_a_surface_whose_picture_cannot_be_read_keeps_its_plain_colour(tmp_path: Path, bad: bytes) -> None:
    scene = Scene()
    mesh = scene.mesh(box(), TEXCOORD_0=np.zeros((8, 2), np.float32))
    scene.description["meshes"][mesh]["primitives"][0]["material"] = scene.material(RED, baseColorTexture={"index": scene.texture(bad)})
    scene.show(mesh)

    assert where(drawn(tmp_path / "a.glb", scene.glb()), 0).any()


def test_a_gltf_with_its_buffer_inside_looks_like_the_glb(tmp_path: Path) -> None:
    scene = shown(ring(), RED)

    assert alike(drawn(tmp_path / "a.gltf", scene.gltf()), drawn(tmp_path / "a.glb", scene.glb()))


@pytest.mark.parametrize("uri", ["scene.bin", "http://127.0.0.1:1/scene.bin", "file:///etc/passwd"])
def test_a_buffer_elsewhere_is_not_fetched_but_its_counts_are_told(tmp_path: Path, uri: str) -> None:
    (tmp_path / "scene.bin").write_bytes(bytes(100_000))
    path = tmp_path / "a.gltf"

    with pytest.raises(PermanentError, match="stands in another file, which was not uploaded with it; export it as GLB"):
        drawn(path, shown(box()).gltf(uri))
    assert models.describe(path).metadata["faces"] == 12


@pytest.mark.parametrize("name", ["KHR_draco_mesh_compression", "EXT_meshopt_compression"])
def test_a_compressed_shape_is_counted_and_its_picture_refused_in_words(tmp_path: Path, name: str) -> None:
    scene = shown(box())
    holders = scene.description["meshes"][0]["primitives"] if "draco" in name else scene.description["bufferViews"]
    for holder in holders:
        holder["extensions"] = {name: {"bufferView": 0}}

    with pytest.raises(PermanentError, match=r"compressed with (Draco|meshopt).*export it without compression"):
        drawn(tmp_path / "a.glb", scene.glb())
    assert models.describe(tmp_path / "a.glb").metadata["vertices"] == 8


def plain_square() -> bytes:
    return shown((np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32), np.array([(0, 1, 2), (0, 2, 3)])), RED).glb()


def strip(scene: Scene) -> dict[str, Any]:
    corners = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], np.float32)
    return {"attributes": {"POSITION": scene.accessor(corners)}, "mode": 5}


def fan(scene: Scene) -> dict[str, Any]:
    corners = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32)
    return {"attributes": {"POSITION": scene.accessor(corners)}, "mode": 6}


def interleaved(scene: Scene) -> dict[str, Any]:
    rows = np.zeros(4, [("at", "<f4", 3), ("other", "<f4", 3)])
    rows["at"], rows["other"] = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0)], 7
    view = scene.view(rows.tobytes(), byteStride=24)
    scene.description["accessors"].append({"bufferView": view, "count": 4, "componentType": 5126, "type": "VEC3"})
    return {"attributes": {"POSITION": len(scene.description["accessors"]) - 1}, "mode": 5}


def whole_numbers(scene: Scene) -> dict[str, Any]:
    corners = np.array([(0, 0, 0), (32767, 0, 0), (0, 32767, 0), (32767, 32767, 0)], "<i2")
    return {"attributes": {"POSITION": scene.accessor(corners, normalized=True)}, "mode": 5}


def mostly_zero(scene: Scene) -> dict[str, Any]:
    """Only what is not zero is written down."""
    places, values = np.array([1, 2, 3], "<u2"), np.array([(1, 0, 0), (0, 1, 0), (1, 1, 0)], "<f4")
    scene.description["accessors"].append({
        "count": 4, "componentType": 5126, "type": "VEC3",
        "sparse": {
            "count": 3, "indices": {"bufferView": scene.view(places.tobytes()), "componentType": 5123},
            "values": {"bufferView": scene.view(values.tobytes())},
        },
    })  # fmt: skip
    return {"attributes": {"POSITION": len(scene.description["accessors"]) - 1}, "mode": 5}


@pytest.mark.parametrize("written", [strip, fan, interleaved, whole_numbers, mostly_zero])
def test_one_square_looks_the_same_however_gltf_writes_it(tmp_path: Path, written: Any) -> None:
    scene = Scene()
    scene.show(scene.add_mesh({**written(scene), "material": scene.material(RED)}))

    assert alike(drawn(tmp_path / "a.glb", scene.glb()), drawn(tmp_path / "b.glb", plain_square()))
    found = models.describe(tmp_path / "a.glb").metadata
    assert (found["faces"], found["bounds"]) == (2, {"min": [0, 0, 0], "max": [1, 1, 0]})


def test_bounds_that_a_file_leaves_out_are_measured(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(shown(box(2, 4, 6)).glb())

    assert models.describe(tmp_path / "a.glb").metadata["bounds"] == {"min": [-1, -2, -3], "max": [1, 2, 3]}


POINTS, TRIANGLES = ring(30, 16)


def zipped_quads() -> list[list[int]]:
    """Faces of three and four corners by turns."""
    _, triangles = box()
    quads = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6]]
    return [face for quad, half in zip(quads, triangles[8:].tolist(), strict=True) for face in (quad, half)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("slashes.obj", obj(POINTS, TRIANGLES, "{0}/{0}/{0}")),
        ("normals.obj", obj(POINTS, TRIANGLES, "{0}//{0}")),
        ("places.obj", obj(POINTS, TRIANGLES, "{0}/{0}")),
        ("backwards.obj", obj(POINTS, TRIANGLES, "{1}")),
        ("windows.obj", obj(POINTS, TRIANGLES).replace(b"\n", b"\r\n").replace(b"v ", b"v  ")),
        ("a.ply", ply_file(POINTS, TRIANGLES.tolist(), "ascii")),
        ("b.ply", ply_file(POINTS, TRIANGLES.tolist(), "binary_little_endian")),
        ("c.ply", ply_file(POINTS, TRIANGLES.tolist(), "binary_big_endian")),
    ],
)
def test_one_ring_looks_the_same_in_every_format(tmp_path: Path, name: str, content: bytes) -> None:
    reference = drawn(tmp_path / "plain.obj", obj(POINTS, TRIANGLES))

    assert model(reference).sum() > 20_000
    assert alike(drawn(tmp_path / name, content), reference)


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_faces_of_different_numbers_of_corners_make_one_body(tmp_path: Path, encoding: str) -> None:
    points, triangles = box()
    whole = drawn(tmp_path / "a.ply", ply_file(points, triangles.tolist(), encoding))

    assert alike(drawn(tmp_path / "b.ply", ply_file(points, zipped_quads(), encoding)), whole)


def test_both_ways_of_writing_stl_look_the_same_and_stand_upright(tmp_path: Path) -> None:
    tower = box(1, 1, 3)

    as_bytes = drawn(tmp_path / "a.stl", binary_stl(*tower))

    assert alike(as_bytes, drawn(tmp_path / "b.stl", ascii_stl(*tower)))
    rows, columns = np.nonzero(model(as_bytes))
    assert np.ptp(rows) > np.ptp(columns)


def test_a_cloud_of_points_is_drawn_in_its_colours(tmp_path: Path) -> None:
    points, _ = ring(80, 40)
    colours = np.where(points[:, :1] > 0, (10, 10, 230), (230, 10, 10))

    picture = drawn(tmp_path / "a.ply", ply_file(points, [], "binary_little_endian", colours))

    red, blue = where(picture, 0), where(picture, 2)
    assert min(red.sum(), blue.sum()) > 5000
    assert np.nonzero(red)[1].mean() < np.nonzero(blue)[1].mean()


def test_a_single_point_is_a_dot(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "a.ply", ply_file(np.zeros((1, 3)), [], "ascii", np.array([(230, 10, 10)])))

    assert where(picture, 0)[140:160, 190:210].any()


@pytest.mark.parametrize("odd", ["nan", "inf", "-inf", "1e39", "3e38"])
def test_a_vertex_that_is_nowhere_takes_only_its_own_faces_along(tmp_path: Path, odd: str) -> None:
    points, triangles = box()
    broken = obj(points, triangles) + f"\nv {odd} 0 0\nf 1 2 9\n".encode()

    assert alike(drawn(tmp_path / "a.obj", broken), drawn(tmp_path / "b.obj", obj(points, triangles)))
    (tmp_path / "a.obj").write_bytes(broken)
    assert models.describe(tmp_path / "a.obj").metadata["faces"] == 13


def test_faces_that_name_no_vertex_or_have_no_area_are_left_out(tmp_path: Path) -> None:
    points, triangles = box()
    broken = obj(points, triangles) + b"\nf 1 2 99999999999\nf 0 0 0\nf -900 1 2\nf 1 1 1\nf 1 2\nf 1\n"

    assert alike(drawn(tmp_path / "a.obj", broken), drawn(tmp_path / "b.obj", obj(points, triangles)))


def test_a_sheet_seen_from_behind_is_painted_too(tmp_path: Path) -> None:
    points, triangles = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)], np.float32), np.array([(0, 1, 2), (0, 2, 3)])

    front = drawn(tmp_path / "a.glb", shown((points, triangles), RED).glb())

    assert alike(front, drawn(tmp_path / "b.glb", shown((points, triangles[:, ::-1]), RED).glb()))


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e25])
def test_the_unit_a_model_is_built_in_does_not_matter(tmp_path: Path, size: float) -> None:
    points, triangles = box()

    picture = drawn(tmp_path / "a.glb", shown((points * np.float32(size), triangles), RED).glb())

    assert where(picture, 0).any()


def test_a_model_with_nothing_in_it_is_said_to_have_nothing(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="nothing that can be drawn"):
        drawn(tmp_path / "a.glb", shown((np.full((3, 3), np.nan, np.float32), np.array([(0, 1, 2)]))).glb())


@pytest.mark.parametrize("writer", [lambda body: shown(body).glb(), lambda body: obj(*body), lambda body: binary_stl(*body)])
def test_a_model_of_too_many_faces_still_shows_a_closed_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: Any) -> None:
    fine = ring(200, 100)
    whole = drawn(tmp_path / "a.bin", writer(fine))
    for module in (gltf, obj_files, stl):
        monkeypatch.setattr(module, "MAX_DRAWN", 8000)

    sampled = drawn(tmp_path / "b.bin", writer(fine))

    assert np.abs(sampled - whole).mean() < 7


def test_a_pile_of_large_faces_is_thinned_out_and_drawn_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kayan_workers.media.models.render._MOST_EFFORT", 2_000_000)
    points, triangles = box()
    pile: Shape = (points, np.tile(triangles, (500, 1)))

    assert where(drawn(tmp_path / "a.glb", shown(pile, RED).glb()), 0).sum() > 10_000


def test_a_description_that_would_unfold_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gltf_scene, "_MAX_ENTRIES", 10_000)
    path = tmp_path / "a.gltf"
    path.write_bytes(b'{"asset": {"version": "2.0"}, "meshes": [], "nodes": [' + b"{}," * 20_000 + b"{}]}")

    with pytest.raises(PermanentError, match="more than the 10000 entries"):
        models.describe(path)


@pytest.mark.parametrize("count", [2**31, 2**40])
def test_a_count_that_lies_takes_no_memory(tmp_path: Path, count: int) -> None:
    scene = shown(box())
    scene.description["accessors"][0]["count"] = count

    with pytest.raises(PermanentError, match="vertices, more than"):
        drawn(tmp_path / "a.glb", scene.glb())
    with pytest.raises(PermanentError, match="breaks off"):
        drawn(tmp_path / "a.ply", ply_file(box()[0], [], "binary_little_endian").replace(b"vertex 8", b"vertex %d" % count))
