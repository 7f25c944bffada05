"""The object store: S3 or anything that speaks its protocol, or a plain folder when asked for by name.

Both stores check keys the same way, stream what they move, and translate every failure: what cannot heal is a
PermanentError, what may heal a TemporaryError. Trouble with S3 is never answered with a silent local copy.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol

from kayan_workers.errors import KayanError, PermanentError, TemporaryError
from kayan_workers.objects import is_the_fleets

if TYPE_CHECKING:
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import ClientError
    from types_boto3_s3.client import S3Client

_CHUNK = 1024 * 1024
_PART = re.compile(r"\.[0-9a-f]{16}\.part")
"""An upload to a folder that is under way, or whose worker was killed."""
_NO_FILE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG}
"""What a system says of a path where no file is, or can be."""
_NOWHERE = "it was deleted, or the web app keeps it elsewhere (in another bucket, or on its own disk after trouble with S3)"
_MAX_KEY_BYTES = 1024
"""S3's own limit."""


class Stored(NamedTuple):
    """An object just written. ``checksum`` is the MD5 of its bytes in hex, as the web app records it; ``size`` is in bytes."""

    key: str
    url: str
    size: int
    checksum: str


class StoredObject(NamedTuple):
    """An object found in the store. ``size`` is in bytes, ``modified`` in UTC."""

    key: str
    size: int
    modified: datetime


class Storage(Protocol):
    """What a processor may ask of the object store. Safe to share between threads."""

    def download(self, key: str, to: Path) -> int:
        """Stream an object into the file ``to``; returns its size in bytes. A missing object is a PermanentError."""
        ...

    def upload(self, source: Path | bytes, key: str, content_type: str) -> Stored:
        """Write an object, whole or not at all, replacing what stood there. A file is streamed."""
        ...

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects. A missing one is fine, an empty key is refused, a failure raises."""
        ...

    def delete_what_goes(self, keys: Sequence[str]) -> dict[str, str]:
        """Remove objects as ``delete`` does, but leave those that the store refuses one by one: returns them, each with the store's reason.

        Raises when the store cannot be asked at all.
        """
        ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Every object whose key starts with ``prefix``, in the order of keys."""
        ...

    def url(self, key: str) -> str:
        """Where a browser finds the object."""
        ...

    def unfinished(self, older_than: datetime) -> Iterator[StoredObject]:
        """Uploads of the app and its workers that were begun before ``older_than`` and never completed. ``size`` is 0 where the store does
        not tell it. A bucket may be shared: uploads to other keys than theirs (``objects.is_the_fleets``) are not looked at.
        """
        ...

    def discard_unfinished(self, older_than: datetime) -> int:
        """Throw those uploads away; returns how many."""
        ...

    def check(self) -> None:
        """Ask for next to nothing. Raises TemporaryError when the store is not there or does not know us."""
        ...


def checked_key(key: str) -> str:
    """The key itself, or PermanentError: no store may be asked for an empty key or one that leaves its root.

    Two dots inside a name (``a..b.png``) are harmless and occur in the web app's own keys.
    """
    if not key:
        raise PermanentError("storage key is empty: it would address the whole bucket")
    if key.startswith("/") or "\\" in key or any(part in ("", ".", "..") for part in key.split("/")):
        raise PermanentError(f"storage key {key!r} does not stay inside the store: it is absolute or has an empty, '.' or '..' part")
    if any(ord(character) < 32 or ord(character) == 127 for character in key) or len(key.encode("utf-8", "replace")) > _MAX_KEY_BYTES:
        raise PermanentError(f"storage key {key[:80]!r} has control characters or more than {_MAX_KEY_BYTES} bytes")
    return key


