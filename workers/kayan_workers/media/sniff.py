"""What a file really is, by its first bytes. Names and declared MIME types are hearsay."""

from __future__ import annotations

import codecs
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from kayan_workers.media import kinds as known
from kayan_workers.media.encodings import wide
from kayan_workers.media.kinds import Kind

_HEAD_BYTES = 4096
_MARKUP_BYTES = 65_536
"""Of XML and JSON: a drawing may begin with its licence (the GPL has 35 KB), a glTF in alphabetical order with hundreds of accessors."""
_3DS_PARTS = (0x0002, 0x3D3D, 0x3D3E, 0xB000)
"""What a 3DS file may begin with: its version, its meshes, their version, their movements."""
_DNG_VERSION, _SUB_IFDS, _NEW_SUBFILE_TYPE, _MAKE = 0xC612, 0x014A, 0x00FE, 0x010F
_BEFORE_ROOT = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
"""One piece of what may stand before an XML file's root. Never repeated within a pattern, which would try every way to part the pieces."""
_ROOT = re.compile(rb"<(?:[\w-]+:)?(svg|collada|x3d)[\s/>]", re.IGNORECASE)
_JSON_FLAT = r'[^{}"]|"(?:[^"\\]|\\.)*"'
_GLTF_ASSET = re.compile(rf'"asset"\s*:\s*\{{(?:{_JSON_FLAT}|\{{(?:{_JSON_FLAT})*\}})*?"version"\s*:\s*"[12]\.'.encode())
"""What an exporter adds to the asset may be an object too."""
_IGES_LINE = re.compile(rb"[^\r\n]{72}S[ 0]{6}1\s")
"""The first of an IGES file, which has the form of a punched card: its section and number stand in the last eight columns."""


