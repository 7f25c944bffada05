"""Sets a document's first words as a page, a slide or a sheet: what its reader would recognise, not what its program would print.

libvips brings Pango along, which breaks lines, shapes Arabic and turns to the left what is written to the left.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pyvips
from PIL import ImageFont

from kayan_workers.errors import PermanentError
from kayan_workers.media.geometry import Size
from kayan_workers.media.images import images
from kayan_workers.media.rendition import Rendition
from kayan_workers.media.steps import step

MAX_CHARACTERS = 4000
"""What a page is given to set; more never fits."""
MAX_ROWS, MAX_COLUMNS = 40, 20
_A4 = (595, 842)
_MARGIN = 56
_TYPE_SIZE = 13.0
_HEADINGS = (24.0, 20.0, 17.0, 15.0)
_INK, _LINE, _HEAD = 215, 45, 18
"""How dark letters, lines and the head of a sheet are: 255 is black."""
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts")
_FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
_MAX_PICTURES = 8


@dataclass(frozen=True, slots=True)
class Paragraph:
    """``level`` is 1 for the title or first heading, 2 for the next; 0 for what stands under them."""

    text: str
    level: int = 0
    bullet: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class Flow:
    """A page of running text."""

    blocks: list[Paragraph | Table]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first rows of a table. ``leftward``: its first column is the right one."""

    rows: list[list[str]]
    leftward: bool = False


@dataclass(slots=True)
class Box:
    """Something on a slide: ``area`` is left, top, width, height as shares of the slide."""

    area: tuple[float, float, float, float] | None = None
    paragraphs: list[Paragraph] = field(default_factory=list)
    type_size: float | None = None
    """Points."""
    picture: Path | None = None
    centred: bool = False


@dataclass(frozen=True, slots=True)
class Slide:
    """``size`` in points."""

    size: tuple[float, float]
    boxes: list[Box]


Page = Flow | Sheet | Slide


def set_page(page: Page, to: Path, box: Size) -> bool:
    """Write the page as a PNG at ``to``, as large as fits inside ``box``; False when nothing is on it."""
    step("setting the first page")
    canvas = _Canvas(to, _fitted(page, box))
    match page:
        case Flow(blocks):
            _set_flow(canvas, blocks)
        case Sheet(rows, leftward):
            _set_sheet(canvas, rows, leftward=leftward)
        case Slide(size, boxes):
            _set_slide(canvas, size, boxes)
    if canvas.used:
        canvas.save(to)
    return canvas.used


def _fitted(page: Page, box: Size) -> Size:
    width, height = page.size if isinstance(page, Slide) else _A4 if isinstance(page, Flow) else box
    scale = min(box[0] / max(width, 1), box[1] / max(height, 1))
    return max(16, round(width * scale)), max(16, round(height * scale))


class _Canvas:
    """White paper that ink is put on. ``folder`` may hold a font when the machine has none."""

    def __init__(self, beside: Path, size: Size) -> None:
        self.width, self.height = size
        self.used = False
        self._fontfile = _fontfile(beside.parent)
        self._ink = pyvips.Image.black(*size)
        self._pictures: list[tuple[Any, int, int]] = []

    def text(self, markup: str, width: int, size: float, *, align: str = "low", wrap: bool = True) -> Any | None:
        """The letters as a picture whose ``xoffset`` and ``yoffset`` tell where it stands; ``size`` in pixels. None for no letters."""
        if not markup.strip():
            return None
        try:
            wrapped: dict[str, Any] = {"width": max(1, width), "wrap": "word-char"} if wrap else {}
            font = f"DejaVu Sans, Sans {max(size, 3):.1f}"
            return pyvips.Image.text(markup, font=font, fontfile=self._fontfile, dpi=72, align=align, spacing=round(size * 0.25), **wrapped)
        except pyvips.Error:
            return None  # nothing but spaces, or marks that no font can set

    def put(self, letters: Any, left: int, top: int, width: int, height: int) -> None:
        """Letters into an area that cuts off what reaches over it."""
        left, top, right, bottom = max(0, left), max(0, top), min(self.width, left + width), min(self.height, top + height)
        x, y = max(0, left + max(0, letters.xoffset)), max(0, top + max(0, letters.yoffset))
        wide, high = min(letters.width, right - x), min(letters.height, bottom - y)
        if wide > 0 and high > 0:
            self._ink = self._ink.insert((letters.crop(0, 0, wide, high) * (_INK / 255)).cast("uchar"), x, y)
            self.used = True

    def fill(self, left: int, top: int, width: int, height: int, ink: int) -> None:
        width, height = min(width, self.width - left), min(height, self.height - top)
        if width > 0 and height > 0 and left >= 0 and top >= 0:
            self._ink = self._ink.insert((pyvips.Image.black(width, height) + ink).cast("uchar"), left, top)

    def picture(self, source: Path, left: int, top: int, width: int, height: int) -> None:
        """A picture, as large as fits the area; one that cannot be read is left out."""
        width, height = max(1, min(width, self.width)), max(1, min(height, self.height))
        small = source.with_name(source.name + ".jpg")
        try:
            images.render(source, [Rendition(to=small, box=(width, height), quality=90)])
        except PermanentError:
            return
        picture = pyvips.Image.new_from_buffer(small.read_bytes(), "")
        self._pictures.append((picture.resize(min(width / picture.width, height / picture.height)), left, top))
        self.used = True
        small.unlink()

    def save(self, to: Path) -> None:
        page = (pyvips.Image.black(self.width, self.height, bands=3) + 255).cast("uchar").copy(interpretation="srgb")
        for picture, left, top in self._pictures:
            page = page.insert(picture.colourspace("srgb"), left, top)
        (page * (1 - self._ink / 255)).cast("uchar").copy(interpretation="srgb").pngsave(str(to), compression=1)


