"""A file that crashes, hangs or outgrows its codec costs its own job, says how it ended, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from corpus.bombs import interlaced
from corpus.traps import endless_pattern
from doubles import FakeJob
from integration.codecs.conftest import Scene
from kayan_workers.codecs.codecs import Codecs
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.media.file_type import FileType
from kayan_workers.media.rendition import Rendition
from waiting import wait_until

CRASH = "os.kill(os.getppid(), signal.SIGSEGV); time.sleep(60)"
HANG = "time.sleep(600)"


def wait(condition: Callable[[], object], what: str) -> None:
    asyncio.run(wait_until(condition, 30, what=what))


def examine(codecs: Codecs, source: Path, file_type: FileType, job: FakeJob | None = None) -> str:
    return codecs.examine(source, file_type, job or FakeJob()).kind.name


def test_a_crash_fails_its_own_file_for_good_and_tells_how(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by(CRASH))

    with pytest.raises(PermanentError, match=r"crashed its reader \(SIGSEGV, peak memory \d+ MB, .* while examining it as VIDEO\)"):
        examine(codecs, scene.film(), FileType.VIDEO)

    assert examine(codecs, scene.photo(), FileType.IMAGE) == "JPEG", "the next file finds a new process"


def test_other_jobs_do_not_notice_a_crash_beside_them(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by(CRASH), processes=3)
    film, photo = scene.film(), scene.photo()

    with ThreadPoolExecutor(6) as pool:
        crashes = [pool.submit(examine, codecs, film, FileType.VIDEO) for _ in range(4)]
        photos = [pool.submit(examine, codecs, photo, FileType.IMAGE) for _ in range(20)]

    assert [crash.exception().__class__ for crash in crashes] == [PermanentError] * 4
    assert [each.result() for each in photos] == ["JPEG"] * 20


def test_a_hang_is_ended_after_the_time_limit(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by(HANG), time_limit_seconds=0.5)

    with pytest.raises(PermanentError, match=r"took longer than .* and was stopped"):
        examine(codecs, scene.film(), FileType.VIDEO)


def test_an_endless_computation_is_ended_by_the_kernel() -> None:
    assert computing("CpuClock(1)") == -24, "SIGXCPU"


def test_a_step_may_compute_less_than_the_whole_file_and_never_more() -> None:
    assert computing("CpuClock(60).allow(1)") == -24, "SIGXCPU"
    assert computing("CpuClock(1).allow(60)") == -24, "SIGXCPU"


def test_the_step_after_a_short_one_has_all_the_time_that_is_left() -> None:
    assert computing("clock = CpuClock(60); clock.allow(1); clock.allow(None)", seconds=3) == 0


def computing(told: str, seconds: int = 30) -> int:
    """The exit code of a process that computes for so many seconds of CPU time, with ``told`` about its clock."""
    code = f"import time\nfrom kayan_workers.codecs.confinement import CpuClock\n{told}\nwhile time.process_time() < {seconds}: pass"
    return subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode


def test_a_page_that_is_drawn_without_end_costs_a_few_seconds_and_is_named(scene: Scene) -> None:
    page = scene.folder / "plan.pdf"
    page.write_bytes(endless_pattern())
    codecs = scene.codecs()

    with pytest.raises(PermanentError, match=r"too intricate: .*\(SIGXCPU, .* 1\d\.\d s of CPU, while drawing page 1 of the PDF\)"):
        codecs.picture(page, FileType.DOCUMENT, [Rendition(to=scene.folder / "small.jpg", box=(800, 600), quality=80)], FakeJob())

    assert codecs.examine(page, FileType.DOCUMENT, FakeJob()).facts.metadata["pages"] == 1


def test_a_cancelled_job_ends_its_codec_and_its_ffmpeg(scene: Scene) -> None:
    pid_file = scene.folder / "pid"
    codecs = scene.codecs(scene.possessed_by(f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); {HANG}"))
    job = FakeJob()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(examine, codecs, scene.film(), FileType.VIDEO, job)
        wait(lambda: pid_file.exists() and pid_file.read_text(), "ffmpeg runs")
        job.cancelled.set()
        with pytest.raises(TemporaryError, match="cancelled"):
            running.result()

    wait(lambda: not alive(int(pid_file.read_text())), "ffmpeg is gone")


def test_a_job_that_is_cancelled_while_it_waits_for_a_codec_gives_up(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by(f"open({str(scene.folder / 'at-work')!r}, 'w'); {HANG}"), processes=1)
    busy, waiting = FakeJob(), FakeJob()
    film = scene.film()

    with ThreadPoolExecutor(2) as pool:
        pool.submit(examine, codecs, film, FileType.VIDEO, busy)
        wait((scene.folder / "at-work").exists, "the only codec is taken")
        waiting.cancelled.set()
        second = pool.submit(examine, codecs, scene.photo(), FileType.IMAGE, waiting)
        gave_up = second.exception(30)
        busy.cancelled.set()
    assert isinstance(gave_up, TemporaryError)


def test_a_worker_that_is_killed_takes_its_codecs_and_their_ffmpeg_along(scene: Scene) -> None:
    pid_file = scene.folder / "pid"
    ffmpeg = scene.possessed_by(f"open({str(pid_file)!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}'); {HANG}")
    worker = subprocess.Popen([sys.executable, "-c", f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from doubles import FakeJob
from kayan_workers.codecs.codecs import Codecs
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.file_type import FileType
codecs = Codecs(Path({str(scene.folder)!r}), Ffmpeg({ffmpeg.binary!r}), processes=1, memory_mb=512, threads=1)
codecs.examine(Path({str(scene.film())!r}), FileType.VIDEO, FakeJob())
"""])  # fmt: skip
    wait(lambda: pid_file.exists() and " " in pid_file.read_text(), "ffmpeg runs")
    pids = [int(pid) for pid in pid_file.read_text().split()]

    worker.kill()
    worker.wait()

    wait(lambda: not any(map(alive, pids)), "codec and ffmpeg are gone")


