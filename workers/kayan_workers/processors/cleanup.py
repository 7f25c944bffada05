"""The ``cleanup`` queue: four kinds of tidying, each in bounded batches that a stop or a crash leaves half done but whole.

Every kind looks for what is there now and deletes it, so running twice does no more than running once. ``{"dryRun": true}`` in ``data``
only counts what would go.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from kayan_workers.errors import PermanentError
from kayan_workers.processors.cleaning import expired_links, old_analytics, old_variants, temp_files
from kayan_workers.processors.cleaning.run import Run

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle


class Options(msgspec.Struct, rename="camel"):
    """``data`` of a cleanup."""

    dry_run: bool = False


class Payload(msgspec.Struct, rename="camel"):
    """A job of this queue."""

    type: str
    data: Options | None = None


KINDS: dict[str, Callable[[Run], dict[str, object]]] = {
    "EXPIRED_LINKS": expired_links.clean,
    "OLD_VARIANTS": old_variants.clean,
    "TEMP_FILES": temp_files.clean,
    "OLD_ANALYTICS": old_analytics.clean,
}


def check(payload: Payload) -> None:
    """Raises PermanentError for a kind that is none."""
    if payload.type not in KINDS:
        raise PermanentError(f"type: not a cleanup; known are {', '.join(KINDS)}")


def process(payload: Payload, job: JobHandle, edges: Edges) -> dict[str, object]:
    """Tidy up once; returns what went, such as ``{"deleted": 12}``. Raises PermanentError for a kind that is none."""
    check(payload)
    clean = KINDS[payload.type]
    dry_run = payload.data is not None and payload.data.dry_run
    summary = clean(Run(job, edges, now=datetime.now(UTC), dry_run=dry_run))
    job.progress(100)
    return {**summary, "dryRun": True} if dry_run else summary
