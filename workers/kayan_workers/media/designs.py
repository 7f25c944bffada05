"""Design files: the canvas and layers of PSD and PSB, SVG, and Illustrator files that carry a PDF."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from kayan_workers.errors import PermanentError
from kayan_workers.media import images
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.pdf import read_pdf
from kayan_workers.media.sniff import Kind, sniff
from kayan_workers.media.xml import Attributes, read_xml

_MODES = {0: "bitmap", 1: "grayscale", 2: "indexed", 3: "rgb", 4: "cmyk", 7: "multichannel", 8: "duotone", 9: "lab"}


def can_read(kind: Kind) -> bool:
    """Whether the file is a design whose canvas we can tell."""
    return kind.name in ("PSD", "PDF", "SVG")


def describe(source: Path) -> Facts:
    """Canvas size (pixels; points for PDF), colour mode and layers. Raises PermanentError for a damaged file or an unknown format."""
    kind = sniff(source)
    if kind.name == "PSD":
        return _describe_psd(source)
    if kind.name == "SVG":
        return _describe_svg(source)
    if kind.name == "PDF":
        return _describe_illustrator(source)
    raise PermanentError(f"it is not a design we can read (PSD, PSB, SVG, AI with PDF inside): its content is {kind}")


def _describe_psd(source: Path) -> Facts:
    try:
        with source.open("rb") as file:
            version, channels, height, width, depth, mode = struct.unpack(">4xH6xHIIHH", _exactly(file, 26))
            if version not in (1, 2) or not width or not height:
                raise PermanentError(f"the PSD design is damaged: version {version}, {width}x{height} pixels")
            for _ in ("colour mode data", "image resources"):
                file.seek(_number(file, 4), 1)
            layers = _layer_count(file, wide=version == 2)
    except struct.error as error:
        raise PermanentError("the PSD design is damaged") from error
    colour = _MODES.get(mode, "unknown")
    metadata = present({
        "format": "PSB" if version == 2 else "PSD", "colorSpace": colour, "bitDepth": depth, "channels": channels, "layers": layers,
        "canvas": {"width": width, "height": height},
    })  # fmt: skip
    details: dict[str, str | int | float | None] = {"colorSpace": colour, "bitDepth": depth}
    return Facts(width=width, height=height, metadata=metadata, details=details, custom=dict(metadata))


def _layer_count(file: BinaryIO, *, wide: bool) -> int:
    """Layers and groups; a negative count says that the first channel of transparency belongs to the merged picture."""
    size = 8 if wide else 4
    if _number(file, size) == 0 or _number(file, size) == 0:
        return 0
    (count,) = struct.unpack(">h", _exactly(file, 2))
    return abs(int(count))


def _number(file: BinaryIO, size: int) -> int:
    return int.from_bytes(_exactly(file, size), "big")


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise PermanentError("the PSD design breaks off: it is shorter than its header says")
    return data


def _describe_svg(source: Path) -> Facts:
    picture = images.describe(source)
    counts = {"groups": 0, "elements": 0}
    root: Attributes = {}

    def start(name: str, attributes: Attributes) -> None:
        if not counts["elements"]:
            root.update(attributes)
        counts["elements"] += 1
        counts["groups"] += name == "g"

    with source.open("rb") as stream:
        read_xml(stream, on_start=start, allow_doctype=True)
    canvas = present({"width": picture.width, "height": picture.height, "viewBox": root.get("viewBox", "")[:100]})
    metadata = {**picture.metadata, "canvas": canvas, "layers": counts["groups"], "elements": counts["elements"]}
    return Facts(width=picture.width, height=picture.height, metadata=metadata, details=picture.details, custom=dict(metadata))


def _describe_illustrator(source: Path) -> Facts:
    pdf = read_pdf(source, max_text=10_000)
    width, height = (round(side) for side in pdf.page_size)
    metadata = present({
        "format": "PDF", "canvas": {"width": width, "height": height, "unit": "pt"}, "artboards": pdf.pages,
        "title": pdf.title, "author": pdf.author,
    })  # fmt: skip
    return Facts(width=width, height=height, metadata=metadata, custom={**metadata, **present({"text": pdf.text})})
