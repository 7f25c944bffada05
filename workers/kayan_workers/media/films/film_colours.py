"""The colours that everybody's screen shows: how a film of any kind becomes 8 bits of BT.709, as filters of ffmpeg.

Films of high dynamic range are tone-mapped; shown as they are, they would look grey and washed out. Dolby Vision is read by the
PQ or HLG picture below it. Profile 5, which streaming services use, has none: its colours are Dolby's own (IPT, bent anew in each scene),
taken for any other they are green and purple, and of ffmpeg's filters only libplacebo knows them, which wants a graphics card. Its
brightness is PQ like others', so a still of it is shown in shades of grey; whole films are refused (``video.transcode``).
"""

from __future__ import annotations

from dataclasses import replace

from kayan_workers.media.films.probe import Picture
from kayan_workers.media.geometry import Size

_WIDE = {"bt2020", "smpte431", "smpte432"}
"""Primaries of screens with more colours than BT.709."""
_HD_LINES = 720
"""From this height on, a film that does not say how its colours are coded means BT.709, below it BT.601."""
_WHITE_NITS = 203
"""How bright white paper is in a film of high dynamic range (ITU-R BT.2408)."""

_PEAK = 5
"""How many times brighter the brightest is that is still told from white: 1000 nits, where most such films end."""

_NARROWED = "zscale=p=bt709:t=bt709:m=bt709:r=tv"


def shrunk(picture: Picture, size: Size, pixels: str = "yuv420p") -> str:
    """Filters from decoded pictures to pictures of ``size`` (pixels, square) in 8 bits of BT.709.

    ``pixels`` is ``yuv420p``, a film's, which has one sample of colour for two pixels and wants an even size, or ``yuv444p``, a still's.
    What is transparent becomes black, as players show it; what is interlaced is woven into whole pictures.
    """
    fields = ["bwdif=mode=send_frame:deint=interlaced"] if picture.is_interlaced else []
    tags = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
    return ",".join([*fields, *_scaled(picture, size, pixels), tags, "setsar=1"])


def _scaled(picture: Picture, size: Size, pixels: str) -> list[str]:
    """Pixels are taken away first: all that follows costs by the pixel."""
    scale = f"scale={size[0]}:{size[1]}"
    deep = f"format={pixels}10le"
    guess = "bt709" if picture.size[1] >= _HD_LINES else "smpte170m"
    if picture.is_dolby_vision_alone:
        told = replace(picture, matrix="bt2020nc", primaries="bt2020", transfer="smpte2084", is_full_range=True)
        return [_known(told), scale, "format=yuv444p10le", "lutyuv=u=512:v=512", *_tone_mapped(pixels)]
    if picture.hdr:
        return [scale, deep, _known(picture, "bt2020nc", "bt2020"), *_tone_mapped(pixels)]
    if picture.primaries in _WIDE and not picture.has_alpha:
        return [scale, deep, _known(picture, matrix=guess, transfer="bt709"), _NARROWED, f"format={pixels}"]
    unsaid = "" if picture.matrix else f":in_color_matrix={guess}"
    plain = [f"{scale}{unsaid}:out_color_matrix=bt709:out_range=tv", f"format={pixels}"]
    return [scale, "format=gbrap", "premultiply=inplace=1", *plain] if picture.has_alpha else plain


def _tone_mapped(pixels: str) -> list[str]:
    light = f"zscale=t=linear:npl={_WHITE_NITS}:p=bt709:m=gbr"
    return [light, "format=gbrpf32le", f"tonemap=mobius:desat=0:peak={_PEAK}", _NARROWED, f"format={pixels}"]


def _known(picture: Picture, matrix: str = "", primaries: str = "", transfer: str = "") -> str:
    """zscale refuses to guess: what the file does not say is what such films mean."""
    full = "pc" if picture.is_full_range else "tv"
    return (f"setparams=colorspace={picture.matrix or matrix}:color_primaries={picture.primaries or primaries}"
            f":color_trc={picture.transfer or transfer}:range={full}")  # fmt: skip
