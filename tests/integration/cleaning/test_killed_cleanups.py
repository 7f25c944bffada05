"""A worker is killed in the middle of a cleanup: between two batches, before a batch is committed, between objects and rows.

Whatever it was at, a second run finishes: what is due is gone, what is not is there, and no row names an object that is not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from app import App, SomeEdges
from integration.cleaning.tidying import AN_HOUR_AGO, TOMORROW, cleanup, days_ago, pending
from kayan_workers import ledger
from kayan_workers.database import Database
from kayan_workers.objects import derived_key
from kayan_workers.processors.cleaning.policy import KINDS, RETENTIONS, SWITCHES, Policy
from kayan_workers.storage import FolderStorage
from waiting import wait_until

TESTS = Path(__file__).parent.parent.parent

WORKER = """
import json, sys, time
from pathlib import Path
from app import SomeEdges
from doubles import FakeJob
from kayan_workers.database import Database
from kayan_workers.processors.cleaning import audit, old_variants, orphaned_objects, own_records, run, temp_files
from kayan_workers.processors.cleaning.policy import RETENTIONS, SWITCHES, Policy
from kayan_workers.processors.cleanup import Payload, process
from kayan_workers.storage import FolderStorage

kind, url, folder, temp_dir, point, times = json.load(sys.stdin)
run.ROWS = own_records.ROWS = old_variants.VARIANTS = temp_files.ASSETS = orphaned_objects.BATCH = 2

def at(here):
    global times
    times -= here == point
    if here == point and times == 0:
        print(here, flush=True)
        time.sleep(600)

class Job(FakeJob):
    def progress(self, value):
        at("between batches")

class Store(FolderStorage):
    def delete_what_goes(self, keys):
        refused = super().delete_what_goes(keys)
        at("between objects and rows")
        return refused

def add(self, connection, part, add=audit.Audit.add):
    add(self, connection, part)
    if part.removed:
        at("before the commit")

