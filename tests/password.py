"""A role of the test's PostgreSQL that has to say its password, which everybody else need not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql
from waiting import wait_until_ready

_HBA = "SELECT pg_read_file(current_setting('hba_file'))"


@dataclass
class RoleWithPassword:
    """``url`` is the database's as its superuser has it."""

    name: str
    password: str
    url: str

    def at(self, password: str | None = None) -> str:
        """The database's URL for this role, with its password or another."""
        parts = urlsplit(self.url)
        where = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{self.name}:{password or self.password}@{where}"))

    def change_password(self, password: str) -> None:
        """From now on another password is the right one, and nobody who has logged in with the old one stays."""
        self.password = password
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(self.name), password))
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [self.name])


@contextmanager
def role_with_password(url: str) -> Iterator[RoleWithPassword]:
    """A superuser in the database at ``url``, dropped at the end."""
    role = RoleWithPassword(f"locked_{secrets.token_hex(4)}", secrets.token_hex(8), url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(sql.Identifier(role.name), role.password))
        [before] = connection.execute(_HBA).fetchone() or [""]
        _write_hba(connection, f"local all {role.name} scram-sha-256\nhost all {role.name} all scram-sha-256\n{before}")
        wait_until_ready(lambda: _refuses(role.at("not-the-password")), 10, what="the demand for a password")
        try:
            yield role
        finally:
            _write_hba(connection, before)
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role.name])
            connection.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(sql.Identifier(role.name)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role.name)))


def _write_hba(connection: psycopg.Connection, rules: str) -> None:
    [path] = connection.execute("SELECT current_setting('hba_file')").fetchone() or [""]
    # By the server itself, which may live in a container; line by line, because COPY writes rows.
    copy = sql.SQL("COPY (SELECT regexp_split_to_table({}, E'\\n')) TO {}").format(sql.Literal(rules), sql.Literal(path))
    connection.execute(copy)
    connection.execute("SELECT pg_reload_conf()")


def _refuses(url: str) -> None:
    with suppress(psycopg.OperationalError):
        psycopg.connect(url).close()
        raise AssertionError("a wrong password is let in")
