"""The outside systems as the processors see them, made on first use: a worker never loads what its queues do not need."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from kayan_workers import logs
from kayan_workers.errors import SettingsError, TemporaryError

if TYPE_CHECKING:
    from boto3.session import Session

    from kayan_workers.codecs.codecs import Codecs
    from kayan_workers.database import Database
    from kayan_workers.ffmpeg import Ffmpeg
    from kayan_workers.mailer import Mailer
    from kayan_workers.processors.cleaning.policy import Policy
    from kayan_workers.processors.handle import JobHandle
    from kayan_workers.settings import Settings
    from kayan_workers.storage import Storage

_TEMP_PREFIX = "kayan-"


Made = TypeVar("Made")


class _MadeOnce(Generic[Made]):
    """A ``cached_property`` that no two threads make at the same time."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, edges: Edges, owner: type[Edges]) -> Made:
        with edges.making:
            made = edges.__dict__
            if self._name not in made:
                made[self._name] = self._make(edges)
            result: Made = made[self._name]
            return result


class Edges:
    """Storage, database, mailer, ffmpeg and temporary files of one process. Shared by all its threads."""

    def __init__(self, settings: Settings, *, slots: int = 1) -> None:
        """``slots`` is how many jobs may use an edge at once."""
        self._settings = settings
        self._slots = slots
        self.making = threading.RLock()

    @property
    def pod(self) -> str:
        """Who we are to others."""
        return self._settings.pod

    @property
    def cleanup(self) -> Policy:
        """What the cleanups may do."""
        return self._settings.cleanup

    def has(self, edge: str) -> bool:
        """Whether that edge has been made, which asking for it would do."""
        return edge in self.__dict__

    def note(self, job: JobHandle, event: str, **fields: object) -> None:
        """One line in the worker's own log, which says what job it speaks of. Payloads do not belong in it."""
        logs.of(job).info(event, **fields)

    @_MadeOnce
    def storage(self) -> Storage:
        from kayan_workers.storage import FolderStorage, S3Storage

        settings = self._settings
        if settings.storage_folder is not None:
            try:
                settings.storage_folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise TemporaryError(f"storage folder {settings.storage_folder} cannot be made: {error.strerror}",
                                     "mend KAYAN_STORAGE, or the owner and mode of the folder above it") from error  # fmt: skip
            return FolderStorage(settings.storage_folder)
        if settings.bucket is None:
            raise SettingsError(["AWS_S3_BUCKET is not set: there is no object store to speak to"])
        return S3Storage(settings.bucket, settings.aws_region, settings.cdn_url, max_connections=max(10, 2 * self._slots))

    @_MadeOnce
    def database(self) -> Database:
        from kayan_workers.database import Database

        settings = self._settings
        if settings.database_url is None:
            raise SettingsError(["DATABASE_URL is not set: there is no database to speak to"])
        return Database(settings.database_url, pool_size=settings.database_pool_size, application_name=f"kayan-workers {settings.pod}"[:63])

    @_MadeOnce
    def mailer(self) -> Mailer:
        from kayan_workers.mail.addresses import sender as checked
        from kayan_workers.mailer import OutboxMailer, SesMailer

        settings = self._settings
        sender = checked(settings.email_from_name, settings.email_from)
        if settings.outbox is not None:
            return OutboxMailer(settings.outbox, sender=sender)
        from kayan_workers.bull.server import Server
        from kayan_workers.pace.shared import SharedPace
        from kayan_workers.suppression.suppressed import SuppressionList

        region = settings.ses_region

        def suppressed_of(session: Session) -> SuppressionList:
            insists = settings.suppression == "check"
            return SuppressionList(session, region, endpoint=settings.suppression_endpoint, insists=insists)

        return SesMailer(
            sender=sender, region=region, max_connections=max(10, self._slots),
            pace_of=lambda account: SharedPace(Server(settings.redis), ":".join(filter(None, ("ses", account, region)))),
            suppressed_of=None if settings.suppression == "off" else suppressed_of,
        )  # fmt: skip

    @_MadeOnce
    def ffmpeg(self) -> Ffmpeg:
        from kayan_workers.ffmpeg import Ffmpeg

        return Ffmpeg(self._settings.ffmpeg)

    @_MadeOnce
    def codecs(self) -> Codecs:
        from kayan_workers.codecs.codecs import Codecs
        from kayan_workers.media.films.cpus import usable_cpus

        settings, cpus = self._settings, usable_cpus()
        processes = settings.codec_processes or min(cpus, self._slots)
        return Codecs(self.temp_dir, self.ffmpeg, processes=processes, memory_mb=settings.codec_memory_mb, threads=cpus)

    @_MadeOnce
    def temp_dir(self) -> Path:
        """A folder of this process alone, which goes with it; those of dead processes go first."""
        base = self._settings.temp_dir
        _sweep(base)
        folder = Path(tempfile.mkdtemp(prefix=f"{_TEMP_PREFIX}{os.getpid()}-", dir=base))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def temp_folders(self) -> tuple[list[Path], list[Path]]:
        """The folders of temporary files that are in use, and those that dead processes left. Opens, sweeps and touches none.

        A process that has a folder of its own sees that one alone: it is all that it cleans. Else they are those of this machine.
        """
        if self.has("temp_dir"):
            return [self.temp_dir], []
        found = list(_folders(self._settings.temp_dir))
        return [folder for folder, is_left in found if not is_left], [folder for folder, is_left in found if is_left]

    def close(self) -> None:
        """End what was opened. The temporary folder goes at once; jobs still in it lose it."""
        made = self.__dict__
        if "database" in made:
            self.database.close()
        if "codecs" in made:
            self.codecs.close()
        if "mailer" in made:
            self.mailer.close()
        if "temp_dir" in made:
            shutil.rmtree(self.temp_dir, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Remove the folders that killed processes left behind."""
    for folder, is_left in _folders(base):
        if is_left:
            shutil.rmtree(folder, ignore_errors=True)


def _folders(base: Path) -> Iterator[tuple[Path, bool]]:
    """The processes' folders, and whether each was left behind. One under our own process id is a predecessor's."""
    for folder in base.glob(f"{_TEMP_PREFIX}[0-9]*-*"):
        owner = folder.name.removeprefix(_TEMP_PREFIX).partition("-")[0]
        if owner.isdigit() and folder.is_dir() and not folder.is_symlink():
            yield folder, int(owner) == os.getpid() or not _runs(int(owner))


def _runs(pid: int) -> bool:
    with contextlib.suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
