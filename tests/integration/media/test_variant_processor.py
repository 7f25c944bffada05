"""``variant-generation``: all sizes from one decode, one row each, however often it runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from corpus.files import run_ffmpeg
from corpus.films import with_dolby_vision
from integration.media.conftest import World
from integration.media.running import last_job, run
from kayan_workers.demo.samples import Sample
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.media.films.probe import probe
from kayan_workers.processors import variant
from kayan_workers.storage import S3Storage, Stored
from PIL import Image
from servers import S3Server

Samples = dict[str, Sample]
ALL = ["THUMBNAIL", "PREVIEW", "WEB_OPTIMIZED", "MOBILE"]


def test_an_image_gets_four_copies_recorded_with_their_true_sizes(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Stand photo.jpg"])

    run(variant, world, upload.payload(variants=ALL))

    rows = world.variants(upload.asset_id)
    sizes = {kind: (row["width"], row["height"]) for kind, row in rows.items()}
    assert sizes == {"THUMBNAIL": (150, 200), "PREVIEW": (450, 600), "WEB_OPTIMIZED": (810, 1080), "MOBILE": (360, 480)}
    assert {kind: row["quality"] for kind, row in rows.items()} == {"THUMBNAIL": 80, "PREVIEW": 85, "WEB_OPTIMIZED": 85, "MOBILE": 80}
    for kind, row in rows.items():
        assert (row["status"], row["error"], row["format"]) == ("COMPLETED", None, "jpeg")
        assert row["fileKey"].startswith("variants/2025/11/")
        assert row["fileKey"].endswith(f"-{kind.lower()}.jpg")
        assert row["url"] == world.storage.url(row["fileKey"])
        file = world.stored(row["fileKey"])
        assert row["fileSize"] == file.stat().st_size
        assert Image.open(file).size == sizes[kind]
    assert world.asset(upload.asset_id)["previewKey"] == rows["PREVIEW"]["fileKey"]


def test_a_video_gets_copies_that_keep_its_shape_and_a_poster(world: World, samples: Samples) -> None:
    upload = world.sample(samples["walkthrough.mp4"])

    run(variant, world, upload.payload(variants=ALL))

    rows = world.variants(upload.asset_id)
    sizes = {kind: (row["width"], row["height"]) for kind, row in rows.items()}
    assert sizes == {"THUMBNAIL": (200, 113), "PREVIEW": (640, 360), "WEB_OPTIMIZED": (640, 360), "MOBILE": (640, 360)}
    assert {kind: row["format"] for kind, row in rows.items()} == dict.fromkeys(ALL, "mp4") | {"THUMBNAIL": "jpeg"}
    for kind in ALL[1:]:
        found = probe(world.ffmpeg, world.stored(rows[kind]["fileKey"]))
        assert found.picture is not None
        assert found.picture.size == sizes[kind]
        assert rows[kind]["quality"] is None
    assert Image.open(world.stored(rows["THUMBNAIL"]["fileKey"])).size == (200, 113)
    assert last_job(world).told
    assert world.asset(upload.asset_id)["previewKey"] == rows["PREVIEW"]["fileKey"]


@pytest.mark.parametrize("name", ["phone.mov", "blink.mp4", "silent.webm"])
def test_upright_very_short_and_silent_videos_get_theirs_too(world: World, samples: Samples, name: str) -> None:
    upload = world.sample(samples[name])

    run(variant, world, upload.payload(variants=["MOBILE", "THUMBNAIL"]))

    rows = world.variants(upload.asset_id)
    source = probe(world.ffmpeg, samples[name].path)
    made = probe(world.ffmpeg, world.stored(rows["MOBILE"]["fileKey"]))
    assert source.picture is not None
    assert made.picture is not None
    assert made.picture.size[0] / made.picture.size[1] == pytest.approx(source.picture.size[0] / source.picture.size[1], rel=0.02)
    assert (made.audio is None) == (source.audio is None)


@pytest.mark.parametrize("name", ["Stand photo.jpg", "blink.mp4"])
def test_running_twice_leaves_the_same_rows_and_objects(world: World, samples: Samples, name: str) -> None:
    upload = world.sample(samples[name])
    run(variant, world, upload.payload(variants=ALL))
    once = world.everything()

    run(variant, world, upload.payload(variants=[*ALL, "PREVIEW"]), timestamp_ms=1_900_000_000_000)

    assert world.everything() == once
    assert len(once["asset_variants"]) == 4
    assert len(once["objects"]) == 5


def test_two_runs_at_once_leave_one_set(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Stand photo.jpg"])
    trouble: list[Exception] = []

    def work() -> None:
        try:
            run(variant, world, upload.payload(variants=ALL))
        except Exception as error:
            trouble.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not trouble
    assert set(world.variants(upload.asset_id)) == set(ALL)


def test_a_crash_between_objects_and_rows_is_made_good_by_the_next_run(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    run(variant, world, upload.payload(variants=ALL))
    whole = world.everything()
    world.execute("DELETE FROM asset_variants")
    world.execute('UPDATE assets SET "previewKey" = NULL')

    run(variant, world, upload.payload(variants=ALL))

    assert world.everything() == whole


def test_what_an_earlier_run_of_ours_made_elsewhere_goes_and_what_others_made_stays(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    run(variant, world, upload.payload(variants=["MOBILE"]))
    ours = world.variants(upload.asset_id)["MOBILE"]["fileKey"]
    old, foreign = ours.replace("2025/11", "2024/01"), "variants/2025/11/a1QuO4ZRSX-assets_2025_11-mobile.jpg"
    world.execute("DELETE FROM asset_variants")
    for key in (old, foreign):
        world.storage.upload(b"old", key, "image/jpeg")
        world.execute(
            'INSERT INTO asset_variants (id, "assetId", "variantType", "fileKey", "fileSize", format, status, "updatedAt") '
            "VALUES (%s, %s, 'MOBILE', %s, 3, 'jpeg', 'COMPLETED', now())",
            [key, upload.asset_id, key],
        )

    run(variant, world, upload.payload(variants=["MOBILE"]))

    keys = {row["fileKey"] for row in world.execute("SELECT * FROM asset_variants")}
    assert keys == {ours, foreign}
    assert not world.storage.exists(old)
    assert world.storage.exists(foreign)


def test_a_failed_variant_has_a_row_of_its_own_that_a_later_success_takes_over(world: World, samples: Samples) -> None:
    first, second = (world.upload(b"no video %d" % n * 500, "VIDEO", "video/mp4", f"{n}.mp4") for n in (1, 2))

    for upload in (first, second):
        with pytest.raises(PermanentError, match="neither video nor sound"):
            run(variant, world, upload.payload(variants=["MOBILE", "PREVIEW"]))

    rows = world.variants(first.asset_id)
    assert {row["status"] for row in rows.values()} == {"FAILED"}
    assert all(row["fileKey"] and row["error"] and row["url"] is None for row in rows.values())
    assert len(world.variants(second.asset_id)) == 2

    world.storage.upload(samples["blink.mp4"].path, first.file_key, "video/mp4")
    run(variant, world, first.payload(variants=["MOBILE", "PREVIEW"]))
    assert {(row["status"], row["error"]) for row in world.variants(first.asset_id).values()} == {("COMPLETED", None)}


@pytest.fixture
def dolby_vision(tmp_path: Path) -> bytes:
    """A film whose colours nothing here can tell."""
    below = tmp_path / "below.mp4"
    coding = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1", "-color_trc", "smpte2084"]
    run_ffmpeg("-f", "lavfi", "-t", "1", "-i", "testsrc2=s=160x90:r=10", *coding, below)
    return with_dolby_vision(below.read_bytes(), profile=5, base=0)


def spoilt(film: bytes) -> bytes:
    """All but the first tenth of its pictures cannot be decoded."""
    begin = film.index(b"mdat") + 4
    end = begin - 8 + int.from_bytes(film[begin - 8 : begin - 4], "big")
    whole = begin + (end - begin) // 10
    return film[:whole] + b"\xff" * (end - whole) + film[end:]


def test_a_film_of_which_no_copies_can_be_made_has_its_poster_all_the_same(world: World, dolby_vision: bytes) -> None:
    upload = world.upload(dolby_vision, "VIDEO", "video/mp4", "film.mp4")
    left = []
    for timestamp_ms in (1_800_000_000_000, 1_900_000_000_000):
        with pytest.raises(PermanentError, match=r"Dolby Vision profile 5 alone.*\(made all the same: THUMBNAIL\); export it in HDR10"):
            run(variant, world, upload.payload(variants=ALL), timestamp_ms=timestamp_ms)
        left.append(world.everything())

    rows = world.variants(upload.asset_id)
    assert {kind: row["status"] for kind, row in rows.items()} == dict.fromkeys(ALL, "FAILED") | {"THUMBNAIL": "COMPLETED"}
    assert Image.open(world.stored(rows["THUMBNAIL"]["fileKey"])).size == (160, 90)
    assert "Dolby Vision profile 5 alone" in rows["PREVIEW"]["error"]
    assert rows["THUMBNAIL"]["error"] is None
    assert world.asset(upload.asset_id)["previewKey"] is None
    assert left[0] == left[1], "a second run doubles nothing"
    assert len(left[1]["objects"]) == 2
    assert len(left[1]["asset_variants"]) == 4


def test_a_film_that_is_damaged_after_its_beginning_has_its_poster_all_the_same(world: World, samples: Samples) -> None:
    upload = world.upload(spoilt(samples["walkthrough.mp4"].path.read_bytes()), "VIDEO", "video/mp4", "film.mp4")

    with pytest.raises(PermanentError, match=r"\(made all the same: THUMBNAIL\)"):
        run(variant, world, upload.payload(variants=["MOBILE", "THUMBNAIL"]))

    assert {kind: row["status"] for kind, row in world.variants(upload.asset_id).items()} == {"MOBILE": "FAILED", "THUMBNAIL": "COMPLETED"}


def test_a_film_of_which_nothing_can_be_seen_fails_with_what_is_wrong_with_it(world: World) -> None:
    upload = world.upload(b"no video" * 500, "VIDEO", "video/mp4", "film.mp4")

    with pytest.raises(PermanentError, match="neither video nor sound") as caught:
        run(variant, world, upload.payload(variants=["MOBILE", "THUMBNAIL"]))

    assert "all the same" not in str(caught.value)
    assert {row["status"] for row in world.variants(upload.asset_id).values()} == {"FAILED"}


def node_failure(world: World, asset_id: str, kind: str) -> None:
    """The row of a failed video variant as the Node workers write it: without a key."""
    world.execute(
        'INSERT INTO asset_variants (id, "assetId", "variantType", "fileKey", "fileSize", format, status, error, "updatedAt") '
        "VALUES (%s, %s, %s::\"VariantType\", '', 0, 'mp4', 'FAILED', 'ffmpeg exited with code 1', now())",
        [f"node-{asset_id}-{kind}", asset_id, kind],
    )


def test_a_success_ends_the_failure_that_a_node_worker_recorded(world: World, samples: Samples) -> None:
    upload = world.sample(samples["blink.mp4"])
    node_failure(world, upload.asset_id, "MOBILE")

    run(variant, world, upload.payload(variants=["MOBILE"]))

    [row] = world.execute('SELECT * FROM asset_variants WHERE "assetId" = %s', [upload.asset_id])
    assert (row["variantType"], row["status"], row["error"]) == ("MOBILE", "COMPLETED", None)
    assert row["fileKey"]


@pytest.mark.parametrize(("name", "kind"), [("blink.mp4", "PREVIEW"), ("silent.webm", "MOBILE")])
def test_a_success_leaves_the_failures_of_other_sizes_and_assets_alone(world: World, samples: Samples, name: str, kind: str) -> None:
    upload = world.sample(samples["blink.mp4"])
    failed = upload if name == "blink.mp4" else world.sample(samples[name])
    node_failure(world, failed.asset_id, kind)

    run(variant, world, upload.payload(variants=["MOBILE"]))

    assert [row["status"] for row in world.execute("SELECT * FROM asset_variants WHERE \"fileKey\" = ''")] == ["FAILED"]


def test_our_failures_are_recorded_beside_one_that_a_node_worker_left_without_a_key(world: World) -> None:
    first, second = (world.upload(b"no video %d" % n * 500, "VIDEO", "video/mp4", f"{n}.mp4") for n in (1, 2))
    node_failure(world, first.asset_id, "MOBILE")

    for upload in (first, second):
        with pytest.raises(PermanentError) as caught:
            run(variant, world, upload.payload(variants=["MOBILE"]))
        assert not getattr(caught.value.__cause__, "__notes__", [])

    rows = world.execute("SELECT * FROM asset_variants WHERE \"fileKey\" <> ''")
    assert {row["assetId"]: row["status"] for row in rows} == {first.asset_id: "FAILED", second.asset_id: "FAILED"}


def test_a_failure_never_spoils_a_copy_that_is_there(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    run(variant, world, upload.payload(variants=["MOBILE"]))
    before = world.everything()
    world.storage.delete([upload.file_key])

    with pytest.raises(PermanentError):
        run(variant, world, upload.payload(variants=["MOBILE"]))

    assert world.everything()["asset_variants"] == before["asset_variants"]


def test_only_the_last_failure_is_recorded(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    world.storage = FailingUploads(world)  # type: ignore[assignment]

    with pytest.raises(TemporaryError):
        run(variant, world, upload.payload(variants=["MOBILE"]), attempt=1)
    assert world.variants(upload.asset_id) == {}

    with pytest.raises(TemporaryError):
        run(variant, world, upload.payload(variants=["MOBILE"]), is_last_attempt=True)
    assert world.variants(upload.asset_id)["MOBILE"]["error"] == "the bucket is full"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "variants"),
        ({"variants": []}, "variants"),
        ({"variants": ["HUGE"]}, r"variants\[0\]: Invalid enum value; known are THUMBNAIL, PREVIEW"),
        ({"variants": None}, "variants"),
        ({"variants": "MOBILE"}, "variants"),
        ({"variants": ["MOBILE"], "fileType": "DOCUMENT"}, "fileType DOCUMENT"),
        ({"variants": ["MOBILE"], "fileType": "HOLOGRAM"}, "fileType"),
    ],
)
def test_a_job_for_what_is_not_made_fails_at_once_and_names_it(world: World, samples: Samples, change: dict[str, Any], words: str) -> None:
    upload = world.sample(samples["logo.png"])

    with pytest.raises(PermanentError, match=words):
        run(variant, world, upload.payload(**change))

    assert world.variants(upload.asset_id) == {}


def test_an_unknown_asset_fails_for_good(world: World) -> None:
    payload = {"assetId": "c-unknown", "fileKey": "a/b.png", "fileType": "IMAGE", "mimeType": "", "originalFilename": "b", "variants": ALL}

    with pytest.raises(PermanentError, match="there is no asset 'c-unknown'"):
        run(variant, world, payload)


def test_a_cancelled_transcoding_stops_and_records_nothing(world: World, samples: Samples) -> None:
    upload = world.sample(samples["walkthrough.mp4"])
    cancelled = threading.Event()
    threading.Timer(0.4, cancelled.set).start()

    with pytest.raises(TemporaryError, match="cancelled"):
        run(variant, world, upload.payload(variants=ALL), cancelled=cancelled, is_last_attempt=True, abandoned="this worker stops")

    assert world.variants(upload.asset_id) == {}


def test_it_works_the_same_on_s3(world: World, samples: Samples, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    world.storage = S3Storage(s3.bucket, s3.region, "https://cdn.example/")
    upload = world.sample(samples["logo.png"])

    run(variant, world, upload.payload(variants=ALL))
    run(variant, world, upload.payload(variants=ALL))

    rows = world.variants(upload.asset_id)
    assert sorted([upload.file_key, *(row["fileKey"] for row in rows.values())]) == s3.keys()
    assert rows["MOBILE"]["url"] == f"https://cdn.example/{rows['MOBILE']['fileKey']}"


class FailingUploads:
    """A store that can be read but takes nothing."""

    def __init__(self, world: World) -> None:
        self._store = world.storage

    def download(self, key: str, to: Any) -> int:
        return self._store.download(key, to)

    def upload(self, source: object, key: str, content_type: str) -> Stored:
        raise TemporaryError("the bucket is full")
