"""A browser's word for a file beside what the file is."""

from __future__ import annotations

import pytest
from kayan_workers.media.kinds import PDF, SVG, TEXT, UNKNOWN, ZIP, Kind
from kayan_workers.media.mime_types import contradicts

JPEG = Kind("image", "JPEG", "image/jpeg")
EPS = Kind("design", "PostScript", "application/postscript")
DOCX = Kind("document", "DOCX", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
GLB = Kind("model", "GLB", "model/gltf-binary")
OGG = Kind("audio", "Ogg", "audio/ogg")
ASF = Kind("video", "ASF", "video/x-ms-asf")
MATROSKA = Kind("video", "Matroska", "video/x-matroska")
DXF, DWG = Kind("model", "DXF", "image/vnd.dxf"), Kind("model", "DWG", "image/vnd.dwg")
THREE_DS = Kind("model", "3DS", "image/x-3ds")
MP4 = Kind("video", "MP4", "video/mp4")


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("image/png", JPEG), ("image/jpeg", MP4), ("application/pdf", DOCX), ("model/obj", GLB), ("text/csv", PDF),
        ("image/png; charset=binary", JPEG), ("IMAGE/PNG", JPEG), ("video/unheard-of", JPEG), ("image/png", TEXT), ("image/jpeg", SVG),
        ("image/vnd.dwg", DXF), ("application/acad", PDF), ("image/png", DXF), ("image/vnd.dxf", JPEG),
    ],
)  # fmt: skip
def test_another_format_than_the_browser_said_is_noticed(declared: str, kind: Kind) -> None:
    assert contradicts(declared, kind)


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("image/jpg", JPEG), ("video/ogg", OGG), ("audio/x-ms-wma", ASF), ("audio/webm", MATROSKA), ("video/quicktime", MP4),
        ("application/illustrator", PDF), ("application/vnd.ms-excel", TEXT), ("application/zip", DOCX), ("application/octet-stream", GLB),
        ("image/x-eps", EPS),
        ("", JPEG), ("image/png", UNKNOWN), ("video/unheard-of", MP4), ("image/unheard-of", TEXT), ("application/x-zip-compressed", ZIP),
        ("image/vnd.dxf", DXF), ("application/dxf", DXF), ("application/acad", DWG), ("application/acad", DXF), ("image/vnd.dwg", DWG),
        ("application/octet-stream", DWG), ("text/plain; charset=utf-8", TEXT), ("image/x-3ds", THREE_DS), ("application/x-3ds", THREE_DS),
    ],
)  # fmt: skip
def test_what_only_sounds_different_is_no_contradiction(declared: str, kind: Kind) -> None:
    assert not contradicts(declared, kind)
