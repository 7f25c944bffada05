"""The outside systems of a process: made on first use, and gone with it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kayan_workers.edges import Edges
from kayan_workers.errors import SettingsError
from kayan_workers.mailer import OutboxMailer
from kayan_workers.settings import Settings
from kayan_workers.storage import FolderStorage


def test_folders_stand_for_the_bucket_and_for_ses_when_asked_for(tmp_path: Path) -> None:
    edges = Edges(Settings(storage_folder=tmp_path / "objects", outbox=tmp_path / "outbox", email_from="hi@kayan.example"))
    assert isinstance(edges.storage, FolderStorage)
    assert isinstance(edges.mailer, OutboxMailer)
    assert str(edges.mailer.sender) == "Kayan Live <hi@kayan.example>"


def test_the_senders_domain_is_spelled_as_ses_takes_it(tmp_path: Path) -> None:
    edges = Edges(Settings(outbox=tmp_path, email_from="hi@kayän.example"))
    assert edges.mailer.sender.addr_spec == "hi@xn--kayn-noa.example"


def test_nothing_stands_for_a_bucket_that_was_not_named() -> None:
    with pytest.raises(SettingsError, match="AWS_S3_BUCKET is not set"):
        _ = Edges(Settings()).storage


def test_making_edges_loads_no_library_of_theirs() -> None:
    script = (
        "import sys; from kayan_workers.edges import Edges; from kayan_workers.settings import Settings; Edges(Settings())\n"
        "print([name for name in ('boto3', 'psycopg', 'PIL', 'pyvips', 'jinja2', 'rich') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def test_the_temporary_folder_goes_with_the_process(tmp_path: Path) -> None:
    edges = Edges(Settings(temp_dir=tmp_path))
    folder = edges.temp_dir
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o077 == 0
    edges.close()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_behind_goes_and_what_living_ones_use_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left, used, foreign = tmp_path / f"kayan-{dead.pid}-x", tmp_path / f"kayan-{os.getppid()}-y", tmp_path / "kayan-demo-results"
    predecessor = tmp_path / f"kayan-{os.getpid()}-z"
    for folder in (left, used, foreign, predecessor):
        (folder / "job").mkdir(parents=True)
    edges = Edges(Settings(temp_dir=tmp_path))
    own = edges.temp_dir
    assert {folder.name for folder in tmp_path.iterdir()} == {used.name, foreign.name, own.name}
    edges.close()


def test_threads_that_ask_together_share_one_edge(tmp_path: Path) -> None:
    edges = Edges(Settings(temp_dir=tmp_path))
    with ThreadPoolExecutor(8) as threads:
        folders = set(threads.map(lambda _: edges.temp_dir, range(32)))
    assert [folder.exists() for folder in folders] == [True]
    edges.close()
