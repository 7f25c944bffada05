"""What nobody here opens is stored as it comes; what is wrong with it all the same is said."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.examine import examine
from kayan_workers.media.file_type import FileType
from PIL import Image


def packed(comment: bytes = b"", *, first: str = "") -> bytes:
    """``first`` is what the package calls itself. The same bytes whenever it is asked: they name the tests."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        if first:
            archive.writestr(zipfile.ZipInfo("mimetype"), first)
        archive.writestr(zipfile.ZipInfo("plan.txt"), "Hall one")
        archive.comment = comment
    return out.getvalue()


SEVEN = b"7z\xbc\xaf'\x1c\0\4" + struct.pack("<IQQI", 0, 100, 50, 0) + bytes(150)
RAR = b"Rar!\x1a\x07\x01\0" + bytes(100)


@pytest.mark.parametrize("file_type", [FileType.OTHER, FileType.DOCUMENT])
@pytest.mark.parametrize(
    ("content", "damaged"),
    [
        (packed(), None),
        (packed(b"from the printer"), None),
        (packed()[:-1], True),
        (packed()[:40], True),
        (packed()[:16], True),
        (packed(first="application/epub+zip"), None),
        (packed(first="application/epub+zip")[:-1], True),
        (SEVEN, None),
        (SEVEN + b"behind its end", None),
        (SEVEN[:-1], True),
        (SEVEN[:20], True),
        (RAR[:50], None),
    ],
)
def test_an_archive_is_stored_and_one_that_was_cut_is_called_damaged(
    tmp_path: Path, file_type: FileType, content: bytes, damaged: bool | None
) -> None:
    path = tmp_path / "plans"
    path.write_bytes(content)

    metadata = examine(path, file_type, Ffmpeg()).facts.metadata

    assert metadata["inspected"] is False
    assert metadata.get("damaged") is damaged


def test_why_a_picture_that_the_app_files_under_other_could_not_be_read_is_said(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 60).save(whole, "JPEG")
    source = tmp_path / "photo"
    source.write_bytes(whole.getvalue()[:-200])

    metadata = examine(source, FileType.OTHER, Ffmpeg()).facts.metadata

    assert (metadata["format"], metadata["inspected"]) == ("JPEG", False)
    assert str(metadata["inspectionError"]).startswith("the JPEG picture is damaged or incomplete")
