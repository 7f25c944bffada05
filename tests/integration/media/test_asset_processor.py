"""``asset-processing`` from upload to rows, on real files, PostgreSQL and ffmpeg."""

from __future__ import annotations

import io
import struct
import subprocess
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from integration.media.conftest import World
from integration.media.running import last_job, run
from kayan_workers.demo.samples import Sample
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.processors import asset
from PIL import Image
from scene_files import box, shown

Samples = dict[str, Sample]


def test_a_photo_taken_upright_is_recorded_as_it_is_seen(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Stand photo.jpg"])

    run(asset, world, upload.payload())

    row, details = world.asset(upload.asset_id), world.details(upload.asset_id)
    assert (row["width"], row["height"], row["processingStatus"], row["processingError"]) == (1200, 1600, "COMPLETED", None)
    assert row["metadata"]["colorSpace"] == "srgb"
    assert row["metadata"]["hasAlpha"] is False
    assert (details["camera"], details["iso"], details["aperture"]) == ("Canon EOS R5", 400, 2.8)
    assert (details["gpsLat"], details["gpsLng"]) == (pytest.approx(24.88), pytest.approx(46.735))
    assert details["customFields"]["takenAt"] == "2025-11-24T10:05:07"


def test_a_video_has_whole_seconds_in_its_column_and_milliseconds_in_its_metadata(world: World, samples: Samples) -> None:
    upload = world.sample(samples["blink.mp4"])

    run(asset, world, upload.payload())

    row, details = world.asset(upload.asset_id), world.details(upload.asset_id)
    assert (row["width"], row["height"], row["duration"]) == (320, 240, 0)
    assert row["metadata"]["durationMs"] == 400
    assert row["metadata"]["codec"] == details["codec"] == "h264"
    assert details["frameRate"] == 25


def test_a_phone_video_is_recorded_upright(world: World, samples: Samples) -> None:
    upload = world.sample(samples["phone.mov"])

    run(asset, world, upload.payload())

    assert (world.asset(upload.asset_id)["width"], world.asset(upload.asset_id)["height"]) == (360, 640)


def test_sound_tells_length_channels_and_tags(world: World, samples: Samples) -> None:
    upload = world.sample(samples["jingle.mp3"])

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert row["duration"] == 3
    assert row["metadata"] | {"durationMs": 0} == {
        "codec": "mp3", "bitrate": 64, "channels": 1, "sampleRate": 44100, "durationMs": 0, "tags": {"title": "Jingle", "artist": "كيان"},
    }  # fmt: skip


def test_a_model_tells_its_faces_and_is_drawn(world: World, samples: Samples) -> None:
    upload = world.sample(samples["tent.glb"])

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["metadata"]["faces"], row["metadata"]["bounds"]["max"]) == (6, pytest.approx([1, 2**0.5, 1]))
    assert Image.open(world.stored(row["previewKey"])).size == (800, 600)
    assert Image.open(world.stored(row["thumbnailKey"])).size == (200, 150)


def test_a_model_that_cannot_be_drawn_is_counted_all_the_same_and_the_job_says_why(world: World) -> None:
    upload = world.upload(shown(box()).gltf("scene.bin"), "MODEL_3D", "model/gltf+json", "stand.gltf")

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["metadata"]["faces"], row["previewKey"]) == ("COMPLETED", 12, None)
    assert "it gets no preview: its shape stands in another file" in last_job(world).rows[0]


def test_the_cover_of_sound_is_its_preview(world: World, samples: Samples, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), (200, 30, 60)).save(tmp_path / "cover.jpg")
    inputs = ["-i", samples["jingle.mp3"].path, "-i", tmp_path / "cover.jpg", "-map", "0:a", "-map", "1:v"]
    command = [world.ffmpeg.binary, "-v", "error", *inputs, "-c", "copy", "-disposition:v", "attached_pic", tmp_path / "song.mp3"]
    subprocess.run(list(map(str, command)), check=True)
    upload = world.upload(tmp_path / "song.mp3", "AUDIO", "audio/mpeg")

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert Image.open(world.stored(row["previewKey"])).size == (300, 300)
    assert Image.open(world.stored(row["thumbnailKey"])).size == (200, 200)


def test_a_pdf_tells_its_pages_and_shows_the_first(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Proposal.pdf"])

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["metadata"]["pages"], row["metadata"]["title"], row["metadata"]["mimeType"]) == (3, "Stand proposal", "application/pdf")
    assert row["metadata"]["processedAt"].endswith("Z")
    assert "Page 2." in world.details(upload.asset_id)["customFields"]["text"]
    assert row["previewKey"].startswith("previews/2025/11/")
    assert Image.open(world.stored(row["previewKey"])).height == 600
    assert Image.open(world.stored(row["thumbnailKey"])).height == 200
    assert row["thumbnailPath"] == f"/api/files/{row['thumbnailKey']}"


