"""Who asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

ANONYMOUS: Final = "system:anonymous"
AUTHENTICATED: Final = "system:authenticated"
UNAUTHENTICATED: Final = "system:unauthenticated"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as Kubernetes knows one: what an access review is asked about."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Keys and their values, sorted by key."""

    @classmethod
    def of(cls, name: str, uid: str, groups: Iterable[str], extra: Mapping[str, Iterable[str]]) -> Identity:
        """As somebody vouched for it, with the group that all have who are known at all."""
        known = cls(name, uid, tuple(groups), tuple(sorted((key, tuple(values)) for key, values in extra.items())))
        if name == ANONYMOUS or {AUTHENTICATED, UNAUTHENTICATED} & set(known.groups):
            return known
        return replace(known, groups=(*known.groups, AUTHENTICATED))
