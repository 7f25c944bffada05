"""ZIP packages from strangers (office files, design files): members that give no more than their share of bytes."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import damaged, locked

_MAX_MEMBERS = 20_000
_MAX_UNPACKED = 200_000_000
"""Bytes we unpack of one package, in all. A bomb stops here."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


class Package:
    """An opened package."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.names = archive.namelist()
        self._known = set(self.names)
        self._left = _MAX_UNPACKED
        if len(self.names) > _MAX_MEMBERS:
            raise PermanentError(f"the document's package has {len(self.names)} members, more than the {_MAX_MEMBERS} we open")

    def size(self, name: str) -> int:
        """Bytes of a member, unpacked, as its head says."""
        return self._archive.getinfo(name).file_size

    def has(self, name: str) -> bool:
        return name in self._known

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with self._archive.open(name) as member:
            yield _Metered(member, self)  # type: ignore[misc]  # it reads, which is all our readers do

    def unpack(self, name: str, to: Path) -> None:
        with self.open(name) as stream, to.open("wb") as file:
            shutil.copyfileobj(stream, file)

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise PermanentError(f"the document's package unpacks to more than {_MAX_UNPACKED // 1_000_000} MB")


class _Metered:
    def __init__(self, member: IO[bytes], package: Package) -> None:
        self._member = member
        self._package = package

    def read(self, size: int) -> bytes:
        chunk = self._member.read(size)
        self._package.spend(len(chunk))
        return chunk


@contextmanager
def opened(source: Path) -> Iterator[Package]:
    """Raises PermanentError, also out of its block, when the package is damaged, lacks a part, or needs a password."""
    try:
        with zipfile.ZipFile(source) as archive:
            if any(info.flag_bits & 1 for info in archive.infolist()):
                raise locked("the document")
            yield Package(archive)
    except PermanentError:
        raise
    except KeyError as error:
        raise damaged("the document", "a part of it is missing") from error
    except _DAMAGE as error:
        raise damaged("the document", "its parts cannot be unpacked") from error