class FolderStorage:
    """A folder as object store: key ``a/b.png`` is the file ``<root>/a/b.png``. For trying out and for the app's local mode."""

    def __init__(self, root: Path, base_url: str = "/api/files") -> None:
        self.root = root.resolve()
        self.base_url = base_url.rstrip("/")

    def download(self, key: str, to: Path) -> int:
        path = self._path(key)
        with _folder_trouble(f"reading {key!r} from the storage folder {self.root}"):
            try:
                size, _ = _copy(path, to)
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
                raise PermanentError(f"storage folder {self.root} holds no object {key!r}: {_NOWHERE}") from error
        return size

    def upload(self, source: Path | bytes, key: str, content_type: str) -> Stored:
        path = self._path(key)
        part = path.parent / f".{secrets.token_hex(8)}.part"
        with _folder_trouble(f"writing {key!r} to the storage folder {self.root}"):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                size, checksum = _copy(source, part)
                part.replace(path)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                raise PermanentError(f"storage key {key[:80]!r} has a part that is too long for a file's name") from error
            finally:
                part.unlink(missing_ok=True)
        return Stored(key, self.url(key), size, checksum)

    def delete(self, keys: Sequence[str]) -> None:
        if refused := self.delete_what_goes(keys):
            raise TemporaryError(f"storage folder {self.root}: {_not_deleted(refused, keys)}", "check the folder's owner and mode")

    def delete_what_goes(self, keys: Sequence[str]) -> dict[str, str]:
        refused = {}
        for key, path in [(key, self._path(key)) for key in keys]:
            try:
                path.unlink()
            except OSError as error:
                if error.errno not in _NO_FILE - {errno.EISDIR}:
                    refused[key] = error.strerror or str(error)
        return refused

    def exists(self, key: str) -> bool:
        path = self._path(key)
        with _folder_trouble(f"looking for {key!r} in the storage folder {self.root}"):
            try:
                return stat.S_ISREG(path.stat().st_mode)
            except OSError as error:
                if error.errno not in _NO_FILE:
                    raise
                return False

    def list(self, prefix: str) -> Iterator[StoredObject]:
        found = []
        for path in (self.root / prefix.rpartition("/")[0]).rglob("*"):
            key = path.relative_to(self.root).as_posix()
            if key.startswith(prefix) and not _PART.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                status = path.stat()
                found.append(StoredObject(key, status.st_size, datetime.fromtimestamp(status.st_mtime, tz=UTC)))
        yield from sorted(found)

    def url(self, key: str) -> str:
        return f"{self.base_url}/{urllib.parse.quote(key)}"

    def unfinished(self, older_than: datetime) -> Iterator[StoredObject]:
        with _folder_trouble(f"looking for unfinished uploads in the storage folder {self.root}"):
            for path in self.root.rglob(".*.part"):
                status = path.lstat()
                if _PART.fullmatch(path.name) and status.st_mtime < older_than.timestamp():
                    begun = datetime.fromtimestamp(status.st_mtime, tz=UTC)
                    yield StoredObject(path.relative_to(self.root).as_posix(), status.st_size, begun)

    def discard_unfinished(self, older_than: datetime) -> int:
        parts = list(self.unfinished(older_than))
        with _folder_trouble(f"discarding unfinished uploads in the storage folder {self.root}"):
            for part in parts:
                (self.root / part.key).unlink(missing_ok=True)
        return len(parts)

    def check(self) -> None:
        with _folder_trouble(f"looking at the storage folder {self.root}"):
            if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "it is not there, or we may not read and write it")

    def _path(self, key: str) -> Path:
        path = self.root / checked_key(key)
        if not path.resolve().is_relative_to(self.root):
            raise PermanentError(f"storage key {key!r} leads out of {self.root} through a symbolic link")
        return path


