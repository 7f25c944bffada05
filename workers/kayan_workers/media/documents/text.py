"""Plain text: its encoding, its beginning, its lines, and the shape of a table. Read as a stream: no export stands in memory whole."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TextIO

from kayan_workers.media.code_pages import likeliest
from kayan_workers.media.encodings import escaped, marked, nearly_utf_8, wide
from kayan_workers.media.steps import step

_CHUNK = 1024 * 1024
_LONGEST_LINE = 1_000_000
"""Characters. A longer one is no row of a table; it is passed on in pieces."""
_SNIFFED = 10_000


class Text(NamedTuple):
    """A whole text file. ``beginning`` is its first characters, with line ends as ``\\n`` and without a byte order mark."""

    encoding: str
    beginning: str
    lines: int


def read_text(source: Path, *, max_text: int) -> Text:
    """What the file says, up to ``max_text`` characters. Bytes that its encoding does not know become replacement characters."""
    step("reading the text")
    encoding = encoding_of(source)
    with _opened(source, encoding, newline=None) as file:
        beginning = file.read(max_text)
        lines, last = beginning.count("\n"), beginning[-1:]
        while chunk := file.read(_CHUNK):
            lines, last = lines + chunk.count("\n"), chunk[-1]
    return Text(encoding, beginning, lines + (last != "\n"))


def encoding_of(source: Path) -> str:
    """The encoding of a text file: what its byte order mark says, else UTF-8 if nearly all of it is, else where it makes sense."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with source.open("rb") as file:
        beginning = chunk = file.read(_CHUNK)
        if certain := marked(beginning) or wide(beginning) or escaped(beginning):
            return certain
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(_CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            file.seek(0)
            return "utf-8" if nearly_utf_8(iter(partial(file.read, _CHUNK), b"")) else likeliest(beginning)
    return "utf-8"


def table_shape(source: Path, text: Text) -> dict[str, object]:
    """Rows and columns of a CSV file; empty when it is no table."""
    step("counting rows and columns")
    rows = columns = 0
    try:
        for row in table_rows(source, text):
            rows += 1
            columns = max(columns, len(row))
    except csv.Error:
        return {}
    return {"rows": rows, "columns": columns}


def table_rows(source: Path, text: Text) -> Iterator[list[str]]:
    """The rows of a CSV file, by the separator its first lines suggest. Raises csv.Error where it is no table."""
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text.beginning[:_SNIFFED], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    with _opened(source, text.encoding, newline="") as file:
        yield from csv.reader(_lines(file), dialect)


def _opened(source: Path, encoding: str, *, newline: str | None) -> TextIO:
    return source.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="replace", newline=newline)


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE):
        yield line
