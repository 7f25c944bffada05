"""A cleanup that is killed in the middle leaves work undone, never half done: the next run finds it."""

from __future__ import annotations

import pytest
from integration.killed.scene import Moment, Removing, Scene, Unreported, Writing

LEFT = ["assets/2025/11/V1StGXR8_Z-plan.jpg", "variants/2025/11/V1StGXR8_Z-kept.jpg"]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Removing(), id="before objects went"),
        pytest.param(Removing(done=True), id="between objects and rows"),
        pytest.param(Unreported("asset_variants", lambda scene: scene.s3.keys() == scene.named_objects() == LEFT), id="before it said so"),
    ],
)
async def test_variants_of_archived_assets_go_with_their_rows_though_the_worker_was_killed(scene: Scene, moment: Moment) -> None:
    archived = scene.upload("plan.jpg", b"original", "IMAGE", isArchived=True)["assetId"]
    for number in range(3):
        scene.app.variant(archived, fileKey=scene.store(f"variants/2024/01/V1StGXR8_{number}-plan-mobile.jpg"))
    scene.app.variant(scene.app.asset(fileKey=None), fileKey=scene.store(LEFT[1]))

    await scene.kill_a_worker("cleanup", [{"type": "OLD_VARIANTS"}], at=moment)
    await scene.let_another_finish()

    assert scene.s3.keys() == scene.named_objects() == LEFT
    assert scene.app.rows("assets", "isArchived") == [False, True]


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(Writing("asset_share_links"), id="in the middle of a batch"),
        pytest.param(Unreported("asset_share_links", lambda scene: switched_on(scene) == ["kept"]), id="before it said so"),
    ],
)
async def test_links_expire_though_the_worker_was_killed(scene: Scene, moment: Moment) -> None:
    asset = scene.app.asset()
    for number in range(5):
        scene.app.share_link(asset, token=f"expired-{number}", expiresAt="2025-01-01")
    scene.app.share_link(asset, token="kept", expiresAt="2999-01-01")

    await scene.kill_a_worker("cleanup", [{"type": "EXPIRED_LINKS"}], at=moment)
    await scene.let_another_finish()

    assert switched_on(scene) == ["kept"]
    assert len(scene.app.rows("asset_share_links", "token")) == 6


def switched_on(scene: Scene) -> list[str]:
    return [token for token, active in scene.app.rows("asset_share_links", "token", "isActive") if active]
