"""Whether what a browser said of a file fits what the file is. Browsers go by the name, and by lists that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kayan_workers.media.kinds import Kind

_ISO_MEDIA = {"MP4", "QuickTime", "M4A"}
_FITS: dict[str, set[str]] = {
    "image/jpeg": {"JPEG"}, "image/jpg": {"JPEG"}, "image/pjpeg": {"JPEG"},
    "image/png": {"PNG"}, "image/apng": {"PNG"}, "image/x-png": {"PNG"},
    "image/gif": {"GIF"}, "image/webp": {"WebP"}, "image/svg+xml": {"SVG"},
    "image/tiff": {"TIFF", "camera raw"}, "image/tif": {"TIFF", "camera raw"},
    "image/bmp": {"BMP"}, "image/x-bmp": {"BMP"}, "image/x-ms-bmp": {"BMP"},
    "image/x-icon": {"ICO"}, "image/vnd.microsoft.icon": {"ICO"},
    "image/avif": {"AVIF", "AVIF sequence"}, "image/heic": {"HEIC"}, "image/heif": {"HEIC", "AVIF"},
    "image/jp2": {"JPEG2000"}, "image/jxl": {"JPEG XL"}, "image/x-eps": {"PostScript"}, "image/eps": {"PostScript"},
    "image/vnd.adobe.photoshop": {"PSD"}, "image/x-photoshop": {"PSD"},
    "application/x-photoshop": {"PSD"}, "application/photoshop": {"PSD"},
    "application/pdf": {"PDF"}, "application/x-pdf": {"PDF"},
    "application/postscript": {"PostScript", "PDF"}, "application/illustrator": {"PostScript", "PDF"},
    "video/mp4": _ISO_MEDIA, "video/quicktime": _ISO_MEDIA, "video/x-m4v": _ISO_MEDIA, "video/3gpp": _ISO_MEDIA, "video/3gpp2": _ISO_MEDIA,
    "audio/mp4": _ISO_MEDIA, "audio/m4a": _ISO_MEDIA, "audio/x-m4a": _ISO_MEDIA, "audio/3gpp": _ISO_MEDIA,
    "video/webm": {"Matroska"}, "audio/webm": {"Matroska"}, "video/x-matroska": {"Matroska"}, "audio/x-matroska": {"Matroska"},
    "video/ogg": {"Ogg"}, "audio/ogg": {"Ogg"}, "application/ogg": {"Ogg"}, "audio/opus": {"Ogg"},
    "video/x-ms-wmv": {"ASF"}, "video/x-ms-asf": {"ASF"}, "audio/x-ms-wma": {"ASF"},
    "video/x-msvideo": {"AVI"}, "video/avi": {"AVI"}, "video/msvideo": {"AVI"}, "video/vnd.avi": {"AVI"},
    "video/mpeg": {"MPEG", "MPEG-TS"}, "video/mp2t": {"MPEG-TS"}, "video/x-flv": {"FLV"},
    "audio/mpeg": {"MP3"}, "audio/mp3": {"MP3"}, "audio/x-mpeg": {"MP3"}, "audio/mpeg3": {"MP3"},
    "audio/wav": {"WAV", "Wave64"}, "audio/wave": {"WAV", "Wave64"}, "audio/x-wav": {"WAV", "Wave64"}, "audio/vnd.wave": {"WAV", "Wave64"},
    "audio/flac": {"FLAC"}, "audio/x-flac": {"FLAC"}, "audio/aac": {"AAC"}, "audio/x-aac": {"AAC"},
    "audio/aiff": {"AIFF"}, "audio/x-aiff": {"AIFF"},
    "model/gltf-binary": {"GLB"}, "model/gltf+json": {"glTF"}, "model/ply": {"PLY"}, "model/obj": {"text"}, "model/3mf": {"3MF"},
    "image/vnd.dxf": {"DXF"}, "image/x-dxf": {"DXF"}, "application/dxf": {"DXF"}, "application/x-dxf": {"DXF"}, "drawing/x-dxf": {"DXF"},
    "image/vnd.dwg": {"DWG"}, "image/x-dwg": {"DWG"}, "application/dwg": {"DWG"}, "application/x-dwg": {"DWG"}, "drawing/dwg": {"DWG"},
    "application/acad": {"DWG", "DXF"}, "application/x-acad": {"DWG", "DXF"}, "application/autocad_dwg": {"DWG"},
    "image/x-3ds": {"3DS"}, "application/x-3ds": {"3DS"}, "image/x-lwo": {"LightWave"}, "application/x-blender": {"Blender"},
    "model/step": {"STEP"}, "model/iges": {"IGES"}, "model/vnd.usdz+zip": {"USDZ", "ZIP"},
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": {"DOCX"},
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": {"PPTX"},
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {"XLSX"},
    "application/vnd.oasis.opendocument.text": {"ODT"}, "application/vnd.oasis.opendocument.presentation": {"ODP"},
    "application/vnd.oasis.opendocument.spreadsheet": {"ODS"},
    "application/msword": {"OLE", "RTF"}, "application/vnd.ms-powerpoint": {"OLE"},
    "application/vnd.ms-excel": {"OLE", "text"},  # what Windows with Excel calls a CSV
    "text/csv": {"text"}, "text/plain": {"text"}, "text/markdown": {"text"}, "text/html": {"HTML"},
}  # fmt: skip
"""A declared type -> the kinds of content that bear it rightly. Types that say little (``application/zip``) are left out."""


def contradicts(declared: str, kind: Kind) -> bool:
    """Whether ``declared`` (``image/png``; parameters and case do not matter) says that the file is something else than ``kind``.

    Of a type that is not known here only the first half counts, and of content that is not known nothing is said.
    """
    mime_type = declared.partition(";")[0].strip().lower()
    if kind.family == "unknown":
        return False
    if mime_type in _FITS:
        return kind.name not in _FITS[mime_type]
    family = mime_type.partition("/")[0]
    return family in ("image", "video", "audio") and kind.family != "text" and family != kind.mime.partition("/")[0]
