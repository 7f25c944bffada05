"""Office files (DOCX, PPTX, XLSX and OpenDocument): ZIP packages of XML, read inside firm bounds."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from kayan_workers.errors import PermanentError
from kayan_workers.media.xml import Attributes, Enough, attribute, read_xml, texts

_MAX_MEMBERS = 20_000
_MAX_UNPACKED = 200_000_000
"""Bytes we unpack of one package, in all. A bomb stops here."""
_PREVIEWS = ("docProps/thumbnail.jpeg", "docProps/thumbnail.jpg", "docProps/thumbnail.png", "Thumbnails/thumbnail.png")
_PARAGRAPHS = {"p", "h", "br", "tab", "tr", "row", "cell", "si", "line-break"}
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


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
    with _opened(source) as package:
        facts = OfficeFacts(unit={"DOCX": "pages", "ODT": "pages", "PPTX": "slides", "ODP": "slides"}.get(name, "sheets"))
        if name.startswith("OD"):
            _read_open_document(package, facts, max_text)
        else:
            _read_microsoft(package, name, facts, max_text)
        return facts


def embedded_preview(source: Path, to: Path) -> bool:
    """Write the picture of the first page that the package may carry to ``to``; False when it has none."""
    with _opened(source) as package:
        for name in _PREVIEWS:
            if package.has(name):
                with package.open(name) as stream, to.open("wb") as file:
                    shutil.copyfileobj(stream, file)
                return True
    return False


class _Package:
    """A ZIP file that gives no more than its share of bytes."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = archive.namelist()
        self._left = _MAX_UNPACKED
        if len(self.names) > _MAX_MEMBERS:
            raise PermanentError(f"the document's package has {len(self.names)} members, more than the {_MAX_MEMBERS} we open")

    def has(self, name: str) -> bool:
        return name in self.names

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with self._archive.open(name) as member:
            yield _Metered(member, self)  # type: ignore[misc]  # it reads, which is all our readers do

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise PermanentError(f"the document's package unpacks to more than {_MAX_UNPACKED // 1_000_000} MB")


class _Metered:
    def __init__(self, member: IO[bytes], package: _Package) -> None:
        self._member = member
        self._package = package

    def read(self, size: int) -> bytes:
        chunk = self._member.read(size)
        self._package.spend(len(chunk))
        return chunk


@contextmanager
def _opened(source: Path) -> Iterator[_Package]:
    try:
        with zipfile.ZipFile(source) as archive:
            if any(info.flag_bits & 1 for info in archive.infolist()):
                raise PermanentError("the document is protected by a password; upload one that is not")
            yield _Package(archive)
    except PermanentError:
        raise
    except KeyError as error:
        raise PermanentError(f"the document is damaged: a part of it is missing ({error.args[0] if error.args else error})") from error
    except _DAMAGE as error:
        raise PermanentError(f"the document is damaged: {error}") from error


def _read_microsoft(package: _Package, name: str, facts: OfficeFacts, max_text: int) -> None:
    if package.has("docProps/core.xml"):
        with package.open("docProps/core.xml") as stream:
            core = texts(stream, ("title", "creator"))
        facts.title, facts.author = core.get("title"), core.get("creator")
    if name == "DOCX":
        facts.pages = _counted_pages(package)
        parts = ["word/document.xml"]
    elif name == "PPTX":
        parts = _numbered(package, r"ppt/slides/slide(\d+)\.xml")
        facts.pages = len(parts)
    else:
        facts.sheets = _sheet_names(package)
        facts.pages = len(facts.sheets)
        parts = ["xl/sharedStrings.xml"] if package.has("xl/sharedStrings.xml") else []
    facts.text = _collected(package, parts, {"t"}, max_text)


def _read_open_document(package: _Package, facts: OfficeFacts, max_text: int) -> None:
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
    facts.pages = slides[0] if facts.unit == "slides" else int(counted) if counted and counted.isdigit() else len(facts.sheets) or None
    facts.text = _collected(package, ["content.xml"], {"p", "h", "span", "a"}, max_text)


def _counted_pages(package: _Package) -> int | None:
    """Word writes down how many pages it last laid out; nobody can count them without laying them out again."""
    if not package.has("docProps/app.xml"):
        return None
    with package.open("docProps/app.xml") as stream:
        pages = texts(stream, ("Pages",)).get("Pages", "")
    return int(pages) if pages.isdigit() and 0 < int(pages) < 1_000_000 else None


def _sheet_names(package: _Package) -> list[str]:
    names: list[str] = []

    def start(name: str, attributes: Attributes) -> None:
        if name == "sheet" and len(names) < 1000:
            names.append((attributes.get("name") or "")[:100])

    with package.open("xl/workbook.xml") as stream:
        read_xml(stream, on_start=start)
    return names


def _numbered(package: _Package, pattern: str) -> list[str]:
    """Members whose name matches, in the order of the number in it: slide 2 before slide 10."""
    found = [(int(match[1]), name) for name in package.names if (match := re.fullmatch(pattern, name))]
    return [name for _, name in sorted(found)]


def _collected(package: _Package, parts: list[str], elements: set[str], max_text: int) -> str:
    """The text inside ``elements``, one paragraph a line, up to ``max_text`` characters."""
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
