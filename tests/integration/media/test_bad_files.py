"""Bad, hostile and oddly named uploads through the real processors: what the app's rows and the object store are left with."""

from __future__ import annotations

import pytest
from corpus import catalogue, sentences, table
from corpus.table import Row
from integration.media.conftest import Upload, World
from integration.media.running import run
from kayan_workers.errors import PermanentError
from kayan_workers.processors import asset, thumbnail, variant

BAD = (
    "cut-50-photo.jpg", "cut-10-photo.png", "cut-50-photo.webp", "bomb-header.png", "bomb-header.jp2", "bomb-inside.ico",
    "reads-file.svg", "program.jpg", "really-pdf.jpg", "cut-50-film.mp4", "cut-10-faststart.mp4", "really-text.mp4", "playlist.mp4",
    "bomb-beyond.y4m", "cut-head-sound.flac", "really-silent.mp3", "locked.pdf", "cut-50-proposal.pdf", "bomb-contents.pdf", "laughs.docx",
    "bomb-flat.docx", "missing-mesh.gltf", "many-claimed.ply", "words-for-numbers.obj",
)  # fmt: skip
ODD_NAMES = (
    "صورة الجناح.jpg", "bell\x07tab\tline\nend.jpg", "turned\u202egpj.exe.jpg", "..%2f..%2fetc%2fpasswd.jpg",
    "..\\..\\windows\\win.ini.jpg", "$(reboot).jpg", "'; DROP TABLE assets;--.jpg", "<img src=x onerror=alert(1)>.jpg",
    "{{7*7}}%s%n.jpg", "👩\u200d👩\u200d👧 stand 🎪.jpg", "no ending", "....jpg", "-rf.jpg", "UPPER.JPG", "photo.jpg.exe",
)  # fmt: skip



def rows_of(names: tuple[str, ...]) -> dict[str, Row]:
    """The first row of each file."""
    rows: dict[str, Row] = {}
    for row in table.rows():
        if row.name in names:
            rows.setdefault(row.name, row)
    assert set(rows) == set(names)
    return rows


def uploaded(world: World, row: Row) -> Upload:
    return world.upload(catalogue.everything()[row.name], row.file_type, row.mime_type, row.name)


@pytest.mark.parametrize("file_type", ["IMAGE", "VIDEO", "AUDIO", "DOCUMENT", "MODEL_3D"])
def test_a_bad_file_fails_at_once_with_words_in_its_row_and_leaves_nothing_behind(world: World, file_type: str) -> None:
    rows = [row for row in rows_of(BAD).values() if row.file_type == file_type]
    for row in rows:
        upload = uploaded(world, row)

        with pytest.raises(PermanentError):
            run(asset, world, upload.payload(), attempt=1, is_last_attempt=False)

        left = world.asset(upload.asset_id)
        assert left["processingStatus"] == "FAILED", row.id
        assert row.examine.removeprefix("refused:").strip() in left["processingError"], row.id
        assert sentences.faults(left["processingError"]) == [], row.id
        assert [found.key for found in world.storage.list("")] == [upload.file_key], row.id
        world.storage.delete([upload.file_key])
    assert rows


def test_bad_files_get_no_thumbnail_and_no_variants(world: World) -> None:
    rows = [row for row in rows_of(BAD).values() if row.file_type in ("IMAGE", "VIDEO") and row.picture.startswith("refused:")]
    for row in rows:
        upload = uploaded(world, row)

        with pytest.raises(PermanentError):
            run(thumbnail, world, upload.payload())
        with pytest.raises(PermanentError):
            run(variant, world, upload.payload(variants=["THUMBNAIL", "MOBILE"]))

        assert world.asset(upload.asset_id)["thumbnailKey"] is None, row.id
        for copy in world.variants(upload.asset_id).values():
            assert copy["status"] == "FAILED", row.id
            assert sentences.faults(copy["error"]) == [], row.id
        assert [found.key for found in world.storage.list("")] == [upload.file_key], row.id
        world.storage.delete([upload.file_key])


def test_an_empty_file_fails_and_asks_for_another_upload(world: World) -> None:
    for file_type in ("IMAGE", "VIDEO", "OTHER"):
        upload = world.upload(b"", file_type, "application/octet-stream", f"{file_type}.bin")

        with pytest.raises(PermanentError, match="empty"):
            run(asset, world, upload.payload())

        assert "upload it again" in world.asset(upload.asset_id)["processingError"]


def test_a_photo_is_worked_on_whatever_it_is_called(world: World) -> None:
    """The app stores under a harmless key; the name goes into the payload and the row as it is."""
    for name in ODD_NAMES:
        upload = world.upload(catalogue.everything()[name], "IMAGE", "image/jpeg", f"{ODD_NAMES.index(name)}.jpg")
        world.execute('UPDATE assets SET "originalName" = %s WHERE id = %s', [name, upload.asset_id])

        run(asset, world, upload.payload(originalFilename=name))
        run(thumbnail, world, upload.payload(originalFilename=name))

        row = world.asset(upload.asset_id)
        assert (row["processingStatus"], row["originalName"], row["width"]) == ("COMPLETED", name, 240)
        assert row["thumbnailKey"].isascii()
        assert {found.key for found in world.storage.list("")} == {upload.file_key, row["thumbnailKey"]}, name
        world.storage.delete([upload.file_key, row["thumbnailKey"]])
