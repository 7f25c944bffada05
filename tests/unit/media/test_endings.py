"""Models, designs and PDFs that were cut and can still be read are called damaged; whole ones never are."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.demo.samples import pdf
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.documents import ending as pdf_ending
from kayan_workers.media.examine import examine
from kayan_workers.media.facts import Facts
from kayan_workers.media.file_type import FileType

FACET = "facet normal 0 0 1\n  outer loop\n    vertex 0 0 0\n    vertex 1 0 0\n    vertex 0 1 {}\n  endloop\nendfacet\n"


def told(path: Path, content: bytes, file_type: FileType) -> Facts:
    path.write_bytes(content)
    facts = examine(path, file_type, Ffmpeg()).facts
    assert facts.metadata.get("damaged") is facts.custom.get("damaged")
    return facts


def stl(facets: int, end: str) -> bytes:
    return ("solid stand\n" + "".join(FACET.format(number) for number in range(facets)) + end).encode()


@pytest.mark.parametrize(
    ("end", "damaged"),
    [
        ("endsolid stand\n", None),
        ("endsolid", None),
        ("ENDSOLID STAND", None),
        ("", None),
        ("\n\n", None),
        ("endsolid a\nsolid b\n" + FACET.format(1) + "endsolid b\n", None),
        ("endsolid stand\n\0\0", None),
        ("# written by hand", None),
        (FACET.format(1)[:-2], True),
        (FACET.format(1)[:40], True),
        ("facet normal", True),
        ("fac", True),
        ("endso", True),
    ],
)
def test_an_stl_in_words_that_ends_within_a_facet_is_called_damaged(tmp_path: Path, end: str, damaged: bool | None) -> None:
    facts = told(tmp_path / "a.stl", stl(2000, end), FileType.MODEL_3D)

    assert facts.metadata.get("damaged") is damaged
    assert facts.metadata["faces"] in (2000, 2001)


def test_an_stl_of_bytes_is_whole_whatever_its_last_ones_are(tmp_path: Path) -> None:
    triangle = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0)
    data = b"solid".ljust(80) + struct.pack("<I", 2) + triangle + triangle[:-20] + b"endfacet facet norm\n"

    assert "damaged" not in told(tmp_path / "a.stl", data, FileType.MODEL_3D).metadata


FACES = [(0, 1, 2), (0, 1, 2, 3), (0, 2, 3), (1, 2, 3)]
LEVEL = [(0, 1, 2), (0, 1, 3), (0, 2, 3), (1, 2, 3)]


def ply(form: str, faces: list[tuple[int, ...]], *, counter: str = "uchar", before: int = 0, after: int = 0, edges: int = 0) -> bytes:
    plain = "".join(f"property uchar {name}{number}\n" for name, count in (("b", before), ("a", after)) for number in range(count))
    cut = len("property uchar b0\n") * before
    header = (
        f"ply\nformat {form} 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nelement face {len(faces)}\n"
        f"{plain[:cut]}property list {counter} int vertex_indices\n{plain[cut:]}element edge {edges}\nproperty int a\nend_header\n"
    ).encode()
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    if form == "ascii":
        rows = [[*place] for place in places]
        rows += [[*[7] * before, len(face), *face, *[7] * after] for face in faces] + [[1]] * edges
        return header + "\n".join(" ".join(map(str, row)) for row in rows).encode()
    order, length = "<" if "little" in form else ">", {"uchar": "B", "ushort": "H", "int": "i"}[counter]
    body = b"".join(struct.pack(order + "3f", *place) for place in places)
    for face in faces:
        body += bytes(before) + struct.pack(f"{order}{length}{len(face)}i", len(face), *face) + bytes(after)
    return header + body + struct.pack(order + "i", 1) * edges


BINARY = ["binary_little_endian", "binary_big_endian"]
BYTES = [
    ply(form, faces, counter=counter, before=before, after=after, edges=edges)
    for form in BINARY
    for faces in (FACES, LEVEL)
    for counter in ("uchar", "ushort", "int")
    for before, after, edges in ((0, 0, 0), (2, 3, 0), (0, 1, 2))
]
WORDS = [ply("ascii", faces, before=before, edges=edges) for faces in (FACES, LEVEL) for before, edges in ((0, 0), (2, 0), (0, 2))]


@pytest.mark.parametrize("content", [*BYTES, *WORDS, *(words + b"\n" for words in WORDS), *(words + b"\n\n" for words in WORDS)])
def test_a_whole_ply_is_not_called_damaged(tmp_path: Path, content: bytes) -> None:
    assert "damaged" not in told(tmp_path / "a.ply", content, FileType.MODEL_3D).metadata


@pytest.mark.parametrize("content", [content for content in BYTES if b"edge 0" in content])
@pytest.mark.parametrize("lost", [1, 5, 20, 40])
def test_a_ply_of_bytes_that_lost_its_last_faces_is_called_damaged(tmp_path: Path, content: bytes, lost: int) -> None:
    facts = told(tmp_path / "a.ply", content[:-lost], FileType.MODEL_3D)

    assert facts.metadata["damaged"] is True
    assert (facts.metadata["vertices"], facts.metadata["faces"]) == (4, 4)


@pytest.mark.parametrize("content", WORDS)
@pytest.mark.parametrize("lost", [2, 8, 16])
def test_a_ply_of_words_that_lost_its_last_lines_is_called_damaged(tmp_path: Path, content: bytes, lost: int) -> None:
    facts = told(tmp_path / "a.ply", content[:-lost], FileType.MODEL_3D)

    assert facts.metadata["damaged"] is True
    assert (facts.metadata["vertices"], facts.metadata["faces"]) == (4, 4)


def test_a_ply_of_many_mixed_faces_is_counted_to_its_end(tmp_path: Path) -> None:
    content = ply("binary_little_endian", FACES * 30_000)

    assert "damaged" not in told(tmp_path / "a.ply", content, FileType.MODEL_3D).metadata
    assert told(tmp_path / "a.ply", content[:-1], FileType.MODEL_3D).metadata["damaged"] is True


@given(tail=st.binary(max_size=200), form=st.sampled_from(["ascii", *BINARY]), counter=st.sampled_from(["uchar", "int"]))
def test_a_ply_keeps_its_facts_whatever_its_faces_are(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, form: str, counter: str
) -> None:
    whole = ply(form, LEVEL, counter=counter)
    faces = whole.rindex(b"3 0 1 2\n") if form == "ascii" else whole.index(b"end_header\n") + 11 + 48

    facts = told(tmp_path_factory.getbasetemp() / "any.ply", whole[:faces] + tail, FileType.MODEL_3D)

    assert facts.metadata["vertices"] == 4


def photoshop(*, packed: bool) -> tuple[bytes, int]:
    """A PSD, and where its merged picture begins."""
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 6, 8, 8, 3) + bytes(12)
    if not packed:
        return head + bytes(2) + bytes(3 * 6 * 8), len(head)
    return head + b"\0\1" + struct.pack(">18H", *[2] * 18) + b"\xf9\x40" * 18, len(head)


@pytest.mark.parametrize("packed", [False, True])
def test_a_design_whose_merged_picture_was_cut_is_called_damaged(tmp_path: Path, packed: bool) -> None:
    content, merged = photoshop(packed=packed)
    path = tmp_path / "a.psd"

    assert "damaged" not in told(path, content, FileType.DESIGN).metadata
    assert "damaged" not in told(path, content + b"behind its end", FileType.DESIGN).metadata
    assert "damaged" not in told(path, content[:merged], FileType.DESIGN).metadata  # there may never have been one
    for length in (len(content) - 1, merged + 20, merged + 3):
        cut = told(path, content[:length], FileType.DESIGN)
        assert cut.metadata["damaged"] is True
        assert (cut.width, cut.height) == (8, 6)


def test_a_design_cut_within_the_pixels_of_its_layers_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.psd"
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 6, 8, 8, 3) + bytes(8)
    layers = struct.pack(">Ih", 2, 0) + bytes(6)

    assert "damaged" not in told(path, head + struct.pack(">I", 200) + layers.ljust(200, b"\0"), FileType.DESIGN).metadata
    assert told(path, head + struct.pack(">I", 200) + layers, FileType.DESIGN).metadata["damaged"] is True


WHOLE_PDF = pdf(["Hall one", "Hall two"], title="Stand")
CHANGED = b"\n9 0 obj\n<< /Kind /Change >>\nendobj\n"
END = b"startxref\n9\n%%EOF\n"


@pytest.mark.parametrize(
    ("content", "damaged"),
    [
        (WHOLE_PDF, None),
        (WHOLE_PDF.rstrip(), None),
        (WHOLE_PDF + bytes(20_000), None),
        (WHOLE_PDF + b"<html>" + b"appended by a server " * 4000, None),
        (WHOLE_PDF[: WHOLE_PDF.rindex(b"%%EOF")], None),
        (WHOLE_PDF + CHANGED + END, None),
        (WHOLE_PDF + b"%" * 2_000_000 + b"\n" + END, None),
        (WHOLE_PDF[: WHOLE_PDF.rindex(b"startxref") + 5], True),
        (WHOLE_PDF + CHANGED, True),
    ],
)
@pytest.mark.parametrize("file_type", [FileType.DOCUMENT, FileType.DESIGN])
def test_a_pdf_without_its_end_is_called_damaged(tmp_path: Path, content: bytes, damaged: bool | None, file_type: FileType) -> None:
    facts = told(tmp_path / "a.pdf", content, file_type)

    assert facts.metadata.get("damaged") is damaged
    assert 2 in (facts.metadata.get("pages"), facts.metadata.get("artboards"))


@given(content=st.binary(max_size=300))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    source = tmp_path_factory.getbasetemp() / "any.pdf"
    source.write_bytes(content)

    assert pdf_ending.breaks_off(source) in (True, False)
