"""Whether a model ends before its last face does. Of a text it is told by its last lines, of bytes by the length of each row."""

from __future__ import annotations

from typing import BinaryIO, Literal, NamedTuple

from kayan_workers.media.reading import read_at, size_of, tail

_TAIL = 4096
_BLOCK = 1_000_000
_MAX_ROWS = 10_000_000
"""What is counted one by one: a second or two."""


class Row(NamedTuple):
    """A face in bytes: what stands ``before`` its list, the ``counter`` of its corners, each ``corner``, and what stands ``after``."""

    before: int
    counter: int
    corner: int
    after: int

    def size(self, corners: int) -> int:
        return self.before + self.counter + corners * self.corner + self.after


def within_a_facet(file: BinaryIO) -> bool:
    """Whether an STL written as text does: some programs forget its last line, so that alone proves nothing."""
    _, last, after = tail(file, _TAIL).lower().rpartition(b"endfacet")
    word = next(iter(after.split()), b"")
    return bool(last and word) and (b"facet".startswith(word) or (b"endsolid".startswith(word) and word != b"endsolid"))


def within_lines(file: BinaryIO, rows: int, *, words: int, list_at: int | None) -> bool:
    """Whether fewer than ``rows`` lines are left of a text, or the last of them is cut: it should have that many ``words`` at least, and
    the list whose length stands at ``list_at``.
    """
    lines, last = 0, b""
    while block := file.read(_BLOCK):
        lines += block.count(b"\n")
        last = (last + block)[-_TAIL:].rpartition(b"\n")[2]
    found = last.split()
    if found and list_at is not None and list_at < len(found) and found[list_at].isdigit():
        words = max(words, list_at + 1 + int(found[list_at][:9]))
    is_short = len(last) < _TAIL and len(found) < words
    return lines + bool(found) < rows or (lines + 1 == rows and bool(found) and is_short)


def within_rows(file: BinaryIO, rows: int, row: Row, order: Literal["little", "big"]) -> bool:
    """Whether fewer than ``rows`` of the form ``row`` are left."""
    at, size = file.tell(), size_of(file)
    triangles = at + rows * row.size(3)  # most models are made of nothing else
    if size == triangles or rows > _MAX_ROWS:
        return size < triangles
    counter, corner, none = row.counter, row.corner, row.size(0)  # looked up once: the loop below is what takes the time
    while rows:
        block, here = read_at(file, at, _BLOCK), row.before
        if len(block) < row.before + counter:
            return True
        begin = here
        end = len(block) - counter
        while rows and here <= end:
            corners = block[here] if counter == 1 else int.from_bytes(block[here : here + counter], order)
            here += none + corners * corner
            rows -= 1
        at += here - begin
    return at > size
