"""The checks of ``kayan check`` for pictures, documents and films: each codec does a small piece of real work."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from kayan_workers.cli.trouble import Trouble
from kayan_workers.edges import Edges
from kayan_workers.media.films import parts

if TYPE_CHECKING:
    from kayan_workers.settings import Settings


def pillow() -> str:
    """Encode and decode a picture in every format the processors meet."""
    from io import BytesIO

    import PIL
    from PIL import Image

    broken = []
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF"):
        stream = BytesIO()
        try:
            Image.new("RGB", (16, 16), "teal").save(stream, form)
            Image.open(BytesIO(stream.getvalue())).load()
        except (OSError, KeyError, ValueError):
            broken.append(form)
    if broken:
        raise Trouble(f"Pillow {PIL.__version__} cannot handle {', '.join(broken)}",
                      "install the wheel from PyPI: pip install --force-reinstall --only-binary :all: pillow",
                      is_mild="JPEG" not in broken)  # fmt: skip
    return f"version {PIL.__version__}: JPEG, PNG, WebP, GIF, TIFF and AVIF"


def libvips() -> str:
    import pyvips

    picture = pyvips.Image.black(16, 16, bands=3)
    if not picture.write_to_buffer(".jpg"):
        raise Trouble("libvips writes no JPEG", "pip install 'pyvips[binary]'")
    return f"version {'.'.join(str(pyvips.version(part)) for part in range(3))}"


def pdf() -> str:
    import pypdfium2

    document = pypdfium2.PdfDocument.new()
    document.new_page(100, 100)
    count = len(document)
    document.close()
    return f"pypdfium2 works ({count} page made)"


def isolation(settings: Settings) -> str:
    """Start a codec process and see what holds it."""
    edges = Edges(settings)
    try:
        confined = edges.codecs.confined()
    finally:
        edges.close()
    missing = [name for name in ("limits", "files", "network") if name not in confined]
    if missing:
        raise Trouble(
            f"codecs run without a fence around {' and '.join(missing)}: the kernel or the container's seccomp profile refuses it",
            "the fence around files needs Landlock (Linux 5.13), that around the network seccomp; the limits hold all the same",
            is_mild=True,
        )
    return f"codecs are held by limits ({settings.codec_memory_mb} MB each), see the job's folder only, and have no network"


_PATIENCE_SECONDS = 20
_OTHER_FFMPEG = (
    "unset FFMPEG_BIN and FFMPEG_PATH for the one that pip install imageio-ffmpeg brings, or set FFMPEG_BIN to a build with all of them"
    " (libx264 comes with --enable-gpl --enable-libx264, zscale with --enable-libzimg)"
)


def ffmpeg(settings: Settings) -> str:
    """Ask it for its lists, and name each part we use that is not there, with what fails for the want of it."""
    binary = Edges(settings).ffmpeg.binary
    lacks = list(parts.missing({listing: parts.listed(_ffmpeg_says(binary, listing)) for listing in parts.LISTINGS}))
    if lacks:
        wants = "; ".join(f"{_kind(part, names)} {', '.join(names)}: {part.fails} fail" for part, names in lacks)
        raise Trouble(f"{binary} lacks the {wants}", _OTHER_FFMPEG, is_mild=all(part.is_rare for part, _ in lacks))
    return f"{Path(binary).name}: libx264, AAC, and every filter, decoder and format we use"


def _kind(part: parts.Part, names: list[str]) -> str:
    return part.listing.removesuffix("s") if len(names) == 1 else part.listing


def _ffmpeg_says(binary: str, listing: str) -> str:
    try:
        said = subprocess.run(  # noqa: S603  a binary that the settings name
            [binary, "-hide_banner", f"-{listing}"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Trouble(f"{binary} does not run: {error}", _OTHER_FFMPEG) from error
    if said.returncode:
        raise Trouble(f"{binary} does not say which {listing} it has: it ended with {said.returncode}", _OTHER_FFMPEG)
    return said.stdout
