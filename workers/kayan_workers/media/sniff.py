"""What a file really is, by its first bytes. Names and declared MIME types are hearsay."""

from __future__ import annotations

import codecs
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Literal, NamedTuple

from kayan_workers.media.encodings import wide


class Kind(NamedTuple):
    """A recognised format: its family (image, video, audio, document, design, model, text, archive, unknown), name and MIME type."""

    family: str
    name: str
    mime: str

    def __str__(self) -> str:
        return f"{self.name} ({self.family})" if self.family != "unknown" else "data of no known format"


UNKNOWN = Kind("unknown", "unknown", "application/octet-stream")
TEXT = Kind("text", "text", "text/plain")
SVG = Kind("image", "SVG", "image/svg+xml")
PDF = Kind("document", "PDF", "application/pdf")
ZIP = Kind("archive", "ZIP", "application/zip")

_HEAD_BYTES = 4096
_GZIP = b"\x1f\x8b"
_MARKUP_BYTES = 65_536
"""Of XML and JSON: a drawing may begin with its licence (the GPL has 35 KB), a glTF in alphabetical order with hundreds of accessors."""
_RAW = Kind("image", "camera raw", "image/x-raw")
_FBX = Kind("model", "FBX", "model/fbx")
_DXF = Kind("model", "DXF", "image/vnd.dxf")
_PARASOLID = Kind("model", "Parasolid", "model/vnd.parasolid.transmit-text")
_ACIS = Kind("model", "ACIS", "application/x-acis")
_BLENDER = Kind("model", "Blender", "application/x-blender")
_PREFIXES: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", Kind("image", "JPEG", "image/jpeg")),
    (b"\x89PNG\r\n\x1a\n", Kind("image", "PNG", "image/png")),
    (b"GIF87a", Kind("image", "GIF", "image/gif")),
    (b"GIF89a", Kind("image", "GIF", "image/gif")),
    (b"II*\0", Kind("image", "TIFF", "image/tiff")),
    (b"MM\0*", Kind("image", "TIFF", "image/tiff")),
    (b"II+\0", Kind("image", "TIFF", "image/tiff")),
    (b"MM\0+", Kind("image", "TIFF", "image/tiff")),
    (b"\0\0\1\0", Kind("image", "ICO", "image/x-icon")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", Kind("image", "JPEG2000", "image/jp2")),
    (b"\xff\x4f\xff\x51", Kind("image", "JPEG2000", "image/j2c")),
    (b"\xff\x0a", Kind("image", "JPEG XL", "image/jxl")),
    (b"\0\0\0\x0cJXL \r\n\x87\n", Kind("image", "JPEG XL", "image/jxl")),
    (b"v/1\x01", Kind("image", "OpenEXR", "image/x-exr")),
    (b"#?RADIANCE", Kind("image", "Radiance HDR", "image/vnd.radiance")),
    (b"DDS |\0\0\0", Kind("image", "DDS", "image/vnd-ms.dds")),
    (b"qoif\0\0", Kind("image", "QOI", "image/qoi")),
    (b"icns\0", Kind("image", "ICNS", "image/icns")),
    (b"\xd7\xcd\xc6\x9a\0\0", Kind("image", "WMF", "image/wmf")),
    (b"AT&TFORM", Kind("image", "DjVu", "image/vnd.djvu")),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"IIU\0", _RAW),
    (b"FOVb", _RAW),
    (b"8BPS", Kind("design", "PSD", "image/vnd.adobe.photoshop")),
    (b"%!PS-Adobe", Kind("design", "PostScript", "application/postscript")),
    (b"\xc5\xd0\xd3\xc6", Kind("design", "PostScript", "application/postscript")),
    (b"fig-kiwi", Kind("design", "Figma", "application/x-figma")),
    (b"gimp xcf ", Kind("design", "XCF", "image/x-xcf")),
    (b"glTF", Kind("model", "GLB", "model/gltf-binary")),
    (b"ply\n", Kind("model", "PLY", "model/ply")),
    (b"ply\r\n", Kind("model", "PLY", "model/ply")),
    (b"Kaydara FBX Binary", _FBX),
    (b"AutoCAD Binary DXF\r\n\x1a\0", _DXF),
    (b"PXR-USDC", Kind("model", "USD", "model/vnd.usd")),
    (b"QC4DC4D6", Kind("model", "Cinema 4D", "application/x-cinema4d")),
    (b"3D Geometry File Format ", Kind("model", "Rhino", "model/vnd.3dm")),
    (b"**ABCDEFGHIJKLMNOPQRSTUVWXYZ", _PARASOLID),
    (b"ACIS BinaryFile", _ACIS),
    (b"ASM BinaryFile", _ACIS),
    (b"\xff\xfe\xff\x0eS\0k\0e\0t\0c\0h\0U\0p\0", Kind("model", "SketchUp", "application/vnd.sketchup.skp")),
    (b"\x1aE\xdf\xa3", Kind("video", "Matroska", "video/x-matroska")),
    (b"FLV\1", Kind("video", "FLV", "video/x-flv")),
    (b"\0\0\1\xba", Kind("video", "MPEG", "video/mpeg")),
    (b"\0\0\1\xb3", Kind("video", "MPEG", "video/mpeg")),
    (b"0&\xb2u\x8ef\xcf\x11", Kind("video", "ASF", "video/x-ms-asf")),
    (b"OggS", Kind("audio", "Ogg", "audio/ogg")),
    (b"fLaC", Kind("audio", "FLAC", "audio/flac")),
    (b"ID3", Kind("audio", "MP3", "audio/mpeg")),
    (b"caff", Kind("audio", "CAF", "audio/x-caf")),
    (b"#!AMR", Kind("audio", "AMR", "audio/amr")),
    (b".snd\0\0", Kind("audio", "AU", "audio/basic")),
    (b"DSD \x1c\0\0\0", Kind("audio", "DSF", "audio/x-dsf")),
    (b"\x7f\xfe\x80\x01", Kind("audio", "DTS", "audio/vnd.dts")),
    (b"wvpk", Kind("audio", "WavPack", "audio/x-wavpack")),
    (b"TTA1", Kind("audio", "TTA", "audio/x-tta")),
    (b"riff\x2e\x91\xcf\x11", Kind("audio", "Wave64", "audio/x-w64")),
    (b"\x06\x0e\x2b\x34\2\5\1\1", Kind("video", "MXF", "application/mxf")),
    (b"\0\0\0\0\1\xbc", Kind("video", "GXF", "application/gxf")),
    (b"\x1f\x07\0", Kind("video", "DV", "video/x-dv")),
    (b".RMF\0", Kind("video", "RealMedia", "application/vnd.rn-realmedia")),
    (b"Rar!\x1a\x07", Kind("archive", "RAR", "application/vnd.rar")),
    (b"7z\xbc\xaf'\x1c", Kind("archive", "7-Zip", "application/x-7z-compressed")),
    (_GZIP, Kind("archive", "gzip", "application/gzip")),
    (b"(\xb5/\xfd", Kind("archive", "Zstandard", "application/zstd")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("document", "OLE", "application/x-ole-storage")),
    (b"{\\rtf", Kind("document", "RTF", "application/rtf")),
)
_DICOM = Kind("image", "DICOM", "application/dicom")
_EMF = Kind("image", "EMF", "image/emf")
_CORELDRAW = Kind("design", "CorelDRAW", "image/x-coreldraw")
_CDR = Kind("design", "CDR", "image/x-coreldraw")
"""CorelDRAW's before 2008, which is no package."""
_PATTERNS = (
    (re.compile(rb"AC10\d\d\0{4}"), Kind("model", "DWG", "image/vnd.dwg")),
    (re.compile(rb"BLENDER(?:[-_][vV]\d{3}|\d\d-\d\dv\d{4})"), _BLENDER),
    (re.compile(rb"FORM....LW(?:OB|LO|O[23])", re.DOTALL), Kind("model", "LightWave", "image/x-lwo")),
    (re.compile(rb"Version \d{1,2}\.\d{1,2} +JT "), Kind("model", "JT", "model/jt")),
)
"""Of the drawing programs' own: a version stands in them."""
_3DS = Kind("model", "3DS", "image/x-3ds")
_3DS_PARTS = (0x0002, 0x3D3D, 0x3D3E, 0xB000)
"""What a 3DS file may begin with: its version, its meshes, their version, their movements."""
_RIFF = {
    b"WEBP": Kind("image", "WebP", "image/webp"),
    b"WAVE": Kind("audio", "WAV", "audio/wav"),
    b"AVI ": Kind("video", "AVI", "video/x-msvideo"),
}
_BRANDS = {
    b"avif": Kind("image", "AVIF", "image/avif"),
    b"avis": Kind("image", "AVIF sequence", "image/avif-sequence"),
    b"heic": Kind("image", "HEIC", "image/heic"),
    b"heix": Kind("image", "HEIC", "image/heic"),
    b"heim": Kind("image", "HEIC", "image/heic"),
    b"heis": Kind("image", "HEIC", "image/heic"),
    b"hevc": Kind("image", "HEIC", "image/heic"),
    b"hevx": Kind("image", "HEIC", "image/heic"),
    b"mif1": Kind("image", "HEIC", "image/heif"),
    b"msf1": Kind("image", "HEIC", "image/heif"),
    b"crx ": _RAW,
    b"M4A ": Kind("audio", "M4A", "audio/mp4"),
    b"M4B ": Kind("audio", "M4A", "audio/mp4"),
    b"qt  ": Kind("video", "QuickTime", "video/quicktime"),
}
_DNG_VERSION, _SUB_IFDS, _NEW_SUBFILE_TYPE, _MAKE = 0xC612, 0x014A, 0x00FE, 0x010F
_BEFORE_ROOT = re.compile(rb"\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s[^\[>]*(?:\[.*?\]\s*)?>", re.DOTALL | re.IGNORECASE)
"""One piece of what may stand before an XML file's root. Never repeated within a pattern, which would try every way to part the pieces."""
_ROOT = re.compile(rb"<(?:[\w-]+:)?(svg|collada|x3d)[\s/>]", re.IGNORECASE)
_ROOTS = {
    b"svg": SVG,
    b"collada": Kind("model", "COLLADA", "model/vnd.collada+xml"),
    b"x3d": Kind("model", "X3D", "model/x3d+xml"),
}
_TEXT_PREFIXES = (
    (b"ISO-10303-21;", Kind("model", "STEP", "model/step")),
    (b"; FBX ", _FBX),
    (b"#VRML V", Kind("model", "VRML", "model/vrml")),
    (b"#usda ", Kind("model", "USD", "model/vnd.usda")),
)
_JSON_FLAT = r'[^{}"]|"(?:[^"\\]|\\.)*"'
_GLTF_ASSET = re.compile(rf'"asset"\s*:\s*\{{(?:{_JSON_FLAT}|\{{(?:{_JSON_FLAT})*\}})*?"version"\s*:\s*"[12]\.'.encode())
"""What an exporter adds to the asset may be an object too."""
_TEXT_PATTERNS = (
    (re.compile(rb"(?:[ \t]*999[ \t]*\r?\n[^\r\n]*\r?\n)*[ \t]*0[ \t]*\r?\n[ \t]*SECTION[ \t]*\r?\n[ \t]*2[ \t]*\r?\n[ \t]*[A-Z]"), _DXF),
    (re.compile(rb"\d{2,5} +\d+ +\d+ +\d+[ \t]*\r?\n@?\d+ [^\r\n]{1,200}?\b(?:ACIS|ASM) \d"), _ACIS),
)
"""DXF: pairs of lines, a group's number and its value; 999 is a remark. ACIS: counts in the first line, its maker in the second."""
_IGES_LINE = re.compile(rb"[^\r\n]{72}S[ 0]{6}1\s")
"""The first of an IGES file, which has the form of a punched card: its section and number stand in the last eight columns."""
_IGES = Kind("model", "IGES", "model/iges")
_MP4 = Kind("video", "MP4", "video/mp4")
_OFFICE = {
    "word/": Kind("document", "DOCX", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "ppt/": Kind("document", "PPTX", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    "xl/": Kind("document", "XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
_PACKAGES = (
    (frozenset({"xl/workbook.bin"}), Kind("document", "XLSB", "application/vnd.ms-excel.sheet.binary.macroEnabled.12")),
    (frozenset({"document.json", "meta.json", "user.json"}), Kind("design", "Sketch", "application/x-sketch")),
    (frozenset({"canvas.fig"}), Kind("design", "Figma", "application/x-figma")),
    (frozenset({"3D/3dmodel.model"}), Kind("model", "3MF", "model/3mf")),
    (frozenset({"Index/Document.iwa"}), Kind("document", "iWork", "application/vnd.apple.iwork")),
    (frozenset({"visio/document.xml"}), Kind("document", "VSDX", "application/vnd.ms-visio.drawing.main+xml")),
)
_USDZ = Kind("model", "USDZ", "model/vnd.usdz+zip")
"""By its rules: nothing in it is packed, and what the scene begins with is its first member."""
_CALLED_BY_THEMSELVES = {
    b"application/vnd.oasis.opendocument.text": Kind("document", "ODT", "application/vnd.oasis.opendocument.text"),
    b"application/vnd.oasis.opendocument.presentation": Kind("document", "ODP", "application/vnd.oasis.opendocument.presentation"),
    b"application/vnd.oasis.opendocument.spreadsheet": Kind("document", "ODS", "application/vnd.oasis.opendocument.spreadsheet"),
    b"application/vnd.oasis.opendocument.graphics": Kind("document", "ODG", "application/vnd.oasis.opendocument.graphics"),
    b"application/vnd.adobe.sparkler.project": Kind("design", "XD", "application/vnd.adobe.xd"),
    b"application/epub+zip": Kind("document", "EPUB", "application/epub+zip"),
    b"application/x-krita": Kind("design", "Krita", "application/x-krita"),
    b"application/x-vnd.corel.": _CORELDRAW,
    b"image/openraster": Kind("design", "OpenRaster", "image/openraster"),
}


def sniff(path: Path) -> Kind:
    """The kind of the file at ``path``, from its content alone. Reads some kilobytes, and the directory of a ZIP file."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        is_markup = head.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"<", b"{"))
        more = file.read(_MARKUP_BYTES - _HEAD_BYTES) if is_markup else b""
    if _is_3ds(head, path.stat().st_size):  # before TIFF, which may begin with the same four bytes
        return _3DS
    return _by_magic(head) or _packed(path, head) or _by_text(head, more) or _loose(head) or UNKNOWN


def _by_magic(head: bytes) -> Kind | None:
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            if prefix == _GZIP and _is_packed_blender(head):
                return _BLENDER
            return _RAW if kind.name == "TIFF" and _is_raw(head) else kind
    for pattern, kind in _PATTERNS:
        if pattern.match(head):
            return kind
    if head.startswith((b"RIFF", b"RF64")):
        return _RIFF.get(head[8:12]) or (_CDR if head[8:11].upper() == b"CDR" else None)
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return Kind("audio", "AIFF", "audio/aiff")
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return _BRANDS[b"qt  "]
    if head[4:8] == b"\xf8\x72\x6f\xba":
        return Kind("audio", "TrueHD", "audio/vnd.dolby.mlp")
    return PDF if b"%PDF-" in head[:1024] else _by_two_marks(head)


def _by_two_marks(head: bytes) -> Kind | None:
    """What begins with too little to be told by that alone."""
    if head[128:132] == b"DICM":
        return _DICOM
    if head.startswith(b"\1\0\0\0") and head[40:44] == b" EMF":
        return _EMF
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
        return _BRANDS[b"avif"]
    return _BRANDS.get(brands[0], _MP4)


def _packed(path: Path, head: bytes) -> Kind | None:
    if not head.startswith(b"PK\x03\x04"):
        return None
    if head[30:38] == b"mimetype":
        for mime, kind in _CALLED_BY_THEMSELVES.items():
            if head[38 : 38 + len(mime)] == mime:
                return kind
    try:
        with zipfile.ZipFile(path) as package:
            names = package.namelist()
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in package.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return ZIP
    if stored and names and names[0].lower().endswith((".usd", ".usda", ".usdc")):
        return _USDZ
    for members, kind in _PACKAGES:
        if members <= set(names):
            return kind
    if "[Content_Types].xml" in names:
        for folder, kind in _OFFICE.items():
            if any(name.startswith(folder) for name in names):
                return kind
    return ZIP


def _by_text(head: bytes, more: bytes) -> Kind | None:
    """Text of any sort: no NUL bytes in its head, unless it is UTF-16 or UTF-32. ``more`` is what follows the head of XML and JSON."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")) or wide(head):
        return TEXT
    if not head or b"\0" in head or sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head) > len(head) // 50:
        return None
    start = (head + more).removeprefix(codecs.BOM_UTF8).lstrip()
    if kind := _by_root(start):
        return kind
    for prefix, kind in _TEXT_PREFIXES:
        if start.startswith(prefix):
            return kind
    for pattern, kind in _TEXT_PATTERNS:
        if pattern.match(start):
            return kind
    if _IGES_LINE.match(head):
        return _IGES
    if start.startswith(b"{") and _is_gltf(start):
        return Kind("model", "glTF", "model/gltf+json")
    if start.startswith(b"<html") or start[:9].lower() == b"<!doctype":
        return Kind("text", "HTML", "text/html")
    return TEXT


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
    return _ROOTS[root[1].lower()] if root else None


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
