"""Documents: how long they are, what they say, who wrote them, and a picture of the first page."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size
from kayan_workers.media.office import embedded_preview, read_office
from kayan_workers.media.pdf import read_pdf, render_first_page
from kayan_workers.media.sniff import Kind, sniff

MAX_TEXT = 100_000
"""Characters of a document's text that we keep."""

_MAX_TEXT_BYTES = 50_000_000
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
    if source.stat().st_size > _MAX_TEXT_BYTES:
        raise PermanentError(f"the text has more than the {_MAX_TEXT_BYTES // 1_000_000} MB that are read here")
    data = source.read_bytes()
    encoding = encoding_of(data)
    text = data.decode(encoding, "replace").removeprefix("\ufeff").replace("\r\n", "\n")
    more: dict[str, object] = {"encoding": encoding, "lines": text.count("\n") + (not text.endswith("\n"))}
    if source.suffix.lower() in (".csv", ".tsv"):
        more |= _table_shape(text)
    title = next((line.lstrip("# ").strip()[:200] for line in text.splitlines() if line.startswith("# ")), None)
    return _facts(kind, text[:MAX_TEXT], {**more, "title": title if source.suffix.lower() in (".md", ".markdown") else None})


def encoding_of(data: bytes) -> str:
    """The encoding of a text file: what its byte order mark says, else UTF-8 if it is valid, else the Windows code page whose letters fit.

    This app's customers write Arabic and English. In code page 1256 Arabic letters fill the upper half, so text with many
    bytes there is Arabic; a few are accents of code page 1252.
    """
    marks = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    for mark, encoding in marks:
        if data.startswith(mark):
            return encoding
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        letters = [byte for byte in data[:100_000] if byte > 127 or chr(byte).isalpha()]
        return "cp1256" if sum(byte > 127 for byte in letters) > len(letters) * 0.4 else "cp1252"
    return "utf-8"


def _table_shape(text: str) -> dict[str, object]:
    """Rows and columns of a CSV file, by the separator its first lines suggest."""
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:10_000], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = columns = 0
    try:
        for row in csv.reader(text.splitlines(), dialect):
            rows += 1
            columns = max(columns, len(row))
    except csv.Error:
        return {}
    return {"rows": rows, "columns": columns}
