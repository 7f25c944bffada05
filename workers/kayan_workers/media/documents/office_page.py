"""The first page of an office file, slide or sheet, as blocks that can be set anew."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from posixpath import normpath

from kayan_workers.errors import PermanentError
from kayan_workers.media.documents.manifest import refuse_locked
from kayan_workers.media.documents.package import Package, opened
from kayan_workers.media.documents.relations import main_part, related, targets
from kayan_workers.media.documents.sheet import first_sheet
from kayan_workers.media.documents.typeset import MAX_CHARACTERS, MAX_COLUMNS, MAX_ROWS, Box, Flow, Page, Paragraph, Sheet, Slide, Table
from kayan_workers.media.steps import step
from kayan_workers.media.xml import Attributes, Enough, attribute, read_xml

_MAX_BOXES = 60
_MAX_BLOCKS = 400
_MAX_HIDDEN = 50
"""As many slides are asked whether they are hidden."""
_EMU_A_POINT = 12_700
_POINTS_A_UNIT = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0, "pc": 12.0, "px": 0.75}
_LIST = -1
_WIDE = (960.0, 540.0)
_Area = tuple[float, float, float, float]


def first_page(source: Path, name: str) -> Page:
    """``name`` is one of DOCX, PPTX, XLSX, ODT, ODP, ODS. Pictures on a slide are unpacked beside ``source``."""
    step("reading the first page")
    with opened(source) as package:
        if name.startswith("OD"):
            refuse_locked(package)
        match name:
            case "DOCX":
                document = main_part(package, "word/document.xml")
                return Flow(_Flowing(_word_levels(package, document)).read(package, document))
            case "ODT":
                return Flow(_Flowing({}).read(package, "content.xml"))
            case "PPTX":
                return _powerpoint(package, source)
            case "ODP":
                return _impress(package, source)
            case "XLSX":
                return first_sheet(package)
            case _:
                return _calc(package)


def _word_levels(package: Package, document: str) -> dict[str, int]:
    """The level of each style that is a heading, -1 for a list: styles are named in English whatever language their ids are in."""
    levels: dict[str, int] = {}
    style = ""

    def start(name: str, attributes: Attributes) -> None:
        nonlocal style
        if name == "style":
            style = attribute(attributes, "styleId") or ""
        elif name == "name" and (level := _level((attribute(attributes, "val") or "").lower())):
            levels[style] = level

    styles = related(package, document, "styles", "word/styles.xml")
    if package.has(styles):
        with package.open(styles) as stream:
            read_xml(stream, on_start=start)
    return levels


def _level(style: str) -> int:
    if style in ("title", "subtitle"):
        return 1 if style == "title" else 3
    if style.startswith(("list bullet", "list number")):
        return _LIST
    found = re.fullmatch(r"heading[ _]*(?:20_)?(\d)", style)
    return int(found[1]) if found else 0


class _Flowing:
    """Reads paragraphs and tables of a Word or OpenDocument text until its first page is full."""

    def __init__(self, levels: dict[str, int]) -> None:
        self._levels = levels
        self._blocks: list[Paragraph | Table] = []
        self._texts: list[list[str]] = []
        self._level = 0
        self._bullet = False
        self._lists = self._tables = self._passed_over = self._length = 0
        self._rows: list[list[str]] = []

    def read(self, package: Package, part: str) -> list[Paragraph | Table]:
        with package.open(part) as stream, suppress(Enough):
            read_xml(stream, on_start=self._start, on_text=self._text, on_end=self._end)
        if self._rows:
            self._blocks.append(Table(self._rows))
        return self._blocks

    def _start(self, name: str, attributes: Attributes) -> None:
        if self._passed_over or name in ("Fallback", "annotation", "instrText", "delText", "note"):
            self._passed_over += 1
            return
        match name:
            case "p" | "h":
                self._texts.append([])
                style = (attribute(attributes, "style-name") or "").lower()
                outline = attribute(attributes, "outline-level") or "1"
                self._level = (int(outline) if outline.isdecimal() and len(outline) < 3 else 1) if name == "h" else _level(style)
                self._bullet = self._lists > 0
            case "pStyle":
                level = self._levels.get(attribute(attributes, "val") or "", 0)
                self._level, self._bullet = max(0, level), self._bullet or level == _LIST
            case "numPr" | "list-item":
                self._bullet = True
                self._lists += name == "list-item"
            case "tbl" | "table":
                self._tables += 1
            case "tr" | "table-row" if self._tables == 1:
                self._rows.append([])
            case "tc" | "table-cell" if self._tables == 1 and self._rows:
                self._rows[-1].append("")
            case "tab" | "s":
                self._text(" ", plain=True)
            case "br" if attribute(attributes, "type") == "page" and self._length:
                raise Enough
            case "br" | "cr" | "line-break":
                self._text("\n", plain=True)
            case "lastRenderedPageBreak" | "soft-page-break" if self._length:
                raise Enough

    def _text(self, data: str, *, plain: bool = False) -> None:
        if self._texts and not self._passed_over:
            self._texts[-1].append(data if plain else data.replace("\n", " "))

    def _end(self, name: str) -> None:
        if self._passed_over:
            self._passed_over -= 1
            return
        match name:
            case "p" | "h" if self._texts:
                self._finish("".join(self._texts.pop())[:MAX_CHARACTERS])
            case "list-item":
                self._lists -= 1
            case "tbl" | "table":
                self._tables -= 1
                if not self._tables:
                    self._blocks.append(Table(self._rows))
                    self._rows = []

    def _finish(self, text: str) -> None:
        if self._tables:
            if self._rows and self._rows[-1]:
                self._rows[-1][-1] = f"{self._rows[-1][-1]} {text}".strip()
        elif text.strip():
            self._blocks.append(Paragraph(text, self._level, self._bullet and not self._level))
        self._length += len(text)
        if self._length > MAX_CHARACTERS or len(self._blocks) > _MAX_BLOCKS or len(self._rows) > MAX_ROWS:
            raise Enough


def _first_visible(package: Package, presentation: str, ids: list[str]) -> str:
    """The first slide that a presentation shows; where it hides all of the first few, the very first."""
    parts = targets(package, presentation)
    slides = [part for slide in ids[:_MAX_HIDDEN] if package.has(part := parts.get(slide, ""))]
    return next((slide for slide in slides if not _is_hidden(package, slide)), slides[0] if slides else "ppt/slides/slide1.xml")


def _is_hidden(package: Package, slide: str) -> bool:
    said: Attributes = {}

    def start(_: str, attributes: Attributes) -> None:
        said.update(attributes)
        raise Enough

    with suppress(PermanentError), package.open(slide) as stream:
        read_xml(stream, on_start=start)
    return said.get("show") in ("0", "false")


def _powerpoint(package: Package, source: Path) -> Slide:
    size = _WIDE
    slides: list[str] = []

    def start(name: str, attributes: Attributes) -> None:
        nonlocal size
        if name == "sldSz":
            size = (_number(attributes.get("cx")) / _EMU_A_POINT, _number(attributes.get("cy")) / _EMU_A_POINT)
        elif name == "sldId":
            slides.append(next((value for key, value in attributes.items() if key.endswith(":id")), ""))

    presentation = main_part(package, "ppt/presentation.xml")
    with package.open(presentation) as stream:
        read_xml(stream, on_start=start)
    slide = _first_visible(package, presentation, slides)
    members = targets(package, slide)
    layout = next((target for target in members.values() if "/slideLayouts/" in target and package.has(target)), None)
    size = size if min(size) > 1 else _WIDE
    inherited = {box.role: box.area for box in _shapes(package, layout, size) if box.role and box.area} if layout else {}
    boxes = []
    for number, shape in enumerate(_shapes(package, slide, size)):
        area = shape.area or inherited.get(shape.role) or _USUAL.get(shape.role)
        picture = members.get(shape.picture)
        if picture and package.has(picture):
            package.unpack(picture, to := source.with_name(f"picture-{number}"))
            boxes.append(Box(area, picture=to))
        if shape.paragraphs:
            usual = 40.0 if shape.role in ("title", "ctrTitle") else 20.0
            boxes.append(Box(area, shape.paragraphs, shape.type_size or usual, centred=shape.role in _USUAL))
    return Slide(size, boxes)


_USUAL: dict[str, _Area] = {
    "title": (0.07, 0.06, 0.86, 0.2), "ctrTitle": (0.1, 0.25, 0.8, 0.25), "subTitle": (0.1, 0.55, 0.8, 0.3),
}  # fmt: skip


class _Shape:
    """A shape as it is read: its ``role`` is a placeholder's type, ``picture`` the id of what it shows."""

    def __init__(self, role: str = "") -> None:
        self.role = role
        self.area: _Area | None = None
        self.paragraphs: list[Paragraph] = []
        self.type_size: float | None = None
        self.picture = ""


