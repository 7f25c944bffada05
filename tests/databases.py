"""What a PostgreSQL needs before the first test: roles with the rights that ``kayan grants`` gives, and a database to copy."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from kayan_workers.cli.grants import grants
from kayan_workers.cli.names import chosen_roles
from kayan_workers.processors.table import ROLES

SCHEMA = Path(__file__).parent.parent / "workers/kayan_workers/demo/schema.sql"


@contextlib.contextmanager
def fleet_roles_of(server_url: str) -> Iterator[dict[str, str]]:
    """Roles for the code under test, by the queues that it may work: ``all``, a family, or one."""
    names = dict.fromkeys(["all", *(role.family for role in ROLES), *(role.name for role in ROLES)])
    roles = {name: f"kayan_{name}_{secrets.token_hex(4)}" for name in names}
    administer(server_url, *(f"CREATE ROLE {role} LOGIN PASSWORD 'hush-hush'" for role in roles.values()))
    yield roles
    administer(server_url, f"DROP ROLE {', '.join(roles.values())}")


@contextlib.contextmanager
def template_of(server_url: str, roles: Mapping[str, str]) -> Iterator[str]:
    """The name of a database with the app's tables. Nobody may do more in it than ``kayan grants`` says."""
    name = f"kayan_template_{secrets.token_hex(4)}"
    administer(server_url, f'CREATE DATABASE "{name}"')
    scripts = [grants(chosen_roles([queues]), to=role) for queues, role in roles.items()]
    administer(in_database(server_url, name), SCHEMA.read_text(), "REVOKE ALL ON SCHEMA public FROM PUBLIC", *scripts)
    yield name
    administer(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def administer(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]


def in_database(url: str, name: str) -> str:
    """``url`` with another database's name."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
