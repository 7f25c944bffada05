"""Design files: the canvas and layers of PSD and PSB, SVG, and Illustrator files that carry a PDF."""

from __future__ import annotations

import struct
from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import damaged
from kayan_workers.media.designs.psd import MODES, Psd, is_cut, merged_picture, names, read_psd, resolution
from kayan_workers.media.documents import ending
from kayan_workers.media.documents.pdf import read_pdf
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.images import images
from kayan_workers.media.kinds import Kind
from kayan_workers.media.sniff import sniff
from kayan_workers.media.steps import step
from kayan_workers.media.xml import Attributes, attribute, read_xml

_MAX_NAMES = 200


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


def merged(source: Path, to: Path) -> bool:
    """Write the picture that a PSD or PSB shows to ``to``; False when the program that saved it left none in it."""
    psd = _psd(source)
    step("unpacking the merged picture")
    return merged_picture(source, psd, to)


def _psd(source: Path) -> Psd:
    step("reading the layers")
    try:
        return read_psd(source)
    except (struct.error, ValueError, OverflowError) as error:
        raise damaged("the PSD design", error) from error


def _describe_psd(source: Path) -> Facts:
    psd = _psd(source)
    colour = MODES.get(psd.mode, "unknown")
    metadata = present({
        "format": psd.format, "colorSpace": colour, "bitDepth": psd.depth, "channels": psd.channels, "layers": len(psd.layers),
        "layerNames": names(psd.layers) or None, "canvas": {"width": psd.width, "height": psd.height},
        "damaged": True if is_cut(source, psd) else None,
    })  # fmt: skip
    details: dict[str, str | int | float | None] = {"colorSpace": colour, "bitDepth": psd.depth, "dpi": resolution(source, psd)}
    return Facts(width=psd.width, height=psd.height, metadata=metadata, details=details, custom=dict(metadata))


def _describe_svg(source: Path) -> Facts:
    picture = images.describe(source)
    counts = {"groups": 0, "elements": 0}
    root: Attributes = {}
    layers: list[dict[str, object]] = []

    def start(name: str, attributes: Attributes) -> None:
        if not counts["elements"]:
            root.update(attributes)
        counts["elements"] += 1
        counts["groups"] += name == "g"
        if name == "g" and attribute(attributes, "groupmode") == "layer" and len(layers) < _MAX_NAMES:
            hidden = "display:none" in attributes.get("style", "").replace(" ", "")
            called = attribute(attributes, "label") or attributes.get("id", "")
            layers.append({"name": called[:100], "kind": "layer", **({"hidden": True} if hidden else {})})

    step("reading the layers")
    with source.open("rb") as stream:
        read_xml(stream, on_start=start, allow_doctype=True)
    canvas = present({"width": picture.width, "height": picture.height, "viewBox": root.get("viewBox", "")[:100]})
    metadata = present({
        **picture.metadata, "canvas": canvas, "layers": len(layers) or counts["groups"], "layerNames": layers or None,
        "elements": counts["elements"],
    })  # fmt: skip
    return Facts(width=picture.width, height=picture.height, metadata=metadata, details=picture.details, custom=dict(metadata))


def _describe_illustrator(source: Path) -> Facts:
    pdf = read_pdf(source, max_text=10_000)
    width, height = (round(side) for side in pdf.page_size)
    metadata = present({
        "format": "PDF", "canvas": {"width": width, "height": height, "unit": "pt"}, "artboards": pdf.pages,
        "title": pdf.title, "author": pdf.author, "damaged": True if ending.breaks_off(source) else None,
    })  # fmt: skip
    return Facts(width=width, height=height, metadata=metadata, custom={**metadata, **present({"text": pdf.text})})
