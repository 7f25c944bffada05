"""The kinds of files that are told apart, and what each is known by: the bytes it begins with, or the members of its package."""

from __future__ import annotations

import re
from typing import NamedTuple


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
RAW = Kind("image", "camera raw", "image/x-raw")
FBX = Kind("model", "FBX", "model/fbx")
DXF = Kind("model", "DXF", "image/vnd.dxf")
PARASOLID = Kind("model", "Parasolid", "model/vnd.parasolid.transmit-text")
ACIS = Kind("model", "ACIS", "application/x-acis")
BLENDER = Kind("model", "Blender", "application/x-blender")
GZIP = b"\x1f\x8b"
PREFIXES: tuple[tuple[bytes, Kind], ...] = (
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
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"IIU\0", RAW),
    (b"FOVb", RAW),
    (b"8BPS", Kind("design", "PSD", "image/vnd.adobe.photoshop")),
    (b"%!PS-Adobe", Kind("design", "PostScript", "application/postscript")),
    (b"\xc5\xd0\xd3\xc6", Kind("design", "PostScript", "application/postscript")),
    (b"fig-kiwi", Kind("design", "Figma", "application/x-figma")),
    (b"gimp xcf ", Kind("design", "XCF", "image/x-xcf")),
    (b"glTF", Kind("model", "GLB", "model/gltf-binary")),
    (b"ply\n", Kind("model", "PLY", "model/ply")),
    (b"ply\r\n", Kind("model", "PLY", "model/ply")),
    (b"Kaydara FBX Binary", FBX),
    (b"AutoCAD Binary DXF\r\n\x1a\0", DXF),
    (b"PXR-USDC", Kind("model", "USD", "model/vnd.usd")),
    (b"QC4DC4D6", Kind("model", "Cinema 4D", "application/x-cinema4d")),
    (b"3D Geometry File Format ", Kind("model", "Rhino", "model/vnd.3dm")),
    (b"**ABCDEFGHIJKLMNOPQRSTUVWXYZ", PARASOLID),
    (b"ACIS BinaryFile", ACIS),
    (b"ASM BinaryFile", ACIS),
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
    (GZIP, Kind("archive", "gzip", "application/gzip")),
    (b"(\xb5/\xfd", Kind("archive", "Zstandard", "application/zstd")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind("document", "OLE", "application/x-ole-storage")),
    (b"{\\rtf", Kind("document", "RTF", "application/rtf")),
)
DICOM = Kind("image", "DICOM", "application/dicom")
EMF = Kind("image", "EMF", "image/emf")
CORELDRAW = Kind("design", "CorelDRAW", "image/x-coreldraw")
CDR = Kind("design", "CDR", "image/x-coreldraw")
"""CorelDRAW's before 2008, which is no package."""
PATTERNS = (
    (re.compile(rb"AC10\d\d\0{4}"), Kind("model", "DWG", "image/vnd.dwg")),
    (re.compile(rb"BLENDER(?:[-_][vV]\d{3}|\d\d-\d\dv\d{4})"), BLENDER),
    (re.compile(rb"FORM....LW(?:OB|LO|O[23])", re.DOTALL), Kind("model", "LightWave", "image/x-lwo")),
    (re.compile(rb"Version \d{1,2}\.\d{1,2} +JT "), Kind("model", "JT", "model/jt")),
)
"""Of the drawing programs' own: a version stands in them."""
THREE_D_STUDIO = Kind("model", "3DS", "image/x-3ds")
RIFF = {
    b"WEBP": Kind("image", "WebP", "image/webp"),
    b"WAVE": Kind("audio", "WAV", "audio/wav"),
    b"AVI ": Kind("video", "AVI", "video/x-msvideo"),
}
BRANDS = {
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
    b"crx ": RAW,
    b"M4A ": Kind("audio", "M4A", "audio/mp4"),
    b"M4B ": Kind("audio", "M4A", "audio/mp4"),
    b"qt  ": Kind("video", "QuickTime", "video/quicktime"),
}
ROOTS = {
    b"svg": SVG,
    b"collada": Kind("model", "COLLADA", "model/vnd.collada+xml"),
    b"x3d": Kind("model", "X3D", "model/x3d+xml"),
}
TEXT_PREFIXES = (
    (b"ISO-10303-21;", Kind("model", "STEP", "model/step")),
    (b"; FBX ", FBX),
    (b"#VRML V", Kind("model", "VRML", "model/vrml")),
    (b"#usda ", Kind("model", "USD", "model/vnd.usda")),
)
TEXT_PATTERNS = (
    (re.compile(rb"(?:[ \t]*999[ \t]*\r?\n[^\r\n]*\r?\n)*[ \t]*0[ \t]*\r?\n[ \t]*SECTION[ \t]*\r?\n[ \t]*2[ \t]*\r?\n[ \t]*[A-Z]"), DXF),
    (re.compile(rb"\d{2,5} +\d+ +\d+ +\d+[ \t]*\r?\n@?\d+ [^\r\n]{1,200}?\b(?:ACIS|ASM) \d"), ACIS),
)
"""DXF: pairs of lines, a group's number and its value; 999 is a remark. ACIS: counts in the first line, its maker in the second."""
IGES = Kind("model", "IGES", "model/iges")
MP4 = Kind("video", "MP4", "video/mp4")
OFFICE = {
    "word/": Kind("document", "DOCX", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "ppt/": Kind("document", "PPTX", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    "xl/": Kind("document", "XLSX", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
PACKAGES = (
    (frozenset({"xl/workbook.bin"}), Kind("document", "XLSB", "application/vnd.ms-excel.sheet.binary.macroEnabled.12")),
    (frozenset({"document.json", "meta.json", "user.json"}), Kind("design", "Sketch", "application/x-sketch")),
    (frozenset({"canvas.fig"}), Kind("design", "Figma", "application/x-figma")),
    (frozenset({"3D/3dmodel.model"}), Kind("model", "3MF", "model/3mf")),
    (frozenset({"Index/Document.iwa"}), Kind("document", "iWork", "application/vnd.apple.iwork")),
    (frozenset({"visio/document.xml"}), Kind("document", "VSDX", "application/vnd.ms-visio.drawing.main+xml")),
)
USDZ = Kind("model", "USDZ", "model/vnd.usdz+zip")
"""By its rules: nothing in it is packed, and what the scene begins with is its first member."""
CALLED_BY_THEMSELVES = {
    b"application/vnd.oasis.opendocument.text": Kind("document", "ODT", "application/vnd.oasis.opendocument.text"),
    b"application/vnd.oasis.opendocument.presentation": Kind("document", "ODP", "application/vnd.oasis.opendocument.presentation"),
    b"application/vnd.oasis.opendocument.spreadsheet": Kind("document", "ODS", "application/vnd.oasis.opendocument.spreadsheet"),
    b"application/vnd.oasis.opendocument.graphics": Kind("document", "ODG", "application/vnd.oasis.opendocument.graphics"),
    b"application/vnd.adobe.sparkler.project": Kind("design", "XD", "application/vnd.adobe.xd"),
    b"application/epub+zip": Kind("document", "EPUB", "application/epub+zip"),
    b"application/x-krita": Kind("design", "Krita", "application/x-krita"),
    b"application/x-vnd.corel.": CORELDRAW,
    b"image/openraster": Kind("design", "OpenRaster", "image/openraster"),
}
