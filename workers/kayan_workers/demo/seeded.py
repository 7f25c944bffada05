"""What a seeding leaves in the database for whoever comes after it: the world that it made, in a schema of the demo's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from kayan_workers.demo.world import World

if TYPE_CHECKING:
    import psycopg

# As text, not as jsonb: the order of the people is that of their jobs.
_MAKE = """
CREATE SCHEMA IF NOT EXISTS kayan_demo;
COMMENT ON SCHEMA kayan_demo IS 'Says that this database was filled by `kayan demo seed`.';
CREATE TABLE IF NOT EXISTS kayan_demo.seeded (world TEXT NOT NULL, queued_at TIMESTAMPTZ)
"""


@dataclass(frozen=True, slots=True)
class Seeded:
    """``queued_at`` is when the last of the jobs was added; None while some may be missing."""

    world: World
    queued_at: datetime | None


def found(connection: psycopg.Connection) -> Seeded | None:
    """The seeding of this database, if there was one."""
    row = connection.execute("SELECT to_regclass('kayan_demo.seeded') IS NOT NULL").fetchone()
    if not (row and row[0]):
        return None
    row = connection.execute("SELECT world, queued_at FROM kayan_demo.seeded").fetchone()
    return Seeded(msgspec.json.decode(row[0], type=World), row[1]) if row else None


def take_turn(connection: psycopg.Connection) -> None:
    """Until the transaction ends, nobody else seeds this database."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('kayan demo seed'))")


def remember(connection: psycopg.Connection, world: World) -> None:
    connection.execute(_MAKE)
    connection.execute("INSERT INTO kayan_demo.seeded (world) VALUES (%s)", [msgspec.json.encode(world).decode()])


def remember_queued(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE kayan_demo.seeded SET queued_at = now()")