def test_pictures_of_a_document_that_we_made_under_another_name_are_replaced(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Proposal.pdf"])
    run(asset, world, upload.payload())
    made = world.asset(upload.asset_id)
    older = [made[column].replace("2025/11", "2024/01") for column in ("previewKey", "thumbnailKey")]
    for key in older:
        world.storage.upload(b"old", key, "image/jpeg")
    world.execute('UPDATE assets SET "previewKey" = %s, "thumbnailKey" = %s', older)

    run(asset, world, upload.payload())

    keys = {found.key for found in world.storage.list("")}
    assert keys == {upload.file_key, made["previewKey"], made["thumbnailKey"]}


def test_an_asset_is_no_failure_because_its_older_picture_cannot_be_removed(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Proposal.pdf"])
    run(asset, world, upload.payload())
    made = world.asset(upload.asset_id)
    world.execute('UPDATE assets SET "previewKey" = %s', [made["previewKey"].replace("2025/11", "2024/01")])
    world.storage = Hoarding(world)  # type: ignore[assignment]

    run(asset, world, upload.payload(), is_last_attempt=True)

    assert world.asset(upload.asset_id)["processingStatus"] == "COMPLETED"
    assert "could not be removed: the bucket keeps everything" in last_job(world).rows[0]


def test_a_document_whose_first_page_cannot_be_drawn_is_read_all_the_same_and_the_job_says_so(world: World) -> None:
    with zipfile.ZipFile(file := io.BytesIO(), "w") as package:
        package.writestr("[Content_Types].xml", "<Types/>")
        package.writestr("word/document.xml", "<document/>")
        package.writestr("docProps/core.xml", "<core><creator>Mona</creator></core>")
        package.writestr("docProps/thumbnail.jpeg", b"no picture")
    upload = world.upload(file.getvalue(), "DOCUMENT", "", "Brief.docx")

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["metadata"]["author"], row["previewKey"]) == ("COMPLETED", "Mona", None)
    assert "it gets no preview: the file has no page to show" in last_job(world).rows[0]


def test_a_word_file_that_the_app_calls_other_is_read_all_the_same(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Brief.docx"])

    run(asset, world, upload.payload())

    assert world.asset(upload.asset_id)["metadata"]["author"] == "Mona"


OTHERS = ["notes.txt", "leads.csv", "tent.glb", "poster.psd", "plan.svg", "logo.png", "print.tif", "signal.wav", "silent.webm"]
ONE_OF_EACH = ["Stand photo.jpg", "walkthrough.mp4", "jingle.mp3", "Proposal.pdf", "Brief.docx", "tent.glb", "poster.psd"]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_sample_completes_with_what_it_says(world: World, samples: Samples, name: str) -> None:
    upload = world.sample(samples[name])

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["processingError"]) == ("COMPLETED", None)
    assert row["metadata"].get("format") or row["metadata"].get("codec")


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_running_twice_leaves_the_same_rows_and_objects(world: World, samples: Samples, name: str) -> None:
    upload = world.sample(samples[name])
    run(asset, world, upload.payload())
    once = world.everything()

    run(asset, world, upload.payload(), timestamp_ms=1_900_000_000_000)

    assert world.everything() == once


def test_what_others_wrote_into_the_metadata_stays(world: World, samples: Samples) -> None:
    upload = world.sample(samples["walkthrough.mp4"], metadata='{"mood": "bright", "codec": "old"}')
    world.execute(
        'INSERT INTO asset_metadata (id, "assetId", lens, "customFields", "updatedAt") VALUES (%s, %s, %s, %s, now())',
        ["m1", upload.asset_id, "50mm", '{"by": "Mona"}'],
    )

    run(asset, world, upload.payload())

    assert world.asset(upload.asset_id)["metadata"] | {"codec": "h264", "mood": "bright"} == world.asset(upload.asset_id)["metadata"]
    details = world.details(upload.asset_id)
    assert (details["id"], details["lens"], details["customFields"]["by"], details["codec"]) == ("m1", "50mm", "Mona", "h264")


def test_metadata_that_is_no_object_is_replaced_by_one(world: World, samples: Samples) -> None:
    upload = world.sample(samples["jingle.mp3"], metadata='["a list"]')

    run(asset, world, upload.payload())

    assert world.asset(upload.asset_id)["metadata"]["codec"] == "mp3"


def test_an_asset_nobody_knows_fails_for_good_and_is_named(world: World) -> None:
    payload = {"assetId": "c-unknown", "fileKey": "a/b.png", "fileType": "IMAGE", "mimeType": "", "originalFilename": "b.png"}

    with pytest.raises(PermanentError, match="c-unknown"):
        run(asset, world, payload)


@pytest.mark.parametrize(
    ("content", "file_type", "words"),
    [
        (b"", "IMAGE", "empty"),
        (b"this is no picture", "IMAGE", "not a picture"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "IMAGE", "damaged"),
        (b"x" * 5000, "VIDEO", "no video or sound|cannot read"),
        (b"x" * 5000, "AUDIO", "no video or sound|cannot read"),
        (b"%PDF-1.4 nothing", "DOCUMENT", "PDF is damaged"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 50, "DOCUMENT", "JPEG"),
        (b"glTF\x02\0\0\0\xff\0\0\0", "MODEL_3D", "breaks off"),
        (b"8BPS\0\1", "DESIGN", "damaged|breaks off"),
    ],
)
def test_a_bad_file_fails_for_good_with_words_in_the_row(world: World, content: bytes, file_type: str, words: str) -> None:
    upload = world.upload(content, file_type, "image/png", "ملف.png")

    with pytest.raises(PermanentError, match=words) as caught:
        run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert row["processingStatus"] == "FAILED"
    assert row["processingError"] in str(caught.value)
    assert upload.asset_id in str(caught.value)


def test_sound_called_a_video_is_described_as_the_sound_it_is(world: World, samples: Samples) -> None:
    upload = world.upload(samples["jingle.mp3"].path, "VIDEO", "video/mp4")

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["width"], row["metadata"]["codec"]) == ("COMPLETED", None, "mp3")
    assert row["metadata"]["detectedMimeType"] == "audio/mpeg"


