"""OLD_VARIANTS: the variants of archived assets go, object and row; what anybody else names stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import servers
from app import App, SomeEdges
from doubles import FakeJob
from integration.cleaning.tidying import cleanup, gone, stayed
from kayan_workers.errors import TemporaryError
from kayan_workers.processors.cleaning import old_variants
from kayan_workers.storage import FolderStorage, S3Storage


def test_variants_of_archived_assets_go_with_their_objects_and_the_originals_stay(
    app: App, edges: SomeEdges, storage: FolderStorage
) -> None:
    archived, living = app.asset(fileKey="assets/a.png", isArchived=True), app.asset(fileKey="assets/b.png")
    app.variant(archived, fileKey="variants/a-mobile.jpg")
    app.variant(archived, fileKey="variants/a-preview.jpg")
    app.variant(living, fileKey="variants/b-mobile.jpg")
    for key in ("assets/a.png", "assets/b.png", "variants/a-mobile.jpg", "variants/a-preview.jpg", "variants/b-mobile.jpg"):
        storage.upload(b"x", key, "image/png")

    assert gone(cleanup("OLD_VARIANTS", edges)) == {"variant": 2}
    assert app.rows("asset_variants", "fileKey") == ["variants/b-mobile.jpg"]
    kept = [found.key for found in storage.list("")]
    assert kept == ["assets/2025/01/somebody-render.png", "assets/a.png", "assets/b.png", "variants/b-mobile.jpg"]
    assert len(app.rows("assets", "id")) == 2
    assert gone(cleanup("OLD_VARIANTS", edges)) == {}


class CountingStore(FolderStorage):
    """Remembers what it was asked to delete, and refuses when told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked: list[list[str]] = []
        self.refuses = False

    def delete_what_goes(self, keys: Sequence[str]) -> dict[str, str]:
        self.asked.append(list(keys))
        if self.refuses:
            raise TemporaryError("SlowDown")
        return super().delete_what_goes(keys)


def test_an_empty_key_of_a_failed_variant_never_reaches_the_store(app: App, edges: SomeEdges, tmp_path: Path) -> None:
    edges.storage = store = CountingStore(tmp_path / "counting")
    app.variant(app.asset(isArchived=True), fileKey="", status="FAILED")

    assert gone(cleanup("OLD_VARIANTS", edges)) == {"variant": 1}
    assert store.asked == []
    assert app.rows("asset_variants", "id") == []


def test_an_object_that_an_asset_names_itself_stays_when_the_variants_row_goes(app: App, edges: SomeEdges, storage: FolderStorage) -> None:
    archived = app.asset(isArchived=True, thumbnailKey="variants/thumbnail.jpg", previewKey="variants/preview.jpg")
    app.asset(fileKey="variants/somebodys-original.jpg")
    keys = ["variants/mobile.jpg", "variants/preview.jpg", "variants/somebodys-original.jpg", "variants/thumbnail.jpg"]
    for key in keys:
        app.variant(archived, fileKey=key)
        storage.upload(b"x", key, "image/jpeg")

    assert gone(cleanup("OLD_VARIANTS", edges)) == {"variant": 4}
    assert [found.key for found in storage.list("variants/")] == keys[1:]


def test_a_key_that_no_store_takes_keeps_its_row_and_holds_up_nobody(
    app: App, edges: SomeEdges, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_variants, "VARIANTS", 2)
    archived = app.asset(isArchived=True)
    for number in range(3):
        app.variant(archived, id=f"a{number}", fileKey=f"/old//variant-{number}.jpg")
    app.variant(archived, id="b", fileKey="variants/mobile.jpg")
    storage.upload(b"x", "variants/mobile.jpg", "image/jpeg")
    job = FakeJob()

    summary = cleanup("OLD_VARIANTS", edges, job=job)

    assert (gone(summary), stayed(summary)) == ({"variant": 1}, {"variant": 3})
    assert app.rows("asset_variants", "id") == ["a0", "a1", "a2"]
    assert not storage.exists("variants/mobile.jpg")
    assert "a0 is kept: storage key '/old//variant-0.jpg'" in job.rows[0]


