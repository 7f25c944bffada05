"""3D models and design files: what planners, scanners and designers export."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from typing import Any

from corpus.documents import ole
from corpus.files import Files, zipped
from kayan_workers.demo.samples import glb

CORNERS = [(0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 4.0)]
FACES = [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]
_POSITIONS = b"".join(struct.pack("<3f", *corner) for corner in CORNERS)
_EMBEDDED = "data:application/octet-stream;base64," + base64.b64encode(_POSITIONS).decode()


def make() -> Files:
    return {**_gltf(), **_plain(), **_unread()}


def _gltf() -> Files:
    tent = glb(CORNERS, FACES)
    return {
        "tent.glb": tent,
        "large.glb": glb(CORNERS, FACES, scale=1000),
        "version-1.glb": b"glTF" + struct.pack("<4I", 1, 24, 4, 0) + b"{}  ",
        "tent.gltf": gltf(),
        "beside.gltf": gltf(buffers=[{"uri": "tent.bin", "byteLength": len(_POSITIONS)}]),
        "elsewhere.gltf": gltf(buffers=[{"uri": "http://127.0.0.1:1/tent.bin", "byteLength": len(_POSITIONS)}]),
        "outside.gltf": gltf(buffers=[{"uri": "file:///etc/passwd", "byteLength": len(_POSITIONS)}]),
        "points.gltf": gltf(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}]),
        "compressed.gltf": gltf(
            extensionsRequired=["KHR_draco_mesh_compression"],
            meshes=[{"primitives": [{
                "attributes": {"POSITION": 0},
                "extensions": {"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {"POSITION": 0}}},
            }]}],
        ),
        "empty-scene.gltf": b'{"asset": {"version": "2.0"}, "scenes": [{"nodes": []}], "scene": 0}',
    }  # fmt: skip


def gltf(**parts: Any) -> bytes:
    """A scene of one mesh on one node; ``parts`` take the place of its own."""
    return json.dumps({
        "asset": {"version": "2.0", "generator": "kayan corpus"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"uri": _EMBEDDED, "byteLength": len(_POSITIONS)}], "bufferViews": [{"buffer": 0, "byteLength": 48}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [2, 3, 4]}],
        **parts,
    }).encode()  # fmt: skip


def _plain() -> Files:
    return {
        "tent.obj": obj(),
        "negative.obj": b"v 0 0 0\nv 2 0 0\nv 0 3 4\nf -3 -2 -1\n",
        "materials.obj": b"mtllib ../../../../etc/passwd\nusemtl red\n" + obj(),
        "tent.stl": binary_stl(),
        "solid.stl": binary_stl(b"solid made by a careless exporter"),
        "words.stl": ascii_stl(),
        "words.ply": ply("ascii"),
        "little.ply": ply("binary_little_endian"),
        "big.ply": ply("binary_big_endian"),
        "cloud.ply": ply("binary_little_endian", faces=False),
        "not-finite.ply": ply("ascii").replace(b"2.0 0.0 0.0 255", b"nan inf -inf 255"),
    }


def obj() -> bytes:
    lines = ["# tetrahedron", *("v {} {} {}".format(*corner) for corner in CORNERS), "vn 0 0 1"]
    return "\n".join([*lines, *("f {}//1 {}//1 {}//1".format(*(n + 1 for n in face)) for face in FACES), ""]).encode()


def binary_stl(header: bytes = b"tetrahedron", claimed: int = len(FACES)) -> bytes:
    triangles = b"".join(struct.pack("<12fH", 0, 0, 0, *(value for n in face for value in CORNERS[n]), 0) for face in FACES)
    return header.ljust(80) + struct.pack("<I", claimed) + triangles


def ascii_stl() -> bytes:
    loops = ["".join("vertex {} {} {}\n".format(*CORNERS[n]) for n in face) for face in FACES]
    facets = [f"facet normal 0 0 0\nouter loop\n{loop}endloop\nendfacet\n" for loop in loops]
    return ("solid tent\n" + "".join(facets) + "endsolid\n").encode()


def ply(encoding: str, *, claimed: int = len(CORNERS), faces: bool = True) -> bytes:
    header = (
        f"ply\nformat {encoding} 1.0\ncomment made here\nelement vertex {claimed}\nproperty float x\nproperty float y\nproperty float z\n"
        "property uchar red\n" + ("element face 4\nproperty list uchar int vertex_indices\n" if faces else "") + "end_header\n"
    )
    if encoding == "ascii":
        rows = ["{} {} {} 255".format(*corner) for corner in CORNERS] + ["3 {} {} {}".format(*face) for face in FACES]
        return (header + "\n".join(rows) + "\n").encode()
    order = "<" if "little" in encoding else ">"
    body = b"".join(struct.pack(order + "3fB", *corner, 255) for corner in CORNERS)
    return header.encode() + body + (b"".join(struct.pack(order + "B3i", 3, *face) for face in FACES) if faces else b"")


def _unread() -> Files:
    """Models and designs of formats whose inside nobody here reads."""
    return {
        "stand.fbx": b"Kaydara FBX Binary  \0\x1a\0" + struct.pack("<I", 7400) + bytes(100),
        "stand.usdz": zipped({"stand.usdc": b"PXR-USDC" + bytes(50)}, stored=True),
        "stand.step": b"ISO-10303-21;\nHEADER;\nENDSEC;\nDATA;\nENDSEC;\nEND-ISO-10303-21;\n",
        "stand.blend": b"BLENDER-v300" + bytes(100),
        "stand.dae": b'<?xml version="1.0"?><COLLADA xmlns="c" version="1.4.1"><asset/></COLLADA>',
        "stand.3ds": b"MM" + struct.pack("<IHII", 100, 2, 10, 3) + bytes(84),
        "packed.blend": gzip.compress(b"BLENDER-v279" + bytes(500), mtime=0),
        "packed-again.blend": b"(\xb5/\xfd\x24\x10" + bytes(100),
        "stand.c4d": b"QC4DC4D6" + bytes(100),
        "stand.lwo": b"FORM\0\0\0\x40LWO2TAGS" + bytes(56),
        "stand.usdc": b"PXR-USDC" + bytes(80),
        "stand.3dm": b"3D Geometry File Format        5" + bytes(100),
        "stand.jt": b"Version 9.5 JT  DM 6.4.2.0".ljust(80) + bytes(100),
        "stand.x_t": b"**ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + b"*" * 26 + b"\n**PART1;\n",
        "stand.sat": b"700 0 1 0 \n16 Autodesk AutoCAD 19 ASM 223.0.1.1930 NT 24 Fri Jan  1 12:00:00 2021 \n1 1e-06 1e-10 \n",
        "hall.ifc": b"ISO-10303-21;\nHEADER;\nFILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\nENDSEC;\nEND-ISO-10303-21;\n",
        "plan.dxf": b"999\r\nmade by hand\r\n  0\r\nSECTION\r\n  2\r\nENTITIES\r\n  0\r\nENDSEC\r\n  0\r\nEOF\r\n",
        "binary.dxf": b"AutoCAD Binary DXF\r\n\x1a\0\0\0SECTION\0\2\0HEADER\0",
        "plan.dwg": b"AC1032" + bytes(5) + b"\4\1" + bytes(200),
        "scan.xyz": b"0.1 0.2 0.3\n0.4 0.5 0.6\n",
        "settings.json": b'{"name": "site", "version": "2.0.1", "asset": {"path": "a"}, "scenes": [], "meshes": []}',
        "stand.max": ole(["Scene", "Config"]),
        "app.fig": zipped({"canvas.fig": b"fig-kiwi" + bytes(50), "meta.json": "{}"}),
        "app.sketch": zipped({"document.json": "{}", "pages/a.json": "{}", "previews/preview.png": b"\x89PNG\r\n\x1a\n"}),
        "app.xd": zipped({"manifest": "{}", "artwork/a.agc": "{}"}),
        "logo.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n",
        "book.indd": bytes.fromhex("0606edf5d81d46e5bd31efe7fe74b71d") + bytes(200),
    }
