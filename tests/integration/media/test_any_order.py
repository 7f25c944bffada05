"""Three queues work on one asset, in whatever order their workers come to it: the row is the same in the end."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from integration.media.conftest import World
from integration.media.running import run
from kayan_workers.demo.samples import Sample
from kayan_workers.processors import asset, thumbnail, variant

PROCESSORS = (asset, thumbnail, variant)
MORE: dict[ModuleType, dict[str, Any]] = {variant: {"variants": ["PREVIEW", "MOBILE"]}}


def is_complete(world: World, asset_id: str) -> bool:
    row = world.asset(asset_id)
    copies = {kind: (copy["status"], copy["fileKey"]) for kind, copy in world.variants(asset_id).items()}
    return (
        (row["processingStatus"], row["processingError"]) == ("COMPLETED", None)
        and row["width"] < row["height"]
        and row["thumbnailKey"].endswith("-thumb.jpg")
        and copies == {"PREVIEW": ("COMPLETED", row["previewKey"]), "MOBILE": ("COMPLETED", copies["MOBILE"][1])}
    )


@pytest.mark.parametrize("order", [PROCESSORS, PROCESSORS[::-1]], ids=["asset first", "asset last"])
def test_the_row_is_the_same_whichever_queue_comes_first(world: World, samples: dict[str, Sample], order: Sequence[ModuleType]) -> None:
    upload = world.sample(samples["Stand photo.jpg"])

    for processor in order:
        run(processor, world, upload.payload(**MORE.get(processor, {})))

    assert is_complete(world, upload.asset_id)


def test_three_queues_at_once_do_not_undo_each_others_work(world: World, samples: dict[str, Sample]) -> None:
    upload = world.sample(samples["Stand photo.jpg"])

    with ThreadPoolExecutor(len(PROCESSORS)) as pool:
        for done in [pool.submit(run, processor, world, upload.payload(**MORE.get(processor, {}))) for processor in PROCESSORS]:
            done.result()

    assert is_complete(world, upload.asset_id)
