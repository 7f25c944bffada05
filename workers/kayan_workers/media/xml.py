"""XML from strangers: read as a stream, without declarations that could name other files or multiply themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import IO
from xml.parsers import expat

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import damaged

_CHUNK = 64 * 1024
_MAX_DEPTH = 200
_MAX_ENTITY = 200

Attributes = dict[str, str]


class Enough(Exception):  # noqa: N818  it ends the reading, nothing went wrong
    """Raised by a handler that has seen all it wanted."""


def read_xml(
    stream: IO[bytes],
    *,
    on_start: Callable[[str, Attributes], None] | None = None,
    on_text: Callable[[str], None] | None = None,
    on_end: Callable[[str], None] | None = None,
    allow_doctype: bool = False,
) -> None:
    """Call the handlers for each element and text, with names freed of their namespace prefix.

    Document type declarations are refused, because only they can define entities; ``allow_doctype`` lets one pass whose entities
    are short words (Illustrator abbreviates addresses so), and refuses those that name other entities or files. Nothing outside
    ``stream`` is ever opened. Raises PermanentError for XML that is malformed, too deep, or declares what it may not.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def start(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            raise PermanentError(f"its XML is nested more than {_MAX_DEPTH} deep")
        if on_start:
            on_start(local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if on_end:
            on_end(local(name))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    if on_text:
        parser.CharacterDataHandler = on_text
    if allow_doctype:
        parser.EntityDeclHandler = _refuse_unless_short
    else:
        parser.EntityDeclHandler = parser.StartDoctypeDeclHandler = _refuse
    try:
        while chunk := stream.read(_CHUNK):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except Enough:
        return
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: an encoding that there is not, or that expat does not take
        raise damaged("its XML", error) from error


def local(name: str) -> str:
    """``w:t`` is ``t``."""
    return name.rpartition(":")[2]


def attribute(attributes: Attributes, name: str) -> str | None:
    """An attribute by its name without prefix."""
    return next((value for key, value in attributes.items() if local(key) == name), None)


def texts(stream: IO[bytes], wanted: Iterable[str]) -> dict[str, str]:
    """The text of the first element of each wanted name."""
    names = set(wanted)
    found: dict[str, str] = {}
    current: list[str] = []

    def start(name: str, _: Attributes) -> None:
        if name in names and name not in found:
            current.append(name)
            found[name] = ""

    def text(data: str) -> None:
        if current and len(found[current[-1]]) < 1000:
            found[current[-1]] += data

    def end(name: str) -> None:
        if current and current[-1] == name:
            current.pop()

    read_xml(stream, on_start=start, on_text=text, on_end=end)
    return {name: value.strip() for name, value in found.items() if value.strip()}


def _refuse_unless_short(name: str, is_parameter: bool, value: str | None, *_: object) -> None:
    if value is None or is_parameter or len(value) > _MAX_ENTITY or "&" in value or "%" in value:
        _refuse()


def _refuse(*_: object) -> None:
    raise PermanentError("its XML declares a document type or entities, which is refused: such declarations can read files or blow up")
