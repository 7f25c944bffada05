"""ORPHANED_OBJECTS: what unfinished work of ours left in the store goes. Whatever a row names, the app made, or cannot be told, stays."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import psycopg
import pytest
import servers
from app import App, SomeEdges, owner_of
from doubles import FakeJob
from integration.cleaning.tidying import cleanup, gone, stayed
from kayan_workers.assets import VariantType
from kayan_workers.errors import PermanentError
from kayan_workers.objects import derived_key, is_ours
from kayan_workers.processors import asset, thumbnail, variant
from kayan_workers.processors.cleaning import orphaned_objects
from kayan_workers.processors.cleaning.policy import Policy
from kayan_workers.storage import FolderStorage, S3Storage

TWO_DAYS = timedelta(days=2)


@pytest.fixture(autouse=True)
def switched_on(edges: SomeEdges) -> None:
    edges.cleanup = Policy(on=frozenset({"ORPHANED_OBJECTS"}))


def key_of(asset_id: str, folder: str = "thumbnails", purpose: str = "thumb") -> str:
    source_key = "assets/2025/11/abcdefghij-Booth.png"
    return derived_key(folder, asset_id=asset_id, purpose=purpose, source_key=source_key, extension="jpg", timestamp_ms=0)


@pytest.fixture
def store(storage: FolderStorage) -> Callable[..., str]:
    """Puts an object there, as old as ``age``."""

    def store(key: str, age: timedelta = TWO_DAYS) -> str:
        storage.upload(b"pixels", key, "image/jpeg")
        moment = (datetime.now(UTC) - age).timestamp()
        os.utime(storage.root / key, (moment, moment))
        return key

    return store


Store = Callable[..., str]


def keys(storage: FolderStorage) -> list[str]:
    return [found.key for folder in ("previews/", "thumbnails/", "variants/") for found in storage.list(folder)]


def test_everything_that_the_media_processors_derive_is_known_by_its_folder_and_purpose() -> None:
    wire = {"assetId": "a1", "fileKey": "assets/2025/11/abcdefghij-Booth.png", "fileType": "IMAGE", "variants": [*VariantType]}
    job, payload = FakeJob(), msgspec.convert(wire, variant.Payload)
    made = [
        thumbnail.key_for(payload, job),
        asset._preview_key(msgspec.convert(wire, asset.Payload), job),
        *(variant._key(payload, job, kind, recipe) for kind, recipe in variant._recipes(payload).items()),
    ]

    for key in made:
        assert any(key.startswith(folder) and is_ours(key, asset_id="a1", purpose=purpose) for folder, purpose in orphaned_objects.DERIVED)
    assert len(made) == len(orphaned_objects.DERIVED)


def test_an_object_of_ours_that_no_row_names_goes(app: App, edges: SomeEdges, storage: FolderStorage, store: Store) -> None:
    asset_id = app.asset()
    orphans = [store(key_of(asset_id)), store(key_of(asset_id, "previews", "preview"))]
    orphans += [store(key_of(asset_id, "variants", kind.lower())) for kind in VariantType]

    summary = cleanup("ORPHANED_OBJECTS", edges)

    assert gone(summary) == {"object": 6}
    assert summary["bytes"] == 6 * len(b"pixels")
    assert sorted(found["id"] for found in summary["listed"]) == sorted(orphans)
    assert keys(storage) == []
    assert storage.exists("assets/2025/01/somebody-render.png")
    assert gone(cleanup("ORPHANED_OBJECTS", edges)) == {}


def test_what_a_row_names_stays(app: App, edges: SomeEdges, storage: FolderStorage, store: Store) -> None:
    one = app.asset()
    app.connection.execute('UPDATE assets SET "thumbnailKey" = %s, "previewKey" = %s', [key_of(one), key_of(one, "previews", "preview")])
    app.variant(one, fileKey=key_of(one, "variants", "mobile"))
    app.variant(one, fileKey=key_of(one, "variants", "preview"), status="FAILED")
    app.asset(fileKey=key_of(one, "variants", "web_optimized"))
    kinds = ("mobile", "preview", "web_optimized")
    named = [key_of(one), key_of(one, "previews", "preview"), *(key_of(one, "variants", kind) for kind in kinds)]
    for key in named:
        store(key)

    summary = cleanup("ORPHANED_OBJECTS", edges)

    assert (summary["examined"], summary["removed"], summary["kept"]) == (5, 0, 0)
    assert sorted(keys(storage)) == sorted(named)


def test_what_the_app_or_a_node_worker_made_stays_although_no_row_names_it(
    app: App, edges: SomeEdges, storage: FolderStorage, store: Store
) -> None:
    asset_id = app.asset()
    theirs = [
        "thumbnails/2026/11/Hz45b3JDgS-assets_2025_11_V1StGXR8_Z-Booth_render-thumb.jpg",
        "variants/2026/11/a1QuO4ZRSX-assets_2025_11_V1StGXR8_Z-Booth_render-web_optimiz",
        "variants/mobile/odd.jpg",
        "previews/x",
        key_of("an asset that was deleted"),
        key_of(asset_id, "variants", "thumb"),  # a mark of ours in a folder where we put no such thing
        f"thumbnails/2025/11/{Path(key_of(asset_id)).name[:10]}",
    ]
    for key in theirs:
        store(key)

    summary = cleanup("ORPHANED_OBJECTS", edges)

    assert (gone(summary), stayed(summary)) == ({}, {"object": len(theirs)})
    assert sorted(keys(storage)) == sorted(theirs)
    assert "nothing proves that these workers made them" in summary["notes"][0]


def test_an_object_younger_than_a_day_may_belong_to_a_job_under_way(
    app: App, edges: SomeEdges, storage: FolderStorage, store: Store
) -> None:
    key = store(key_of(app.asset()), timedelta(hours=23))

    assert gone(cleanup("ORPHANED_OBJECTS", edges)) == {}
    assert keys(storage) == [key]


class Meanwhile(FakeJob):
    """Something happens between the search, which is where a run first tells how far it is, and the deletion."""

    def __init__(self, happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = happens

    def progress(self, value: float | dict[str, object]) -> None:
        if not self.told:
            self._happens()
        super().progress(value)


def test_an_object_that_a_job_makes_anew_meanwhile_stays(app: App, edges: SomeEdges, storage: FolderStorage, store: Store) -> None:
    key = store(key_of(app.asset()))

    summary = cleanup("ORPHANED_OBJECTS", edges, job=Meanwhile(lambda: store(key, timedelta())))

    assert (gone(summary), stayed(summary)) == ({}, {"object": 1})
    assert keys(storage) == [key]


def test_an_object_that_a_row_names_meanwhile_stays(app: App, edges: SomeEdges, storage: FolderStorage, store: Store) -> None:
    key = store(key_of(app.asset()))

    name_it = Meanwhile(lambda: app.connection.execute('UPDATE assets SET "thumbnailKey" = %s', [key]))
    summary = cleanup("ORPHANED_OBJECTS", edges, job=name_it)

    assert (gone(summary), stayed(summary)) == ({}, {"object": 1})
    assert keys(storage) == [key]


def test_an_object_whose_asset_somebody_is_changing_is_left_to_the_next_run(
    app: App, edges: SomeEdges, storage: FolderStorage, store: Store, database_url: str
) -> None:
    key = store(key_of(app.asset()))

    with psycopg.connect(owner_of(database_url)) as somebody:
        somebody.execute("SELECT FROM assets FOR UPDATE")
        assert stayed(cleanup("ORPHANED_OBJECTS", edges)) == {"object": 1}

    assert keys(storage) == [key]
    assert gone(cleanup("ORPHANED_OBJECTS", edges)) == {"object": 1}


def test_an_asset_is_held_while_its_orphan_is_deleted(app: App, edges: SomeEdges, storage: FolderStorage, store: Store) -> None:
    key = store(key_of(app.asset()))
    waited: list[str] = []

    class Curious(FolderStorage):
        def delete_what_goes(self, keys: object) -> dict[str, str]:
            app.connection.execute("SET lock_timeout TO '100ms'")
            try:
                app.connection.execute('UPDATE assets SET "thumbnailKey" = %s', [key])
            except Exception as error:
                waited.append(type(error).__name__)
            return {}

    edges.storage = Curious(storage.root)
    cleanup("ORPHANED_OBJECTS", edges)

    assert waited == ["LockNotAvailable"]


@pytest.mark.parametrize("percent", [10, 60])
def test_an_implausible_share_is_refused_unless_it_is_allowed(
    app: App, edges: SomeEdges, storage: FolderStorage, store: Store, percent: int
) -> None:
    """A database restored from an old copy knows the assets, and nothing of what was made of them since."""
    edges.cleanup = replace(edges.cleanup, orphaned_percent=percent)
    owner = app.user()
    for number in range(42):
        asset_id = app.asset(uploadedBy=owner)
        store(key_of(asset_id), TWO_DAYS if number < 21 else timedelta())

    if percent > 50:
        assert gone(cleanup("ORPHANED_OBJECTS", edges)) == {"object": 21}
        return
    with pytest.raises(PermanentError, match=r"21 of 42 objects would go, more than 10 %: .*KAYAN_CLEANUP_ORPHANED_PERCENT"):
        cleanup("ORPHANED_OBJECTS", edges)
    assert len(keys(storage)) == 42
    dry = cleanup("ORPHANED_OBJECTS", edges, dry_run=True)
    assert gone(dry) == {"object": 21}
    assert "nothing is deleted" in dry["notes"][0]


def test_an_empty_database_deletes_nothing(app: App, edges: SomeEdges, storage: FolderStorage, store: Store) -> None:
    made = [store(key_of(f"a{number}")) for number in range(5)]

    assert gone(cleanup("ORPHANED_OBJECTS", edges)) == {}
    assert sorted(keys(storage)) == sorted(made)


def test_more_objects_than_fit_a_window_and_more_orphans_than_a_run_takes(
    app: App, edges: SomeEdges, storage: FolderStorage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WINDOW": 4, "ORPHANS": 5, "BATCH": 2, "IDS": 3}.items():
        monkeypatch.setattr(orphaned_objects, name, value)
    owner = app.user()
    for _ in range(11):
        store(key_of(app.asset(uploadedBy=owner)))
    for number in range(5):
        store(f"thumbnails/2025/11/node{number}-theirs.jpg")

    assert gone(cleanup("ORPHANED_OBJECTS", edges, dry_run=True)) == {"object": 11}
    first, second, third = (cleanup("ORPHANED_OBJECTS", edges) for _ in range(3))

    assert [gone(summary) for summary in (first, second, third)] == [{"object": 5}, {"object": 5}, {"object": 1}]
    assert [stayed(summary) for summary in (first, second, third)] == [{"object": 5}] * 3
    assert "6 more orphans are left to the next run" in first["notes"]
    assert len(keys(storage)) == 5


def test_in_s3_too_and_an_object_that_it_refuses_to_delete_holds_up_nobody(
    app: App, edges: SomeEdges, bucket_with_holds: S3Storage, s3_with_holds: servers.S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphaned_objects, "ABANDONED_FOR", -timedelta(minutes=5))
    edges.storage = bucket_with_holds
    held, free = (key_of(app.asset()) for _ in range(2))
    for key in (held, free):
        bucket_with_holds.upload(b"pixels", key, "image/jpeg")
    s3_with_holds.hold(held)

    summary = cleanup("ORPHANED_OBJECTS", edges)

    assert (gone(summary), stayed(summary)) == ({"object": 1}, {"object": 1})
    assert s3_with_holds.keys() == [held]
    assert "the store refuses to delete it: AccessDenied" in summary["notes"][0]
