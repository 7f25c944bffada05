"""No object of ours outlives its use: neither the asset it was made for, nor a newer one that takes its place."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kayan_workers import assets
from kayan_workers.errors import TemporaryError
from kayan_workers.objects import is_ours

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle
    from kayan_workers.processors.source import MediaPayload


@contextmanager
def taking_back(keys: Collection[str], edges: Edges) -> Iterator[None]:
    """Delete the objects under ``keys`` when the block finds its asset gone, except those that a row names all the same.

    ``keys`` derive from the asset, so this finds what an attempt that died before its rows had uploaded, too.
    Raises TemporaryError when they cannot be removed now: the next attempt removes them.
    """
    try:
        yield
    except assets.AssetGoneError as gone:
        try:
            with edges.database.transaction() as connection:
                unnamed = assets.unnamed(connection, keys)
            edges.storage.delete(unnamed)
        except TemporaryError as trouble:
            raise TemporaryError(f"{gone}; what was made of it could not be removed yet: {trouble}") from gone
        raise


def remove_outdated(old: str | None, new: str, purpose: str, payload: MediaPayload, job: JobHandle, edges: Edges) -> None:
    """Remove what the asset's row named before, if an earlier run of ours made it under another name; one of the app's own stays.

    Called once the new object is in place and before the row names it: if the worker dies in between, the row still names the old
    one, and the next run knows of it. Trouble is a line in the job's own log and no reason to run it again.
    """
    if old and old != new and is_ours(old, asset_id=payload.asset_id, purpose=purpose):
        try:
            edges.storage.delete([old])
        except TemporaryError as trouble:
            job.log(f"{old}, which {new} replaces, could not be removed: {trouble}")
