"""Files that broke off, never began, or were never files: failed uploads, dying disks, sleeping cameras."""

from __future__ import annotations

import random
from collections.abc import Mapping

from corpus.files import Files

_CUT = (
    "photo.jpg", "progressive.jpg", "photo.png", "interlaced.png", "photo.webp", "photo.gif", "lzw.tif", "photo.avif", "phone.heic",
    "photo.bmp", "favicon.ico", "photo.jp2", "poster.psd", "plan.svg",
    "film.mp4", "faststart.mp4", "fragments.mp4", "film.mkv", "film.webm", "film.avi", "film.ts", "film.flv", "film.ogv",
    "sound.mp3", "sound.m4a", "sound.flac", "sound.ogg", "sound.wav", "large.rf64", "sound.aiff",
    "proposal.pdf", "brief.docx", "leads.xlsx", "brief.odt", "plans.zip", "plans.7z",
    "tent.glb", "tent.gltf", "tent.stl", "words.stl", "little.ply", "words.ply",
)  # fmt: skip
"""One of each major format, to be cut after its header, early, in the middle and just before its end."""
_HEADER_BYTES = 16
_SEED = 20251124


def make(whole: Mapping[str, bytes]) -> Files:
    return {**_cuts(whole), **_nothing(), **_spoilt(whole)}


def _cuts(whole: Mapping[str, bytes]) -> Files:
    cuts: Files = {}
    for name in _CUT:
        data = whole[name]
        stem, _, ending = name.rpartition(".")
        for word, size in (("head", _HEADER_BYTES), ("10", len(data) // 10), ("50", len(data) // 2), ("99", len(data) * 99 // 100)):
            cuts[f"cut-{word}-{stem}.{ending}"] = data[:size]
    return cuts


def _nothing() -> Files:
    chance = random.Random(_SEED)
    return {
        "zero.bin": b"",
        "one-byte.bin": b"\x7f",
        "nul.bin": bytes(1),
        "nuls.bin": bytes(100_000),
        "ones.bin": b"\xff" * 100_000,
        "random.bin": chance.randbytes(50_000),
        "spaces.bin": b" " * 10_000,
        "mark-only.txt": b"\xef\xbb\xbf",
        "wide-mark-only.txt": b"\xff\xfe",
        "half-letter.txt": b"\xff\xfeA",
    }


def _spoilt(whole: Mapping[str, bytes]) -> Files:
    """Whole in length, wrong inside."""
    return {
        f"spoilt-{name}": _with_a_hole(whole[name])
        for name in ("photo.jpg", "photo.png", "photo.webp", "lzw.tif", "photo.avif", "film.mp4", "film.mkv", "sound.mp3", "sound.flac",
                     "proposal.pdf", "brief.docx", "little.ply")
    }  # fmt: skip


def _with_a_hole(data: bytes) -> bytes:
    """The middle fifth overwritten, as by a bad block of a disk."""
    begin, end = len(data) * 2 // 5, len(data) * 3 // 5
    return data[:begin] + b"\xaa" * (end - begin) + data[end:]
