"""What fences a run of ffmpeg: formats, time, cancelling, and errors with words in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.ffmpeg import Ffmpeg

ENDLESS = ["-f", "null", "-"]


@pytest.fixture(scope="module")
def ffmpeg() -> Ffmpeg:
    return Ffmpeg()


@pytest.fixture(scope="module")
def film(ffmpeg: Ffmpeg, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from kayan_workers.demo.samples import make_media

    folder = tmp_path_factory.mktemp("film")
    make_media(folder, ffmpeg.binary)
    return folder / "walkthrough.mp4"


def test_each_line_of_output_arrives(ffmpeg: Ffmpeg, film: Path) -> None:
    lines: list[str] = []

    ffmpeg.run(film, ["-map", "0:v", "-c", "copy", "-f", "framecrc", "pipe:1"], time_limit_seconds=20, on_output=lines.append)

    assert len([line for line in lines if line.startswith("0,")]) == 100


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.ffconcat", "ffconcat version 1.0\nfile /etc/hostname\n"),
        ("live.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"),
        ("stream.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
    ],
)
def test_a_playlist_that_names_other_files_is_not_opened(ffmpeg: Ffmpeg, tmp_path: Path, name: str, text: str) -> None:
    playlist = tmp_path / name
    playlist.write_text(text)

    with pytest.raises(PermanentError, match="no video or sound of a format that is opened here"):
        ffmpeg.run(playlist, ENDLESS, time_limit_seconds=20)


def test_a_run_beyond_its_time_limit_is_stopped_for_good(ffmpeg: Ffmpeg, film: Path) -> None:
    with pytest.raises(PermanentError, match="took longer than"):
        ffmpeg.run(film, ENDLESS, before_input=["-stream_loop", "-1", "-re"], time_limit_seconds=0.5)


def test_no_process_is_left_behind(ffmpeg: Ffmpeg, film: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    wrapper = tmp_path / "ffmpeg"
    wrapper.write_text(f'#!/bin/sh\necho $$ > {pid_file}\nexec {ffmpeg.binary} "$@"\n')
    wrapper.chmod(0o755)

    with pytest.raises(PermanentError):
        Ffmpeg(str(wrapper)).run(film, ENDLESS, before_input=["-stream_loop", "-1", "-re"], time_limit_seconds=0.5)

    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_a_damaged_file_is_blamed_in_ffmpegs_words_without_our_paths(ffmpeg: Ffmpeg, film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:20_000])

    with pytest.raises(PermanentError, match="moov atom not found") as caught:
        ffmpeg.run(broken, ENDLESS, time_limit_seconds=20)

    assert str(tmp_path) not in str(caught.value)
    assert "0x" not in str(caught.value)


def test_where_its_copies_should_have_gone_is_nobodys_business(ffmpeg: Ffmpeg, film: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    source.write_bytes(film.read_bytes())

    with pytest.raises(PermanentError, match="No such file or directory") as caught:
        ffmpeg.run(source, ["-c", "copy", f"file:{tmp_path / 'nowhere' / 'copy.mp4'}"], time_limit_seconds=20)

    assert str(tmp_path) not in str(caught.value)


def test_a_handler_that_fails_does_not_stop_the_run_but_is_heard(ffmpeg: Ffmpeg, film: Path) -> None:
    def fail(_: str) -> None:
        raise ValueError("of the handler")

    with pytest.raises(ValueError, match="of the handler"):
        ffmpeg.run(film, ["-c", "copy", "-f", "framecrc", "pipe:1"], time_limit_seconds=20, on_output=fail)


def test_a_binary_that_is_not_there_says_how_to_name_one(film: Path) -> None:
    with pytest.raises(TemporaryError, match="FFMPEG_BIN"):
        Ffmpeg("/nowhere/ffmpeg").run(film, ENDLESS, time_limit_seconds=5)


def test_an_ffmpeg_killed_for_want_of_memory_fails_the_file_and_says_so(film: Path, tmp_path: Path) -> None:
    killed = tmp_path / "ffmpeg"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)

    with pytest.raises(PermanentError, match="killed while it read the file, most likely for want of memory"):
        Ffmpeg(str(killed)).run(film, ENDLESS, time_limit_seconds=5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_a_full_disk_is_not_the_files_fault(ffmpeg: Ffmpeg, film: Path) -> None:
    with pytest.raises(TemporaryError, match="No space left"):
        ffmpeg.run(film, ["-c", "copy", "-f", "mpegts", "file:/dev/full"], time_limit_seconds=20)