def _set_flow(canvas: _Canvas, blocks: Sequence[Paragraph | Table]) -> None:
    unit = canvas.height / _A4[1]
    margin = round(_MARGIN * unit)
    top, width = margin, canvas.width - 2 * margin
    for group in _grouped(blocks):
        room = canvas.height - margin - top
        if room <= 0:
            return
        if isinstance(group, Table):
            top += _set_table(canvas, group.rows, (margin, top, width, room), _TYPE_SIZE * unit * 0.9) + round(12 * unit)
        elif letters := canvas.text(_markup(group), width, _TYPE_SIZE * unit):
            canvas.put(letters, margin, top, width, room)
            top += letters.height + letters.yoffset + round(12 * unit)


def _grouped(blocks: Sequence[Paragraph | Table]) -> Iterable[list[Paragraph] | Table]:
    """Paragraphs that follow each other are set as one, so that their lines keep their distance."""
    together: list[Paragraph] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            together.append(block)
            continue
        if together:
            yield together
        together = []
        yield block
    if together:
        yield together


def _markup(paragraphs: Sequence[Paragraph]) -> str:
    """Pango's markup, with a narrow empty line after each paragraph. Nothing of the text is taken for a mark."""
    pieces, left = [], MAX_CHARACTERS
    for paragraph in paragraphs:
        text = _printable(paragraph.text)[: max(0, left)]
        left -= len(text)
        if not text.strip():
            continue
        if paragraph.level:
            share = _HEADINGS[min(paragraph.level, len(_HEADINGS)) - 1] / _TYPE_SIZE
            pieces.append(f'<span weight="bold" size="{share * 100:.0f}%">{escape(text)}</span>')
        else:
            pieces.append(("•  " if paragraph.bullet else "") + escape(text))
    return '\n<span size="40%"> </span>\n'.join(pieces)


def _printable(text: str) -> str:
    kept = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return kept.encode("utf-8", "ignore").decode()


def _set_table(canvas: _Canvas, rows: Sequence[Sequence[str]], area: tuple[int, int, int, int], size: float) -> int:
    """Cells of equal width in a grid of thin lines; returns the height that was used."""
    left, top, width, height = area
    columns = min(MAX_COLUMNS, max((len(row) for row in rows), default=0))
    if not columns:
        return 0
    wide, pad, down = width // columns, max(1, round(size * 0.35)), 0
    for number, row in enumerate(rows[:MAX_ROWS]):
        letters = [canvas.text(_cell(text, bold=number == 0), wide - 2 * pad, size) for text in row[:columns]]
        high = min(max([picture.height + picture.yoffset for picture in letters if picture] or [round(size)]) + 2 * pad, height - down)
        if high <= 2 * pad:
            break
        for column, picture in enumerate(letters):
            if picture:
                canvas.put(picture, left + column * wide + pad, top + down + pad, wide - 2 * pad, high - pad)
        _frame(canvas, [left + column * wide for column in range(columns + 1)], top + down, high)
        down += high
    return down


def _frame(canvas: _Canvas, edges: Sequence[int], top: int, height: int) -> None:
    for edge in edges:
        canvas.fill(edge, top, 1, height + 1, _LINE)
    for line in (top, top + height):
        canvas.fill(edges[0], line, edges[-1] - edges[0], 1, _LINE)


