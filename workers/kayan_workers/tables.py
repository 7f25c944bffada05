"""A plain table: columns aligned by spaces, numbers to the right. For logs and for output that is no terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def printable(text: str, keep: str = "") -> str:
    """``text`` with its line breaks and control sequences shown instead of obeyed, but for the characters of ``keep``.

    Ids, reasons and payloads are whatever a producer wrote: none may forge a line or move a terminal's cursor.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character in keep else repr(character)[1:-1] for character in text)


def plain_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The table as text, without a final newline. A column whose every value is a number is aligned to the right."""
    texts = [[printable(str(value)) for value in row] for row in rows]
    numeric = [all(isinstance(row[column], int | float) for row in rows) and bool(rows) for column in range(len(headers))]
    widths = [max(map(_width, [header, *(row[column] for row in texts)])) for column, header in enumerate(headers)]
    lines = [_line(headers, widths, numeric), _line(["-" * width for width in widths], widths, numeric)]
    return "\n".join([*lines, *(_line(row, widths, numeric) for row in texts)])


def _line(cells: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        " " * (width - _width(cell)) + cell if right else cell + " " * (width - _width(cell))
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text if not unicodedata.combining(character))
