"""Keys of objects: where a thumbnail, a variant or a preview that we derive from an asset is stored, and which keys are the fleet's at all.

The form is the web app's own, ``<prefix>/<YYYY>/<MM>/<10 characters>-<name>``, but nothing in it is random: the ten
characters come from the asset and the purpose, year and month from the source's own key. Running a job again
therefore overwrites what it made before, instead of adding a second copy.
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

_YEAR_AND_MONTH = re.compile(r"(?:^|/)(\d{4})/(0[1-9]|1[0-2])/[^/]+$")
_APP_ID = re.compile(r"^[A-Za-z0-9_-]{10}-(?=.)")
_FLEETS = re.compile(
    r"(?:assets|client-uploads/[^/]+|thumbnails|variants|previews)/\d{4}/(?:0[1-9]|1[0-2])/[A-Za-z0-9_-]{10}-[A-Za-z0-9._-]+"
)
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_NAME_LENGTH = 50
"""The web app cuts names here. We cut the stem instead, so an extension survives."""


def derived_key(prefix: str, *, asset_id: str, purpose: str, source_key: str, extension: str, timestamp_ms: int) -> str:
    """The key of what we derive from ``source_key`` for ``purpose`` (``thumb``, ``preview``, ``web_optimized`` …).

    Year and month are the source's own; a source whose key has none lends the month (UTC) its job was queued in.
    ``extension`` comes without a dot. Example:
    ``thumbnails/2025/11/q8Jx0cRw2v-Booth_render-thumb.jpg``.
    """
    year, month = _year_and_month(source_key, timestamp_ms)
    ending = f"-{purpose}.{extension}"
    stem = _stem(source_key)[: _NAME_LENGTH - len(ending)]
    return f"{prefix}/{year}/{month}/{mark(asset_id, purpose)}-{stem}{ending}"


def mark(asset_id: str, purpose: str) -> str:
    """The ten characters that make a derived key ours: same asset and purpose, same mark, in the app's own alphabet."""
    digest = hashlib.sha256(f"{asset_id}\0{purpose}".encode()).digest()
    return base64.urlsafe_b64encode(digest)[:10].decode()


def is_ours(key: str, *, asset_id: str, purpose: str) -> bool:
    """Whether we made this key for that asset and purpose, under whatever name or month. The Node workers' keys are never ours."""
    return PurePosixPath(key).name.startswith(f"{mark(asset_id, purpose)}-")


def is_the_fleets(key: str) -> bool:
    """Whether a key has the form that the web app and all its workers give theirs. What else lies in the bucket is somebody else's."""
    return _FLEETS.fullmatch(key) is not None


def _year_and_month(source_key: str, timestamp_ms: int) -> tuple[str, str]:
    if found := _YEAR_AND_MONTH.search(source_key):
        return found[1], found[2]
    queued = datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC)
    return f"{queued:%Y}", f"{queued:%m}"


def _stem(source_key: str) -> str:
    """The source's plain name, without folders, the app's own id, extension, or two dots in a row (the app serves no such key)."""
    name = _APP_ID.sub("", PurePosixPath(source_key).name)
    stem = _UNSAFE.sub("_", name.rpartition(".")[0] or name)
    return re.sub(r"\.{2,}", ".", stem).strip(".") or "file"
