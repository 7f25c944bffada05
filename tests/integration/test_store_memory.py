"""Files pass through a worker without standing in its memory, however large they are and wherever they are stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from servers import S3Server

MEGABYTES = 256
ALLOWED_MB = 100
"""A few pieces under way at a time and what boto3 needs for itself."""

MOVE = """
import json, resource, sys
from pathlib import Path
from kayan_workers.storage import FolderStorage, S3Storage

kind, where, folder, megabytes = json.load(sys.stdin)
store = S3Storage(where, "us-east-1") if kind == "bucket" else FolderStorage(Path(where))
file = Path(folder) / "film"
store.upload(b"first use", "assets/warm.txt", "text/plain")
store.download("assets/warm.txt", file)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with file.open("wb") as film:
    film.truncate(megabytes << 20)
store.upload(file, "assets/film.mp4", "video/mp4")
assert store.download("assets/film.mp4", file) == megabytes << 20
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("kind", ["bucket", "folder"])
def test_a_film_passes_through_without_standing_in_memory(kind: str, s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL_S3": s3.endpoint, "ACCESS_KEY_ID": s3.access_key, "SECRET_ACCESS_KEY": s3.secret_key}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    where = s3.bucket if kind == "bucket" else str(tmp_path / "store")
    (tmp_path / "store").mkdir()

    told = json.dumps([kind, where, str(tmp_path), MEGABYTES])
    moved = subprocess.run([sys.executable, "-c", MOVE], input=told, capture_output=True, text=True, check=False)

    assert moved.returncode == 0, moved.stderr
    assert int(moved.stdout) < ALLOWED_MB