def test_a_picture_of_another_format_than_declared_is_read_and_the_truth_recorded(world: World, samples: Samples) -> None:
    upload = world.upload(samples["walkthrough.mp4"].path, "VIDEO", "image/png")

    run(asset, world, upload.payload())

    assert world.asset(upload.asset_id)["metadata"]["detectedMimeType"] == "video/mp4"


def test_a_key_that_climbs_out_is_refused(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])

    with pytest.raises(PermanentError, match="storage key"):
        run(asset, world, upload.payload(fileKey="../../../etc/hostname"))

    assert "storage key" in world.asset(upload.asset_id)["processingError"]


def test_between_retries_the_asset_is_still_being_processed(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    world.storage = Unreachable()  # type: ignore[assignment]

    with pytest.raises(TemporaryError, match=upload.asset_id):
        run(asset, world, upload.payload(), attempt=1)
    assert world.asset(upload.asset_id)["processingStatus"] == "PROCESSING"

    with pytest.raises(TemporaryError):
        run(asset, world, upload.payload(), attempt=3, is_last_attempt=True)
    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["processingError"]) == ("FAILED", "the bucket sleeps")


def test_a_later_success_clears_the_error(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"], processingStatus="FAILED", processingError="of yesterday")

    run(asset, world, upload.payload())

    assert world.asset(upload.asset_id)["processingError"] is None


def test_an_asset_id_that_no_database_can_hold_fails_at_once_and_names_the_field(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Stand photo.jpg"])

    with pytest.raises(PermanentError, match="assetId"):
        run(asset, world, upload.payload() | {"assetId": "c\0d"})


def test_a_canvas_larger_than_its_column_is_no_finding(world: World) -> None:
    header = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 4_000_000_000, 4_000_000_000, 8, 3)
    upload = world.upload(header + bytes(64), "DESIGN", "image/vnd.adobe.photoshop", "stage.psd")

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["width"], row["height"], row["processingStatus"]) == (None, None, "COMPLETED")


def test_an_asset_whose_last_attempt_ran_out_of_time_is_marked_as_failed(world: World, samples: Samples) -> None:
    upload = world.sample(samples["Stand photo.jpg"])
    out_of_time = threading.Event()
    out_of_time.set()

    with pytest.raises(TemporaryError):
        run(asset, world, upload.payload(), is_last_attempt=True, cancelled=out_of_time)

    row = world.asset(upload.asset_id)
    assert row["processingStatus"] == "FAILED"
    assert "took too long" in row["processingError"]


def test_a_cancelled_job_writes_nothing_more(world: World, samples: Samples) -> None:
    upload = world.sample(samples["walkthrough.mp4"])
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(TemporaryError, match="cancelled"):
        run(asset, world, upload.payload(), is_last_attempt=True, cancelled=cancelled, abandoned="another worker has it")

    assert world.asset(upload.asset_id)["processingStatus"] == "PROCESSING"


