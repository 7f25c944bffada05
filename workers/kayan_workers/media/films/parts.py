"""Which parts of ffmpeg we use, by its own lists (``ffmpeg -filters`` and so on): a build may leave out any of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Part(NamedTuple):
    """``names`` out of one of ffmpeg's lists, and which files fail without them. ``is_rare``: hardly anybody sends such files."""

    listing: str
    names: tuple[str, ...]
    fails: str
    is_rare: bool = False


PARTS = (
    Part("muxers", ("framecrc", "ffmetadata"), "all films and sound"),
    Part("decoders", ("h264", "hevc", "aac"), "films of phones and cameras"),
    Part("decoders", ("vp9",), "films in WebM", is_rare=True),
    Part("encoders", ("png", "rawvideo"), "posters of films"),
    Part("encoders", ("libx264", "aac"), "copies of films"),
    Part("muxers", ("image2", "rawvideo"), "posters of films"),
    Part("muxers", ("mp4",), "copies of films"),
    Part("filters", ("showinfo", "scale", "format", "setparams", "setsar", "split", "fps", "aresample"), "all films"),
    Part("filters", ("transpose", "hflip", "vflip"), "films of phones that were held upright"),
    Part("filters", ("zscale", "tonemap"), "films of high dynamic range, as many phones make them"),
    Part("filters", ("bwdif",), "interlaced films", is_rare=True),
    Part("filters", ("premultiply",), "films with transparency", is_rare=True),
    Part("filters", ("lutyuv",), "posters of films in Dolby Vision alone", is_rare=True),
)
LISTINGS = tuple(dict.fromkeys(part.listing for part in PARTS))


def listed(said: str) -> set[str]:
    """The names in one of ffmpeg's lists: flags, name or names, description."""
    return {name for line in said.splitlines() if len(words := line.split()) > 1 for name in words[1].split(",")}


def missing(has: Mapping[str, set[str]]) -> Iterator[tuple[Part, list[str]]]:
    """The parts that an ffmpeg with these lists lacks, each with the names of what is not there."""
    for part in PARTS:
        if absent := [name for name in part.names if name not in has[part.listing]]:
            yield part, absent
