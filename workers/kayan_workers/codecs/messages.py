"""What a worker and its codec process say to each other: msgpack, typed on both sides, because a file may have taken the process over."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import REMEDY
from kayan_workers.media.file_type import FileType
from kayan_workers.media.rendition import Rendition, Transcode

Result = TypeVar("Result")


class Examine(msgspec.Struct, tag=True, frozen=True):
    """Asks for ``media.examine.examine``; answered with ``Examined``."""

    source: Path
    file_type: FileType


class Picture(msgspec.Struct, tag=True, frozen=True):
    """Asks for ``media.pictures.picture``; answered with a list of sizes."""

    source: Path
    file_type: FileType
    renditions: list[Rendition]


class Films(msgspec.Struct, tag=True, frozen=True):
    """Asks for ``media.video.films``; answered with ``FilmSizes``."""

    source: Path
    wanted: list[Transcode]
    stills: list[Rendition]


Request = Examine | Picture | Films


class Ready(msgspec.Struct, tag=True, frozen=True):
    """The first message: the process is confined and waits for requests. ``confined`` names what holds it."""

    confined: list[str]


class Step(msgspec.Struct, tag=True, frozen=True):
    """What the process is about to do; the last one is told when it dies."""

    doing: str


class Progress(msgspec.Struct, tag=True, frozen=True):
    """How far a film is, in per cent."""

    percent: float


class Done(msgspec.Struct, tag=True, frozen=True):
    """The answer, still packed: its type depends on the request. ``grown`` asks for a new process."""

    result: msgspec.Raw
    grown: bool


class Refused(msgspec.Struct, tag=True, frozen=True):
    """An error of ours: the file is at fault (``permanent``) or this machine is."""

    permanent: bool
    says: str
    remedy: str
    grown: bool


class Broken(msgspec.Struct, tag=True, frozen=True):
    """An exception nobody expected: a fault of ours that this file brought to light."""

    kind: str
    traceback: str


Answer = Done | Refused | Broken
Reply = Ready | Step | Progress | Done | Refused | Broken


def pack(message: Any) -> bytes:
    return msgspec.msgpack.encode(message, enc_hook=_plain)


def packed(result: Any) -> msgspec.Raw:
    """Raises PermanentError for a number of more than 64 bits: files claim what they like."""
    try:
        return msgspec.Raw(pack(result))
    except OverflowError as error:
        raise PermanentError("the file is damaged: it claims to hold more than anybody has", REMEDY) from error


def request(data: bytes) -> Request:
    asked: Request = msgspec.msgpack.decode(data, type=Request, dec_hook=_path)
    return asked


def reply(data: bytes) -> Reply:
    """Raises ValueError (msgspec's own errors are such) for what is no message of ours."""
    said: Reply = msgspec.msgpack.decode(data, type=Reply)
    return said


def result(data: msgspec.Raw, kind: type[Result]) -> Result:
    return msgspec.msgpack.decode(data, type=kind)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(f"{type(value).__name__} does not travel")


def _path(kind: type[Any], value: Any) -> Any:
    if issubclass(kind, Path):
        return Path(value)
    raise NotImplementedError(f"{kind.__name__} does not travel")
