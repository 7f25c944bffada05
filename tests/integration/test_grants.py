"""``kayan grants`` against a real server: what the role may do then, and what not. That it suffices is shown by every other test."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from app import App, app_of, as_role
from kayan import kayan
from kayan_workers.processors.cleaning.policy import RETENTIONS, retention_variable
from psycopg import sql
from servers import PROJECT

NAMES = [("may", "public"), ('Ma"y\'s %I', 'App "Tables"')]


def script(*arguments: str, code: int = 0) -> str:
    done = kayan("grants", *arguments, variables={})
    assert done.returncode == code, done.stderr
    return done.stdout or done.stderr


def run(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)  # type: ignore[arg-type]


@pytest.fixture
def role_name(owner_url: str) -> Iterator[Callable[[str], str]]:
    """Makes a name unique, and drops the role of that name at the end."""
    names: list[str] = []

    def unique(name: str) -> str:
        names.append(f"{name} {secrets.token_hex(4)}")
        return names[-1]

    yield unique
    with psycopg.connect(owner_url, autocommit=True) as connection:
        for name in reversed(names):
            connection.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(sql.Identifier(name)))


@pytest.fixture
def app(owner_url: str) -> Iterator[App]:
    with app_of(owner_url) as app:
        yield app


def tables_in_reach(app: App, role: str) -> set[str]:
    rows = app.connection.execute(
        """SELECT relname FROM pg_class, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS privilege
           WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
             AND (has_any_column_privilege(%(us)s, oid, privilege) OR has_table_privilege(%(us)s, oid, 'DELETE, TRUNCATE, TRIGGER'))""",
        {"us": role},
    )
    return {name for (name,) in rows}


def test_the_chart_carries_the_script_of_the_whole_fleet() -> None:
    assert (PROJECT / "charts" / "grants.sql").read_text() == script(), "run: kayan grants > charts/grants.sql"


@pytest.mark.parametrize(("name", "schema"), NAMES)
def test_a_role_that_the_script_makes_passes_every_check_of_the_database_whatever_it_is_called(
    app: App, owner_url: str, redis_url: str, tmp_path: Path, role_name: Callable[[str], str], name: str, schema: str
) -> None:
    role = role_name(name)
    app.connection.execute("DROP SCHEMA kayan_workers")
    if schema != "public":
        app.connection.execute(sql.SQL("ALTER SCHEMA public RENAME TO {}").format(sql.Identifier(schema)))
    database = sql.Identifier(urlsplit(owner_url).path[1:])
    app.connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    statements = script("--role", role, "--schema", schema, "--create")
    run(owner_url, statements)
    run(owner_url, statements)  # once more does no harm
    app.connection.execute(sql.SQL("ALTER ROLE {} PASSWORD 'hush-hush'").format(sql.Identifier(role)))

    url = as_role(owner_url, quote(role, safe=""))
    retentions = {retention_variable(name): "90" for name in RETENTIONS}
    settings = {"DATABASE_URL": f"{url}{'&' if '?' in url else '?'}schema={quote(schema)}", "REDIS_URL": redis_url,
                "KAYAN_STORAGE": f"folder:{tmp_path}", "KAYAN_MAIL": f"outbox:{tmp_path}", **retentions}  # fmt: skip
    found = json.loads(kayan("check", "--json", variables=settings).stdout)

    assert [finding for finding in found if finding["name"] == "PostgreSQL" and finding["verdict"] != "ok"] == []


def test_the_script_makes_no_role_unless_told_to_and_never_writes_a_password(owner_url: str) -> None:
    assert "CREATE ROLE" not in script()
    assert [line for line in script("--create").splitlines() if "password" in line.lower() and not line.startswith("--")] == []
    with pytest.raises(psycopg.errors.UndefinedObject, match="nobody-of-that-name"):
        run(owner_url, script("--role", "nobody-of-that-name"))


def test_an_administrator_who_is_no_superuser_may_run_it(app: App, owner_url: str, role_name: Callable[[str], str]) -> None:
    admin, role = role_name("admin"), role_name("fleet")
    app.connection.execute("DROP SCHEMA kayan_workers")
    app.connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'hush-hush'").format(sql.Identifier(admin)))
    app.connection.execute(sql.SQL("CREATE ROLE {} ROLE {}").format(sql.Identifier(role), sql.Identifier(admin)))
    database = sql.Identifier(urlsplit(owner_url).path[1:])
    app.connection.execute(sql.SQL("GRANT CONNECT, CREATE ON DATABASE {} TO {}").format(database, sql.Identifier(admin)))
    app.connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(admin)))
    for table in app.connection.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"):
        app.connection.execute(sql.SQL("ALTER TABLE {} OWNER TO {}").format(sql.Identifier(table[0]), sql.Identifier(admin)))

    run(as_role(owner_url, quote(admin)), script("--role", role))

    assert "notifications" in tables_in_reach(app, role)


def test_no_secret_of_the_app_and_no_table_that_is_not_named_is_in_reach(app: App, fleet_roles: dict[str, str]) -> None:
    fleet_role = fleet_roles["all"]
    secrets_of = {"User": "password", "asset_share_links": "token", "invitations": "token", "share_link_access": "ipAddress"}
    for table, column in secrets_of.items():
        reads = app.connection.execute("SELECT has_column_privilege(%s, %s, %s, 'SELECT')", (fleet_role, f'public."{table}"', column))
        assert reads.fetchone() == (False,), f"{table}.{column}"
    assert tables_in_reach(app, fleet_role) == {
        "assets", "asset_metadata", "asset_variants", "asset_analytics", "asset_activities", "asset_share_links", "asset_external_links",
        "share_link_access", "invitations", "search_history", "notifications", "notification_preferences", "User", "projects", "tasks",
        "milestones", "meetings", "collections",
    }  # fmt: skip
    creates = app.connection.execute(
        "SELECT has_database_privilege(%(us)s, current_database(), 'CREATE, TEMPORARY'), has_schema_privilege(%(us)s, 'public', 'CREATE')",
        {"us": fleet_role},
    )
    assert creates.fetchone() == (False, False)


def test_a_family_of_its_own_role_reaches_its_own_tables_only(app: App, owner_url: str, role_name: Callable[[str], str]) -> None:
    role = role_name("mailer")
    run(owner_url, script("messaging", "--role", role, "--create"))

    reached = {"notifications", "notification_preferences", "User", "projects", "tasks", "milestones", "meetings"}
    assert tables_in_reach(app, role) == reached
    assert "kayan_workers" not in script("media", "--role", role)  # which keep no records of their own


def test_tables_that_an_app_may_lack_are_no_hindrance(app: App, owner_url: str, role_name: Callable[[str], str]) -> None:
    app.connection.execute("DROP TABLE asset_external_links, invitations")
    role = role_name("fleet")

    run(owner_url, script("--role", role, "--create"))

    assert "notifications" in tables_in_reach(app, role)


@pytest.mark.parametrize("name", ["", "x" * 64, "a$$b", "a\nb", "a\\b"])
def test_a_name_that_would_change_what_the_script_says_is_refused(name: str) -> None:
    assert "is no name for" in script("--role", name, code=2)
    assert "is no name for" in script("--schema", name, code=2)


def test_a_script_that_fails_halfway_leaves_nothing_behind(app: App, owner_url: str, role_name: Callable[[str], str]) -> None:
    role = role_name("fleet")
    app.connection.execute("DROP TABLE asset_share_links CASCADE")

    with pytest.raises(psycopg.errors.UndefinedTable):
        run(owner_url, script("--role", role, "--create"))

    app.connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))  # not there yet
