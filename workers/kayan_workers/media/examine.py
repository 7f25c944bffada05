"""Finds out what a file is: its kind by content, and everything the database keeps of that kind.

Most files are pictures and films, and what the other rooms need weighs as much as all of theirs: it comes with the first file for them.
"""

from __future__ import annotations

from pathlib import Path

from kayan_workers.errors import PermanentError
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.archives import breaks_off
from kayan_workers.media.complaints import damaged
from kayan_workers.media.examined import Examined
from kayan_workers.media.facts import Facts, present
from kayan_workers.media.file_type import FileType
from kayan_workers.media.films import audio, video
from kayan_workers.media.films.probe import Probe, probe
from kayan_workers.media.images import images
from kayan_workers.media.images.openers import can_read
from kayan_workers.media.kinds import TEXT, Kind
from kayan_workers.media.sniff import sniff

_NO_MODELS = {
    "", ".glb", ".gltf", ".obj", ".stl", ".ply", ".txt", ".text", ".csv", ".tsv", ".md", ".log", ".ini", ".cfg", ".conf", ".json", ".xml",
    ".yaml", ".yml", ".toml", ".htm", ".html", ".css", ".js", ".ts", ".py", ".sh", ".bat", ".sql", ".tex", ".rtf", ".eml", ".srt", ".vtt",
    ".doc", ".docx", ".docm", ".dot", ".dotx", ".odt", ".ott", ".pdf", ".ppt", ".pptx", ".pptm", ".odp", ".xls", ".xlsx", ".xlsm", ".xlsb",
    ".ods", ".pages", ".key", ".numbers", ".msg", ".epub", ".jpg", ".jpeg", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".ico",
    ".svg", ".svgz", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".psb", ".ai", ".eps", ".indd", ".fig", ".sketch", ".xd", ".mp4",
    ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".mp3", ".m4a", ".wav", ".flac", ".ogg", ".aac", ".zip", ".rar",
    ".bin", ".7z", ".gz", ".tar", ".exe",
}  # fmt: skip
"""Of a text with another ending nobody here can say that it is no model; one of the five after none is broken: those we can read."""
_OFFICE_SUFFIXES = {".docx", ".docm", ".pptx", ".pptm", ".xlsx", ".xlsm", ".odt", ".odp", ".ods"}


def examine(source: Path, file_type: FileType, ffmpeg: Ffmpeg) -> Examined:
    """The facts, by what the app says the file is; OTHER is what its content says, because the app files Word and Excel there.

    Raises PermanentError, in words for a person, for a file that is damaged, dangerous, or not what the app says.
    """
    kind = sniff(source)
    return Examined(kind, _facts(source, kind, file_type, ffmpeg))


def _facts(source: Path, kind: Kind, file_type: FileType, ffmpeg: Ffmpeg) -> Facts:
    match file_type:
        case FileType.IMAGE:
            return _image(source, kind)
        case FileType.VIDEO:
            return _video(source, ffmpeg)
        case FileType.AUDIO:
            return _sound(source, probe(ffmpeg, source), ffmpeg)
        case FileType.DOCUMENT:
            return _document(source, kind)
        case FileType.MODEL_3D:
            return _model(source, kind)
        case FileType.DESIGN:
            return _design(source, kind)
        case FileType.OTHER:
            return _other(source, kind, ffmpeg)


def _image(source: Path, kind: Kind) -> Facts:
    """Browsers call raws, EPS, DWG and CorelDRAW images too, and those are good files although nobody here reads them."""
    if kind.family in ("image", "design", "model") and not can_read(kind):
        return _unread(source, kind)
    if kind.name != "PSD":
        return images.describe(source)
    from kayan_workers.media.designs import designs

    canvas = designs.describe(source)  # the app types Photoshop files IMAGE when the browser knows their MIME type
    flat = source.with_name("flat")
    if not designs.merged(source, flat):
        return canvas
    facts = images.describe(flat)
    return Facts(
        width=canvas.width, height=canvas.height, metadata={**facts.metadata, **canvas.metadata},
        details={**facts.details, **canvas.details}, custom={**facts.custom, **canvas.custom},
    )  # fmt: skip


def _video(source: Path, ffmpeg: Ffmpeg) -> Facts:
    """A film, or a recording of sound alone in a film's format: browsers call it a video, and many players show it as one."""
    found = probe(ffmpeg, source)
    return video.describe(found) if found.video or found.lacks_its_pictures else _sound(source, found, ffmpeg)


def _sound(source: Path, found: Probe, ffmpeg: Ffmpeg) -> Facts:
    return audio.describe(found, audio.cover_size(ffmpeg, source))


def _document(source: Path, kind: Kind) -> Facts:
    from kayan_workers.media.documents import documents

    if not documents.can_read(kind) and kind.family in ("document", "archive", "model"):
        _refuse_broken_office(source, kind)
        return _unread(source, kind)
    return documents.describe(source)


def _model(source: Path, kind: Kind) -> Facts:
    from kayan_workers.media.models import models

    if not models.can_read(source, kind) and _may_be_a_model(source, kind):
        return _unread(source, kind)
    return models.describe(source)


def _may_be_a_model(source: Path, kind: Kind) -> bool:
    """Whether a file that cannot be read here as a model may be one in another program's format."""
    suffix = source.suffix.lower()
    if kind.name == "OLE":  # 3ds Max, SolidWorks and Inventor keep their models in such, and so does Office its files
        from kayan_workers.media.documents.ole import ole_kind

        return ole_kind(source) is None
    if kind == TEXT:
        return suffix not in _NO_MODELS
    return kind.family in ("model", "archive", "unknown") and suffix != ".stl"


def _design(source: Path, kind: Kind) -> Facts:
    from kayan_workers.media.designs import designs

    if designs.can_read(kind):
        return designs.describe(source)
    return _image(source, kind) if kind.family == "image" else _unread(source, kind)


def _other(source: Path, kind: Kind, ffmpeg: Ffmpeg) -> Facts:
    """Whatever it is, a valid upload: what cannot be read is stored as it is, and its kind recorded."""
    from kayan_workers.media.documents import documents
    from kayan_workers.media.models import models

    if models.can_read(source, kind):
        return models.describe(source)
    if documents.can_read(kind):
        return documents.describe(source)
    problem = None
    try:
        match kind.family:
            case "image" | "design":
                return _image(source, kind)
            case "video":
                return _video(source, ffmpeg)
            case "audio":
                return _sound(source, probe(ffmpeg, source), ffmpeg)
    except PermanentError as error:
        problem = error.says
    _refuse_broken_office(source, kind)
    return _unread(source, kind, problem)


def _refuse_broken_office(source: Path, kind: Kind) -> None:
    """A package that calls itself an office file and is none any more was cut on its way: its directory stands at its end."""
    if kind.name == "ZIP" and source.suffix.lower() in _OFFICE_SUFFIXES:
        raise damaged("the document", "it is no whole office package")


def _unread(source: Path, kind: Kind, problem: str | None = None) -> Facts:
    """A format nobody here can look into (Figma, FBX, STEP, Word before 2007 …): the file is fine, only its inside stays unknown.

    What is damaged is stored too where it is nobody's to refuse, but its users are told.
    """
    cut = True if breaks_off(source, kind) else None
    return Facts(metadata=present({"format": kind.name, "inspected": False, "damaged": cut, "inspectionError": problem}))
