"""An asset that somebody deletes while its job runs leaves no object behind that nobody names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from integration.media.conftest import World
from integration.media.running import run
from kayan_workers.demo.samples import Sample
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.processors import asset, thumbnail, variant
from kayan_workers.storage import S3Storage, Stored
from servers import S3Server

Samples = dict[str, Sample]

JOBS: list[tuple[ModuleType, str, dict[str, Any]]] = [
    (thumbnail, "logo.png", {}),
    (variant, "logo.png", {"variants": ["PREVIEW", "MOBILE"]}),
    (variant, "blink.mp4", {"variants": ["THUMBNAIL", "MOBILE"]}),
    (asset, "Proposal.pdf", {}),
]


@pytest.mark.parametrize(("processor", "name", "more"), JOBS)
def test_what_was_uploaded_for_an_asset_that_is_deleted_meanwhile_is_removed_again(
    world: World, samples: Samples, processor: ModuleType, name: str, more: dict[str, Any]
) -> None:
    upload = world.sample(samples[name])
    world.storage = Deleting(world, upload.asset_id)  # type: ignore[assignment]

    with pytest.raises(PermanentError, match=f"there is no asset '{upload.asset_id}'"):
        run(processor, world, upload.payload(**more))

    assert objects(world) == [upload.file_key]


def test_it_is_removed_from_a_bucket_too(world: World, samples: Samples, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_key)
    world.storage = S3Storage(s3.bucket, s3.region)
    upload = world.sample(samples["logo.png"])
    world.storage = Deleting(world, upload.asset_id)  # type: ignore[assignment]

    with pytest.raises(PermanentError):
        run(variant, world, upload.payload(variants=["MOBILE", "PREVIEW"]))

    assert s3.keys() == [upload.file_key]


@pytest.mark.parametrize("column", ["thumbnailKey", "previewKey", "fileKey"])
def test_an_object_that_a_row_of_another_asset_names_stays(world: World, samples: Samples, column: str) -> None:
    upload, other = world.sample(samples["logo.png"]), world.sample(samples["plan.svg"])
    key = run(thumbnail, world, upload.payload())["key"]
    world.execute(f'UPDATE assets SET "{column}" = %s WHERE id = %s', [key, other.asset_id])
    world.storage = Deleting(world, upload.asset_id)  # type: ignore[assignment]

    with pytest.raises(PermanentError, match="there is no asset"):
        run(thumbnail, world, upload.payload())

    assert key in objects(world)


def test_an_object_that_a_row_of_variants_names_stays(world: World, samples: Samples) -> None:
    upload, other = world.sample(samples["logo.png"]), world.sample(samples["plan.svg"])
    key = run(variant, world, upload.payload(variants=["MOBILE"]))["MOBILE"]
    world.execute('UPDATE asset_variants SET "assetId" = %s', [other.asset_id])
    world.execute("DELETE FROM assets WHERE id = %s", [upload.asset_id])

    with pytest.raises(PermanentError, match="there is no asset"):
        run(variant, world, upload.payload(variants=["MOBILE"]))

    assert key in objects(world)


def test_what_a_worker_uploaded_before_it_died_is_removed_by_the_next_attempt(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    key = run(thumbnail, world, upload.payload())["key"]
    world.execute("DELETE FROM assets WHERE id = %s", [upload.asset_id])
    assert key in objects(world)

    with pytest.raises(PermanentError, match="there is no asset"):
        run(thumbnail, world, upload.payload(), attempt=2)

    assert objects(world) == [upload.file_key]


def test_a_store_that_cannot_remove_it_now_is_asked_again(world: World, samples: Samples) -> None:
    upload = world.sample(samples["logo.png"])
    store = Deleting(world, upload.asset_id)
    store.is_ill = True
    world.storage = store  # type: ignore[assignment]

    with pytest.raises(TemporaryError, match=r"there is no asset.*the bucket sleeps"):
        run(thumbnail, world, upload.payload())
    store.is_ill = False
    with pytest.raises(PermanentError, match="there is no asset"):
        run(thumbnail, world, upload.payload(), attempt=2)

    assert objects(world) == [upload.file_key]


def objects(world: World) -> list[str]:
    return [found.key for found in world.storage.list("")]


class Deleting:
    """A store during whose first upload somebody deletes the asset. While it ``is_ill`` it removes nothing."""

    def __init__(self, world: World, asset_id: str) -> None:
        self._world, self._asset_id, self._store = world, asset_id, world.storage
        self.is_ill = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def upload(self, source: Path | bytes, key: str, content_type: str) -> Stored:
        stored = self._store.upload(source, key, content_type)
        self._world.execute("DELETE FROM assets WHERE id = %s", [self._asset_id])
        return stored

    def delete(self, keys: Sequence[str]) -> None:
        if self.is_ill:
            raise TemporaryError("the bucket sleeps")
        self._store.delete(keys)
