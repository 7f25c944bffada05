"""What the database must let each role do, and no more: what ``kayan check`` asks for and ``kayan grants`` gives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from kayan_workers.cli.trouble import Trouble

if TYPE_CHECKING:
    from kayan_workers.database import Connection
    from kayan_workers.processors.cleaning.policy import Policy
    from kayan_workers.processors.table import Role


class Right(NamedTuple):
    """What is done to a table of the app."""

    table: str
    does: str
    """Privileges, each with the columns it is limited to, if any: ``SELECT(id,read) INSERT``."""
    why: str
    may_be_missing: bool = False
    """Whether an app without this table is an app as it should be."""


_NAMED = "keys and rows that name an object, before one is deleted"
_POINTED_AT = "whether what a payload points at is there"
RIGHTS: Mapping[str, Sequence[Right]] = {
    "asset": [
        Right("assets", "SELECT UPDATE", "size, dimensions and state of a file"),
        Right("asset_metadata", "SELECT INSERT UPDATE", "what a file says of itself"),
        Right("asset_variants", "SELECT", _NAMED),
    ],
    "thumbnail": [
        Right("assets", "SELECT UPDATE", "the thumbnail's key"),
        Right("asset_variants", "SELECT", _NAMED),
    ],
    "variant": [
        Right("assets", "SELECT UPDATE", "the preview's key and the state"),
        Right("asset_variants", "SELECT INSERT UPDATE DELETE", "a row for each variant"),
    ],
    "notification": [
        Right("notifications", "SELECT(id) INSERT", "one row for each; the id tells which are written already"),
        Right("notification_preferences", "SELECT", "what the user wants to hear of"),
        *(Right(table, "SELECT(id)", _POINTED_AT) for table in ("User", "projects", "tasks", "milestones", "meetings")),
    ],
    "analytics": [
        Right("asset_analytics", "SELECT(assetId,date,views,downloads) INSERT UPDATE(views,downloads)", "daily counters"),
        Right("asset_activities", "SELECT(id) INSERT", "one row for each; the id tells which are written already"),
        Right("search_history", "SELECT(id) INSERT", "one row for each; the id tells which are written already"),
        *(Right(table, "SELECT(id)", _POINTED_AT) for table in ("assets", "User", "collections")),
    ],
    "cleanup": [  # UPDATE of one column where rows are only locked: whoever locks a row needs it
        Right("assets", "SELECT UPDATE(processingStatus,processingError,updatedAt) DELETE", "uploads that never arrived; stuck assets"),
        Right("asset_variants", "SELECT UPDATE(id) DELETE", "variants of archived assets, locked while their objects go"),
        Right("asset_share_links", "SELECT(id,expiresAt,isActive) UPDATE(isActive)", "expired links are switched off"),
        Right("asset_analytics", "SELECT(id,date) UPDATE(id) DELETE", "counters a year old, locked while they go"),
    ],
}  # fmt: skip
"""By role. One that is not here has no use for the app's tables."""

OPTIONAL: Mapping[str, Right] = {
    "KAYAN_CLEANUP_EXPIRED_EXTERNAL_LINKS": Right(
        "asset_external_links", "SELECT(id,expiresAt,isActive) UPDATE(isActive)", "expired links are switched off", may_be_missing=True),
    "KAYAN_CLEANUP_EXPIRED_INVITATIONS": Right(
        "invitations", "SELECT(id,expires,status) UPDATE(status,updatedAt)", "unanswered ones are marked as expired", may_be_missing=True),
    "KAYAN_RETENTION_ASSET_ACTIVITIES_DAYS": Right("asset_activities", "SELECT(id,createdAt) UPDATE(id) DELETE", "old rows go"),
    "KAYAN_RETENTION_NOTIFICATIONS_DAYS": Right("notifications", "SELECT(id,createdAt,read) UPDATE(id) DELETE", "old, read rows go"),
    "KAYAN_RETENTION_SEARCH_HISTORY_DAYS": Right("search_history", "SELECT(id,createdAt) UPDATE(id) DELETE", "old rows go"),
    "KAYAN_RETENTION_SHARE_LINK_ACCESS_DAYS": Right("share_link_access", "SELECT(id,createdAt) UPDATE(id) DELETE", "old rows go"),
}  # fmt: skip
"""What the cleanup role does besides, by the variable that lets it."""

OWN_TABLES: Mapping[str, Sequence[str]] = {"email": ["mails"], "analytics": ["ledger"], "cleanup": ["cleanups", "ledger", "mails"]}
"""By role, the tables of the schema ``kayan_workers`` that it makes and uses."""

