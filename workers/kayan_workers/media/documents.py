"""Documents: how long they are, what they say, who wrote them, and a picture of the first page."""

from __future__ import annotations

from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size
from kayan_workers.media.office import embedded_preview, read_office
from kayan_workers.media.pdf import read_pdf, render_first_page
from kayan_workers.media.sniff import Kind, sniff
from kayan_workers.media.text import read_text, table_shape

MAX_TEXT = 100_000
"""Characters of a document's text that we keep."""

_OFFICE = {"DOCX", "PPTX", "XLSX", "ODT", "ODP", "ODS"}


def can_read(kind: Kind) -> bool:
    """Whether the file is a document whose pages or text we can tell."""
    return kind.name == "PDF" or kind.name in _OFFICE or kind.family == "text"


def describe(source: Path) -> Facts:
    """Pages (or slides, or sheets), title, author and text of a document.

    Raises PermanentError when it is damaged, protected by a password, dangerous, or no document at all.
    """
    kind = sniff(source)
    if kind.name == "PDF":
        pdf = read_pdf(source, max_text=MAX_TEXT)
        return _facts(kind, pdf.text, {"pages": pdf.pages, "title": pdf.title, "author": pdf.author})
    if kind.name in _OFFICE:
        office = read_office(source, kind.name, max_text=MAX_TEXT)
        counts: dict[str, object] = {office.unit: office.pages, "sheetNames": office.sheets or None}
        return _facts(kind, office.text, {**counts, "title": office.title, "author": office.author})
    if kind.family == "text":
        return _describe_text(source, kind)
    raise PermanentError(f"it is not a document we can read (PDF, Word, PowerPoint, Excel, OpenDocument, text): its content is {kind}")


def preview(source: Path, to: Path, box: Size) -> bool:
    """Write a picture of the first page to ``to``, to be shrunk into ``box`` later; False when this kind of document has none."""
    kind = sniff(source)
    if kind.name == "PDF":
        render_first_page(source, to, box)
        return True
    return kind.name in _OFFICE and embedded_preview(source, to)


def _facts(kind: Kind, text: str, more: dict[str, object]) -> Facts:
    words = len(text.split())
    text = text.replace("\0", "")
    metadata = present({"format": kind.name, **more, "words": words if len(text) < MAX_TEXT else None})
    return Facts(metadata=metadata, custom={**metadata, **present({"text": text})})


def _describe_text(source: Path, kind: Kind) -> Facts:
    text = read_text(source, max_text=MAX_TEXT)
    more: dict[str, object] = {"encoding": text.encoding, "lines": text.lines}
    if source.suffix.lower() in (".csv", ".tsv"):
        more |= table_shape(source, text)
    if source.suffix.lower() in (".md", ".markdown"):
        more["title"] = next((line.lstrip("# ").strip()[:200] for line in text.beginning.splitlines() if line.startswith("# ")), None)
    return _facts(kind, text.beginning, more)