def test_a_store_that_refuses_leaves_the_rows_for_the_next_try(app: App, edges: SomeEdges, tmp_path: Path) -> None:
    edges.storage = store = CountingStore(tmp_path / "counting")
    app.variant(app.asset(isArchived=True))
    store.refuses = True
    with pytest.raises(TemporaryError, match="SlowDown"):
        cleanup("OLD_VARIANTS", edges)
    assert len(app.rows("asset_variants", "id")) == 1

    store.refuses = False
    assert gone(cleanup("OLD_VARIANTS", edges)) == {"variant": 1}


def test_an_asset_cannot_be_un_archived_while_its_variants_are_deleted(app: App, edges: SomeEdges, tmp_path: Path) -> None:
    asset = app.asset(isArchived=True)
    app.variant(asset)
    waited: list[str] = []

    class Curious(FolderStorage):
        def delete_what_goes(self, keys: Sequence[str]) -> dict[str, str]:
            app.connection.execute("SET lock_timeout TO '100ms'")
            try:
                app.connection.execute('UPDATE assets SET "isArchived" = false WHERE id = %s', (asset,))
            except Exception as error:
                waited.append(type(error).__name__)
            return super().delete_what_goes(keys)

    edges.storage = Curious(tmp_path / "curious")
    cleanup("OLD_VARIANTS", edges)

    assert waited == ["LockNotAvailable"]


def test_variants_go_in_bounded_batches(app: App, edges: SomeEdges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_variants, "VARIANTS", 4)
    edges.storage = store = CountingStore(tmp_path / "counting")
    archived = app.asset(isArchived=True)
    for _ in range(10):
        app.variant(archived)

    assert gone(cleanup("OLD_VARIANTS", edges)) == {"variant": 10}
    assert [len(keys) for keys in store.asked] == [4, 4, 2]


def test_an_object_that_the_store_refuses_for_good_keeps_its_row_and_holds_up_nobody(
    app: App, edges: SomeEdges, bucket_with_holds: S3Storage, s3_with_holds: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(old_variants, "VARIANTS", 2)
    edges.storage = bucket_with_holds
    archived = app.asset(isArchived=True)
    for number in range(5):
        app.variant(archived, id=f"v{number}", fileKey=f"variants/{number}.jpg")
        bucket_with_holds.upload(b"x", f"variants/{number}.jpg", "image/jpeg")
    s3_with_holds.hold("variants/1.jpg")
    job = FakeJob()

    summary = cleanup("OLD_VARIANTS", edges, job=job)

    assert (gone(summary), stayed(summary)) == ({"variant": 4}, {"variant": 1})
    assert app.rows("asset_variants", "id") == ["v1"]
    assert s3_with_holds.keys() == ["variants/1.jpg"]
    assert "v1 is kept: the store refuses to delete 'variants/1.jpg': AccessDenied" in job.rows[0]

    s3_with_holds.hold("variants/1.jpg", on=False)
    assert gone(cleanup("OLD_VARIANTS", edges)) == {"variant": 1}
    assert s3_with_holds.keys() == []


def test_a_dry_run_lists_variants_with_what_they_weigh_and_touches_neither_row_nor_object(
    app: App, edges: SomeEdges, storage: FolderStorage
) -> None:
    archived = app.asset(isArchived=True, thumbnailKey="variants/thumbnail.jpg")
    app.variant(archived, id="v1", fileKey="variants/mobile.jpg", fileSize=700, createdAt="2025-01-02")
    app.variant(archived, id="v2", fileKey="variants/thumbnail.jpg", fileSize=900)
    app.variant(archived, id="v3", fileKey="/nowhere.jpg")
    app.variant(app.asset(), id="v4")
    storage.upload(b"x", "variants/mobile.jpg", "image/jpeg")

    summary = cleanup("OLD_VARIANTS", edges, dry_run=True)

    assert [(found["id"], found["reason"]) for found in summary["listed"]] == [
        ("v1", "its asset is archived"), ("v2", "its asset is archived; only the row goes"),
    ]  # fmt: skip
    assert summary["listed"][0]["since"] == "2025-01-02T00:00:00+00:00"
    assert (summary["bytes"], stayed(summary)) == (700, {"variant": 1})
    assert storage.exists("variants/mobile.jpg")
    assert app.rows("asset_variants", "id") == ["v1", "v2", "v3", "v4"]
