"""3D models: vertices, faces, bounds and a picture of GLB, glTF, OBJ, STL and PLY files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import breaks_off, damaged
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.geometry import Size
from kayan_workers.media.kinds import Kind
from kayan_workers.media.models.binary_stl import is_binary_stl
from kayan_workers.media.sniff import sniff
from kayan_workers.media.steps import step

if TYPE_CHECKING:
    from kayan_workers.media.models.formats import Format


_HEAD_BYTES = 4096
_DAMAGE = (ValueError, KeyError, IndexError, TypeError, AttributeError, struct.error, OverflowError)


def can_read(source: Path, kind: Kind) -> bool:
    """Whether the name or content of a file of that ``kind`` is of a format whose shape we can tell."""
    return format_of(source, kind) is not None


def format_of(source: Path, kind: Kind) -> str | None:
    """GLB, glTF, PLY by content; STL and OBJ, which have no signature, by content or by name."""
    if kind.name in ("GLB", "glTF", "PLY"):
        return kind.name
    with source.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if is_binary_stl(source, head):
        return "STL"
    if kind.family == "text":
        if head.lstrip().startswith(b"solid") and b"facet" in head:
            return "STL"
        if source.suffix.lower() == ".obj" or _has_vertices(head):
            return "OBJ"
    return None


def _has_vertices(head: bytes) -> bool:
    """Whether each line that begins with the word v goes on with a place: what a text tells of "v 2.0" is no shape."""
    lines = head.splitlines()[: -1 if len(head) == _HEAD_BYTES else None]  # the last one may be cut
    vertices = [words[1:] for line in lines if (words := line.split()) and words[0] == b"v"]
    return bool(vertices) and all(_is_place(words) for words in vertices)


def _is_place(words: list[bytes]) -> bool:
    try:
        return len([float(word) for word in words[:3]]) == 3
    except ValueError:
        return False


def describe(source: Path) -> Facts:
    """Raises PermanentError when the file is damaged or of no format we read."""
    name, model = _format(source)
    step(f"counting the vertices and faces of the {name} model")
    try:
        found = model.survey(source)
    except _DAMAGE as error:
        raise damaged(f"the {name} model", "its parts do not fit together") from error
    metadata = present({"format": name, "vertices": found.vertices, "faces": found.faces, "bounds": found.bounds(), **found.more})
    return Facts(metadata=metadata, custom=dict(metadata))


def preview(source: Path, to: Path, box: Size) -> None:
    """Draw the model as a PNG of the size ``box`` at ``to``. Raises PermanentError that says why it cannot be drawn."""
    from kayan_workers.media.models.render import draw

    name, model = _format(source)
    step(f"drawing the {name} model")
    try:
        picture = draw(model.parts(source), box, up=model.up)
    except _DAMAGE as error:
        raise damaged(f"the {name} model", "its parts do not fit together") from error
    if picture is None:
        raise PermanentError(f"the {name} model has nothing that can be drawn: no face and no point is anywhere")
    Image.fromarray(picture).save(to, "PNG", compress_level=1)


def _format(source: Path) -> tuple[str, Format]:
    from kayan_workers.media.models.formats import FORMATS  # here, not above: numpy is 20 MB that pictures and films do not need

    kind = sniff(source)
    name = format_of(source, kind)
    if name is None:
        if source.suffix.lower() == ".stl" and kind.family == "unknown":
            raise breaks_off("the STL model", "its length is not what its count of triangles asks for")
        raise PermanentError(f"it is not a 3D model we can read (GLB, glTF, OBJ, STL, PLY): its content is {kind}")
    return name, FORMATS[name]