def _shapes(package: Package, part: str, size: tuple[float, float]) -> list[_Shape]:
    """What stands on a slide or its layout, in the order it is painted."""
    shapes: list[_Shape] = []
    text: list[str] | None = None
    left_top = (0.0, 0.0)
    inside = 0

    def share(x: float, y: float) -> tuple[float, float]:
        return x / _EMU_A_POINT / size[0], y / _EMU_A_POINT / size[1]

    def start(name: str, attributes: Attributes) -> None:
        nonlocal text, left_top, inside
        if name in ("sp", "pic", "graphicFrame"):
            inside += 1
            shapes.append(_Shape())
        if not inside or not shapes:
            return
        shape = shapes[-1]
        match name:
            case "ph":
                shape.role = attributes.get("type") or f"body {attributes.get('idx', '')}"
            case "off":
                left_top = share(_number(attributes.get("x")), _number(attributes.get("y")))
            case "ext" if "cx" in attributes:
                shape.area = (*left_top, *share(_number(attributes["cx"]), _number(attributes.get("cy"))))
            case "blip":
                shape.picture = next((value for key, value in attributes.items() if key.endswith(":embed")), "")
            case "p":
                text = []
            case "br" if text is not None:
                text.append("\n")
            case "rPr" | "defRPr" | "endParaRPr" if shape.type_size is None and "sz" in attributes:
                shape.type_size = _number(attributes["sz"]) / 100 or None

    def words(data: str) -> None:
        if text is not None:
            text.append(data)

    def end(name: str) -> None:
        nonlocal text, inside
        if name == "p" and text is not None and shapes:
            said, shape = "".join(text), shapes[-1]
            if said.strip():
                shape.paragraphs.append(Paragraph(said, bullet=shape.role.startswith("body ") and len(said) < 200))
            text = None
        elif name in ("sp", "pic", "graphicFrame"):
            inside -= 1
            if len(shapes) >= _MAX_BOXES:
                raise Enough

    with package.open(part) as stream, suppress(Enough):
        read_xml(stream, on_start=start, on_text=words, on_end=end)
    return shapes


