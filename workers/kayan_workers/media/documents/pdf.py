"""PDF: pages, text, title and author, and a picture of the first page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pypdfium2

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import damaged, locked
from kayan_workers.media.geometry import Size
from kayan_workers.media.steps import step

logging.getLogger("pypdfium2").setLevel(logging.ERROR)  # of XFA forms it warns that it reads the ordinary form beside them only
_PDFIUM = threading.Lock()
"""PDFium keeps global state and must not be entered twice at a time."""

_MAX_PAGES_OF_TEXT = 500
_PASSWORD_NEEDED = 4
_CPU_SECONDS_A_PAGE = 10
"""PDFium follows some pages for hours (a pattern of a million million tiles), and can be asked to stop between two things only, not in one.
So its process ends there. Half a million lines, as in the plan of a building, take 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfFacts:
    """A whole PDF. ``text`` is what can be selected, up to the asked number of characters; ``page_size`` is in points."""

    pages: int
    text: str
    title: str | None
    author: str | None
    page_size: tuple[float, float]


def read_pdf(source: Path, *, max_text: int) -> PdfFacts:
    """Raises PermanentError when the file is damaged, has no page, or needs a password."""
    with _opened(source) as document:
        pages = len(document)
        return PdfFacts(
            pages=pages,
            text=_text(document, pages, max_text),
            title=_meta(document, "Title"),
            author=_meta(document, "Author"),
            page_size=_page_size(document),
        )


def render_first_page(source: Path, to: Path, box: Size) -> None:
    """Write the first page on white as a PNG at ``to``, as large as fits inside ``box`` (pixels)."""
    with _opened(source) as document:
        step("drawing page 1 of the PDF", cpu_seconds=_CPU_SECONDS_A_PAGE)
        with suppress(pypdfium2.PdfiumError):  # a form that cannot be read leaves the page to be drawn
            document.init_forms()  # what was filled in is no part of the page
        page = document[0]
        try:
            width, height = page.get_size()
            scale = min(box[0] / max(width, 1), box[1] / max(height, 1))
            bitmap = page.render(scale=scale, draw_annots=True, may_draw_forms=True)
            bitmap.to_pil().convert("RGB").save(to, "PNG", compress_level=1)
            bitmap.close()
        finally:
            page.close()


@contextmanager
def _opened(source: Path) -> Iterator[Any]:
    step("opening the PDF")
    with _PDFIUM:
        _forget_the_last_error()
        try:
            document = pypdfium2.PdfDocument(source)
        except pypdfium2.PdfiumError as error:
            if "password" in str(error).lower() or getattr(error, "err_code", None) == _PASSWORD_NEEDED:
                raise locked("the PDF") from error
            raise _damaged() from error
        try:
            if len(document) < 1:
                raise PermanentError("the PDF has no pages")
            yield document
        except pypdfium2.PdfiumError as error:
            raise _damaged() from error
        finally:
            document.close()


def _damaged() -> PermanentError:
    return damaged("the PDF", "it cannot be opened")


def _forget_the_last_error() -> None:
    """PDFium keeps the reason of an earlier failure, and blames some broken files for it: one without pages for a password."""
    pypdfium2.raw.FPDF_LoadMemDocument(b"", 0, None)


def _text(document: Any, pages: int, max_text: int) -> str:
    parts: list[str] = []
    room = max_text
    for number in range(min(pages, _MAX_PAGES_OF_TEXT)):
        if room <= 0:
            break
        step(f"reading page {number + 1} of the PDF", cpu_seconds=_CPU_SECONDS_A_PAGE)
        try:
            page = document[number]
        except pypdfium2.PdfiumError:
            continue  # one broken page does not hide the text of the others
        try:
            text_page = page.get_textpage()
            part = text_page.get_text_range(0, -1)[:room]
            text_page.close()
        finally:
            page.close()
        parts.append(part)
        room -= len(part)
    return "\n".join(parts).replace("\r\n", "\n").strip()


def _page_size(document: Any) -> tuple[float, float]:
    width, height = document.get_page_size(0)
    return float(width), float(height)


def _meta(document: Any, name: str) -> str | None:
    return str(document.get_metadata_value(name) or "").replace("\0", "").strip()[:500] or None