_SCHEMA = """
SELECT nspname, has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = (parse_ident(current_setting('search_path')))[1]
"""
_MISSING_TABLES = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(quote_ident(name)) IS NULL"
# A column that is not there is none that may not be used.
_REFUSED = """
SELECT name, privilege FROM (
  SELECT *, to_regclass(quote_ident(name))::oid AS id FROM unnest(%s::text[], %s::text[], %s::text[]) AS need (name, privilege, columns)
) AS need
WHERE NOT has_table_privilege(id, privilege) AND CASE
  WHEN columns <> '' THEN EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = id AND attname = ANY (string_to_array(columns, ',')) AND NOT attisdropped
      AND NOT has_column_privilege(id, attnum, privilege))
  WHEN privilege = 'DELETE' THEN true
  ELSE NOT has_any_column_privilege(id, privilege) END
ORDER BY name, privilege
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
    rights = [right for role in roles for right in RIGHTS.get(role.name, ())]
    if any(role.name == "cleanup" for role in roles):
        rights += [OPTIONAL[variable] for variable in cleanup.variables if variable in OPTIONAL]
    row = connection.execute("SELECT current_user").fetchone()
    us = str(row[0] if row else "")
    schema = _schema(connection, us)
    found = connection.execute(_MISSING_TABLES, [sorted({right.table for right in rights})])
    absent = {str(name) for (name,) in found}
    if missing := sorted({right.table for right in rights if right.table in absent and not right.may_be_missing}):
        raise Trouble(f"these tables are missing: {', '.join(missing)}",
                      "run `prisma db push` in the web app (its migrations are incomplete), or mend ?schema= in DATABASE_URL")  # fmt: skip
    needs = privileges(right for right in rights if right.table not in absent)
    table_by_table = [(table, privilege, ",".join(columns)) for (table, privilege), columns in needs.items()]
    refused = connection.execute(_REFUSED, [list(column) for column in zip(*table_by_table, strict=True)] or [[], [], []]).fetchall()
    if refused:
        tables = sorted({str(table) for table, _ in refused})
        lacking = {table: {(table, privilege): needs[table, privilege] for name, privilege in refused if name == table} for table in tables}
        says = ", ".join(f"{', '.join(privilege for _, privilege in some)} on {table}" for table, some in lacking.items())
        grants = " ".join(statement for some in lacking.values() for statement in grant_statements(some, schema=schema, to=us))
        raise Trouble(f"the database role {us} lacks {says}", f"let the tables' owner run: {grants}")
    if own := sorted({table for role in roles for table in OWN_TABLES.get(role.name, ())}):
        _require_own_schema(connection, us, own)


Needs = dict[tuple[str, str], Sequence[str]]
"""By table and privilege, the columns it is limited to; none are all."""


def privileges(rights: Iterable[Right]) -> Needs:
    """What ``rights`` come to together."""
    needs: Needs = {}
    for right in rights:
        for privilege, limited_to in re.findall(r"([A-Z]+)(?:\((.*?)\))?", right.does):
            columns = limited_to.split(",") if limited_to else []
            known = needs.get((right.table, privilege), columns)
            needs[right.table, privilege] = list(dict.fromkeys([*known, *columns])) if known and columns else []
    return needs


def grant_statements(needs: Needs, *, schema: str, to: str) -> list[str]:
    """One GRANT for each table of ``needs``, to the role ``to``."""
    statements = []
    for table in dict.fromkeys(table for table, _ in needs):
        wanted = [f"{privilege}{_in_brackets(columns)}" for (name, privilege), columns in needs.items() if name == table]
        statements.append(f"GRANT {', '.join(wanted)} ON {quoted(schema, table)} TO {quoted(to)};")
    return statements


def _in_brackets(columns: Sequence[str]) -> str:
    return f" ({', '.join(map(quoted, columns))})" if columns else ""


def _schema(connection: Connection, us: str) -> str:
    row = connection.execute(_SCHEMA).fetchone()
    if row is None:
        raise Trouble("the schema that DATABASE_URL names is not there",
                      "mend ?schema= in DATABASE_URL, or run `prisma db push` in the web app")  # fmt: skip
    name, usable = row
    if not usable:
        raise Trouble(f"the database role {us} may not use schema {name}",
                      f"let its owner run: GRANT USAGE ON SCHEMA {quoted(name)} TO {quoted(us)};")  # fmt: skip
    return str(name)


def _require_own_schema(connection: Connection, us: str, tables: list[str]) -> None:
    usable = connection.execute(_OWN_SCHEMA, {"tables": tables}).fetchone()
    may_create = connection.execute(_MAY_CREATE).fetchone()
    purpose = "where effects are recorded so that they happen once"
    if usable is None and may_create and not may_create[0]:
        raise Trouble(f"the database role {us} may not create the schema kayan_workers, {purpose}",
                      f"let an administrator run: CREATE SCHEMA kayan_workers AUTHORIZATION {quoted(us)};")  # fmt: skip
    if usable is not None and not usable[0]:
        raise Trouble(f"the database role {us} may not use the schema kayan_workers, {purpose}",
                      f"let its owner run: {' '.join(own_schema_statements(us))}")  # fmt: skip


def own_schema_statements(to: str) -> list[str]:
    """What a role needs that does not own the schema and everything in it."""
    return [
        f"GRANT USAGE, CREATE ON SCHEMA kayan_workers TO {quoted(to)};",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kayan_workers TO {quoted(to)};",
    ]


def quoted(*names: str) -> str:
    """Identifiers as SQL has them, whatever is in them."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
