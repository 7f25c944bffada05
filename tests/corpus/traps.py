"""Documents and models built to blow up, lie or lead astray whoever reads them: packages, XML, PDF and geometry."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from corpus.bombs import deflated, zeros
from corpus.documents import pdf_of, word
from corpus.files import Files, zipped
from corpus.images import png
from corpus.models import CORNERS, binary_stl, gltf, obj, ply
from kayan_workers.demo.samples import glb

_TYPES = {"[Content_Types].xml": "<Types/>"}
_TEXT = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
_PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] %s >>"
_CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
_ONE_PAGE = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"


def make(whole: Mapping[str, bytes]) -> Files:
    return {**_packages(whole), **_xml(), **_pdf_trees(), **_pdf_contents(), **_text(), **_scenes(), **_meshes()}


def _docx(body: str, prologue: str = "", **more: bytes | str) -> bytes:
    return zipped({**_TYPES, "word/document.xml": word(body, prologue), **more})


def _packages(whole: Mapping[str, bytes]) -> Files:
    brief = whole["brief.docx"]
    nested = brief
    for _ in range(5):
        nested = zipped({**_TYPES, "word/document.xml": word(_TEXT.format("outer")), "word/embeddings/inner.docx": nested})
    giant = png(60_000, 60_000, zlib.compress(bytes(100)))
    many = {f"word/media/{number}.txt": "" for number in range(30_000)}
    slides = [(f"ppt/slides/slide{number}.xml", "<a><t>x</t></a>") for number in range(1, 3000)]
    return {
        "bomb-flat.docx": _packed_bomb("word/document.xml", 1_000_000_000),
        "bomb-flat.xlsx": _packed_bomb("xl/sharedStrings.xml", 1_000_000_000, {"xl/workbook.xml": "<workbook/>"}),
        "bomb-preview.pptx": zipped({**_TYPES, "ppt/presentation.xml": "<p/>", "docProps/thumbnail.png": giant}),
        "bomb-preview.docx": _packed_bomb("docProps/thumbnail.jpeg", 1_000_000_000, {"word/document.xml": word("")}),
        "bomb-nested.docx": nested,
        "bomb-members.docx": zipped({**_TYPES, "word/document.xml": word(""), **many}),
        "bomb-overlapping.pptx": _overlapping("ppt/slides/slide{}.xml", 1000),
        "many-slides.pptx": zipped([*_TYPES.items(), ("ppt/presentation.xml", "<p/>"), *slides]),
        "climbing.docx": _docx(_TEXT.format("text"), **{"../../../etc/passwd": "x", "/etc/shadow": "y"}),
        "twice.docx": zipped([*_TYPES.items(), *(("word/document.xml", word(_TEXT.format(text))) for text in ("one", "two"))]),
        "wrong-checksum.docx": brief.replace((crc := _crc_of(brief, "word/document.xml")), bytes(reversed(crc))),
        "password.docx": _flagged(brief),
        "method-99.docx": _with_method(brief, 99),
        "cut-directory.docx": brief[:-30],
        "no-document.docx": zipped({**_TYPES, "word/styles.xml": "<a/>"}),
        "no-content.odt": zipped({"mimetype": "application/vnd.oasis.opendocument.text", "meta.xml": "<a/>"}, stored=True),
        "many-sheets.xlsx": zipped({**_TYPES, "xl/workbook.xml": f"<workbook>{'<sheet/>' * 200_000}</workbook>"}),
        "preview-is-film.odt": zipped({
            "mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<a><p>text</p></a>",
            "Thumbnails/thumbnail.png": whole["film.mp4"],
        }, stored=True),
    }  # fmt: skip


def _packed_bomb(name: str, size: int, others: Mapping[str, str] | None = None) -> bytes:
    """A package with a member of ``size`` blanks; nobody unpacked them to make it."""
    body = deflated(b"<a>", b" ", size - 3)
    crc = 0  # whoever reads so far has unpacked everything
    out = io.BytesIO(zipped({**_TYPES, **(others or {})}))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name), body)
    data = out.getvalue()
    stored = struct.pack("<II", len(body), len(body))
    for signature, method_at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = data.rindex(signature)
        sizes = data.index(stored, at)
        data = (
            data[: at + method_at]
            + struct.pack("<H", 8)
            + data[at + method_at + 2 : sizes - 4]
            + struct.pack("<III", crc, len(body), size)
            + data[sizes + 8 :]
        )
    return data


def _overlapping(pattern: str, members: int) -> bytes:
    """A package whose directory names one and the same place ``members`` times."""
    body = deflated(b"<a>", b" ", 9_999_997)
    name = pattern.format(1).encode()
    first = struct.pack("<4sHHHIIIIHH", b"PK\3\4", 20, 0, 8, 0, 0, len(body), 10_000_000, len(name), 0) + name + body
    types = zipped(_TYPES)
    directory_at = types.index(b"PK\1\2")
    local, entry = types[:directory_at], types[directory_at : types.index(b"PK\5\6")]
    entries = entry + b"".join(
        struct.pack("<4sHHHHIIIIHHHHHII", b"PK\1\2", 20, 20, 0, 8, 0, 0, len(body), 10_000_000, len(n), 0, 0, 0, 0, 0, len(local)) + n
        for n in (pattern.format(number).encode() for number in range(1, members + 1))
    )
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, members + 1, members + 1, len(entries), len(local) + len(first), 0)
    return local + first + entries + end


def _crc_of(package: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        return struct.pack("<I", archive.getinfo(name).CRC)


def _flagged(package: bytes) -> bytes:
    """The same package with every member marked as encrypted."""
    data = bytearray(package)
    for signature, flags_at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + flags_at] |= 1
    return bytes(data)


def _with_method(package: bytes, method: int) -> bytes:
    data = bytearray(package)
    for signature, method_at in ((b"PK\3\4", 8), (b"PK\1\2", 10)):
        at = -1
        while (at := data.find(signature, at + 1)) >= 0:
            data[at + method_at : at + method_at + 2] = struct.pack("<H", method)
    return bytes(data)


def _xml() -> Files:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return {
        "laughs.docx": _docx(_TEXT.format("&l9;"), f'<!DOCTYPE w [<!ENTITY l0 "lol">{laughs}]>'),
        "quadratic.docx": _docx(_TEXT.format("&a;" * 50_000), f'<!DOCTYPE w [<!ENTITY a "{"a" * 50_000}">]>'),
        "reads-file.docx": _docx(_TEXT.format("&x;"), '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "fetches.docx": _docx(_TEXT.format("text"), '<!DOCTYPE w SYSTEM "http://127.0.0.1:1/evil.dtd">'),
        "parameter-entity.docx": _docx(_TEXT.format("text"), '<!DOCTYPE w [<!ENTITY % p SYSTEM "http://127.0.0.1:1/p">%p;]>'),
        "deep.docx": _docx("<a>" * 100_000),
        "long-attribute.docx": _docx(f'<w:p w:a="{"x" * 10_000_000}"/>'),
        "many-attributes.docx": _docx("<w:p " + " ".join(f'a{n}="1"' for n in range(100_000)) + "/>"),
        "long-name.docx": _docx(f"<{'n' * 5_000_000}/>"),
        "long-comment.docx": _docx(f"<!--{'x' * 10_000_000}-->"),
        "bad-letters.docx": zipped({**_TYPES, "word/document.xml": word(_TEXT.format("text")).encode().replace(b"text", b"\xff\xfe\0")}),
        "odd-encoding.docx": zipped({**_TYPES, "word/document.xml": b'<?xml version="1.0" encoding="EBCDIC-CP-BE"?>' + word("").encode()}),
        "long-title.docx": _docx(_TEXT.format("text"), **{"docProps/core.xml": f"<c><title>{'t' * 5_000_000}</title></c>"}),
        "laughs.odt": zipped({
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f'<!DOCTYPE o [<!ENTITY l0 "lol">{laughs}]><o><p>&l9;</p></o>',
        }, stored=True),
    }  # fmt: skip


def _pdf_trees() -> Files:
    deep = [b"<< /Type /Pages /Kids [%d 0 R] /Count 1 >>" % (number + 3) for number in range(3000)]
    million = b"<< /Type /Pages /Kids [%s] /Count 100000 >>" % (b"3 0 R " * 100_000)
    plain = pdf_of([_CATALOGUE, _ONE_PAGE, _PAGE % b""])
    return {
        "circle.pdf": pdf_of([_CATALOGUE, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]),
        "many-claimed.pdf": pdf_of([_CATALOGUE, b"<< /Type /Pages /Kids [3 0 R] /Count 2147483647 >>", _PAGE % b""]),
        "negative-count.pdf": pdf_of([_CATALOGUE, b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>", _PAGE % b""]),
        "same-page.pdf": pdf_of([_CATALOGUE, million, _PAGE % b""]),
        "deep-tree.pdf": pdf_of([_CATALOGUE, *deep, _PAGE % b""]),
        "deep-array.pdf": pdf_of([_CATALOGUE, _ONE_PAGE, _PAGE % (b"/X " + b"[" * 100_000 + b"]" * 100_000)]),
        "huge-page.pdf": plain.replace(b"[0 0 595 842]", b"[0 0 1000000000 1000000000]"),
        "thin-page.pdf": plain.replace(b"[0 0 595 842]", b"[0 0 0.0001 14400]"),
        "no-area.pdf": plain.replace(b"[0 0 595 842]", b"[5 5 5 5]"),
        "odd-box.pdf": plain.replace(b"[0 0 595 842]", b"[(a) /b null 1e999]"),
        "unit.pdf": plain.replace(b"/MediaBox", b"/UserUnit 1000000 /MediaBox"),
        "circle-table.pdf": plain.replace(b"/Root", b"/Prev %d /Root" % plain.index(b"xref")),
        "huge-table.pdf": plain.replace(b"xref\n0 4", b"xref\n0 4000000000"),
        "huge-number.pdf": plain.replace(b"/Size 4", b"/Size 99999999999999999999"),
    }  # fmt: skip


def _stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def endless_pattern() -> bytes:
    """A PDF whose page is filled with half a million million tiles."""
    pattern = b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.001 /YStep 0.001 /Resources << >>"
    return _page_of(_stream(b"/Pattern cs /P scn 0 0 595 842 re f"), b"/Pattern << /P 5 0 R >>", _stream(b"0 0 1 1 re f", pattern))


def _page_of(contents: bytes, resources: bytes, *more: bytes) -> bytes:
    return pdf_of([_CATALOGUE, _ONE_PAGE, _PAGE % (b"/Contents 4 0 R /Resources << %s >>" % resources), contents, *more])


def _pdf_contents() -> Files:
    many_filters = zlib.compress(b"0 0 100 100 re f")
    for _ in range(30):
        many_filters = zlib.compress(many_filters)
    form = b"/Type /XObject /Subtype /Form /BBox [0 0 600 900] /Resources << /XObject << /F 5 0 R /G 6 0 R >> >>"
    image = b"/Type /XObject /Subtype /Image /ColorSpace /DeviceGray /BitsPerComponent 8 /Filter /FlateDecode"
    js = b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>"
    launch = b"<< /Type /Catalog /Pages 2 0 R /OpenAction << /S /Launch /F (/bin/sh) >> >>"
    return {
        "bomb-contents.pdf": _page_of(_stream(zeros(1_000_000_000), b"/Filter /FlateDecode"), b""),
        "bomb-filters.pdf": _page_of(_stream(many_filters, b"/Filter [%s]" % (b"/FlateDecode " * 31)), b""),
        "bomb-form.pdf": _page_of(_stream(b"/F Do"), b"/XObject << /F 5 0 R >>", _stream(b"/F Do /F Do", form)),
        "bomb-forms.pdf": _page_of(_stream(b"/F Do"), b"/XObject << /F 5 0 R >>", *[
            _stream(b"/N Do " * 10, form.replace(b"/F 5 0 R /G 6 0 R", b"/N %d 0 R" % (number + 6))) for number in range(12)
        ], _stream(b"0 0 1 1 re f", form)),
        "bomb-image.pdf": _page_of(_stream(b"600 0 0 900 0 0 cm /I Do"), b"/XObject << /I 5 0 R >>",
                                   _stream(zeros(100_000_000), image + b" /Width 60000 /Height 60000")),
        "bomb-pattern.pdf": endless_pattern(),
        "bomb-strokes.pdf": _page_of(_stream(zlib.compress(b"0 0 m 595 842 l S\n" * 20_000), b"/Filter /FlateDecode"), b""),
        "bomb-text.pdf": _page_of(_stream(zlib.compress(b"BT /F1 1 Tf (" + b"word " * 2_000_000 + b") Tj ET"), b"/Filter /FlateDecode"),
                                  b"/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >>"),
        "own-length.pdf": _page_of(b"<< /Length 4 0 R >>\nstream\n0 0 1 1 re f\nendstream", b""),
        "javascript.pdf": pdf_of([js, _ONE_PAGE, _PAGE % b""]),
        "launches.pdf": pdf_of([launch, _ONE_PAGE, _PAGE % b""]),
        "long-title.pdf": pdf_of([_CATALOGUE, _ONE_PAGE, _PAGE % b"", b"<< /Title (%s) >>" % (b"t" * 1_000_000)], b"/Info 4 0 R"),
    }  # fmt: skip


def _text() -> Files:
    return {
        "nul-inside.txt": b"Stand\0 notes\0\n" * 20,
        "controls.txt": "bell\x07 escape\x1b[2J turned\u202e \ud7ff".encode(),
        "half-pairs.txt": b"\xff\xfe" + b"\x00\xd8" * 100,
        "formula.csv": b"=cmd|'/C calc'!A0,@SUM(1),+1\n-2,3,4\n",
        "wide.csv": b"," * 200_000 + b"\n",
        "long-field.csv": b'"' + b"x" * 1_000_000 + b'",2\n',
        "open-quote.csv": b'a,"' + b"b\n" * 100_000,
        "many-lines.csv": b"a,b\n" * 300_000,
        "script.md": b"# <script>alert(1)</script>\n[x](javascript:alert(1))\n",
        "deep.html": b"<html>" + b"<div>" * 50_000,
    }


def _scenes() -> Files:
    twins = [{"children": [n + 1, n + 1]} for n in range(40)] + [{"mesh": 0}]

    def accessor(**parts: Any) -> list[dict[str, Any]]:
        return [{"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", "min": [0, 0, 0], "max": [2, 3, 4], **parts}]

    deep = b'{"asset": {"version": "2.0"}, "meshes": [], "extras": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    long_json = json.dumps({"asset": {"version": "2.0"}, "meshes": []}).encode()
    many = b'{"asset": {"version": "2.0"}, "meshes": [], "extras": [' + b"{}," * 3_000_000 + b"{}]}"
    return {
        "circle.gltf": gltf(nodes=[{"children": [0], "mesh": 0}]),
        "doubling.gltf": gltf(nodes=twins),
        "deep-nodes.gltf": gltf(nodes=[{"children": [n + 1]} for n in range(5000)] + [{"mesh": 0}]),
        "many-claimed.gltf": gltf(accessors=accessor(count=10**12)),
        "many-claimed-consistently.gltf": gltf(accessors=accessor(count=10**10), bufferViews=[{"buffer": 0, "byteLength": 12 * 10**10}]),
        "many-nowhere.gltf": gltf(accessors=[{"componentType": 5126, "count": 10**12, "type": "VEC3"}]),
        "negative.gltf": gltf(accessors=accessor(count=-5)),
        "words-for-numbers.gltf": gltf(accessors=accessor(count="many", min=["a", "b", "c"])),
        "not-finite.gltf": gltf(accessors=accessor(min=[float("nan")] * 3, max=[float("inf")] * 3)),
        "huge-numbers.gltf": gltf(accessors=accessor(max=[1e308, 1e308, 1e308]), nodes=[{"mesh": 0, "scale": [1e308, 1, 1]}]),
        "missing-mesh.gltf": gltf(nodes=[{"mesh": 7}]),
        "missing-accessor.gltf": gltf(meshes=[{"primitives": [{"attributes": {"POSITION": 9}}]}]),
        "no-list.gltf": gltf(nodes={"a": 1}),
        "only-null.gltf": gltf(meshes=None, nodes=None, scenes=None, accessors=None, asset=None),
        "short-matrix.gltf": gltf(nodes=[{"mesh": 0, "matrix": [1, 2, 3]}]),
        "view-outside.gltf": gltf(bufferViews=[{"buffer": 0, "byteOffset": 10**9, "byteLength": 48, "byteStride": 252}]),
        "deep.gltf": deep,
        "many-objects.gltf": many,
        "half-letter.gltf": gltf().replace(b"kayan corpus", b"kayan \xff\xfe"),
        "long-json.glb": b"glTF" + struct.pack("<II", 2, 2**31) + struct.pack("<I4s", 2**31, b"JSON") + long_json,
        "json-beyond.glb": b"glTF" + struct.pack("<II", 2, 60) + struct.pack("<I4s", 70_000_000, b"JSON") + long_json,
        "no-json.glb": b"glTF" + struct.pack("<II", 2, 28) + struct.pack("<I4s", 8, b"JSON") + b"\xff" * 8,
        "not-finite.glb": glb([(float("nan"), 0, 0), *CORNERS[1:]], [(0, 1, 2)]),
        "index-outside.glb": glb(CORNERS, [(0, 1, 60_000)]),
    }  # fmt: skip


def _meshes() -> Files:
    cloud = ply("binary_little_endian")
    return {
        "many-claimed.ply": ply("binary_little_endian", claimed=10**18),
        "many-claimed-words.ply": ply("ascii", claimed=10**18),
        "negative.ply": ply("ascii", claimed=-5),
        "faces-claimed.ply": re.sub(rb"element face \d+", b"element face 9" + b"0" * 30, ply("ascii")),
        "list-lies.ply": cloud[:-52] + b"\xff" * 52,
        "unknown-type.ply": cloud.replace(b"property uchar red", b"property quaternion red"),
        "endless-header.ply": b"ply\nformat ascii 1.0\n" + b"comment x\n" * 200_000,
        "many-elements.ply": b"ply\nformat ascii 1.0\n" + b"element a 1\nproperty float x\n" * 50_000 + b"end_header\n",
        "no-format.ply": b"ply\nelement vertex 1\nproperty float x\nend_header\n1\n",
        "many-claimed.stl": binary_stl(claimed=2**32 - 1),
        "no-faces.stl": binary_stl(claimed=0)[:84],
        "not-finite.stl": binary_stl().replace(struct.pack("<f", 2.0), struct.pack("<f", float("nan"))),
        "words-for-numbers.stl": b"solid x\nfacet normal 0 0 0\nouter loop\nvertex a b c\nendloop\nendfacet\n",
        "half-vertex.stl": b"solid x\nfacet normal 0 0 0\nouter loop\nvertex 1\nvertex 2 3 4 5 6\nendloop\nendfacet\n",
        "index-outside.obj": obj() + b"f 1 2 2000000000\nf -9 -8 -7\nf 0 0 0\n",
        "huge-numbers.obj": b"v 1e308 -1e308 1e400\nv 0 0 0\nv 1 1 1\nf 1 2 3\n",
        "long-face.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf " + b"1 2 3 " * 200_000 + b"\n",
        "long-line.obj": b"v " + b"1" * 100_000 + b" 0 0\n",
        "words-for-numbers.obj": b"v one two three\nf 1 2 3\n",
        "half-vertex.obj": b"v 1\nv 2 3\nf 1 2 3\n",
        "continued.obj": b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 \\\n2 \\\n3\n",
        "no-faces.obj": b"v 0 0 0\nv 1 0 0\n",
    }