audit.Audit.add = add
policy = Policy(on=frozenset(SWITCHES), retention_days=dict.fromkeys(RETENTIONS, 30))
database = Database(url, pool_size=1, application_name="kayan-victim")
process(Payload(kind), Job(queue="cleanup", id="victim"), SomeEdges(database, Store(Path(folder)), Path(temp_dir), policy))
"""

DUE = 5
"""Things of each kind whose time has come: three batches."""

State = Callable[[], Any]


@pytest.fixture(autouse=True)
def all_on(edges: SomeEdges) -> None:
    edges.cleanup = Policy(on=frozenset(SWITCHES), retention_days=dict.fromkeys(RETENTIONS, 30))


@pytest.fixture
def victims() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for victim in started:
        victim.kill()
        victim.wait(10)
        assert victim.stdout is not None
        victim.stdout.close()


class World:
    """Five due things of a kind, and two that are not."""

    def __init__(self, app: App, storage: FolderStorage, database: Database) -> None:
        self.app = app
        self.database = database
        self.storage = storage
        self.asset = app.asset(fileKey="assets/original.png")
        self.user = app.user()
        storage.upload(b"x", "assets/original.png", "image/png")

    def fill(self, kind: str) -> State:
        """Returns what tells how many due things and how many others are left."""
        filled: State = getattr(self, kind.lower())()
        return filled

    def _count(self, table: str, among: str, due: str) -> State:
        """Of those ``among`` which a cleanup may be wrong, how many are due and how many are not."""

        def count() -> Any:
            query = f"SELECT count(*) FILTER (WHERE {due}), count(*) FILTER (WHERE NOT {due}) FROM {table} WHERE {among}"
            return self.app.connection.execute(query).fetchone()  # type: ignore[arg-type]

        return count

    def expired_links(self) -> State:
        for due in [True] * DUE + [False] * 2:
            self.app.share_link(self.asset, expiresAt=AN_HOUR_AGO if due else TOMORROW)
        return self._count("asset_share_links", '"isActive"', '"expiresAt" < now()')

    def expired_external_links(self) -> State:
        for number, due in enumerate([True] * DUE + [False] * 2):
            self.app.insert("asset_external_links", assetId=self.asset, token=f"x{number}", createdById=self.user,
                            expiresAt=AN_HOUR_AGO if due else TOMORROW)  # fmt: skip
        return self._count("asset_external_links", '"isActive"', '"expiresAt" < now()')

    def expired_invitations(self) -> State:
        project = self.app.project()
        for number, due in enumerate([True] * DUE + [False] * 2):
            self.app.insert("invitations", email="g@example.com", token=f"i{number}", expires=AN_HOUR_AGO if due else TOMORROW,
                            projectId=project, invitedById=self.user, updatedAt="2025-01-01")  # fmt: skip
        return self._count("invitations", "status = 'PENDING'", "expires < now()")

    def old_analytics(self) -> State:
        for number in range(DUE):
            self.app.insert("asset_analytics", assetId=self.asset, date=f"2020-01-0{number + 1}")
        for days in (1, 300):
            self.app.insert("asset_analytics", assetId=self.asset, date=days_ago(days).date())
        return self._count("asset_analytics", "true", "date < '2021-01-01'")

    def retention(self) -> State:
        for due in [True] * DUE + [False] * 2:
            self.app.insert("search_history", query="q", userId=self.user, createdAt=days_ago(31 if due else 29))
        return self._count("search_history", "true", f""""createdAt" < '{days_ago(30)}'""")

    def stuck_assets(self) -> State:
        for due in [True] * DUE + [False] * 2:
            self.app.asset(processingStatus="PROCESSING", updatedAt=days_ago(2 if due else 0))
        return self._count("assets", """"processingStatus" = 'PROCESSING'""", """"updatedAt" < now() - interval '1 day'""")

    def own_records(self) -> State:
        with self.database.transaction() as connection:
            ledger.TABLE.make_sure_it_exists(connection)
        for number in range(DUE + 2):
            age = "31 days" if number < DUE else "1 day"
            self.app.connection.execute(
                "INSERT INTO kayan_workers.ledger VALUES ('email', %s, 1, 'sent', now() - %s::interval)", [str(number), age]
            )
        return self._count("kayan_workers.ledger", "true", "recorded_at < now() - interval '30 days'")

    def temp_files(self) -> State:
        for _ in range(DUE):
            pending(self.app)
        arrived = [pending(self.app, fileKey=f"assets/arrived-{number}.png") for number in range(2)]
        for number in range(2):
            self.storage.upload(b"x", f"assets/arrived-{number}.png", "image/png")
        return lambda: (len(self.app.rows("assets", "id")) - 3, sum(asset in self.app.rows("assets", "id") for asset in arrived))

    def old_variants(self) -> State:
        archived = self.app.asset(fileKey="assets/archived.png", isArchived=True)
        self.storage.upload(b"x", "assets/archived.png", "image/png")
        for number in range(DUE + 2):
            owner = archived if number < DUE else self.asset
            key = f"variants/{number}.jpg"
            self.storage.upload(b"x", key, "image/jpeg")
            self.app.variant(owner, id=f"v{number}", fileKey=key)
        return self._count("asset_variants", "true", f""""assetId" = '{archived}'""")

    def orphaned_objects(self) -> State:
        two_days_ago = (datetime.now(UTC) - timedelta(days=2)).timestamp()
        keys = []
        for number in range(DUE + 2):
            asset = self.app.asset(fileKey=f"assets/2025/11/orphan{number:04}-a.png")
            key = derived_key("thumbnails", asset_id=asset, purpose="thumb", source_key=f"assets/2025/11/orphan{number:04}-a.png",
                              extension="jpg", timestamp_ms=0)  # fmt: skip
            self.storage.upload(b"x", key, "image/jpeg")
            os.utime(self.storage.root / key, (two_days_ago, two_days_ago))
            keys.append(key)
            if number >= DUE:
                self.app.connection.execute('UPDATE assets SET "thumbnailKey" = %s WHERE id = %s', [key, asset])
        return lambda: (sum(map(self.storage.exists, keys[:DUE])), sum(map(self.storage.exists, keys[DUE:])))

    def rows_that_point_at_nothing(self) -> list[str]:
        named = [key for (key,) in self.app.connection.execute(
            'SELECT "thumbnailKey" FROM assets WHERE "thumbnailKey" IS NOT NULL UNION ALL SELECT "fileKey" FROM asset_variants'
        )]  # fmt: skip
        return [key for key in named if not self.storage.exists(key)]


POINTS = [
    *((kind, "before the commit", 2) for kind in KINDS),
    *((kind, "between batches", 3 if kind == "ORPHANED_OBJECTS" else 2) for kind in KINDS),
    ("OLD_VARIANTS", "between objects and rows", 2),
    ("ORPHANED_OBJECTS", "between objects and rows", 2),
]
"""Kind, where it is killed, and at which time that it is there: after something was committed, and before all was."""


@pytest.mark.parametrize(("kind", "point", "times"), POINTS)
async def test_a_second_run_finishes_what_a_killed_one_began(
    app: App, edges: SomeEdges, storage: FolderStorage, database_url: str, tmp_path: Path, victims: list[subprocess.Popen[str]],
    kind: str, point: str, times: int,
) -> None:  # fmt: skip
    world = World(app, storage, edges.database)
    left = world.fill(kind)
    assert left() == (DUE, 2)
    victim = subprocess.Popen([sys.executable, "-c", WORKER], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    victims.append(victim)
    assert victim.stdin is not None
    assert victim.stdout is not None
    victim.stdin.write(json.dumps([kind, database_url, str(storage.root), str(tmp_path / "temp"), point, times]))
    victim.stdin.close()
    assert victim.stdout.readline().strip() == point

    victim.kill()
    assert victim.wait(10) == -signal.SIGKILL
    await wait_until(lambda: not _is_connected(app), what="the server to notice")

    still_due, others = left()
    assert 0 < still_due < DUE
    assert others == 2
    cleanup(kind, edges)

    assert left() == (0, 2)
    assert world.rows_that_point_at_nothing() == []
    assert storage.exists("assets/original.png")
    runs = app.connection.execute("SELECT removed, finished_at IS NOT NULL FROM kayan_workers.cleanups ORDER BY id").fetchall()
    assert [finished for _, finished in runs] == [False, True]
    # An object cannot be deleted in a transaction, and there is no row of it that is left to be accounted for.
    unaccounted = 2 if kind == "ORPHANED_OBJECTS" and point != "between batches" else 0
    assert sum(removed for removed, _ in runs) == DUE - unaccounted


def _is_connected(app: App) -> bool:
    row = app.connection.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kayan-victim'").fetchone()
    return row is not None and row[0] > 0
