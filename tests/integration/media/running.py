"""Runs a processor the way the assembly does: JSON in, its errors out."""

from __future__ import annotations

import json
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from doubles import FakeJob
from kayan_workers.binding import Processors
from kayan_workers.processors.table import ROLES

if TYPE_CHECKING:
    from integration.media.conftest import World


def run(processor: ModuleType, world: World, payload: dict[str, Any], **options: Any) -> Any:
    """Run one job to its end; ``options`` are the fake job's (``attempt``, ``is_last_attempt``, ``timestamp_ms`` …)."""
    [role] = [role for role in ROLES if role.module == processor.__name__]
    job = world.job(queue=role.queue, **options)
    job.raw_data = json.dumps(payload).encode()  # type: ignore[attr-defined]
    edges = replace(world, database=world.databases[role.name])
    return Processors([role], edges).handler(role)(job)  # type: ignore[arg-type]


def last_job(world: World) -> FakeJob:
    return world.jobs[-1]
