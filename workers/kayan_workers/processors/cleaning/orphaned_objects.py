"""ORPHANED_OBJECTS: thumbnails, previews and variants of ours that no row names, left behind by work that was never finished.

An object goes only if all of this is true:

- it was last written a day ago or earlier, so no job under way has just made it;
- no asset and no variant names it;
- its key carries the mark of an asset of this database (``objects.is_ours``). What the app or a Node worker made has none, and with an
  empty database or another bucket nothing has; what is left of an asset that was deleted cannot be proven ours any more, and stays;
- all this is still so while the asset is locked, so that no job can write its row between the look and the deletion.

A job that is repeated by hand after more than a day could still write an object between the last look at its age and the deletion, some
milliseconds. When more would go than plausible, as with a database restored from an old copy, nothing does.

The store is listed page by page; the database is read once for every ``WINDOW`` objects and once for all suspects of ``WINDOW`` at a time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import PurePosixPath
from typing import NamedTuple

from kayan_workers import assets
from kayan_workers.errors import PermanentError
from kayan_workers.objects import is_ours, mark
from kayan_workers.processors.cleaning.report import Found
from kayan_workers.processors.cleaning.run import Run
from kayan_workers.storage import StoredObject

DERIVED = (("thumbnails/", "thumb"), ("previews/", "preview"), *(("variants/", kind.lower()) for kind in assets.VariantType))
"""What we derive: the folder it lies in, and the purpose that its mark is made of."""

ABANDONED_FOR = timedelta(days=1)
WINDOW = 50_000
"""Objects compared with the database at a time."""
ORPHANS = 10_000
"""The most that one run deletes; the next one goes on."""
BATCH = 20
"""Assets locked at a time, each for two questions to the store."""
IDS = 5_000
A_FEW = 20
"""So many are plausible, whatever share they are."""

_WHAT = "object"
_MARK = len(mark("", ""))
_NEXT_IDS = "SELECT id FROM assets WHERE id > %s ORDER BY id LIMIT %s"
_HOLD = "SELECT id FROM assets WHERE id = ANY (%s) ORDER BY id FOR UPDATE SKIP LOCKED"


class Orphan(NamedTuple):
    """An object that no row names, and the asset whose mark it bears."""

    asset_id: str
    object: StoredObject

    @property
    def found(self) -> Found:
        return Found(_WHAT, self.object.key, f"no row names it; made for asset {self.asset_id}", self.object.modified, self.object.size)


@dataclass
class _Survey:
    """What lies in our folders."""

    objects: int = 0
    unproven: int = 0
    """Old objects that no row names and that bear no asset's mark."""
    orphans: list[Orphan] = field(default_factory=list)
    """The first ``ORPHANS`` of them."""
    more: int = 0
    """How many there are beyond these."""

    def implausible(self, percent: float) -> bool:
        orphans = len(self.orphans) + self.more
        return orphans > max(A_FEW, self.objects * percent / 100)


def clean(run: Run) -> None:
    run.report.cutoffs[_WHAT] = run.now - ABANDONED_FOR
    survey = _survey(run)
    with run.batch() as (_, part):
        part.pass_by(survey.objects - survey.unproven - len(survey.orphans) - survey.more)
        part.keep(_WHAT, survey.unproven)
    if survey.unproven:
        run.note(f"{survey.unproven} objects that no row names are kept: nothing proves that these workers made them")
    if survey.implausible(run.edges.cleanup.orphaned_percent):
        _refuse(run, survey)
    if run.dry_run:
        for orphan in survey.orphans:
            run.report.add(orphan.found)
        run.report.add_unlisted(_WHAT, survey.more)
        return
    for start in range(0, len(survey.orphans), BATCH):
        _delete(run, survey.orphans[start : start + BATCH])
        run.step(start + BATCH, len(survey.orphans))
    if survey.more:
        run.note(f"{survey.more} more orphans are left to the next run")


