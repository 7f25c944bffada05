"""TEMP_FILES: uploads that never arrived go, and what broken work leaves behind; above all, what else there is stays."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import servers
from app import App, SomeEdges
from doubles import FakeJob
from integration.cleaning.tidying import AN_HOUR_AGO, YESTERDAY, cleanup, gone, pending, stayed
from kayan_workers.errors import TemporaryError
from kayan_workers.processors.cleaning import temp_files
from kayan_workers.storage import FolderStorage, S3Storage


def test_finished_uploads_of_the_admin_dialog_are_spared(app: App, edges: SomeEdges) -> None:
    """They stay PENDING for ever and have no fileKey; what they have is a file on the web server and its path."""
    asset = pending(app, fileKey=None, filePath="/uploads/assets/image/1760283962448-0vtwnam0w0e.png")
    app.share_link(asset)

    assert gone(cleanup("TEMP_FILES", edges)) == {}
    assert app.rows("assets", "id") == [asset]
    assert len(app.rows("asset_share_links", "id")) == 1


def test_an_upload_that_never_arrived_goes_after_a_day(app: App, edges: SomeEdges) -> None:
    abandoned = [pending(app), pending(app, fileKey=None), pending(app, fileKey="", filePath="")]
    young = pending(app, createdAt=AN_HOUR_AGO)
    done = app.asset(uploadStatus="COMPLETED", createdAt=YESTERDAY)

    summary = cleanup("TEMP_FILES", edges)

    assert gone(summary) == {"asset": len(abandoned)}
    assert app.rows("assets", "id") == sorted([young, done])


@pytest.mark.parametrize("owned", [{"thumbnailKey": "thumbnails/t.jpg"}, {"previewKey": "previews/p.jpg"}, {"filePath": "https://cdn/a.png"}])
def test_a_pending_asset_that_owns_anything_is_spared(app: App, edges: SomeEdges, owned: dict[str, str]) -> None:
    asset = pending(app, **owned)

    assert gone(cleanup("TEMP_FILES", edges)) == {}
    assert app.rows("assets", "id") == [asset]


def test_a_pending_asset_with_variants_is_spared(app: App, edges: SomeEdges) -> None:
    asset = pending(app)
    app.variant(asset)

    assert gone(cleanup("TEMP_FILES", edges)) == {}
    assert app.rows("assets", "id") == [asset]


def test_a_pending_asset_whose_object_is_in_the_store_is_spared(app: App, edges: SomeEdges, storage: FolderStorage) -> None:
    asset = pending(app, fileKey="assets/2025/11/arrived.png")
    pending(app, fileKey="assets/2025/11/never.png")
    storage.upload(b"x", "assets/2025/11/arrived.png", "image/png")

    summary = cleanup("TEMP_FILES", edges)

    assert (gone(summary), stayed(summary)) == ({"asset": 1}, {"asset": 1})
    assert app.rows("assets", "id") == [asset]


def test_a_row_that_comes_to_own_something_while_the_store_is_asked_is_spared(app: App, edges: SomeEdges, storage: FolderStorage) -> None:
    asset = pending(app)

    class Slow(FolderStorage):
        def exists(self, key: str) -> bool:
            app.connection.execute("""UPDATE assets SET "filePath" = '/uploads/assets/late.png'""")
            return super().exists(key)

    edges.storage = Slow(storage.root)
    summary = cleanup("TEMP_FILES", edges)

    assert (gone(summary), stayed(summary)) == ({}, {"asset": 1})
    assert app.rows("assets", "id") == [asset]


def test_an_empty_store_proves_nothing(app: App, edges: SomeEdges, tmp_path: Path) -> None:
    edges.storage = FolderStorage(tmp_path / "wrong-folder")
    asset = pending(app)

    assert stayed(cleanup("TEMP_FILES", edges)) == {"asset": 1}
    assert app.rows("assets", "id") == [asset]


def test_a_key_that_climbs_out_of_the_store_spares_its_row_and_is_reported(app: App, edges: SomeEdges) -> None:
    asset, job = pending(app, fileKey="../../etc/hostname"), FakeJob()

    assert stayed(cleanup("TEMP_FILES", edges, job=job)) == {"asset": 1}
    assert app.rows("assets", "id") == [asset]
    assert asset in job.rows[0]


def test_a_key_too_long_for_the_disk_does_not_end_the_cleanup(app: App, edges: SomeEdges) -> None:
    app.asset(fileKey=f"assets/{'n' * 300}.png", uploadStatus="PENDING", createdAt=YESTERDAY)

    assert gone(cleanup("TEMP_FILES", edges)) == {"asset": 1}


def test_spared_rows_are_met_once_however_many_there_are(
    app: App, edges: SomeEdges, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temp_files, "ASSETS", 3)
    owner = app.user()
    for number in range(10):
        key = f"assets/2025/11/{number}.png"
        pending(app, fileKey=key, uploadedBy=owner)
        if number % 2:
            storage.upload(b"x", key, "image/png")

    summary = cleanup("TEMP_FILES", edges)

    assert (gone(summary), stayed(summary)) == ({"asset": 5}, {"asset": 5})


def test_old_temporary_files_go_and_young_ones_stay(edges: SomeEdges) -> None:
    long_ago = time.time() - 25 * 3600
    old_file, old_folder, busy_folder, young = (edges.temp_dir / name for name in ("old.mp4", "old", "busy", "young"))
    old_file.write_bytes(b"x")
    young.write_bytes(b"x")
    for folder in (old_folder, busy_folder):
        folder.mkdir()
        (folder / "frame.png").write_bytes(b"x")
    for path in (old_folder / "frame.png", old_file, old_folder, busy_folder):
        os.utime(path, (long_ago, long_ago))

    looked = cleanup("TEMP_FILES", edges, dry_run=True)
    assert len(list(edges.temp_dir.iterdir())) == 4, "a dry run touches nothing"
    done = cleanup("TEMP_FILES", edges)

    assert gone(looked) == gone(done) == {"temporary file": 2}
    for summary in (looked, done):
        assert {found["id"]: found["bytes"] for found in summary["listed"]} == {"temp/old.mp4": 1, "temp/old": 1}
        assert {found["since"] for found in summary["listed"]} == {datetime.fromtimestamp(long_ago, UTC).isoformat(timespec="seconds")}
    assert looked["cutoffs"].keys() == done["cutoffs"].keys() >= {"temporary file"}
    assert sorted(path.name for path in edges.temp_dir.iterdir()) == ["busy", "young"]


def test_a_link_in_the_temporary_folder_goes_but_not_what_it_points_at(edges: SomeEdges, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "keep").write_bytes(b"x")
    link = edges.temp_dir / "link"
    link.symlink_to(precious)
    os.utime(link, (0, 0), follow_symlinks=False)

    assert gone(cleanup("TEMP_FILES", edges)) == {"temporary file": 1}
    assert (precious / "keep").exists()


def test_a_half_written_object_of_the_folder_store_goes_after_a_day(edges: SomeEdges, storage: FolderStorage) -> None:
    old, young, another_programs = f".{'a' * 16}.part", f".{'b' * 16}.part", ".film.mkv.part"
    for name, age in ((old, 25), (young, 1), (another_programs, 25)):
        path = storage.root / "assets" / name
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age * 3600,) * 2)

    assert gone(cleanup("TEMP_FILES", edges)) == {"unfinished upload": 1}
    assert {path.name for path in (storage.root / "assets").glob(".*.part")} == {young, another_programs}


def test_in_s3_too_only_rows_without_an_object_go(app: App, edges: SomeEdges, bucket: S3Storage) -> None:
    edges.storage = bucket
    kept = pending(app, fileKey="assets/2025/11/arrived.png")
    pending(app, fileKey="assets/2025/11/never.png")
    bucket.upload(b"x", "assets/2025/11/arrived.png", "image/png")

    assert gone(cleanup("TEMP_FILES", edges)) == {"asset": 1}
    assert app.rows("assets", "id") == [kept]


def test_a_missing_bucket_or_a_wrong_key_deletes_no_row(
    app: App, edges: SomeEdges, bucket: S3Storage, s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = pending(app)
    edges.storage = S3Storage("kayan-no-such-bucket", s3.region)
    with pytest.raises(TemporaryError):
        cleanup("TEMP_FILES", edges)

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    edges.storage = S3Storage(s3.bucket, s3.region)
    with pytest.raises(TemporaryError):
        cleanup("TEMP_FILES", edges)

    assert app.rows("assets", "id") == [asset]


def test_uploads_that_were_never_completed_are_left_alone_when_that_is_switched_off(edges: SomeEdges, storage: FolderStorage) -> None:
    part = storage.root / "assets" / ".0123456789abcdef.part"
    part.write_bytes(b"x")
    os.utime(part, (0, 0))
    edges.cleanup = replace(edges.cleanup, on=edges.cleanup.on - {"UNFINISHED_UPLOADS"})

    assert gone(cleanup("TEMP_FILES", edges)) == {}
    assert part.exists()


def test_a_dry_run_lists_uploads_that_were_never_completed_by_their_keys(edges: SomeEdges, storage: FolderStorage) -> None:
    part = storage.root / "assets" / ".0123456789abcdef.part"
    part.write_bytes(b"half")
    os.utime(part, (0, 0))

    [found] = cleanup("TEMP_FILES", edges, dry_run=True)["listed"]

    assert (found["what"], found["id"], found["bytes"]) == ("unfinished upload", "assets/.0123456789abcdef.part", 4)
    assert found["reason"] == "begun by the app or its workers, and never completed"
    assert part.exists()


def test_a_store_that_does_not_list_unfinished_uploads_is_no_reason_to_fail(app: App, edges: SomeEdges, tmp_path: Path) -> None:
    class Silent(FolderStorage):
        def discard_unfinished(self, older_than: datetime) -> int:
            raise TemporaryError("AccessDenied")

    edges.storage = Silent(tmp_path / "store")
    pending(app, fileKey=None)
    job = FakeJob()

    assert gone(cleanup("TEMP_FILES", edges, job=job)) == {"asset": 1}
    assert "unfinished uploads are left alone: AccessDenied" in job.rows