def test_trouble_in_marking_the_failure_never_hides_the_failure(world: World) -> None:
    upload = world.upload(b"no picture", "IMAGE", "image/png")
    world.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no FAILED today'; END $$;"
        'CREATE TRIGGER t BEFORE UPDATE ON assets FOR EACH ROW WHEN (NEW."processingStatus" = \'FAILED\') EXECUTE FUNCTION refuse()'
    )

    with pytest.raises(PermanentError, match="not a picture") as caught:
        run(asset, world, upload.payload())

    notes = [note for error in (caught.value, caught.value.__cause__) for note in getattr(error, "__notes__", [])]
    assert any("no FAILED today" in note for note in notes)


def test_an_asset_deleted_while_it_was_worked_on_fails_for_good(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    world.storage = Deleting(world, upload.asset_id)  # type: ignore[assignment]

    with pytest.raises(PermanentError, match="there is no asset"):
        run(asset, world, upload.payload())


@pytest.mark.parametrize(("status", "after"), [("PROCESSING", "FAILED"), ("COMPLETED", "COMPLETED"), ("PENDING", "PENDING")])
def test_giving_up_a_job_marks_only_an_asset_that_is_still_being_processed(
    world: World, samples: Samples, status: str, after: str
) -> None:
    upload = world.sample(samples["logo.png"], processingStatus=status)
    payload = msgspec.convert(upload.payload(), asset.Payload)

    asset.given_up(payload, world)  # type: ignore[arg-type]
    once = world.asset(upload.asset_id)
    asset.given_up(payload, world)  # type: ignore[arg-type]

    assert once["processingStatus"] == after
    assert (once["processingError"] is None) == (after != "FAILED")
    assert {**world.asset(upload.asset_id), "updatedAt": None} == {**once, "updatedAt": None}


def test_giving_up_the_job_of_a_deleted_asset_is_no_trouble(world: World) -> None:
    payload = {"assetId": "c-unknown", "fileKey": "a/b.png", "fileType": "IMAGE"}

    asset.given_up(msgspec.convert(payload, asset.Payload), world)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"fileType": "SPREADSHEET"}, "fileType"),
        ({"assetId": ""}, "assetId"),
        ({"assetId": 7}, "assetId"),
        ({"fileKey": None}, "fileKey"),
    ],
)
def test_a_malformed_payload_fails_at_once_and_names_its_field(world: World, wrong: dict[str, Any], field: str) -> None:
    payload = {"assetId": "a", "fileKey": "b", "fileType": "IMAGE", "mimeType": "", "originalFilename": "c"}

    with pytest.raises(PermanentError, match=field):
        run(asset, world, payload | wrong)


@pytest.mark.parametrize(
    ("content", "file_type", "name", "kind"),
    [
        (b"7z\xbc\xaf'\x1c" + b"\0" * 100, "OTHER", "files.7z", "7-Zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "DOCUMENT", "old.doc", "OLE"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "DESIGN", "logo.eps", "PostScript"),
        (b"Kaydara FBX Binary  \0", "MODEL_3D", "stand.fbx", "FBX"),
    ],
)
def test_a_good_file_nobody_here_can_look_into_is_kept_and_its_kind_recorded(
    world: World, content: bytes, file_type: str, name: str, kind: str
) -> None:
    upload = world.upload(content, file_type, "", name)

    run(asset, world, upload.payload())

    row = world.asset(upload.asset_id)
    assert (row["processingStatus"], row["processingError"]) == ("COMPLETED", None)
    assert row["metadata"]["format"] == kind
    assert row["metadata"]["inspected"] is False


class Hoarding:
    """A store that removes nothing."""

    def __init__(self, world: World) -> None:
        self._store = world.storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def delete(self, keys: Sequence[str]) -> None:
        raise TemporaryError("the bucket keeps everything")


class Unreachable:
    """A store that has a bad day."""

    def download(self, key: str, to: object) -> int:
        raise TemporaryError("the bucket sleeps")


class Deleting:
    """A store during whose download somebody deletes the asset."""

    def __init__(self, world: World, asset_id: str) -> None:
        self._world, self._asset_id, self._store = world, asset_id, world.storage

    def download(self, key: str, to: Any) -> int:
        self._world.execute("DELETE FROM assets WHERE id = %s", [self._asset_id])
        return self._store.download(key, to)

    def delete(self, keys: Sequence[str]) -> None:
        self._store.delete(keys)
