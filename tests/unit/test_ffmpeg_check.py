"""``kayan check`` and an ffmpeg that lacks something: a stand-in prints shorter lists than the real one."""

from __future__ import annotations

import re
from itertools import pairwise, product
from pathlib import Path

import pytest
from kayan_workers.cli import codecs
from kayan_workers.cli.trouble import Trouble
from kayan_workers.ffmpeg import Ffmpeg
from kayan_workers.media.films import parts
from kayan_workers.media.films.film_colours import shrunk
from kayan_workers.media.films.poster import poster_arguments
from kayan_workers.media.films.probe import Picture, Probe, Stream, picture_arguments, tag_arguments
from kayan_workers.media.films.video import transcode_arguments
from kayan_workers.media.rendition import Transcode
from kayan_workers.settings import Settings


def without(names: str, folder: Path) -> Settings:
    """An ffmpeg whose lists leave out ``names`` (``zscale|tonemap``)."""
    stand_in = folder / "ffmpeg"
    stand_in.write_text(f"#!/bin/sh\n'{Ffmpeg().binary}' \"$@\" | grep -vE '^ *[A-Z.|]+ +({names}) '\n")
    stand_in.chmod(0o755)
    return Settings(ffmpeg=str(stand_in))


def test_the_ffmpeg_that_comes_along_has_everything() -> None:
    assert "every filter" in codecs.ffmpeg(Settings(ffmpeg=None))


@pytest.mark.parametrize(
    ("names", "says", "is_mild"),
    [
        ("zscale", "lacks the filter zscale: films of high dynamic range.* fail", False),
        ("zscale|tonemap", "lacks the filters zscale, tonemap: films of high dynamic range", False),
        ("libx264", "lacks the encoder libx264: copies of films fail", False),
        ("h264|hevc", "lacks the decoders h264, hevc: films of phones and cameras fail", False),
        ("bwdif", "lacks the filter bwdif: interlaced films fail$", True),
        ("bwdif|premultiply", "filter bwdif: interlaced films fail; filter premultiply: films with transparency fail", True),
        ("bwdif|png", "encoder png: posters of films fail; filter bwdif", False),
        ("mp4", "lacks the muxer mp4: copies of films fail", False),
    ],
)
def test_each_part_that_is_missing_is_named_with_what_fails_and_the_remedy(tmp_path: Path, names: str, says: str, is_mild: bool) -> None:
    with pytest.raises(Trouble, match=says) as caught:
        codecs.ffmpeg(without(names, tmp_path))

    assert caught.value.is_mild is is_mild
    assert "unset FFMPEG_BIN" in caught.value.remedy


@pytest.mark.parametrize("script", ["exit 1", "exec sleep 60"])
def test_one_that_does_not_answer_is_said_to_be_of_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(codecs, "_PATIENCE_SECONDS", 0.2)

    with pytest.raises(Trouble, match=r"does not (say|run)") as caught:
        codecs.ffmpeg(Settings(ffmpeg=str(stand_in)))

    assert "FFMPEG_BIN" in caught.value.remedy


PICTURES = [
    Picture(size=(320, 240), pixel_format=pixels, primaries=primaries, transfer=transfer, is_interlaced=fields, is_dolby_vision_alone=alone)
    for pixels, primaries, transfer, fields, alone in product(
        ("yuv420p", "yuva420p"), (None, "bt2020"), (None, "smpte2084"), (False, True), (False, True)
    )
]


def test_every_filter_encoder_and_format_that_is_asked_for_is_looked_for() -> None:
    named = {listing: {name for part in parts.PARTS if part.listing == listing for name in part.names} for listing in parts.LISTINGS}
    fast = Stream("video", shown=240, first=0, end=2)
    wanted = [Transcode(to=Path("a"), box=(320, 240), bit_rate="1k"), Transcode(to=Path("b"), box=(160, 120), bit_rate="1k")]
    commands = [picture_arguments(), tag_arguments(Path("t"), are_of_streams=False)]
    for picture in PICTURES:
        film = Probe(duration=2, bit_rate=None, video=fast, audio=Stream("audio"), picture=picture, lacks_its_pictures=False,
                     breaks_off=False, audio_tracks=1, subtitles=0, chapters=0, tags={})  # fmt: skip
        commands += [poster_arguments(picture, Path("p"), Path("g")), transcode_arguments(film, wanted, [(320, 240), (160, 120)])]

    asked = [(option, value) for command in commands for option, value in pairwise(command)]
    graphs = [value for option, value in asked if option in ("-vf", "-filter_complex")] + [shrunk(picture, (9, 9)) for picture in PICTURES]

    assert {re.sub(r"\[.*?\]", "", step).partition("=")[0] for graph in graphs for step in re.split("[,;]", graph)} <= named["filters"]
    assert {value for option, value in asked if option in ("-c:v", "-c:a")} <= named["encoders"]
    assert {value for option, value in asked if option == "-f"} <= named["muxers"]