def sniff(path: Path) -> Kind:
    """The kind of the file at ``path``, from its content alone. Reads some kilobytes, and the directory of a ZIP file."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        is_markup = head.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"<", b"{"))
        more = file.read(_MARKUP_BYTES - _HEAD_BYTES) if is_markup else b""
    if _is_3ds(head, path.stat().st_size):  # before TIFF, which may begin with the same four bytes
        return known.THREE_D_STUDIO
    return _by_magic(head) or _packed(path, head) or _by_text(head, more) or _loose(head) or known.UNKNOWN


def _by_magic(head: bytes) -> Kind | None:
    for prefix, kind in known.PREFIXES:
        if head.startswith(prefix):
            if prefix == known.GZIP and _is_packed_blender(head):
                return known.BLENDER
            return known.RAW if kind.name == "TIFF" and _is_raw(head) else kind
    for pattern, kind in known.PATTERNS:
        if pattern.match(head):
            return kind
    if head.startswith((b"RIFF", b"RF64")):
        return known.RIFF.get(head[8:12]) or (known.CDR if head[8:11].upper() == b"CDR" else None)
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind("audio", "AIFF", "audio/aiff")
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return known.BRANDS[b"qt  "]
    if head[4:8] == b"\xf8\x72\x6f\xba":
        return Kind("audio", "TrueHD", "audio/vnd.dolby.mlp")
    return known.PDF if b"%PDF-" in head[:1024] else _by_two_marks(head)


def _by_two_marks(head: bytes) -> Kind | None:
    """What begins with too little to be told by that alone."""
    if head[128:132] == b"DICM":
        return known.DICOM
    if head.startswith(b"\1\0\0\0") and head[40:44] == b" EMF":
        return known.EMF
    return None


def _is_packed_blender(head: bytes) -> bool:
    """Blender before 3.0 packs with gzip, and names the file as if it did not. (Later ones pack with Zstandard, which says nothing.)"""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 7) == b"BLENDER"
    except zlib.error:
        return False


def _is_3ds(head: bytes, size: int) -> bool:
    """A chunk that is the whole file, with one in it that may be the first."""
    return head.startswith(b"MM") and int.from_bytes(head[2:6], "little") == size and int.from_bytes(head[6:8], "little") in _3DS_PARTS


def _is_raw(head: bytes) -> bool:
    """What a camera wrote before any picture was made of it is a TIFF too: Canon's names itself, DNG has a tag of its own.

    Opened as a TIFF, such a file is the size of a stamp: its first page is the preview for the camera's screen.
    """
    if head[8:10] == b"CR":
        return True
    order: Literal["little", "big"] = "little" if head.startswith(b"II") else "big"
    at = int.from_bytes(head[4:8], order)
    count = int.from_bytes(head[at : at + 2], order)
    entries = [head[entry : entry + 12] for entry in range(at + 2, min(at + 2 + 12 * count, len(head) - 11), 12)]
    tags = {int.from_bytes(entry[:2], order): entry[8:] for entry in entries}
    reduced = 1 in tags.get(_NEW_SUBFILE_TYPE, b"")  # Nikon's and Sony's: a preview, with the picture in a directory below it
    return _DNG_VERSION in tags or (reduced and _SUB_IFDS in tags and _MAKE in tags)


def _iso_media(head: bytes) -> Kind:
    """An ISO file names a main brand and compatible ones; an AVIF may call itself ``mif1`` first."""
    size = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size - 3, 4))]
    if brands[0] in (b"mif1", b"msf1") and b"avif" in brands:
        return known.BRANDS[b"avif"]
    return known.BRANDS.get(brands[0], known.MP4)


def _packed(path: Path, head: bytes) -> Kind | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    if head[30:38] == b"mimetype":
        for mime, kind in known.CALLED_BY_THEMSELVES.items():
            if head[38 : 38 + len(mime)] == mime:
                return kind
    try:
        with zipfile.ZipFile(path) as package:
            names = package.namelist()
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in package.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return known.ZIP
    if stored and names and names[0].lower().endswith((".usd", ".usda", ".usdc")):
        return known.USDZ
    for members, kind in known.PACKAGES:
        if members <= set(names):
            return kind
    if "[Content_Types].xml" in names:
        for folder, kind in known.OFFICE.items():
            if any(name.startswith(folder) for name in names):
                return kind
    return known.ZIP


def _by_text(head: bytes, more: bytes) -> Kind | None:
    """Text of any sort: no NUL bytes in its head, unless it is UTF-16 or UTF-32. ``more`` is what follows the head of XML and JSON."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) or wide(head):
        return known.TEXT
    if not head or b"\0" in head or sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head) > len(head) // 50:
        return None
    start = (head + more).removeprefix(codecs.BOM_UTF8).lstrip()
    if kind := _by_root(start):
        return kind
    for prefix, kind in known.TEXT_PREFIXES:
        if start.startswith(prefix):
            return kind
    for pattern, kind in known.TEXT_PATTERNS:
        if pattern.match(start):
            return kind
    if _IGES_LINE.match(head):
        return known.IGES
    if start.startswith(b"{") and _is_gltf(start):
        return Kind("model", "glTF", "model/gltf+json")
    if start.startswith(b"<html") or start[:9].lower() == b"<!doctype":
        return Kind("text", "HTML", "text/html")
    return known.TEXT


def _is_gltf(start: bytes) -> bool:
    """Whether a scene's version stands where the format wants it, in what is there of the file: "asset" and "scenes" alone are words."""
    try:
        scene = json.loads(start)
    except (ValueError, RecursionError):
        return _GLTF_ASSET.search(start) is not None  # cut short here, or broken
    asset = scene.get("asset")
    return isinstance(asset, dict) and str(asset.get("version", "")).startswith(("1.", "2."))


def _by_root(text: bytes) -> Kind | None:
    at = 0
    while before := _BEFORE_ROOT.match(text, at):
        at = before.end()
    root = _ROOT.match(text, at)
    return known.ROOTS[root[1].lower()] if root else None


def _loose(head: bytes) -> Kind | None:
    """Short signatures that ordinary data may carry by accident; they are asked last."""
    if head.startswith(b"BM") and len(head) > 26:
        return Kind("image", "BMP", "image/bmp")
    if (len(head) > 188 and head[0] == head[188] == 0x47) or (len(head) > 196 and head[4] == head[196] == 0x47):  # with times, as AVCHD
        return Kind("video", "MPEG-TS", "video/mp2t")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return Kind("audio", "AAC", "audio/aac")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return Kind("audio", "MP3", "audio/mpeg")
    return None
