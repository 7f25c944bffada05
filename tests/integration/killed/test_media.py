"""Pictures of a document, a thumbnail, four variants: one set of rows and one set of objects, wherever the worker died."""

from __future__ import annotations

import io
from typing import Any

import pytest
from integration.killed.scene import Moment, Removing, Scene, Stored, Unreported, Writing
from kayan_workers.objects import derived_key
from PIL import Image

VARIANTS = ["THUMBNAIL", "PREVIEW", "WEB_OPTIMIZED", "MOBILE"]
"""In the order of the database's enum, by which it sorts them."""
PREFIXES = {"preview": "previews", "thumb": "thumbnails"} | {kind.lower(): "variants" for kind in VARIANTS}


def picture(file_format: str) -> bytes:
    """A JPEG, or a PDF of one page with a title."""
    Image.new("RGB", (900, 700), "teal").save(file := io.BytesIO(), file_format, title="Stand plan")
    return file.getvalue()


def document(scene: Scene) -> dict[str, Any]:
    return scene.upload("plan.pdf", picture("PDF"), "DOCUMENT")


def image(scene: Scene, **more: Any) -> dict[str, Any]:
    return scene.upload("plan.jpg", picture("JPEG"), "IMAGE") | more


def made_earlier(scene: Scene, payload: dict[str, Any], purpose: str) -> str:
    """The key of an object of ours that an earlier run made when the source still had another name."""
    return scene.store(
        derived_key(
            PREFIXES[purpose], asset_id=payload["assetId"], purpose=purpose, source_key="assets/2024/01/V1StGXR8_Z-draft.bin",
            extension="jpg", timestamp_ms=0,
        )
    )  # fmt: skip


def is_whole(scene: Scene, objects: int) -> bool:
    """Whether the store holds so many objects and each is named by a row, and no row names one that is not there."""
    return scene.s3.keys() == scene.named_objects() and len(scene.s3.keys()) == objects


# -- asset-processing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Stored("previews/"), id="between its two pictures"),
        pytest.param(Stored("thumbnails/"), id="between its pictures and its rows"),
        pytest.param(Writing("asset_metadata"), id="in the middle of its rows"),
        pytest.param(Removing(), id="before the first older picture goes"),
        pytest.param(Removing(done=True), id="after the first older picture went"),
        pytest.param(Unreported("asset_metadata", lambda scene: is_whole(scene, 3)), id="before it said so"),
    ],
)
async def test_a_document_whose_worker_was_killed_has_one_set_of_rows_and_pictures(scene: Scene, moment: Moment) -> None:
    payload = document(scene)
    older = [made_earlier(scene, payload, purpose) for purpose in ("preview", "thumb")]
    scene.app.connection.execute('UPDATE assets SET "previewKey" = %s, "thumbnailKey" = %s', older)

    await scene.kill_a_worker("asset", [payload], at=moment)
    await scene.let_another_finish()

    assert is_whole(scene, objects=3)
    assert scene.app.rows("assets", "processingStatus", "processingError") == [("COMPLETED", None)]
    assert [fields["title"] for fields in scene.app.rows("assets", "metadata")] == ["Stand plan"]
    assert scene.app.rows("asset_metadata", "assetId") == [payload["assetId"]]


# -- thumbnail-generation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Stored("thumbnails/"), id="between object and row"),
        pytest.param(Writing("assets"), id="while it writes its row"),
        pytest.param(Removing(), id="before the older object goes"),
        pytest.param(Removing(done=True), id="after the older object went"),
        pytest.param(Unreported("assets", lambda scene: is_whole(scene, 2)), id="before it said so"),
    ],
)
async def test_an_image_whose_worker_was_killed_has_one_thumbnail(scene: Scene, moment: Moment) -> None:
    payload = image(scene)
    older = made_earlier(scene, payload, "thumb")
    scene.app.connection.execute('UPDATE assets SET "thumbnailKey" = %s', [older])

    await scene.kill_a_worker("thumbnail", [payload], at=moment)
    await scene.let_another_finish()

    assert is_whole(scene, objects=2)
    assert scene.app.rows("assets", "thumbnailPath") == [f"https://{scene.s3.bucket}.s3.us-east-1.amazonaws.com/{thumbnail(scene)}"]


def thumbnail(scene: Scene) -> str:
    [key] = scene.app.rows("assets", "thumbnailKey")
    return str(key)


# -- variant-generation -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Stored("variants/"), id="after the first object"),
        pytest.param(Writing("asset_variants"), id="between objects and rows"),
        pytest.param(Writing("assets"), id="in the middle of its rows"),
        pytest.param(Removing(), id="between rows and removal of what they replace"),
        pytest.param(Removing(done=True), id="between removed objects and their rows"),
        pytest.param(Unreported("assets", lambda scene: is_whole(scene, 5)), id="before it said so"),
    ],
)
async def test_an_image_whose_worker_was_killed_has_one_copy_of_each_size(scene: Scene, moment: Moment) -> None:
    payload = image(scene, variants=VARIANTS)
    older = made_earlier(scene, payload, "mobile")
    scene.app.variant(payload["assetId"], variantType="MOBILE", fileKey=older)

    await scene.kill_a_worker("variant", [payload], at=moment)
    await scene.let_another_finish()

    assert is_whole(scene, objects=5)
    rows = scene.app.rows("asset_variants", "variantType", "status", "error", "fileKey", "fileSize")
    assert [row[:3] for row in rows] == [(kind, "COMPLETED", None) for kind in VARIANTS]
    assert {key: size for *_, key, size in rows} == {key: len(scene.content(key)) for *_, key, _ in rows}
    previews = [key for kind, *_, key, _ in rows if kind == "PREVIEW"]
    assert scene.app.rows("assets", "previewKey") == previews
