"""What libraries say, as it reaches a customer."""

from __future__ import annotations

import pytest
from kayan_workers.media.complaints import breaks_off, damaged, locked, plain


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("VipsJpeg: premature end of JPEG image\nVipsJpeg: out of order read\n", "premature end of JPEG image"),
        ("tiff2vips: source input: Can not read TIFF directory", "Can not read TIFF directory"),
        ("heif: Invalid input: Unspecified: Corrupt frame detected (2.0)", "Corrupt frame detected (2.0)"),
        ("glib: XML parse error: Error domain 1 code 114 on line 1 column 5 of data: Maximum entity amplification factor exceeded",
         "Maximum entity amplification factor exceeded"),
        ("image file is truncated (693 bytes not processed)", "image file is truncated (693 bytes not processed)"),
        ("vipspng: libpng read error", ""),
        ("cannot identify image file '/tmp/media-x/source.psd'", ""),
        ("/tmp/media-x/source.tif: bad seek to 110486", ""),
        ("Failed to load document (PDFium: Data format error).", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_library_is_quoted_only_as_far_as_a_customer_can_use_it(says: str, said: str) -> None:
    assert plain(says) == said


def test_what_python_says_of_its_own_trouble_is_not_passed_on() -> None:
    assert str(damaged("the GLB model", IndexError("list index out of range"))) == (
        "the GLB model is damaged or incomplete; save or export it anew, and upload it again"
    )


def test_what_is_wrong_is_said_in_one_shape_with_what_to_do() -> None:
    assert [str(error) for error in (damaged("the PDF", "it cannot be opened"), breaks_off("the PSD design"), locked("the document"))] == [
        "the PDF is damaged or incomplete: it cannot be opened; save or export it anew, and upload it again",
        "the PSD design breaks off: it is shorter than its header says; save or export it anew, and upload it again",
        "the document is protected by a password; upload one that is not",
    ]
