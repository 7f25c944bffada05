"""``kayan grants``: the SQL that gives a database role what the chosen queues need, and no more. For an administrator to read and run.

It holds for psql as for any other client, changes nothing when it is run again, and takes nothing away. No password is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kayan_workers.cli.rights import OPTIONAL, OWN_TABLES, RIGHTS, Right, grant_statements, own_schema_statements, privileges, quoted

if TYPE_CHECKING:
    from kayan_workers.processors.table import Role

DATABASE_ROLE = "kayan_workers"
_LONGEST_NAME = 63


class BadName(Exception):  # noqa: N818
    """PostgreSQL has no such name. The text says why."""


def grants(roles: Sequence[Role], *, to: str = DATABASE_ROLE, schema: str = "public", create: bool = False) -> str:
    """The script for the database role ``to``, where the app's tables are in ``schema``; ``create`` makes the role unless it is there.

    Raises BadName.
    """
    for name in (to, schema):
        _check_name(name)
    return "\n".join(_lines(roles, to, schema, create))


def _lines(roles: Sequence[Role], to: str, schema: str, create: bool) -> Iterator[str]:
    yield f"-- What a database role needs to work these queues of Kayan Live, and no more: {', '.join(role.name for role in roles)}."
    yield "-- Printed by `kayan grants`. Run it in the app's database, with `psql -v ON_ERROR_STOP=1 -f`, as a superuser, or as an owner"
    yield "-- of the app's tables who is a member of that role and may create schemas. Once more does no harm, and nothing is taken away."
    yield "BEGIN;"
    if create:
        yield "\n-- The role. It can log in once it has a password, which is not for a file: \\password in psql."
        yield _block(f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(to)}) THEN CREATE ROLE {quoted(to)} LOGIN; END IF;")
    yield "\n-- The way in: the database and the schema of the app's tables."
    yield _block(f"EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {_literal(to)});")
    yield f"GRANT USAGE ON SCHEMA {quoted(schema)} TO {quoted(to)};"
    for role in roles:
        if rights := RIGHTS.get(role.name):
            yield f"\n-- {role.name}"
            for right in rights:
                yield from _grant(right, to, schema)
    if any(role.name == "cleanup" for role in roles):
        yield "\n-- Optional, each for the cleanup of its variable. Leave out what is off or not set."
        for variable, right in OPTIONAL.items():
            yield f"-- {variable}"
            yield from _grant(right, to, schema)
    if any(OWN_TABLES.get(role.name) for role in roles):
        yield "\n-- The workers' own tables, which they make themselves: what has been done, so that it happens once, and who removed what."
        yield "-- Their owner needs no more. The grants are for a role that shares them with another: again, once the tables are there."
        yield f"CREATE SCHEMA IF NOT EXISTS kayan_workers AUTHORIZATION {quoted(to)};"
        yield from own_schema_statements(to)
    yield "\nCOMMIT;"


def _grant(right: Right, to: str, schema: str) -> Iterator[str]:
    for statement in grant_statements(privileges([right]), schema=schema, to=to):
        if right.may_be_missing:
            there = f"to_regclass({_literal(quoted(schema, right.table))}) IS NOT NULL"
            statement = _block(f"IF {there} THEN {statement} END IF;")
        yield f"{statement}  -- {right.why}"


def _block(statements: str) -> str:
    return f"DO $$ BEGIN {statements} END $$;"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _check_name(name: str) -> None:
    if not name or len(name.encode()) > _LONGEST_NAME:
        raise BadName(f"{name!r} is no name for PostgreSQL: it has 1 to {_LONGEST_NAME} bytes")
    if not name.isprintable() or "$$" in name or "\\" in name:
        raise BadName(f"{name!r} is no name for this script: control characters, backslashes and $$ would change what it says")