def _cell(text: str, *, bold: bool = False) -> str:
    inside = escape(" ".join(_printable(text[:200]).split()))
    return f"<b>{inside}</b>" if bold and inside else inside


def _set_sheet(canvas: _Canvas, rows: Sequence[Sequence[str]], *, leftward: bool) -> None:
    """Cells of one line under letters and beside numbers, each column about as wide as what stands in it."""
    rows = [list(row[:MAX_COLUMNS]) for row in rows[:MAX_ROWS]]
    high = max(8, canvas.height // 27)
    size, pad, gutter = high * 0.5, max(2, high // 5), round(high * 1.8)
    columns = max((len(row) for row in rows), default=0)
    used, left = [], gutter
    for column in range(MAX_COLUMNS):
        longest = max((len(row[column]) for row in rows if column < len(row)), default=0)
        wide = round(size * min(max(longest, 9 if column < columns else 12), 34) * 0.62) + 2 * pad
        used.append((left, wide))
        left += wide
        if left >= canvas.width:
            break

    def put(text: str, left: int, top: int, wide: int, *, bold: bool = False, towards: float = 0.0) -> None:
        if letters := canvas.text(_cell(text, bold=bold), wide, size, wrap=False):
            spare = max(0, wide - 2 * pad - letters.width)
            left = (canvas.width - left - wide if leftward else left) + pad + round(spare * towards) - max(0, letters.xoffset)
            canvas.put(letters, left, top + (high - round(size)) // 3, wide - pad, high)

    canvas.fill(0, 0, canvas.width, high, _HEAD)
    canvas.fill(canvas.width - gutter if leftward else 0, 0, gutter, canvas.height, _HEAD)
    for number in range(canvas.height // high + 1):
        canvas.fill(0, number * high, canvas.width, 1, _LINE)
        put(str(number) if number else "", 0, number * high, gutter, towards=0.5)
    for column, (left, wide) in enumerate(used):
        canvas.fill(canvas.width - left if leftward else left, 0, 1, canvas.height, _LINE)
        put(chr(ord("A") + column), left, 0, wide, towards=0.5)
    before = canvas.used
    canvas.used = False
    for number, row in enumerate(rows, 1):
        if number * high >= canvas.height:
            break
        for text, (left, wide) in zip(row, used, strict=False):
            put(text, left, number * high, wide, bold=number == 1, towards=1.0 if _number(text) != leftward else 0.0)
    canvas.used = canvas.used and before


def _number(text: str) -> bool:
    return bool(text) and all(character in "0123456789.,-+%() €$£" for character in text)


def _set_slide(canvas: _Canvas, size: tuple[float, float], boxes: Sequence[Box]) -> None:
    unit = canvas.height / max(size[1], 1)
    for box in [box for box in boxes if box.picture is not None][:_MAX_PICTURES]:
        left, top, width, height = _area(canvas, box)
        if box.picture is not None:
            canvas.picture(box.picture, left, top, width, height)
    for box in [box for box in boxes if box.paragraphs]:
        left, top, width, height = _area(canvas, box)
        points = min(max(box.type_size or 18.0, 6.0), 96.0)
        if letters := canvas.text(_markup(box.paragraphs), width, points * unit, align="centre" if box.centred else "low"):
            canvas.put(letters, left, top, width, max(height, canvas.height - top))


def _area(canvas: _Canvas, box: Box) -> Sequence[int]:
    left, top, width, height = box.area or (0.06, 0.3, 0.88, 0.6)
    return [round(left * canvas.width), round(top * canvas.height), round(width * canvas.width), round(height * canvas.height)]


def _fontfile(folder: Path) -> str:
    """A font for Pango: DejaVu, which has Arabic; what else the machine has; or, for Latin letters, the one that Pillow carries."""
    if _FONT.exists():
        return str(_FONT)
    if _has_fonts():
        return ""
    carried = folder / "letters.ttf"
    if not carried.exists():
        carried.write_bytes(_pillows_font())
    return str(carried)


@functools.cache
def _has_fonts() -> bool:
    return any(next(Path(folder).rglob("*.[to]t[fc]"), None) for folder in _FONT_FOLDERS)


def _pillows_font() -> bytes:
    font = ImageFont.load_default(12)
    return font.path.getvalue() if isinstance(font, ImageFont.FreeTypeFont) and isinstance(font.path, io.BytesIO) else b""