def _impress(package: Package, source: Path) -> Slide:
    size = _WIDE

    def page_size(name: str, attributes: Attributes) -> None:
        nonlocal size
        width, height = _points(attribute(attributes, "page-width")), _points(attribute(attributes, "page-height"))
        if name == "page-layout-properties" and width > height > 1:
            size = (width, height)

    if package.has("styles.xml"):
        with package.open("styles.xml") as stream:
            read_xml(stream, on_start=page_size)
    boxes: list[Box] = []
    text: list[str] | None = None
    role = ""

    def start(name: str, attributes: Attributes) -> None:
        nonlocal text, role
        match name:
            case "frame" | "custom-shape":
                x, y, width, height = (_points(attribute(attributes, key)) for key in ("x", "y", "width", "height"))
                role = attribute(attributes, "class") or ""
                area = (x / size[0], y / size[1], width / size[0], height / size[1])
                boxes.append(Box(area, type_size=36.0 if role == "title" else 20.0, centred=role in ("title", "subtitle")))
            case "image" if boxes:
                member = normpath(attribute(attributes, "href") or "")
                if package.has(member):
                    package.unpack(member, to := source.with_name(f"picture-{len(boxes)}"))
                    boxes[-1].picture = to
            case "p":
                text = []
            case "line-break" if text is not None:
                text.append("\n")
            case "notes":
                text = None
                raise Enough

    def words(data: str) -> None:
        if text is not None:
            text.append(data)

    def end(name: str) -> None:
        nonlocal text
        if name == "p" and text is not None and boxes:
            if "".join(text).strip():
                boxes[-1].paragraphs.append(Paragraph("".join(text), bullet=role == "outline"))
            text = None
        elif name == "page" or len(boxes) > _MAX_BOXES:
            raise Enough

    with package.open("content.xml") as stream, suppress(Enough):
        read_xml(stream, on_start=start, on_text=words, on_end=end)
    return Slide(size, boxes)


def _calc(package: Package) -> Sheet:
    rows: list[list[str]] = []
    again = 1
    text: list[str] | None = None

    def start(name: str, attributes: Attributes) -> None:
        nonlocal again, text
        if name == "table-row":
            rows.append([])
        elif name in ("table-cell", "covered-table-cell") and rows:
            again = min(int(_number(attribute(attributes, "number-columns-repeated")) or 1), MAX_COLUMNS)
            text = []

    def words(data: str) -> None:
        if text is not None:
            text.append(data)

    def end(name: str) -> None:
        nonlocal text
        if name in ("table-cell", "covered-table-cell") and rows:
            rows[-1].extend(["".join(text or ())] * again)
            del rows[-1][MAX_COLUMNS:]
            text = None
        elif (name == "table-row" and len(rows) >= MAX_ROWS) or name == "table":
            raise Enough

    with package.open("content.xml") as stream, suppress(Enough):
        read_xml(stream, on_start=start, on_text=words, on_end=end)
    return Sheet(rows)


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _points(length: str | None) -> float:
    """A length as OpenDocument writes it (``2.5cm``) in points."""
    unit = (length or "")[-2:]
    return _number((length or "")[:-2]) * _POINTS_A_UNIT.get(unit, 0.0)
