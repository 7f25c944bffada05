"""Documents: how long they are, what they say, who wrote them, and a picture of the first page."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import locked
from kayan_workers.media.documents import ending
from kayan_workers.media.documents.office import PREVIEWED, embedded_preview, read_office
from kayan_workers.media.documents.office_page import first_page
from kayan_workers.media.documents.ole import ole_kind
from kayan_workers.media.documents.pdf import read_pdf, render_first_page
from kayan_workers.media.documents.text import read_text, table_shape
from kayan_workers.media.documents.text_page import MARKDOWN, TABLES, HtmlText, html_page, text_page
from kayan_workers.media.documents.typeset import set_page
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size
from kayan_workers.media.images import images
from kayan_workers.media.kinds import Kind
from kayan_workers.media.sniff import sniff

MAX_TEXT = 100_000
"""Characters of a document's text that we keep."""

_OFFICE = {"DOCX", "PPTX", "XLSX", "ODT", "ODP", "ODS"}


def can_read(kind: Kind) -> bool:
    """Whether the file is a document whose pages or text we can tell."""
    return kind.name in ("PDF", "OLE") or kind.name in _OFFICE or kind.family == "text"


def describe(source: Path) -> Facts:
    """Pages (or slides, or sheets), title, author and text of a document.

    Raises PermanentError when it is damaged, protected by a password, dangerous, or no document at all.
    """
    kind = sniff(source)
    if kind.name == "PDF":
        pdf = read_pdf(source, max_text=MAX_TEXT)
        cut = True if ending.breaks_off(source) else None
        return _facts(kind.name, pdf.text, {"pages": pdf.pages, "title": pdf.title, "author": pdf.author, "damaged": cut})
    if kind.name in _OFFICE:
        office = read_office(source, kind.name, max_text=MAX_TEXT)
        counts: dict[str, object] = {office.unit: office.pages, "sheetNames": office.sheets or None}
        return _facts(kind.name, office.text, {**counts, "title": office.title, "author": office.author})
    if kind.name == "OLE":
        return _describe_ole(source)
    if kind.family == "text":
        return _describe_text(source, kind)
    raise PermanentError(f"it is not a document we can read (PDF, Word, PowerPoint, Excel, OpenDocument, text): its content is {kind}")


def preview(source: Path, to: Path, box: Size) -> bool:
    """Write a picture of the first page to ``to``, to be shrunk into ``box`` later; False when this kind of document has none.

    PDF is drawn as it is. Of the others, the picture that the program left in the file is taken; else the first words are set anew.
    """
    kind = sniff(source)
    if kind.name == "PDF":
        render_first_page(source, to, box)
        return True
    if kind.name in _OFFICE:
        return _carried(source, to) or set_page(first_page(source, kind.name), to, box)
    if kind.family != "text":
        return _carried(source, to) if kind.name in PREVIEWED else False
    text = read_text(source, max_text=MAX_TEXT)
    return set_page(html_page(HtmlText(text.beginning)) if kind.name == "HTML" else text_page(source, text), to, box)


def _carried(source: Path, to: Path) -> bool:
    """Whether the file carries a picture of itself that shows something: many programs leave their empty template's in it."""
    if not embedded_preview(source, to):
        return False
    with suppress(PermanentError):
        return not images.is_blank(to)
    return False


def _facts(name: str, text: str, more: dict[str, object]) -> Facts:
    words = len(text.split())
    text = text.replace("\0", "")
    metadata = present({"format": name, **more, "words": words if len(text) < MAX_TEXT else None})
    return Facts(metadata=metadata, custom={**metadata, **present({"text": text})})


def _describe_ole(source: Path) -> Facts:
    kind = ole_kind(source)
    if kind == "encrypted":
        raise locked("the document")
    return Facts(metadata={"format": kind or "OLE", "inspected": False})


def _describe_text(source: Path, kind: Kind) -> Facts:
    text = read_text(source, max_text=MAX_TEXT)
    more: dict[str, object] = {"encoding": text.encoding, "lines": text.lines}
    if kind.name == "HTML":
        html = HtmlText(text.beginning)
        return _facts(kind.name, html.text, {**more, "title": html.title.strip()})
    if source.suffix.lower() in TABLES:
        more |= table_shape(source, text)
    if source.suffix.lower() in MARKDOWN:
        more["title"] = next((line.lstrip("# ").strip()[:200] for line in text.beginning.splitlines() if line.startswith("# ")), None)
    return _facts(kind.name, text.beginning, more)
