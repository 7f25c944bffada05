"""The table of what must come of each file, ``outcomes.md``: read, written and compared.

A cell begins with ``refused:`` and words that the sentence must hold, or says what must be found. ``240x180`` is the size; of the other
facts, ``name=value`` looks a name up in what the app shows, then in the columns, then in the custom fields, ``a.b`` inside ``a``.
Fractions may differ by a fiftieth, because encoders do. ``text~words`` must hold words. What a cell does not call damaged must not be
called so. ``refused:`` alone leaves open how: a file may cost its reader's life, or its patience.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from corpus.came import Came, Examined, Facts, Pictured, Refused, Surprise

PATH = Path(__file__).with_name("outcomes.md")
_REFUSED = "refused:"
_CLOSE = 0.02


class Row(NamedTuple):
    """One line of the table. ``name`` is the file's own name; a name with unprintable characters stands escaped in the table."""

    name: str
    file_type: str
    mime_type: str
    examine: str
    picture: str

    @property
    def id(self) -> str:
        return f"{shown(self.name)} as {self.file_type}"


def rows() -> list[Row]:
    return [row for line in PATH.read_text("utf-8").splitlines() if (row := _row(line))]


def write(said: Mapping[tuple[str, str], Row], families: Mapping[str, Sequence[str]]) -> None:
    """Replace the rows of ``said`` (by file name and declared type) in the table; new ones go to the end of their family's section."""
    lines: list[str] = []
    fresh = dict(said)
    for line in [*PATH.read_text("utf-8").splitlines(), "## "]:
        if line.startswith("## ") and lines:
            family = next((line[3:] for line in reversed(lines) if line.startswith("## ")), "")
            while not lines[-1]:
                lines.pop()
            lines += [line_of(fresh.pop(key)) for key in list(fresh) if key[0] in families.get(family, ())] + [""]
        row = _row(line)
        lines.append(line_of(fresh.pop((row.name, row.file_type), row)) if row else line)
    PATH.write_text("\n".join(lines[:-2]) + "\n", "utf-8")


def _row(line: str) -> Row | None:
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    if len(cells) != 5 or not cells[0].startswith("`"):
        return None
    name, *others = (cell.replace(r"\|", "|") for cell in cells)
    return Row(_hidden(name[1:-1]), *others)


def shown(name: str) -> str:
    """A name as a line of text: what cannot be seen, or turns the line around, is escaped."""
    return "".join(c if c.isprintable() and c not in "\\|`" else f"\\u{ord(c):04x}" for c in name)


def _hidden(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)


def line_of(row: Row) -> str:
    cells = [cell.replace("|", r"\|") for cell in row[1:]]
    return f"| `{shown(row.name)}` | {' | '.join(cells)} |"


def differences(row: Row, came: Came) -> list[str]:
    """In what the outcome is not the row's, in words; empty when it is."""
    return [*_wrongs("examine", row.examine, came.examine), *_wrongs("picture", row.picture, came.picture)]


def _wrongs(part: str, expected: str, came: Examined | Pictured | Refused | Surprise) -> list[str]:
    refusal = expected.startswith(_REFUSED)
    match came:
        case Refused(says) if refusal:
            wanted = expected.removeprefix(_REFUSED).strip()
            return [] if wanted in says else [f"{part} should be refused with {wanted!r}, and says {says!r}"]
        case Examined(facts) if not refusal:
            return [f"{fact}: found {found!r}" for fact, found in _wrong_facts(expected, facts)]
        case Pictured(sizes) if _size(sizes[0]) == expected:
            return []
    return [f"{part} should be {expected!r}, and is {came}"]


def _wrong_facts(expected: str, facts: Facts) -> Iterator[tuple[str, object]]:
    for fact in shlex.split(expected):
        if re.fullmatch(r"\d+x\d+", fact):
            if _size((facts.width, facts.height)) != fact:
                yield fact, _size((facts.width, facts.height))
            continue
        name, sign, value = re.split(r"([=~])", fact, maxsplit=1)
        found = value_of(facts, name)
        if not (value in str(found) if sign == "~" else _same(found, value)):
            yield fact, found
    if value_of(facts, "damaged") and "damaged=true" not in expected:  # of a whole file, nobody may say that
        yield "no damage", True


def value_of(facts: Facts, name: str) -> Any:
    if name in ("kind", "duration"):
        return getattr(facts, name)
    for fields in (facts.metadata, facts.details, facts.custom):
        found: Any = fields
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            return found
    return None


def _same(found: object, value: str) -> bool:
    if isinstance(found, float):
        wanted = float(value)
        return abs(found - wanted) <= _CLOSE * max(abs(wanted), 1)
    return value == (found if isinstance(found, str) else json.dumps(found))


def _size(size: tuple[int | None, int | None]) -> str:
    return f"{size[0]}x{size[1]}"


_TOLD = (
    "format", "colorSpace", "bitDepth", "hasAlpha", "frames", "iccProfile", "orientation", "camera", "codec", "hdr",
    "dolbyVisionProfile", "hasAudio", "frameRate", "channels", "sampleRate", "tags.title", "tags.artist", "tags.album", "tags.date",
    "pages", "slides", "sheets", "artboards", "title", "encoding", "rows", "columns", "layers", "vertices", "faces", "inspected",
    "damaged",
)  # fmt: skip
"""The facts that a drafted cell tells, unless they are as usual."""
_USUAL = {"bitDepth": 8, "hasAlpha": False, "frames": 1, "orientation": 1}
_LONGEST = 60


def redrafted(row: Row, came: Came) -> Row:
    """The row with those cells that are no longer true said anew, for somebody to judge."""
    examine = row.examine if row.examine and not _wrongs("examine", row.examine, came.examine) else _examine_cell(came.examine)
    picture = row.picture if row.picture and not _wrongs("picture", row.picture, came.picture) else _picture_cell(came.picture)
    return row._replace(examine=examine, picture=picture)


def _examine_cell(came: Examined | Refused | Surprise) -> str:
    if not isinstance(came, Examined):
        return _said(came)
    facts = came.facts
    told = [] if facts.width is None else [_size((facts.width, facts.height))]
    told += [] if facts.duration is None else [f"duration={round(facts.duration, 2)}"]
    for name in _TOLD:
        value = value_of(facts, name)
        text = value if isinstance(value, str) else json.dumps(value)
        if value is not None and value != _USUAL.get(name) and len(text) <= _LONGEST:
            told.append(shlex.quote(f"{name}={text}"))
    return " ".join(told) or f"kind={facts.kind}"


def _picture_cell(came: Pictured | Refused | Surprise) -> str:
    return _size(came.sizes[0]) if isinstance(came, Pictured) else _said(came)


def _said(came: object) -> str:
    """The beginning of a refusal, which tells what is wrong; details after it are free to change."""
    if isinstance(came, Refused):
        return f"{_REFUSED} " + re.split(r"[:;(]", came.says)[0].strip()[:100]
    return f"SURPRISE {came}".replace("\n", " ")[:300]
