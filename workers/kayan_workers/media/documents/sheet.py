"""The first sheet of an Excel file: its first cells, as they are shown."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime, timedelta

from kayan_workers.errors import PermanentError
from kayan_workers.media.documents.package import Package
from kayan_workers.media.documents.relations import main_part, related, targets
from kayan_workers.media.documents.typeset import MAX_COLUMNS, MAX_ROWS, Sheet
from kayan_workers.media.xml import Attributes, Enough, attribute, read_xml

_DATES = {*range(14, 23), *range(45, 48)}
"""Excel's own formats that are dates and times; 9 and 10 are per cent."""
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001  a sheet knows no time zone
_LAST_DAY = 2_958_465
_MAX_TABS = 1000


def first_sheet(package: Package) -> Sheet:
    """Raises KeyError when the package has no sheet."""
    book = main_part(package, "xl/workbook.xml")
    part = _first_visible(package, book) or _first_numbered(package)
    cells: dict[tuple[int, int], tuple[str, str, str]] = {}
    leftward = False
    place, kind, style = (0, 0), "", ""
    row = column = 0
    text: list[str] | None = None

    def start(name: str, attributes: Attributes) -> None:
        nonlocal leftward, place, kind, style, row, column, text
        match name:
            case "sheetView":
                leftward = attributes.get("rightToLeft") in ("1", "true")
            case "row":
                said = attributes.get("r", "")
                row, column = int(said) if said.isdecimal() and len(said) < 9 else row + 1, 0
                if row > MAX_ROWS:
                    raise Enough
            case "c":
                column = _column(attributes.get("r", "")) or column + 1
                place, kind, style = (row, column), attributes.get("t", "n"), attributes.get("s", "")
            case "v" | "t":
                text = []

    def words(data: str) -> None:
        if text is not None:
            text.append(data)

    def end(name: str) -> None:
        nonlocal text
        if name in ("v", "t") and text is not None:
            if place[1] <= MAX_COLUMNS:
                before = cells[place][0] if name == "t" and place in cells else ""
                cells[place] = (before + "".join(text), kind, style)
            text = None
        elif name == "sheetData":
            raise Enough

    with package.open(part) as stream, suppress(Enough):
        read_xml(stream, on_start=start, on_text=words, on_end=end)
    wanted = {int(text) for text, kind, _ in cells.values() if kind == "s" and text.isdecimal() and len(text) < 9}
    shared = _shared(package, related(package, book, "sharedStrings", "xl/sharedStrings.xml"), wanted)
    formats = _formats(package, related(package, book, "styles", "xl/styles.xml"))
    down, across = (max((place[axis] for place in cells), default=0) for axis in (0, 1))
    rows = [[""] * across for _ in range(down)]
    for (down, across), (said, kind, style) in cells.items():
        rows[down - 1][across - 1] = shared.get(said, "") if kind == "s" else _shown(said, kind, formats.get(style, ""))
    return Sheet(rows, leftward)


def _first_visible(package: Package, book: str) -> str | None:
    """The first sheet that Excel shows a tab of, in the order of the tabs: what is hidden is not meant for everybody's eyes."""
    ids: list[str] = []

    def start(name: str, attributes: Attributes) -> None:
        if name == "sheet" and attributes.get("state", "visible") == "visible" and len(ids) < _MAX_TABS:
            ids.append(attribute(attributes, "id") or "")

    with suppress(PermanentError, KeyError):  # a workbook that cannot be read has sheets all the same
        with package.open(book) as stream:
            read_xml(stream, on_start=start)
        parts = targets(package, book)
        found = (parts[sheet] for sheet in ids if sheet in parts)
        return next((part for part in found if package.has(part) and "/chartsheets/" not in part), None)
    return None


def _first_numbered(package: Package) -> str:
    numbered = [(int(match[1]), name) for name in package.names if (match := re.fullmatch(r"xl/worksheets/sheet(\d{1,6})\.xml", name))]
    return min(numbered)[1] if numbered else "xl/worksheets/sheet1.xml"


def _column(reference: str) -> int:
    """``C7`` is in column 3."""
    number = 0
    for letter in reference[:3].upper():
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _shared(package: Package, part: str, wanted: set[int]) -> dict[str, str]:
    """Texts that cells name by their number, read up to the last that is wanted."""
    found: dict[str, str] = {}
    number = -1
    inside = phonetic = False

    def start(name: str, _: Attributes) -> None:
        nonlocal number, inside, phonetic
        if name == "si":
            number += 1
            if not wanted or number > max(wanted):
                raise Enough
        inside = name == "t" and not phonetic and number in wanted
        phonetic = phonetic or name == "rPh"

    def words(data: str) -> None:
        if inside:
            found[str(number)] = (found.get(str(number), "") + data)[:500]

    def end(name: str) -> None:
        nonlocal inside, phonetic
        inside = False
        phonetic = phonetic and name != "rPh"

    if wanted and package.has(part):
        with package.open(part) as stream, suppress(Enough):
            read_xml(stream, on_start=start, on_text=words, on_end=end)
    return found


def _formats(package: Package, part: str) -> dict[str, str]:
    """``date`` or ``percent`` for the styles whose numbers are that."""
    own: dict[int, str] = {}
    meaning: dict[str, str] = {}
    inside = False

    def start(name: str, attributes: Attributes) -> None:
        nonlocal inside
        inside = name == "cellXfs" or (inside and name != "cellStyles")
        number = attribute(attributes, "numFmtId") or ""
        if not number.isdecimal() or len(number) > 6:
            return
        if name == "numFmt":
            code = re.sub(r'"[^"]*"|\[[^\]]*\]|\\.', "", attributes.get("formatCode", "").lower())
            own[int(number)] = "date" if re.search(r"[dy]|h:|mm:", code) else "percent" if "%" in code else ""
        elif name == "xf" and inside:
            usual = "date" if int(number) in _DATES else "percent" if number in ("9", "10") else ""
            meaning[str(len(meaning))] = own.get(int(number), usual)

    if package.has(part):
        with package.open(part) as stream:
            read_xml(stream, on_start=start)
    return meaning


def _shown(said: str, kind: str, meaning: str) -> str:
    if kind == "b":
        return "TRUE" if said == "1" else "FALSE"
    if kind != "n":
        return said
    try:
        value = float(said)
    except ValueError:
        return said
    if meaning == "date" and 0 <= value <= _LAST_DAY:
        moment = _FIRST_DAY + timedelta(days=value)
        return f"{moment:%H:%M}" if value < 1 else f"{moment:%Y-%m-%d}" if value.is_integer() else f"{moment:%Y-%m-%d %H:%M}"
    return f"{value * 100:.4g}%" if meaning == "percent" else f"{value:.10g}"