def _refuse(run: Run, survey: _Survey) -> None:
    orphans, percent = len(survey.orphans) + survey.more, run.edges.cleanup.orphaned_percent
    says = (f"{orphans} of {survey.objects} objects would go, more than {percent:g} %: this looks like the wrong database, or one restored "
            "from an old copy, so nothing is deleted")  # fmt: skip
    remedy = "look at `kayan cleanup orphaned-objects --dry-run`; if all of it may go, raise KAYAN_CLEANUP_ORPHANED_PERCENT for one run"
    if not run.dry_run:
        raise PermanentError(says, remedy)
    run.note(f"{says}; {remedy}")


def _survey(run: Run) -> _Survey:
    survey = _Survey()
    suspects: list[StoredObject] = []
    for window in _windows(_everything(run), WINDOW):
        survey.objects += len(window)
        old = {found.key: found for found in window if found.modified <= run.now - ABANDONED_FOR}
        with run.edges.database.transaction() as connection:
            suspects += [old[key] for key in assets.unnamed(connection, old)]
        if len(suspects) >= WINDOW:
            _judge(run, suspects, survey)
            suspects = []
        run.step(survey.objects, 2 * survey.objects)
    _judge(run, suspects, survey)
    return survey


def _everything(run: Run) -> Iterator[StoredObject]:
    for folder in dict.fromkeys(folder for folder, _ in DERIVED):
        yield from run.edges.storage.list(folder)


def _windows(objects: Iterable[StoredObject], size: int) -> Iterator[list[StoredObject]]:
    remaining = iter(objects)
    while window := list(islice(remaining, size)):
        yield window


def _judge(run: Run, suspects: list[StoredObject], survey: _Survey) -> None:
    """Tell the orphans among objects that no row names from what cannot be proven ours."""
    if not suspects:
        return
    by_mark: dict[str, list[StoredObject]] = defaultdict(list)
    for suspect in suspects:
        by_mark[PurePosixPath(suspect.key).name[:_MARK]].append(suspect)
    proven = [
        Orphan(asset_id, suspect)
        for asset_id in _asset_ids(run)
        for folder, purpose in DERIVED
        for suspect in by_mark.get(mark(asset_id, purpose), ())
        if suspect.key.startswith(folder) and is_ours(suspect.key, asset_id=asset_id, purpose=purpose)
    ]
    room = ORPHANS - len(survey.orphans)
    survey.orphans += proven[:room]
    survey.more += len(proven[room:])
    survey.unproven += len(suspects) - len(proven)


def _asset_ids(run: Run) -> Iterator[str]:
    after = ""
    while True:
        with run.edges.database.transaction() as connection:
            ids = [asset_id for (asset_id,) in connection.execute(_NEXT_IDS, (after, IDS))]
        if not ids:
            return
        yield from ids
        after = ids[-1]


def _delete(run: Run, some: list[Orphan]) -> None:
    """Delete those that still are orphans, while their assets are held."""
    with run.batch() as (connection, part):
        held = {asset_id for (asset_id,) in connection.execute(_HOLD, ([orphan.asset_id for orphan in some],))}
        unnamed = set(assets.unnamed(connection, [orphan.object.key for orphan in some]))
        doomed = [orphan for orphan in some if orphan.asset_id in held and orphan.object.key in unnamed and _is_still_old(run, orphan)]
        refused = run.edges.storage.delete_what_goes([orphan.object.key for orphan in doomed])
        for key, reason in refused.items():
            run.note(f"object {key} is kept: the store refuses to delete it: {reason}")
        for orphan in doomed:
            if orphan.object.key not in refused:
                part.add(orphan.found)
        part.keep(_WHAT, len(some) - len(doomed) + len(refused))


def _is_still_old(run: Run, orphan: Orphan) -> bool:
    """Whether nobody has written it again since it was listed."""
    return any(found == orphan.object for found in run.edges.storage.list(orphan.object.key))
