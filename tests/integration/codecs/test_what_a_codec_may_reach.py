"""A codec that a file took over finds no network, none of our secrets, and nothing to write to but the job's folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from doubles import FakeJob
from integration.codecs.conftest import Scene
from kayan_workers.errors import PermanentError
from kayan_workers.media.file_type import FileType

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp and Landlock are Linux's")

PROBES = {
    "internet": "socket.create_connection(('192.0.2.1', 80), 1)",
    "a socket of any kind": "socket.socket(socket.AF_UNIX)",
    "the worker's environment": "open(f'/proc/{worker}/environ', 'rb').read()",
    "the worker's memory": "open(f'/proc/{worker}/mem', 'rb').read(1)",
    "the passwords of this machine": "open('/etc/passwd').read()",
    "a neighbour's folder": "open(neighbour).read()",
    "writing to the system": "open('/usr/lib/kayan-was-here', 'w')",
    "writing to the system's temporary folder": "open('/tmp/kayan-was-here', 'w')",
    "a signal to the worker": "os.kill(worker, 0)",
}


@pytest.fixture
def confined(scene: Scene) -> list[str]:
    return scene.codecs().confined()


def taken_over(scene: Scene, probes: dict[str, str], **values: Any) -> dict[str, str]:
    """What became of each probe (Python expressions) in a codec that does whatever a file wants."""
    report = scene.folder / "report"
    script = f"""
import json
worker, neighbour = {os.getpid()}, {str(values.get('neighbour'))!r}
report = {{}}
for name, probe in {probes!r}.items():
    try:
        report[name] = str(eval(probe))
    except OSError as error:
        report[name] = 'refused' if error.errno in (1, 13) else repr(error)
json.dump(report, open({str(report)!r}, 'w'))
"""
    codecs = scene.codecs(scene.possessed_by(script))
    with pytest.raises(PermanentError):
        codecs.examine(scene.film(), FileType.VIDEO, FakeJob())
    found: dict[str, str] = json.loads(report.read_text())
    return found


def test_what_a_taken_over_codec_tries_is_refused(scene: Scene, confined: list[str], tmp_path: Path) -> None:
    if not {"files", "network"} <= set(confined):
        pytest.skip(f"this kernel confines by {confined} only")
    neighbour = tmp_path / "neighbour"
    neighbour.write_text("another job's file")

    found = taken_over(scene, PROBES, neighbour=neighbour)

    assert found == dict.fromkeys(PROBES, "refused")


def test_this_machine_in_ci_confines_by_everything(confined: list[str]) -> None:
    if not os.environ.get("CI"):
        pytest.skip("a laptop's kernel may know less")
    assert {"limits", "network"} <= set(confined)


def test_no_secret_of_the_worker_is_in_a_codecs_environment(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("DATABASE_URL", "postgresql://kayan:hunter2@db/kayan")

    found = taken_over(scene, {"environment": "json.dumps(dict(os.environ))"})

    environment = json.loads(found["environment"])
    assert not [name for name in environment if name.startswith(("AWS", "DATABASE", "REDIS"))]
    assert "hunter2" not in found["environment"]


def test_the_jobs_folder_is_there_to_write(scene: Scene) -> None:
    codecs = scene.codecs()
    assert codecs.examine(scene.photo(), FileType.IMAGE, FakeJob()).facts.width == 320
