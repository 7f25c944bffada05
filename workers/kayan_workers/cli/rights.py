"""What the database must let each role do, and what it does not: for ``kayan check``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg import sql

from kayan_workers.cli.trouble import Trouble

if TYPE_CHECKING:
    from kayan_workers.database import Connection
    from kayan_workers.processors.cleaning.policy import Policy
    from kayan_workers.processors.table import Role

RIGHTS: dict[str, dict[str, str]] = {
    "asset": {"assets": "SELECT UPDATE", "asset_metadata": "SELECT INSERT UPDATE", "asset_variants": "SELECT"},
    "thumbnail": {"assets": "SELECT UPDATE", "asset_variants": "SELECT"},
    "variant": {"assets": "SELECT UPDATE", "asset_variants": "SELECT INSERT UPDATE DELETE"},
    "notification": {
        "notifications": "SELECT INSERT", "notification_preferences": "SELECT", "User": "SELECT", "projects": "SELECT", "tasks": "SELECT",
        "milestones": "SELECT", "meetings": "SELECT",
    },
    "analytics": {
        "asset_analytics": "SELECT INSERT UPDATE", "asset_activities": "SELECT INSERT", "search_history": "SELECT INSERT",
        "assets": "SELECT", "User": "SELECT", "collections": "SELECT",
    },
    "cleanup": {  # UPDATE because whoever locks a row needs it
        "assets": "SELECT UPDATE DELETE", "asset_variants": "SELECT UPDATE DELETE", "asset_share_links": "SELECT UPDATE",
        "asset_analytics": "SELECT UPDATE DELETE",
    },
}  # fmt: skip
"""By role, what it does to which table of the app. A role that is not here is not asked about."""

_SCHEMA = """
SELECT nspname, has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = btrim(current_setting('search_path'), '"')
"""
_MISSING_TABLES = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL"
_REFUSED = """
SELECT name, string_agg(privilege, ', ') FROM (SELECT *, to_regclass(quote_ident(name))::oid AS id
  FROM unnest(%s::text[], %s::text[]) AS need (name, privilege)) AS need
WHERE NOT has_table_privilege(id, privilege) AND (privilege = 'DELETE' OR NOT has_any_column_privilege(id, privilege))
GROUP BY name ORDER BY name
"""
_MAY_CREATE = "SELECT has_database_privilege(current_database(), 'CREATE')"
_OWN_SCHEMA = """
SELECT has_schema_privilege(space.oid, 'USAGE') AND (has_schema_privilege(space.oid, 'CREATE') OR count(own.oid) = cardinality(%(tables)s))
  AND coalesce(bool_and(has_table_privilege(own.oid, 'SELECT') AND has_table_privilege(own.oid, 'INSERT')
    AND has_table_privilege(own.oid, 'UPDATE') AND has_table_privilege(own.oid, 'DELETE')), true)
FROM pg_namespace AS space LEFT JOIN pg_class AS own ON own.relnamespace = space.oid AND own.relname = ANY (%(tables)s)
WHERE space.nspname = 'kayan_workers' GROUP BY space.oid
"""


def require(connection: Connection, roles: Sequence[Role], cleanup: Policy) -> None:
    """Raises Trouble when a table that the roles need is not there, or may not be used as they must; for cleanups, as ``cleanup`` says."""
    cleans = any(role.name == "cleanup" for role in roles)
    tables = [item for role in roles for item in RIGHTS.get(role.name, {}).items()]
    tables += [(name.lower(), "SELECT UPDATE DELETE") for name in cleanup.retention_days if cleans]
    needs = sorted({(table, right) for table, rights in tables for right in rights.split()})
    row = connection.execute("SELECT current_user").fetchone()
    us = str(row[0] if row else "")
    schema = _schema(connection, us)
    found = connection.execute(_MISSING_TABLES, [sorted({table for table, _ in needs})])
    if missing := [str(name) for (name,) in found]:
        raise Trouble(f"these tables are missing: {', '.join(missing)}",
                      "run `prisma db push` in the web app (its migrations are incomplete), or mend ?schema= in DATABASE_URL")  # fmt: skip
    refused = connection.execute(_REFUSED, [list(column) for column in zip(*needs, strict=True)] if needs else [[], []]).fetchall()
    if refused:
        grants = [f"GRANT {rights} ON {_quoted(schema, table)} TO {_quoted(us)};" for table, rights in refused]
        says = ", ".join(f"{rights} on {table}" for table, rights in refused)
        raise Trouble(f"the database role {us} lacks {says}", f"let the tables' owner run: {' '.join(grants)}")
    _require_own_schema(connection, us, ["ledger", "mails", *(["cleanups"] if cleans else [])])


def _schema(connection: Connection, us: str) -> str:
    row = connection.execute(_SCHEMA).fetchone()
    if row is None:
        raise Trouble("the schema that DATABASE_URL names is not there",
                      "mend ?schema= in DATABASE_URL, or run `prisma db push` in the web app")  # fmt: skip
    name, usable = row
    if not usable:
        raise Trouble(f"the database role {us} may not use schema {name}",
                      f"let its owner run: GRANT USAGE ON SCHEMA {_quoted(name)} TO {_quoted(us)};")  # fmt: skip
    return str(name)


def _require_own_schema(connection: Connection, us: str, tables: list[str]) -> None:
    usable = connection.execute(_OWN_SCHEMA, {"tables": tables}).fetchone()
    may_create = connection.execute(_MAY_CREATE).fetchone()
    purpose = "where effects are recorded so that they happen once"
    if usable is None and may_create and not may_create[0]:
        raise Trouble(f"the database role {us} may not create the schema kayan_workers, {purpose}",
                      f"let an administrator run: CREATE SCHEMA kayan_workers AUTHORIZATION {_quoted(us)};")  # fmt: skip
    if usable is not None and not usable[0]:
        raise Trouble(f"the database role {us} may not use the schema kayan_workers, {purpose}",
                      f"let its owner run: GRANT USAGE, CREATE ON SCHEMA kayan_workers TO {_quoted(us)}; "
                      f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kayan_workers TO {_quoted(us)};")  # fmt: skip


def _quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string()
