"""Which parts of a Microsoft package belong together: they may have any name, and each names those it needs in a list beside it."""

from __future__ import annotations

from contextlib import suppress
from posixpath import join, normpath
from typing import NamedTuple

from kayan_workers.errors import PermanentError
from kayan_workers.media.documents.package import Package
from kayan_workers.media.xml import Attributes, Enough, read_xml

_MAX_RELATIONS = 20_000
"""As many as a package may have members."""


class _Relation(NamedTuple):
    id: str
    type: str
    target: str


def main_part(package: Package, usual: str) -> str:
    """The part that holds the document itself: Office 365 writes ``word/document2.xml`` too."""
    return related(package, "", "officeDocument", usual)


def related(package: Package, part: str, kind: str, usual: str) -> str:
    """What ``part`` names as its ``kind`` ("styles"); ``usual`` where it names none that is there."""
    with suppress(PermanentError):  # a list that cannot be read: most files need none
        for relation in _relations(package, part):
            if relation.type.endswith(f"/{kind}") and package.has(relation.target):
                return relation.target
    return usual


def targets(package: Package, part: str) -> dict[str, str]:
    """The members that a part speaks of, by the id it calls them. Addresses outside of the package are left out."""
    return {relation.id: relation.target for relation in _relations(package, part)}


def _relations(package: Package, part: str) -> list[_Relation]:
    folder, _, name = part.rpartition("/")
    found: list[_Relation] = []

    def start(name: str, attributes: Attributes) -> None:
        if name == "Relationship" and attributes.get("TargetMode") != "External":
            target = attributes.get("Target", "")
            target = target.lstrip("/") if target.startswith("/") else normpath(join(folder, target))
            found.append(_Relation(attributes.get("Id", ""), attributes.get("Type", ""), target))
            if len(found) >= _MAX_RELATIONS:
                raise Enough

    members = join(folder, "_rels", f"{name}.rels")
    if package.has(members):
        with package.open(members) as stream, suppress(Enough):
            read_xml(stream, on_start=start)
    return found
