"""From whatever colours a file keeps to what a JPEG on a web page shows: sRGB or grey, 8 bit, opaque."""

from __future__ import annotations

from io import BytesIO
from typing import Any, NamedTuple

import pyvips

_WHITE = 255
_MAX_PROFILE_BYTES = 4_000_000
_BRIGHTEST_LINEAR = 100.0
"""Floating-point pictures are linear light with white at 1 and highlights above; one that goes beyond this counts in other units."""
_SDR_WHITE_NITS = 203
"""ITU-R BT.2408: how bright HDR shows what is white on paper."""
_KNEE = 0.75
"""Where highlights begin to be compressed, as a share of white."""
_BT2020_TO_BT709 = [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
_PQ, _HLG, _BT2020, _P3 = 16, 18, 9, 12


class Coding(NamedTuple):
    """Colours by number instead of by profile, as AVIF and HEIC know them (ITU-T H.273)."""

    primaries: int
    transfer: int

    @property
    def hdr(self) -> str | None:
        """The curve of a picture that is brighter than paper, or None."""
        return {_PQ: "PQ", _HLG: "HLG"}.get(self.transfer)

    @property
    def wide(self) -> bool:
        """Whether its colours are those of Display P3."""
        return self.primaries == _P3 and not self.hdr


def profile_name(block: bytes) -> str | None:
    """What an ICC profile calls itself; None for an empty block and for a broken one, which libvips ignores as every viewer does."""
    if not block or len(block) > _MAX_PROFILE_BYTES:
        return None
    from PIL import ImageCms

    try:
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(block))).replace("\0", "").strip()[:100] or None
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None


def has_odd_numbers(image: Any) -> bool:
    """Whether the pixels are floating point or wide integers, of which no format says what is white."""
    return image.format not in ("uchar", "ushort") and not str(image.interpretation).startswith("lab")


def shown(picture: Any, coding: Coding | None = None) -> Any:
    """A libvips picture as a web page shows it. Ordinary ones stay a stream, which is decoded when it is saved."""
    if coding and coding.hdr and picture.bands >= 3:
        picture = _tone_mapped(picture.copy_memory(), coding)
    elif has_odd_numbers(picture):
        picture = _from_odd_numbers(picture.copy_memory())
    if picture.interpretation in ("multiband", "histogram", "matrix") or (picture.bands > 4 and picture.interpretation != "cmyk"):
        colours = 3 if picture.bands >= 3 else 1
        picture = picture.extract_band(0, n=colours).copy(interpretation="srgb" if colours == 3 else "b-w")
    if picture.interpretation not in ("srgb", "b-w"):
        picture = picture.colourspace("b-w" if picture.interpretation == "grey16" else "srgb")
    if picture.hasalpha():
        picture = picture.flatten(background=_WHITE)
    return picture.cast("uchar") if picture.format != "uchar" else picture


def _from_odd_numbers(picture: Any) -> Any:
    """Linear light where the numbers look like it, 0 to 255 where they look like that, else stretched from the darkest to the brightest."""
    colours = picture.extract_band(0, n=3 if picture.bands >= 3 else 1)
    darkest, brightest = colours.min(), colours.max()
    if colours.format in ("float", "double") and darkest >= -1 and brightest <= _BRIGHTEST_LINEAR:
        linear = colours if colours.bands == 3 else colours.bandjoin([colours, colours])
        return linear.cast("float").copy(interpretation="scrgb").colourspace("srgb")
    plain = colours.cast("uchar") if darkest >= 0 and brightest <= _WHITE else colours.scaleimage()
    return plain.copy(interpretation="srgb" if plain.bands == 3 else "b-w")


def _tone_mapped(picture: Any, coding: Coding) -> Any:
    """HDR by its own curve to linear light, what is white on paper to white, and highlights rolled off instead of cut."""
    codes = picture.extract_band(0, n=3).cast("float") / (65535 if picture.format == "ushort" else 255)
    light = (_pq_nits(codes) if coding.transfer == _PQ else _hlg_nits(codes)) / _SDR_WHITE_NITS
    if coding.primaries == _BT2020:
        light = light.recomb(pyvips.Image.new_from_array(_BT2020_TO_BT709))
    rolled = _KNEE + (1 - _KNEE) * (1 - ((light - _KNEE) / (_KNEE - 1)).exp())
    colours = (light < _KNEE).ifthenelse(light, rolled).copy(interpretation="scrgb").colourspace("srgb")
    if picture.bands < 4:
        return colours
    alpha = picture.extract_band(3)
    return colours.bandjoin((alpha >> 8 if picture.format == "ushort" else alpha).cast("uchar"))


def _pq_nits(codes: Any) -> Any:
    """SMPTE ST 2084, in cd/m²."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = codes ** (1 / m2)
    above = power - c1
    return 10_000 * ((above > 0).ifthenelse(above, 0) / (c2 - c3 * power)) ** (1 / m1)


def _hlg_nits(codes: Any) -> Any:
    """ARIB STD-B67 on a display of 1,000 cd/m²."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = (codes <= 0.5).ifthenelse(codes * codes / 3, (((codes - c) / a).exp() + b) / 12)
    return 1_000 * scene**1.2
