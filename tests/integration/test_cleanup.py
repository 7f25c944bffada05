"""The four cleanups on a real database and real stores: what goes, and above all what stays."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import servers
from app import App, SomeEdges, app_of
from doubles import FakeJob
from kayan_workers import deliveries, ledger
from kayan_workers.database import Database
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.processors.cleaning import old_variants, run, temp_files
from kayan_workers.processors.cleaning.old_analytics import a_year_before
from kayan_workers.processors.cleanup import Options, Payload, process
from kayan_workers.storage import FolderStorage, S3Storage

NOW = datetime.now(UTC)
YESTERDAY = (NOW - timedelta(hours=25)).replace(tzinfo=None)
AN_HOUR_AGO = (NOW - timedelta(hours=1)).replace(tzinfo=None)


@pytest.fixture
def app(database_url: str) -> Iterator[App]:
    with app_of(database_url) as app:
        yield app


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    """A store in use: it holds somebody's asset."""
    storage = FolderStorage(tmp_path / "store")
    storage.upload(b"somebody's", "assets/2025/01/somebody-render.png", "image/png")
    return storage


@pytest.fixture
def edges(database_url: str, storage: FolderStorage, tmp_path: Path) -> Iterator[Any]:
    temp_dir = tmp_path / "temp"
    temp_dir.mkdir()
    database = Database(database_url, pool_size=2, application_name="kayan-test", wait_seconds=5)
    yield SomeEdges(database, storage, temp_dir)
    database.close()


def cleanup(kind: str, edges: Any, *, dry_run: bool = False, job: FakeJob | None = None) -> dict[str, Any]:
    return process(Payload(kind, Options(dry_run=dry_run)), job or FakeJob(queue="cleanup"), edges)


def pending(app: App, **columns: Any) -> str:
    """An asset that has been PENDING for longer than a day and owns nothing but a key."""
    return app.asset(**{"uploadStatus": "PENDING", "createdAt": YESTERDAY, **columns})


# -- all -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "EVERYTHING", "expired_links", "__init__"])
def test_an_unknown_kind_fails_for_good_and_names_those_there_are(edges: Any, kind: str) -> None:
    with pytest.raises(PermanentError, match="known are EXPIRED_LINKS, OLD_VARIANTS, TEMP_FILES, OLD_ANALYTICS"):
        cleanup(kind, edges)


@pytest.mark.parametrize("kind", ["EXPIRED_LINKS", "OLD_VARIANTS", "TEMP_FILES", "OLD_ANALYTICS"])
def test_with_nothing_to_do_a_cleanup_does_nothing_and_ends_at_a_hundred_percent(edges: Any, kind: str) -> None:
    job = FakeJob()

    summary = cleanup(kind, edges, job=job)

    assert not any(summary.values())
    assert job.told[-1] == 100


