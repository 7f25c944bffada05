"""Pictures that move: how long, and which frame stands for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from kayan_workers.demo.samples import picture
from kayan_workers.media.images import images
from kayan_workers.media.images.animation import telling_frame
from kayan_workers.media.rendition import Rendition
from PIL import Image, ImageStat

SIZE = (160, 120)
BLACK = Image.new("RGB", SIZE)
SCENES = [picture(SIZE).rotate(angle) for angle in (0, 20, 40, 60, 80, 100)]


def save(path: Path, frames: list[Image.Image], duration: int | list[int] = 50) -> Path:
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=duration)
    return path


def contrast(path: Path) -> float:
    to = path.with_name("small.jpg")
    images.render(path, [Rendition(to=to, box=(200, 200), quality=90)])
    return max(ImageStat.Stat(Image.open(to)).stddev)


@pytest.mark.parametrize("name", ["fade.gif", "fade.webp", "fade.png", "fade.avif"])
def test_an_animation_that_fades_in_is_shown_by_a_frame_with_something_on_it(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, [BLACK, BLACK.point(lambda _: 2), *SCENES])

    assert contrast(path) > 20


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png", "moving.avif"])
def test_an_animation_is_shown_by_its_first_frame_where_that_shows_something(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, [SCENES[0], *[BLACK] * 3])
    to = tmp_path / "small.jpg"

    images.render(path, [Rendition(to=to, box=(200, 200), quality=90)])

    corner, expected = Image.open(to).getpixel((80, 60)), SCENES[0].getpixel((80, 60))
    assert isinstance(corner, tuple)
    assert isinstance(expected, tuple)
    assert all(abs(a - b) < 40 for a, b in zip(corner, expected, strict=True))


def test_a_frame_that_is_all_transparent_shows_nothing(tmp_path: Path) -> None:
    clear = Image.new("RGBA", SIZE, (200, 0, 0, 0))

    assert contrast(save(tmp_path / "clear.webp", [clear, *(scene.convert("RGBA") for scene in SCENES)])) > 20


@pytest.mark.parametrize("name", ["moving.gif", "moving.webp", "moving.png", "moving.avif"])
def test_frames_and_time_are_counted(tmp_path: Path, name: str) -> None:
    facts = images.describe(save(tmp_path / name, SCENES[:3], [100, 200, 300]))

    assert facts.metadata["frames"] == 3
    assert facts.metadata["durationMs"] == 600
    assert facts.duration_seconds is None, "the column is for films: the app would offer to play it"


def test_a_delay_too_short_to_be_meant_counts_as_browsers_play_it(tmp_path: Path) -> None:
    assert images.describe(save(tmp_path / "fast.gif", SCENES[:3], 10)).metadata["durationMs"] == 300


def test_a_still_picture_has_one_frame_and_no_duration(tmp_path: Path) -> None:
    SCENES[0].save(tmp_path / "still.gif")

    facts = images.describe(tmp_path / "still.gif")

    assert facts.metadata["frames"] == 1
    assert "durationMs" not in facts.metadata


def test_an_animation_that_breaks_off_after_its_first_frame_is_shown_by_it(tmp_path: Path) -> None:
    path = save(tmp_path / "cut.gif", SCENES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])

    assert contrast(path) > 20


def test_the_search_for_a_frame_is_bounded_however_many_there_are() -> None:
    asked: list[int] = []

    class Plain:
        def thumbnail_image(self, *_: object, **__: object) -> Plain:
            return self

        copy_memory = bandsplit = lambda self: self

        def hasalpha(self) -> bool:
            return False

        def deviate(self) -> float:
            return 0.0

        def __iter__(self):  # type: ignore[no-untyped-def]
            return iter([self])

    def frame(number: int) -> Plain:
        asked.append(number)
        return Plain()

    assert telling_frame(10**9, (2000, 1500), frame) == 0
    assert len(asked) <= 6
    assert max(asked) <= 20
