"""Office files (DOCX, PPTX, XLSX and OpenDocument): ZIP packages of XML, read inside firm bounds."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kayan_workers.media.documents.manifest import refuse_locked
from kayan_workers.media.documents.package import Package, opened
from kayan_workers.media.documents.relations import main_part, related
from kayan_workers.media.steps import step
from kayan_workers.media.xml import Attributes, Enough, attribute, read_xml, texts

_PREVIEWS = (
    "docProps/thumbnail.jpeg", "docProps/thumbnail.jpg", "docProps/thumbnail.png", "mergedimage.png", "Thumbnails/thumbnail.png",
    "previews/preview.png", "preview.png", "thumbnail.png", "Metadata/thumbnail.png", "preview.jpg",
    "previews/thumbnail.png",
)  # fmt: skip
_MAX_SHEETS = 50_000_000
PREVIEWED = ("Sketch", "XD", "Figma", "3MF", "ODG", "iWork", "Krita", "OpenRaster", "CorelDRAW")
"""Other packages that carry a picture of themselves."""
_PARAGRAPHS = {"p", "h", "br", "tab", "tr", "row", "cell", "si", "line-break"}


@dataclass(slots=True)
class OfficeFacts:
    """``pages`` are pages, slides or sheets by ``unit``; None where the file does not say."""

    unit: str
    pages: int | None = None
    sheets: list[str] = field(default_factory=list)
    title: str | None = None
    author: str | None = None
    text: str = ""


def read_office(source: Path, name: str, *, max_text: int) -> OfficeFacts:
    """Read an office file of the format ``name`` (DOCX, PPTX, XLSX, ODT, ODP, ODS).

    Raises PermanentError when it is damaged, needs a password, unpacks to too much, or carries dangerous XML.
    """
    step("reading the title, author and pages")
    with opened(source) as package:
        facts = OfficeFacts(unit={"DOCX": "pages", "ODT": "pages", "PPTX": "slides", "ODP": "slides"}.get(name, "sheets"))
        if name.startswith("OD"):
            refuse_locked(package)
            _read_open_document(package, facts, max_text)
        else:
            _read_microsoft(package, name, facts, max_text)
        return facts


def embedded_preview(source: Path, to: Path) -> bool:
    """Write the picture of the first page that the package may carry to ``to``; False when it has none."""
    step("unpacking the picture it carries")
    with opened(source) as package:
        for name in _PREVIEWS:
            if package.has(name):
                package.unpack(name, to)
                return True
    return False


def _read_microsoft(package: Package, name: str, facts: OfficeFacts, max_text: int) -> None:
    if package.has("docProps/core.xml"):
        with package.open("docProps/core.xml") as stream:
            core = texts(stream, ("title", "creator"))
        facts.title, facts.author = core.get("title"), core.get("creator")
    if name == "DOCX":
        facts.pages = _counted_pages(package)
        parts = [main_part(package, "word/document.xml")]
    elif name == "PPTX":
        parts = _numbered(package, r"ppt/slides/slide(\d+)\.xml")
        facts.pages = len(parts)
    else:
        book = main_part(package, "xl/workbook.xml")
        facts.sheets = _sheet_names(package, book)
        facts.pages = len(facts.sheets)
        parts = _sheet_texts(package, book)
    facts.text = _collected(package, parts, {"t"}, max_text)


def _read_open_document(package: Package, facts: OfficeFacts, max_text: int) -> None:
    statistics: Attributes = {}

    def start(name: str, attributes: Attributes) -> None:
        if name == "document-statistic":
            statistics.update(attributes)

    if package.has("meta.xml"):
        with package.open("meta.xml") as stream:
            read_xml(stream, on_start=start)
        with package.open("meta.xml") as stream:
            meta = texts(stream, ("title", "creator", "initial-creator"))
        facts.title, facts.author = meta.get("title"), meta.get("initial-creator") or meta.get("creator")
    counted = {"pages": attribute(statistics, "page-count"), "sheets": attribute(statistics, "table-count")}.get(facts.unit)
    slides = [0]

    def count(name: str, attributes: Attributes) -> None:
        if name == "page":
            slides[0] += 1
        if name == "table" and facts.unit == "sheets":
            facts.sheets.append((attribute(attributes, "name") or "")[:100])

    with package.open("content.xml") as stream:
        read_xml(stream, on_start=count)
    facts.pages = slides[0] if facts.unit == "slides" else _believable(counted) or len(facts.sheets) or None
    facts.text = _collected(package, ["content.xml"], {"p", "h", "span", "a"}, max_text)


def _counted_pages(package: Package) -> int | None:
    """Word writes down how many pages it last laid out; nobody can count them without laying them out again."""
    if not package.has("docProps/app.xml"):
        return None
    with package.open("docProps/app.xml") as stream:
        pages = texts(stream, ("Pages",)).get("Pages", "")
    return _believable(pages)


def _believable(pages: str | None) -> int | None:
    """A number of pages or sheets that a program wrote down, and not an attacker."""
    return int(pages) if pages and re.fullmatch("[0-9]{1,6}", pages) and int(pages) else None


def _sheet_names(package: Package, book: str) -> list[str]:
    names: list[str] = []
    step("reading the sheet names")

    def start(name: str, attributes: Attributes) -> None:
        if name == "sheet" and len(names) < 1000:
            names.append((attributes.get("name") or "")[:100])

    with package.open(book) as stream:
        read_xml(stream, on_start=start)
    return names


def _numbered(package: Package, pattern: str) -> list[str]:
    """Members whose name matches, in the order of the number in it: slide 2 before slide 10."""
    found = [(int(match[1]), name) for name in package.names if (match := re.fullmatch(pattern, name))]
    return [name for _, name in sorted(found)]


def _sheet_texts(package: Package, book: str) -> list[str]:
    """The texts that sheets share, and as many sheets as may be read for the few words that stand in their cells themselves."""
    shared = related(package, book, "sharedStrings", "xl/sharedStrings.xml")
    parts = [shared] if package.has(shared) else []
    total = sum(map(package.size, parts))
    for sheet in _numbered(package, r"xl/worksheets/sheet(\d+)\.xml"):
        total += package.size(sheet)
        if total > _MAX_SHEETS:
            break
        parts.append(sheet)
    return parts


def _collected(package: Package, parts: list[str], elements: set[str], max_text: int) -> str:
    """The text inside ``elements``, one paragraph a line, up to ``max_text`` characters."""
    step("reading the text")
    pieces: list[str] = []
    inside = 0
    length = 0

    def start(name: str, _: Attributes) -> None:
        nonlocal inside
        inside += name in elements

    def text(data: str) -> None:
        nonlocal length
        if inside:
            pieces.append(data)
            length += len(data)
            if length >= max_text:
                raise Enough

    def end(name: str) -> None:
        nonlocal inside
        inside -= name in elements
        if name in _PARAGRAPHS:
            pieces.append("\n")

    for part in parts:
        if length >= max_text:
            break
        with package.open(part) as stream, suppress(Enough):
            read_xml(stream, on_start=start, on_text=text, on_end=end)
    return re.sub(r"\n{3,}", "\n\n", "".join(pieces)).strip()[:max_text]