def test_a_picture_that_needs_more_memory_than_it_may_have_is_refused_and_the_worker_stays_small(scene: Scene) -> None:
    bomb = scene.folder / "bomb.png"
    bomb.write_bytes(interlaced(16_383, 16_383))
    codecs = scene.codecs(memory_mb=256)

    with pytest.raises(PermanentError, match="needs more memory than the 256 MB"):
        examine(codecs, bomb, FileType.IMAGE)

    assert examine(codecs, scene.photo(), FileType.IMAGE) == "JPEG"


def test_a_codec_killed_by_the_kernel_is_a_permanent_error_that_speaks_of_memory(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"))

    with pytest.raises(PermanentError, match=r"took more memory than this machine had \(SIGKILL, peak memory"):
        examine(codecs, scene.film(), FileType.VIDEO)


def test_an_exception_nobody_expected_fails_the_file_and_leaves_its_traceback_in_the_jobs_log(scene: Scene) -> None:
    codecs = scene.codecs()
    job = FakeJob()

    with pytest.raises(PermanentError, match="broke our reader"):
        codecs.examine(scene.folder, FileType.IMAGE, job)  # a folder is no file

    assert any("IsADirectoryError" in row for row in job.rows)


def test_a_process_serves_many_requests_and_one_that_died_in_its_sleep_is_replaced(scene: Scene) -> None:
    codecs = scene.codecs()
    photo = scene.photo()
    examine(codecs, photo, FileType.IMAGE)
    [process] = children()
    for _ in range(3):
        examine(codecs, photo, FileType.IMAGE)
    assert children() == [process], "the same one served all four"

    os.kill(process, 9)

    assert examine(codecs, photo, FileType.IMAGE) == "JPEG"
    [successor] = children()
    assert successor != process


def test_any_number_that_died_in_their_sleep_are_passed_by(scene: Scene) -> None:
    codecs = scene.codecs(processes=5)
    photo = scene.photo()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: examine(codecs, photo, FileType.IMAGE), range(15)))
    killed = children()
    for process in killed:
        os.kill(process, 9)
    wait(lambda: not any(map(alive, killed)), "they are dead")

    assert examine(codecs, photo, FileType.IMAGE) == "JPEG"
    assert len(children()) == 1, "the dead ones are buried"


def test_a_process_that_has_grown_is_replaced(scene: Scene) -> None:
    codecs = scene.codecs(memory_mb=96)  # more than a third of it is in use from the beginning
    examine(codecs, scene.photo(), FileType.IMAGE)

    assert children() == []


def test_closing_ends_work_in_progress_as_work_to_be_repeated(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by(f"open({str(scene.folder / 'at-work')!r}, 'w'); {HANG}"))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            examine(codecs, scene.film(), FileType.VIDEO)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait((scene.folder / "at-work").exists, "ffmpeg runs")
    codecs.close()
    thread.join(20)

    assert [type(failure) for failure in failures] == [TemporaryError]


def test_nothing_is_left_open_after_many_crashes(scene: Scene) -> None:
    codecs = scene.codecs(scene.possessed_by(CRASH))
    film = scene.film()

    def crash() -> int:
        with pytest.raises(PermanentError):
            examine(codecs, film, FileType.VIDEO)
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    first = crash()
    assert [crash() for _ in range(3)] == [first] * 3
    assert sorted(path.name for path in scene.folder.iterdir()) == ["film.mp4"]


def children() -> list[int]:
    """The codec processes of this test."""
    # of every thread: a pool's threads are joined a moment before the kernel gives their children to another
    pids: list[str] = []
    for listed in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has just ended
            pids += listed.read_text().split()
    return [int(pid) for pid in pids if "kayan_workers.codecs" in Path(f"/proc/{pid}/cmdline").read_text()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if Path(f"/proc/{pid}/stat").exists() else "X"
    return state != "Z"
