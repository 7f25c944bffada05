"""`kayan demo` as a newcomer runs it, and what it says when something is not as it should be."""

from __future__ import annotations

import asyncio
import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from kayan_workers.demo.check import Outcome
from kayan_workers.demo.results import prepare
from kayan_workers.errors import SettingsError
from waiting import wait_until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def temp_dir() -> Iterator[Path]:
    """A folder for temporary files with a name as short as usual: a socket's path may not be long."""
    folder = Path(tempfile.mkdtemp(prefix="kayan-test-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


SOMEBODYS_SHELL = {
    "REDIS_HOST": "redis.somebodys.invalid", "REDIS_PASSWORD": "secret", "DATABASE_URL": "postgresql://app@database.somebodys.invalid/app",
    "AWS_S3_BUCKET": "somebodys", "AWS_ACCESS_KEY_ID": "AKIA", "KAYAN_BACKOFF": "nonsense", "CONCURRENCY_EMAIL": "none",
}
"""Real servers that the demo must not touch, and settings that it must not trip over."""


def start_demo(keep: Path, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "kayan_workers", "demo", "--keep", str(keep)]
    return subprocess.Popen(
        command, env=os.environ | variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )


def run_demo(keep: Path, **variables: str) -> tuple[int, str]:
    demo = start_demo(keep, **variables)
    output, _ = demo.communicate(timeout=200)
    return demo.returncode, output


def servers_started_under(folder: Path) -> list[str]:
    """Command lines of running processes that speak of ``folder``."""
    import psutil

    return [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])
            if str(folder) in " ".join(process.info["cmdline"] or [])]


def test_the_demo_works_all_seven_queues_and_finds_everything_as_it_should_be_twice_in_a_row(tmp_path: Path, temp_dir: Path) -> None:
    results = tmp_path / "results"
    for shell in ({}, SOMEBODYS_SHELL):
        code, output = run_demo(results, TMPDIR=str(temp_dir), **shell)

        assert code == 0, output
        assert "198 jobs wait in 7 queues" in output
        assert "of 198 jobs done" in output, "no plain line of progress"
        assert "Everything is as it should be" in output
        for queue in ("asset-processing", "thumbnail-generation", "variant-generation", "email", "notification", "analytics", "cleanup"):
            assert f"\n{queue} " in output

    assert len(list((results / "outbox").glob("*.eml"))) == 26
    with (results / "tables" / "notifications.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 24
    assert list((results / "objects" / "thumbnails").rglob("*.jpg"))
    assert "somebodys" not in (results / "worker.log").read_text(), "the worker heard of a server that is not the demo's"
    assert not list(temp_dir.iterdir()), "the demo left something behind"
    assert not servers_started_under(temp_dir)


@pytest.mark.parametrize(("signals", "code"), [([signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGHUP], 129),
                                              ([signal.SIGINT, signal.SIGINT, signal.SIGTERM], 130)])
async def test_a_signal_stops_the_worker_and_the_servers_whatever_comes_after_it(
    tmp_path: Path, temp_dir: Path, signals: list[signal.Signals], code: int
) -> None:
    demo = start_demo(tmp_path / "results", TMPDIR=str(temp_dir))
    log = tmp_path / "results" / "worker.log"
    await wait_until(lambda: log.exists() and "job.started" in log.read_text(), 60)
    for one in signals:
        os.killpg(demo.pid, one)  # as a terminal does: to the whole group
        await asyncio.sleep(0.2)
    output, _ = demo.communicate(timeout=60)

    assert demo.returncode == code, output
    assert "Interrupted" in output
    assert "Traceback" not in output
    assert not servers_started_under(temp_dir)
    assert not list(temp_dir.iterdir())


async def test_a_signal_while_the_servers_start_leaves_nothing_behind(tmp_path: Path, temp_dir: Path) -> None:
    demo = start_demo(tmp_path / "results", TMPDIR=str(temp_dir))
    await wait_until(lambda: list(temp_dir.iterdir()), 60)
    os.killpg(demo.pid, signal.SIGINT)
    output, _ = demo.communicate(timeout=60)

    assert demo.returncode == 130, output
    assert not servers_started_under(temp_dir)
    assert not list(temp_dir.iterdir())


def test_two_demos_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with prepare(tmp_path / "results"), pytest.raises(SettingsError, match="just now"), prepare(tmp_path / "results"):
        pass
    with prepare(tmp_path / "results") as again:
        assert again.objects.is_dir()


def test_a_folder_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="name another folder"), prepare(tmp_path / "file"):
        pass
    with pytest.raises(SettingsError, match="Not a directory"), prepare(tmp_path / "file" / "results"):
        pass


def test_a_folder_that_is_not_a_demos_own_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")

    with pytest.raises(SettingsError, match="name another folder"), prepare(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"

    code, output = run_demo(tmp_path)
    assert code == 2, output
    assert "not an earlier demo's results" in output
    assert (tmp_path / "thesis.txt").exists()


def test_an_outcome_remembers_each_difference_in_words() -> None:
    outcome = Outcome()
    outcome.expect("mails", 3, 3)
    outcome.expect("thumbnails", 1, 2)

    assert outcome.differences == ["thumbnails: found 1, expected 2"]
