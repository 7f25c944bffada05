from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.media.geometry import Size, fit, fit_even

SIDES = st.integers(1, 100_000)


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((4000, 3000), (200, 200), (200, 150)),
        ((3000, 4000), (1920, 1080), (810, 1080)),
        ((100, 50), (200, 200), (100, 50)),
        ((10_000, 1), (200, 200), (200, 1)),
        ((200, 200), (200, 200), (200, 200)),
    ],
)
def test_a_picture_fits_inside_its_box_and_keeps_its_shape(size: Size, box: Size, expected: Size) -> None:
    assert fit(size, box) == expected


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((1280, 720), (640, 480), (640, 360)),
        ((640, 360), (1920, 1080), (640, 360)),
        ((720, 1280), (640, 480), (270, 480)),
        ((427, 240), (640, 480), (426, 240)),
        ((1, 1), (640, 480), (2, 2)),
    ],
)
def test_a_video_has_even_sides(size: Size, box: Size, expected: Size) -> None:
    assert fit_even(size, box) == expected


@given(width=SIDES, height=SIDES)
def test_nothing_is_ever_enlarged_or_larger_than_its_box(width: int, height: int) -> None:
    made = fit((width, height), (640, 480))

    assert 1 <= made[0] <= min(640, width)
    assert 1 <= made[1] <= min(480, height)