def test_a_cleanup_nobody_wants_any_more_stops_between_two_batches(app: App, edges: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROWS", 10)
    asset = app.asset()
    for _ in range(25):
        app.share_link(asset, expiresAt=YESTERDAY)
    job = FakeJob()
    job.cancelled.set()

    with pytest.raises(TemporaryError, match="stopped after 10 of 25"):
        cleanup("EXPIRED_LINKS", edges, job=job)

    assert app.rows("asset_share_links", "isActive").count(False) == 10
    assert cleanup("EXPIRED_LINKS", edges) == {"deactivated": 15}


# -- EXPIRED_LINKS ---------------------------------------------------------------------------------------------------------------


def test_expired_links_are_switched_off_and_no_others(app: App, edges: Any) -> None:
    asset = app.asset()
    expired = app.share_link(asset, expiresAt=AN_HOUR_AGO)
    app.share_link(asset, expiresAt=(NOW + timedelta(hours=1)).replace(tzinfo=None))
    app.share_link(asset, expiresAt=None)
    app.share_link(asset, expiresAt=YESTERDAY, isActive=False)

    assert cleanup("EXPIRED_LINKS", edges) == {"deactivated": 1}
    assert sorted(app.rows("asset_share_links", "isActive")) == [False, False, True, True]
    assert (expired, False) in app.rows("asset_share_links", "id", "isActive")
    assert cleanup("EXPIRED_LINKS", edges) == {"deactivated": 0}


@pytest.mark.parametrize("zone", ["Asia/Riyadh", "America/New_York"])
def test_a_link_expires_at_its_utc_moment_wherever_the_server_lives(app: App, edges: Any, zone: str) -> None:
    app.set_zone(zone)
    asset = app.asset()
    app.share_link(asset, expiresAt=AN_HOUR_AGO)
    app.share_link(asset, expiresAt=(NOW + timedelta(hours=1)).replace(tzinfo=None))

    assert cleanup("EXPIRED_LINKS", edges) == {"deactivated": 1}


def test_many_rows_go_in_bounded_batches_with_progress(app: App, edges: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "ROWS", 10)
    asset = app.asset()
    for _ in range(35):
        app.share_link(asset, expiresAt=YESTERDAY)
    job = FakeJob()

    assert cleanup("EXPIRED_LINKS", edges, job=job) == {"deactivated": 35}
    assert job.told == [29, 57, 86, 99, 100]


def test_a_dry_run_counts_and_touches_nothing(app: App, edges: Any, storage: FolderStorage) -> None:
    app.share_link(app.asset(), expiresAt=YESTERDAY)
    app.insert("asset_analytics", assetId=app.asset(), date="2020-01-01")
    app.variant(app.asset(isArchived=True))
    pending(app)
    before = {table: app.rows(table, "id") for table in ("asset_analytics", "asset_variants", "assets")}

    assert cleanup("EXPIRED_LINKS", edges, dry_run=True) == {"deactivated": 1, "dryRun": True}
    assert cleanup("OLD_ANALYTICS", edges, dry_run=True) == {"deleted": 1, "forgotten": 0, "dryRun": True}
    assert cleanup("OLD_VARIANTS", edges, dry_run=True) == {"deleted": 1, "dryRun": True}
    assert cleanup("TEMP_FILES", edges, dry_run=True) == {"deleted": 1, "spared": 0, "dryRun": True}
    assert app.rows("asset_share_links", "isActive") == [True]
    assert before == {table: app.rows(table, "id") for table in before}


# -- OLD_ANALYTICS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
def test_counters_of_a_year_ago_go_by_utc_day_and_younger_ones_stay(app: App, edges: Any, zone: str) -> None:
    app.set_zone(zone)
    asset, limit = app.asset(), a_year_before(datetime.now(UTC).date())
    for day in (limit - timedelta(days=400), limit - timedelta(days=1), limit, limit + timedelta(days=1)):
        app.insert("asset_analytics", assetId=asset, date=day, views=1)

    assert cleanup("OLD_ANALYTICS", edges)["deleted"] == 3
    assert app.rows("asset_analytics", "date") == [limit + timedelta(days=1)]


@pytest.mark.parametrize(
    ("day", "year_before"),
    [(date(2025, 11, 24), date(2024, 11, 24)), (date(2024, 2, 29), date(2023, 2, 28)), (date(2025, 2, 28), date(2024, 2, 28))],
)
def test_a_year_before_a_leap_day_is_the_last_of_february(day: date, year_before: date) -> None:
    assert a_year_before(day) == year_before


def test_the_fleets_own_tables_forget_what_is_older_than_a_month(app: App, edges: Any) -> None:
    old, new = FakeJob(), FakeJob()
    with edges.database.transaction() as connection:
        ledger.record_many_once(connection, [old], "counted")
        connection.execute("UPDATE kayan_workers.ledger SET recorded_at = now() - interval '31 days'")
        ledger.record_many_once(connection, [new], "counted")
    for mail in (old, new):
        delivery = deliveries.Delivery(mail.queue, mail.id, mail.timestamp_ms, "0" * 64, f"<{mail.id}@example.com>")
        deliveries.claim(edges.database, delivery, mail.cancelled)
        deliveries.record(edges.database, delivery, "ses-1")
    app.connection.execute("UPDATE kayan_workers.mails SET recorded_at = now() - interval '31 days' WHERE job_id = %s", (old.id,))

    assert cleanup("OLD_ANALYTICS", edges) == {"deleted": 0, "forgotten": 2}
    assert app.connection.execute("SELECT job_id FROM kayan_workers.mails").fetchall() == [(new.id,)]
    assert app.connection.execute("SELECT job_id FROM kayan_workers.ledger").fetchall() == [(new.id,)]


# -- OLD_VARIANTS ----------------------------------------------------------------------------------------------------------------


def test_variants_of_archived_assets_go_with_their_objects_and_the_originals_stay(app: App, edges: Any, storage: FolderStorage) -> None:
    archived, living = app.asset(fileKey="assets/a.png", isArchived=True), app.asset(fileKey="assets/b.png")
    app.variant(archived, fileKey="variants/a-mobile.jpg")
    app.variant(archived, fileKey="variants/a-preview.jpg")
    app.variant(living, fileKey="variants/b-mobile.jpg")
    for key in ("assets/a.png", "assets/b.png", "variants/a-mobile.jpg", "variants/a-preview.jpg", "variants/b-mobile.jpg"):
        storage.upload(b"x", key, "image/png")

    assert cleanup("OLD_VARIANTS", edges) == {"deleted": 2}
    assert app.rows("asset_variants", "fileKey") == ["variants/b-mobile.jpg"]
    kept = [found.key for found in storage.list("")]
    assert kept == ["assets/2025/01/somebody-render.png", "assets/a.png", "assets/b.png", "variants/b-mobile.jpg"]
    assert len(app.rows("assets", "id")) == 2
    assert cleanup("OLD_VARIANTS", edges) == {"deleted": 0}


class CountingStore(FolderStorage):
    """Remembers what it was asked to delete, and refuses when told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[list[str]] = []
        self.refuses = False

    def delete(self, keys: Sequence[str]) -> None:
        self.asked.append(list(keys))
        if self.refuses:
            raise TemporaryError("SlowDown")
        super().delete(keys)


def test_an_empty_key_of_a_failed_variant_never_reaches_the_store(app: App, edges: Any, tmp_path: Path) -> None:
    edges.storage = CountingStore(tmp_path / "counting")
    app.variant(app.asset(isArchived=True), fileKey="", status="FAILED")

    assert cleanup("OLD_VARIANTS", edges) == {"deleted": 1}
    assert edges.storage.asked == []
    assert app.rows("asset_variants", "id") == []


def test_an_object_that_an_asset_names_itself_stays_when_the_variants_row_goes(app: App, edges: Any, storage: FolderStorage) -> None:
    archived = app.asset(isArchived=True, thumbnailKey="variants/thumbnail.jpg", previewKey="variants/preview.jpg")
    app.asset(fileKey="variants/somebodys-original.jpg")
    keys = ["variants/mobile.jpg", "variants/preview.jpg", "variants/somebodys-original.jpg", "variants/thumbnail.jpg"]
    for key in keys:
        app.variant(archived, fileKey=key)
        storage.upload(b"x", key, "image/jpeg")

    assert cleanup("OLD_VARIANTS", edges) == {"deleted": 4}
    assert [found.key for found in storage.list("variants/")] == keys[1:]


def test_a_key_that_no_store_takes_keeps_its_row_and_holds_up_nobody(
    app: App, edges: Any, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_variants, "VARIANTS", 2)
    archived = app.asset(isArchived=True)
    for number in range(3):
        app.variant(archived, id=f"a{number}", fileKey=f"/old//variant-{number}.jpg")
    app.variant(archived, id="b", fileKey="variants/mobile.jpg")
    storage.upload(b"x", "variants/mobile.jpg", "image/jpeg")
    job = FakeJob()

    assert process(Payload("OLD_VARIANTS"), job, edges) == {"deleted": 1}
    assert app.rows("asset_variants", "id") == ["a0", "a1", "a2"]
    assert not storage.exists("variants/mobile.jpg")
    assert "a0 is kept: storage key '/old//variant-0.jpg'" in job.rows[0]


def test_a_store_that_refuses_leaves_the_rows_for_the_next_try(app: App, edges: Any, tmp_path: Path) -> None:
    edges.storage = CountingStore(tmp_path / "counting")
    app.variant(app.asset(isArchived=True))
    edges.storage.refuses = True
    with pytest.raises(TemporaryError, match="SlowDown"):
        cleanup("OLD_VARIANTS", edges)
    assert len(app.rows("asset_variants", "id")) == 1

    edges.storage.refuses = False
    assert cleanup("OLD_VARIANTS", edges) == {"deleted": 1}


def test_an_asset_cannot_be_un_archived_while_its_variants_are_deleted(app: App, edges: Any, tmp_path: Path) -> None:
    asset = app.asset(isArchived=True)
    app.variant(asset)
    waited: list[str] = []

    class Curious(FolderStorage):
        def delete(self, keys: Sequence[str]) -> None:
            app.connection.execute("SET lock_timeout TO '100ms'")
            try:
                app.connection.execute('UPDATE assets SET "isArchived" = false WHERE id = %s', (asset,))
            except Exception as error:
                waited.append(type(error).__name__)

    edges.storage = Curious(tmp_path / "curious")
    cleanup("OLD_VARIANTS", edges)

    assert waited == ["LockNotAvailable"]


def test_variants_go_in_bounded_batches(app: App, edges: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_variants, "VARIANTS", 4)
    edges.storage = CountingStore(tmp_path / "counting")
    archived = app.asset(isArchived=True)
    for _ in range(10):
        app.variant(archived)

    assert cleanup("OLD_VARIANTS", edges) == {"deleted": 10}
    assert [len(keys) for keys in edges.storage.asked] == [4, 4, 2]


# -- TEMP_FILES ------------------------------------------------------------------------------------------------------------------


def test_finished_uploads_of_the_admin_dialog_are_spared(app: App, edges: Any) -> None:
    """They stay PENDING for ever and have no fileKey; what they have is a file on the web server and its path."""
    asset = pending(app, fileKey=None, filePath="/uploads/assets/image/1760283962448-0vtwnam0w0e.png")
    app.share_link(asset)

    assert cleanup("TEMP_FILES", edges)["deleted"] == 0
    assert app.rows("assets", "id") == [asset]
    assert len(app.rows("asset_share_links", "id")) == 1


def test_an_upload_that_never_arrived_goes_after_a_day(app: App, edges: Any) -> None:
    gone = [pending(app), pending(app, fileKey=None), pending(app, fileKey="", filePath="")]
    young = pending(app, createdAt=AN_HOUR_AGO)
    done = app.asset(uploadStatus="COMPLETED", createdAt=YESTERDAY)

    summary = cleanup("TEMP_FILES", edges)

    assert summary["deleted"] == len(gone)
    assert app.rows("assets", "id") == sorted([young, done])


@pytest.mark.parametrize("owned", [{"thumbnailKey": "thumbnails/t.jpg"}, {"previewKey": "previews/p.jpg"}, {"filePath": "https://cdn/a.png"}])
def test_a_pending_asset_that_owns_anything_is_spared(app: App, edges: Any, owned: dict[str, str]) -> None:
    asset = pending(app, **owned)

    assert cleanup("TEMP_FILES", edges)["deleted"] == 0
    assert app.rows("assets", "id") == [asset]


def test_a_pending_asset_with_variants_is_spared(app: App, edges: Any) -> None:
    asset = pending(app)
    app.variant(asset)

    assert cleanup("TEMP_FILES", edges)["deleted"] == 0
    assert app.rows("assets", "id") == [asset]


def test_a_pending_asset_whose_object_is_in_the_store_is_spared(app: App, edges: Any, storage: FolderStorage) -> None:
    asset = pending(app, fileKey="assets/2025/11/arrived.png")
    pending(app, fileKey="assets/2025/11/never.png")
    storage.upload(b"x", "assets/2025/11/arrived.png", "image/png")

    summary = cleanup("TEMP_FILES", edges)

    assert (summary["deleted"], summary["spared"]) == (1, 1)
    assert app.rows("assets", "id") == [asset]


def test_an_empty_store_proves_nothing(app: App, edges: Any, tmp_path: Path) -> None:
    edges.storage = FolderStorage(tmp_path / "wrong-folder")
    asset = pending(app)

    assert cleanup("TEMP_FILES", edges)["spared"] == 1
    assert app.rows("assets", "id") == [asset]


def test_a_key_that_climbs_out_of_the_store_spares_its_row_and_is_reported(app: App, edges: Any) -> None:
    asset, job = pending(app, fileKey="../../etc/hostname"), FakeJob()

    assert cleanup("TEMP_FILES", edges, job=job)["spared"] == 1
    assert app.rows("assets", "id") == [asset]
    assert asset in job.rows[0]


def test_a_key_too_long_for_the_disk_does_not_end_the_cleanup(app: App, edges: Any) -> None:
    app.asset(fileKey=f"assets/{'n' * 300}.png", uploadStatus="PENDING", createdAt=YESTERDAY)

    assert cleanup("TEMP_FILES", edges)["deleted"] == 1


def test_spared_rows_are_met_once_however_many_there_are(
    app: App, edges: Any, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temp_files, "ASSETS", 3)
    owner = app.user()
    for number in range(10):
        key = f"assets/2025/11/{number}.png"
        pending(app, fileKey=key, uploadedBy=owner)
        if number % 2:
            storage.upload(b"x", key, "image/png")

    summary = cleanup("TEMP_FILES", edges)

    assert (summary["deleted"], summary["spared"]) == (5, 5)


def test_old_temporary_files_go_and_young_ones_stay(edges: Any) -> None:
    long_ago = time.time() - 25 * 3600
    old_file, old_folder, busy_folder, young = (edges.temp_dir / name for name in ("old.mp4", "old", "busy", "young"))
    old_file.write_bytes(b"x")
    young.write_bytes(b"x")
    for folder in (old_folder, busy_folder):
        folder.mkdir()
        (folder / "frame.png").write_bytes(b"x")
    for path in (old_folder / "frame.png", old_file, old_folder, busy_folder):
        os.utime(path, (long_ago, long_ago))

    assert cleanup("TEMP_FILES", edges)["temporaryFiles"] == 2
    assert sorted(path.name for path in edges.temp_dir.iterdir()) == ["busy", "young"]


def test_a_link_in_the_temporary_folder_goes_but_not_what_it_points_at(edges: Any, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "keep").write_bytes(b"x")
    link = edges.temp_dir / "link"
    link.symlink_to(precious)
    os.utime(link, (0, 0), follow_symlinks=False)

    assert cleanup("TEMP_FILES", edges)["temporaryFiles"] == 1
    assert (precious / "keep").exists()


def test_a_half_written_object_of_the_folder_store_goes_after_a_day(edges: Any, storage: FolderStorage) -> None:
    for name, age in ((".aaaa.part", 25), (".bbbb.part", 1)):
        path = storage.root / "assets" / name
        path.write_bytes(b"x")
        os.utime(path, (time.time() - age * 3600,) * 2)

    assert cleanup("TEMP_FILES", edges)["unfinishedUploads"] == 1
    assert not (storage.root / "assets" / ".aaaa.part").exists()
    assert (storage.root / "assets" / ".bbbb.part").exists()


@pytest.fixture
def bucket(s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    return S3Storage(s3.bucket, s3.region)


def test_in_s3_too_only_rows_without_an_object_go(app: App, edges: Any, bucket: S3Storage) -> None:
    edges.storage = bucket
    kept = pending(app, fileKey="assets/2025/11/arrived.png")
    pending(app, fileKey="assets/2025/11/never.png")
    bucket.upload(b"x", "assets/2025/11/arrived.png", "image/png")

    assert cleanup("TEMP_FILES", edges)["deleted"] == 1
    assert app.rows("assets", "id") == [kept]


def test_a_missing_bucket_or_a_wrong_key_deletes_no_row(
    app: App, edges: Any, bucket: S3Storage, s3: servers.S3Server, monkeypatch: pytest.MonkeyPatch
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


def test_uploads_to_s3_that_were_never_completed_are_aborted(bucket: S3Storage, s3: servers.S3Server) -> None:
    s3.client.create_multipart_upload(Bucket=s3.bucket, Key="assets/2025/11/half.mp4")

    assert bucket.discard_unfinished(NOW - timedelta(days=1)) == 0
    assert bucket.discard_unfinished(datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert not s3.client.list_multipart_uploads(Bucket=s3.bucket).get("Uploads")
