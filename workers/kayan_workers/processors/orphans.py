"""No object outlives the asset it was made for: what was uploaded for an asset that is deleted meanwhile is removed again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kayan_workers import assets
from kayan_workers.errors import TemporaryError

if TYPE_CHECKING:
    from kayan_workers.edges import Edges


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
