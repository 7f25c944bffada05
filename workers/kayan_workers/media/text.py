"""Plain text: its encoding, its beginning, its lines, and the shape of a table. Read as a stream: no export stands in memory whole."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

_CHUNK = 1024 * 1024
_LONGEST_LINE = 1_000_000
"""Characters. A longer one is no row of a table; it is passed on in pieces."""
_JUDGED_BYTES = 100_000
_SNIFFED = 10_000
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Text(NamedTuple):
    """A whole text file. ``beginning`` is its first characters, with line ends as ``\\n`` and without a byte order mark."""

    encoding: str
    beginning: str
    lines: int


def read_text(source: Path, *, max_text: int) -> Text:
    """What the file says, up to ``max_text`` characters. Bytes that its encoding does not know become replacement characters."""
    encoding = encoding_of(source)
    with _opened(source, encoding, newline=None) as file:
        beginning = file.read(max_text)
        lines, last = beginning.count("\n"), beginning[-1:]
        while chunk := file.read(_CHUNK):
            lines, last = lines + chunk.count("\n"), chunk[-1]
    return Text(encoding, beginning, lines + (last != "\n"))


def encoding_of(source: Path) -> str:
    """The encoding of a text file: what its byte order mark says, else UTF-8 if it is valid, else the Windows code page whose letters fit.

    This app's customers write Arabic and English. In code page 1256 Arabic letters fill the upper half, so text with many
    bytes there is Arabic; a few are accents of code page 1252.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with source.open("rb") as file:
        beginning = chunk = file.read(_CHUNK)
        for mark, encoding in _MARKS:
            if beginning.startswith(mark):
                return encoding
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(_CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            letters = [byte for byte in beginning[:_JUDGED_BYTES] if byte > 127 or chr(byte).isalpha()]
            return "cp1256" if sum(byte > 127 for byte in letters) > len(letters) * 0.4 else "cp1252"
    return "utf-8"


def table_shape(source: Path, text: Text) -> dict[str, object]:
    """Rows and columns of a CSV file, by the separator its first lines suggest; empty when it is no table."""
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text.beginning[:_SNIFFED], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = columns = 0
    try:
        with _opened(source, text.encoding, newline="") as file:
            for row in csv.reader(_lines(file), dialect):
                rows += 1
                columns = max(columns, len(row))
    except csv.Error:
        return {}
    return {"rows": rows, "columns": columns}


def _opened(source: Path, encoding: str, *, newline: str | None) -> TextIO:
    return source.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="replace", newline=newline)


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        yield line
