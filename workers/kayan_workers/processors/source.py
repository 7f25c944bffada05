"""What the three media processors share: their payload's fields, the fetched file, and blame that names the asset."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import msgspec

from kayan_workers.errors import KayanError, PermanentError, TemporaryError
from kayan_workers.media.file_type import FileType
from kayan_workers.processors.parents import storable
from kayan_workers.storage import checked_key

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]


class MediaPayload(msgspec.Struct, rename="camel"):
    """A stored file and the asset it belongs to. ``mime_type`` is the browser's claim and may be empty."""

    asset_id: Text
    file_key: Text
    file_type: FileType
    mime_type: str | None = None
    original_filename: str | None = None

    def __post_init__(self) -> None:
        if not storable(self.asset_id):
            raise ValueError("assetId: holds a NUL character or half a surrogate pair, which no id has")


def check(payload: MediaPayload) -> None:
    """Raises PermanentError when the payload's key is none."""
    checked_key(payload.file_key)


@dataclass(frozen=True, slots=True)
class Source:
    """A fetched file in a folder of the job's own, which vanishes with the job."""

    path: Path

    def beside(self, name: str) -> Path:
        """A new file in the job's folder."""
        return self.path.with_name(name)


@contextmanager
def fetched(payload: MediaPayload, job: JobHandle, edges: Edges) -> Iterator[Source]:
    """Download the job's file. It keeps its extension only: a name from outside never becomes a path here.

    Raises PermanentError for a missing or empty object.
    """
    with tempfile.TemporaryDirectory(dir=edges.temp_dir, prefix="media-", ignore_cleanup_errors=True) as name:
        path = Path(name) / f"source{_extension(payload.file_key)}"
        if edges.storage.download(payload.file_key, path) == 0:
            raise PermanentError("the file is empty (0 bytes); upload it again")
        stop_if_cancelled(job)
        yield Source(path)


@contextmanager
def blaming(doing: str, payload: MediaPayload) -> Iterator[None]:
    """Say in every error of ours which work on which asset and file it stopped."""
    try:
        yield
    except (PermanentError, TemporaryError) as error:
        raise type(error)(f"{doing} of asset {payload.asset_id[:100]} ({payload.file_key[:200]}): {error}") from error


def stop_if_cancelled(job: JobHandle) -> None:
    """Give up work whose result nobody wants any more: the job timed out or belongs to another worker now."""
    if job.cancelled.is_set():
        raise TemporaryError("stopped: the job was cancelled")


def is_final(error: BaseException, job: JobHandle) -> bool:
    """Whether this error ends the job for good. One that was taken from us is another's to judge."""
    return job.abandoned is None and (isinstance(error, PermanentError) or job.is_last_attempt)


def in_words(error: BaseException, job: JobHandle) -> str:
    """What the row of the asset says about an error that ended its job."""
    if job.cancelled.is_set() and not isinstance(error, PermanentError):
        return "it took too long and was stopped; the role's time limit can be raised"
    return str(error) if isinstance(error, KayanError) else f"unexpected trouble in the worker ({type(error).__name__}): {error}"


def _extension(key: str) -> str:
    suffix = PurePosixPath(key).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 12 else ""