class S3Storage:
    """A bucket of S3 or of any store that speaks its protocol (the endpoint is boto3's own ``AWS_ENDPOINT_URL_S3``).

    Credentials are boto3's business too: static keys, a role of the pod, a profile. ``cdn_url`` (CloudFront) replaces
    the bucket's own address in the URLs handed to browsers.
    """

    def __init__(self, bucket: str, region: str, cdn_url: str | None = None, *, max_connections: int = 20) -> None:
        self.bucket = bucket
        self.region = region
        self.cdn_url = cdn_url.rstrip("/") if cdn_url else None
        self._client = _client(region, max_connections)
        self._watching: S3Client | None = None
        self._transfer = _transfer()

    def download(self, key: str, to: Path) -> int:
        checked_key(key)
        with self._trouble(f"reading {key!r}"), self._saying_what_is_missing(key):
            self._client.download_file(self.bucket, key, str(to), Config=self._transfer)
        return to.stat().st_size

    def upload(self, source: Path | bytes, key: str, content_type: str) -> Stored:
        checked_key(key)
        size, checksum = _measure(source)
        name = urllib.parse.quote(PurePosixPath(key).name, safe=" ()!@+,;=~")  # a header holds ASCII only
        metadata = {"checksum": checksum, "originalFilename": name}
        with self._trouble(f"writing {key!r}"):
            if isinstance(source, bytes):
                self._client.put_object(Bucket=self.bucket, Key=key, Body=source, ContentType=content_type, Metadata=metadata)
            else:  # by its name, not as an open file: of those, boto3 keeps ten pieces in memory
                extra = {"ContentType": content_type, "Metadata": metadata}
                self._client.upload_file(str(source), self.bucket, key, ExtraArgs=extra, Config=self._transfer)
        return Stored(key, self.url(key), size, checksum)

    def delete(self, keys: Sequence[str]) -> None:
        if refused := self.delete_what_goes(keys):
            raise TemporaryError(f"bucket {self.bucket}: {_not_deleted(refused, keys)}")

    def delete_what_goes(self, keys: Sequence[str]) -> dict[str, str]:
        wanted = [checked_key(key) for key in keys]
        refused = {}
        for start in range(0, len(wanted), 1000):
            some = wanted[start : start + 1000]
            with self._trouble(f"deleting {len(some)} objects"):
                answer = self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            for refusal in answer.get("Errors", []):
                if refusal.get("Code") != "NoSuchKey":
                    refused[refusal.get("Key", "")] = f"{refusal.get('Code')} {refusal.get('Message')}"
        return refused

    def exists(self, key: str) -> bool:
        checked_key(key)
        from botocore.exceptions import ClientError

        with self._trouble(f"looking for {key!r}"):
            try:
                with self._saying_what_is_missing(key):
                    self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                # Only "not found" means no: who hears no may delete the row of an object that is there.
                if _code(error) not in _MISSING:
                    raise
                return False
        return True

    def list(self, prefix: str) -> Iterator[StoredObject]:
        with self._trouble(f"listing {prefix!r}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for entry in page.get("Contents", []):
                    yield StoredObject(entry["Key"], entry["Size"], entry["LastModified"].astimezone(UTC))

    def url(self, key: str) -> str:
        base = self.cdn_url or f"https://{self.bucket}.s3.{self.region}.amazonaws.com"
        return f"{base}/{urllib.parse.quote(key)}"

    def unfinished(self, older_than: datetime) -> Iterator[StoredObject]:
        for found, _ in self._unfinished(older_than):
            yield found

    def discard_unfinished(self, older_than: datetime) -> int:
        discarded = 0
        for found, upload_id in self._unfinished(older_than):
            with self._trouble(f"discarding the unfinished upload of {found.key!r} (s3:AbortMultipartUpload)"):
                self._client.abort_multipart_upload(Bucket=self.bucket, Key=found.key, UploadId=upload_id)
            discarded += 1
        return discarded

    def _unfinished(self, older_than: datetime) -> Iterator[tuple[StoredObject, str]]:
        """Each with the id by which S3 knows it."""
        with self._trouble("listing unfinished uploads (s3:ListBucketMultipartUploads)"):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket):
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] < older_than and is_the_fleets(upload["Key"]):
                        yield StoredObject(upload["Key"], 0, upload["Initiated"].astimezone(UTC)), upload["UploadId"]

    def check(self) -> None:
        """A role that may not list the bucket is refused whatever is missing, so that a refusal of this kind tells nothing."""
        from botocore.exceptions import ClientError

        self._watching = self._watching or _client(self.region, 1, read_timeout=_WATCH_SECONDS, attempts=2)
        with self._trouble("looking whether it is there"):
            try:
                self._watching.get_object(Bucket=self.bucket, Key=_NEVER_THERE)
            except ClientError as error:
                if _code(error) not in {"NoSuchKey", "AccessDenied"}:
                    raise

    def make_bucket(self) -> bool:
        """Make the bucket unless it is there; returns whether it was made."""
        from botocore.exceptions import ClientError

        with self._trouble("making it"):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _code(error) not in _MISSING | {"NoSuchBucket"}:
                    raise
            else:
                return False
            # Of us-east-1 alone S3 wants to hear nothing.
            where: Any = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
            try:
                self._client.create_bucket(Bucket=self.bucket, **where)
            except ClientError as error:
                if _code(error) != "BucketAlreadyOwnedByYou":
                    raise
                return False  # somebody was faster
        return True

    @contextmanager
    def _saying_what_is_missing(self, key: str) -> Iterator[None]:
        """HEAD says 404 and no more, of a missing bucket as well as of a missing object; GET gives the reason."""
        from botocore.exceptions import ClientError

        try:
            yield
        except ClientError as error:
            if _code(error) not in _BARE:
                raise
            self._client.get_object(Bucket=self.bucket, Key=key)["Body"].close()
            raise TemporaryError(f"bucket {self.bucket}: {key!r} came while it was looked for") from error

    @contextmanager
    def _trouble(self, doing: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            _translate(error, f"bucket {self.bucket}, {doing}")
        except (BotoCoreError, Boto3Error) as error:
            if isinstance(error.__cause__ or error.__context__, ClientError):
                _translate(error.__cause__ or error.__context__, f"bucket {self.bucket}, {doing}")
            raise TemporaryError(f"bucket {self.bucket}, {doing}: {str(error).rstrip('.')}", _remedy(error)) from error
        except OSError as error:
            why = error.strerror or error
            raise TemporaryError(f"bucket {self.bucket}, {doing}: {why}, on this machine", "check the space in KAYAN_TEMP_DIR") from error


_WATCH_SECONDS = 5
"""How long an answer to next to nothing may take: a question to a store that hangs must have ended soon after it has come back."""


def _client(region: str, max_connections: int, *, read_timeout: int = 60, attempts: int = 4) -> S3Client:
    import boto3
    from botocore.config import Config

    config = Config(
        region_name=region,
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=5,
        read_timeout=read_timeout,
        max_pool_connections=max_connections,
        user_agent_extra="kayan-workers",
        # Many stores know nothing of the checksums that Amazon's has learned, and refuse a request that carries one.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of our own: boto3's default session is not safe to build clients from in several threads.
    client = boto3.session.Session().client("s3", config=config)
    client.meta.events.register("before-call.s3.DeleteObjects", _sum_with_md5)
    return client


def _sum_with_md5(params: dict[str, Any], **_: object) -> None:
    """A deletion of many must carry a checksum. MD5 is the one that every store knows, and Amazon's still takes it."""
    params["context"].pop("checksum", None)
    params["headers"]["Content-MD5"] = base64.b64encode(hashlib.md5(params["body"], usedforsecurity=False).digest()).decode()


def _transfer() -> TransferConfig:
    """Four pieces of 8 MiB at a time: fills a line without filling the memory when several jobs move files at once."""
    from boto3.s3.transfer import TransferConfig

    return TransferConfig(max_concurrency=4, multipart_threshold=8 * 1024 * 1024, multipart_chunksize=8 * 1024 * 1024, max_io_queue=20)


_NEVER_THERE = "kayan-check/never-there"
_BARE = {"404", "NotFound"}
_MISSING = {"404", "NoSuchKey", "NotFound", "NoSuchVersion"}
_DENIED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "RequestTimeTooSkewed"}
_ELSEWHERE = {"NoSuchBucket", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_HEALING = {"408", "409", "429", "RequestTimeout", "OperationAborted", "Throttling", "SlowDown", "TooManyRequests", "RequestLimitExceeded"}


def _translate(error: BaseException | None, doing: str) -> NoReturn:
    """Name what S3 answered. Wrong credentials or a wrong bucket heal when somebody mends them, so they are worth the job's retries."""
    from botocore.exceptions import ClientError

    assert isinstance(error, ClientError)
    code = _code(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _MISSING:
        raise PermanentError(f"{doing}: there is no such object: {_NOWHERE}") from error
    if code in _DENIED:
        raise TemporaryError(
            f"{doing}: refused ({code})",
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or the pod's role, and that its policy allows s3:GetObject, s3:PutObject, "
            "s3:DeleteObject and s3:ListBucket (without the last, a missing object looks like a refusal)",
        ) from error
    if code in _ELSEWHERE:
        raise TemporaryError(f"{doing}: {code}", "check AWS_S3_BUCKET and AWS_REGION") from error
    if status >= 500 or code in _HEALING or not 400 <= status < 500:
        raise TemporaryError(f"{doing}: {error}") from error
    raise PermanentError(f"{doing}: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _remedy(error: Exception) -> str:
    """What helps when boto3 gave up before S3 said anything."""
    from botocore.exceptions import CredentialRetrievalError, NoCredentialsError, ParamValidationError, PartialCredentialsError

    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError):
        return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod or machine a role"
    if isinstance(error, ParamValidationError):
        return "check AWS_S3_BUCKET"
    return "check AWS_ENDPOINT_URL_S3 and the network"


def _not_deleted(refused: dict[str, str], keys: Sequence[str]) -> str:
    key, why = next(iter(refused.items()))
    return f"{len(refused)} of {len(keys)} objects were not deleted, first {key!r}: {why}"


def _copy(source: Path | bytes, to: Path) -> tuple[int, str]:
    """Write ``source`` to a new file and onto the disk; returns its size in bytes and its MD5 in hex."""
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    with BytesIO(source) if isinstance(source, bytes) else source.open("rb") as reader, to.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            size += writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return size, digest.hexdigest()


def _measure(source: Path | bytes) -> tuple[int, str]:
    if isinstance(source, bytes):
        return len(source), hashlib.md5(source, usedforsecurity=False).hexdigest()
    with source.open("rb") as stream:
        return source.stat().st_size, hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


@contextmanager
def _folder_trouble(doing: str) -> Iterator[None]:
    try:
        yield
    except KayanError:
        raise
    except OSError as error:
        raise TemporaryError(f"{doing}: {error.strerror or error}", "check the folder's owner, mode and free space") from error


def main() -> None:
    """Look at the bucket once and end with 0, or with 1 and the reason. A process of its own, whose boto3 goes with it."""
    bucket, region = sys.argv[1:]
    try:
        S3Storage(bucket, region).check()
    except KayanError as error:
        print(error)  # noqa: T201  to whoever started us
        sys.exit(1)


if __name__ == "__main__":
    main()
