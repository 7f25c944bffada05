"""``thumbnail-generation``: one small, upright JPEG, once."""

from __future__ import annotations

import pytest
from integration.media.conftest import World
from integration.media.running import run
from kayan_workers.demo.samples import Sample
from kayan_workers.errors import PermanentError
from kayan_workers.processors import asset, thumbnail
from PIL import Image

Samples = dict[str, Sample]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Stand photo.jpg", (150, 200)),
        ("logo.png", (200, 200)),
        ("render.webp", (200, 150)),
        ("print.tif", (200, 150)),
        ("turning.gif", (160, 120)),
        ("plan.svg", (200, 141)),
        ("walkthrough.mp4", (200, 113)),
        ("phone.mov", (113, 200)),
        ("blink.mp4", (200, 150)),
        ("silent.webm", (200, 113)),
        ("Proposal.pdf", (142, 200)),
        ("poster.psd", (200, 133)),
    ],
)
def test_everything_that_can_be_seen_gets_a_thumbnail_of_its_true_shape(
    world: World, samples: Samples, name: str, size: tuple[int, int]
) -> None:
    upload = world.sample(samples[name])

    result = run(thumbnail, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert row["thumbnailKey"].startswith("thumbnails/2025/11/")
    assert row["thumbnailKey"].endswith("-thumb.jpg")
    assert row["thumbnailPath"] == world.storage.url(row["thumbnailKey"])
    with Image.open(world.stored(row["thumbnailKey"])) as made:
        assert made.format == "JPEG"
        assert made.size == size
    assert result == {"key": row["thumbnailKey"], "width": size[0], "height": size[1]}


@pytest.mark.parametrize("name", ["Stand photo.jpg", "walkthrough.mp4"])
def test_running_twice_leaves_one_object_and_the_same_row(world: World, samples: Samples, name: str) -> None:
    upload = world.sample(samples[name])
    run(thumbnail, world, upload.payload())
    once = world.everything()

    run(thumbnail, world, upload.payload(), timestamp_ms=1_900_000_000_000)

    assert world.everything() == once
    assert len(once["objects"]) == 2


def test_a_thumbnail_we_made_under_another_name_is_replaced_but_one_of_the_app_is_left(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    run(thumbnail, world, upload.payload())
    ours = world.asset(upload.asset_id)["thumbnailKey"]
    elsewhere = ours.replace("2025/11", "2024/01")
    foreign = "thumbnails/2025/11/Hz45b3JDgS-assets_2025_11-thumb.jpg"
    for old in (elsewhere, foreign):
        world.storage.upload(b"old", old, "image/jpeg")
        world.execute('UPDATE assets SET "thumbnailKey" = %s WHERE id = %s', [old, upload.asset_id])
        run(thumbnail, world, upload.payload())

    assert world.asset(upload.asset_id)["thumbnailKey"] == ours
    assert not world.storage.exists(elsewhere)
    assert world.storage.exists(foreign)


@pytest.mark.parametrize(
    ("name", "words"),
    [("jingle.mp3", "no cover"), ("signal.wav", "no cover")],
)
def test_what_cannot_be_seen_fails_for_good_in_words(world: World, samples: Samples, name: str, words: str) -> None:
    upload = world.sample(samples[name])

    with pytest.raises(PermanentError, match=words):
        run(thumbnail, world, upload.payload())

    assert world.asset(upload.asset_id)["thumbnailKey"] is None


@pytest.mark.parametrize(
    ("content", "file_type", "words"),
    [
        (b"", "IMAGE", "empty"),
        (b"words", "IMAGE", "not a picture"),
        (b"Kaydara FBX Binary  \0", "MODEL_3D", "no page to show"),
        (b"words" * 1000, "VIDEO", "no video or sound|cannot read"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "IMAGE", "damaged"),
    ],
)
def test_a_bad_file_fails_for_good_and_leaves_nothing(world: World, content: bytes, file_type: str, words: str) -> None:
    upload = world.upload(content, file_type, "image/png", "صورة.png")

    with pytest.raises(PermanentError, match=words):
        run(thumbnail, world, upload.payload())

    assert [found.key for found in world.storage.list("")] == [upload.file_key]


def test_a_file_that_is_gone_fails_for_good(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    world.storage.delete([upload.file_key])

    with pytest.raises(PermanentError, match=upload.file_key):
        run(thumbnail, world, upload.payload())


def test_an_unknown_asset_fails_before_anything_is_downloaded(world: World) -> None:
    payload = {"assetId": "c-unknown", "fileKey": "a/b.png", "fileType": "IMAGE", "mimeType": "", "originalFilename": "b.png"}

    with pytest.raises(PermanentError, match="there is no asset 'c-unknown'"):
        run(thumbnail, world, payload)


def test_a_video_that_is_sound_alone_has_no_thumbnail_without_a_cover_and_has_not_failed_for_it(world: World, samples: Samples) -> None:
    upload = world.upload(samples["signal.wav"].path, "VIDEO", "video/mp4")
    run(asset, world, upload.payload())

    with pytest.raises(PermanentError, match="no cover"):
        run(thumbnail, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["processingError"]) == ("COMPLETED", None)
