"""The app's tables: as a file for a PostgreSQL that is yet to start, or made in a database that lacks some of them."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_MADE = re.compile(r'^CREATE (?:TYPE|TABLE) "?(\w+)"?', re.MULTILINE)
_INDEXED = re.compile(r'^CREATE (?:UNIQUE )?INDEX "\w+" ON "?(\w+)"?', re.MULTILINE)
_MISSING = "SELECT name FROM unnest(%s::text[]) AS name WHERE to_regtype(quote_ident(name)) IS NULL"  # a table is a type, too


def text() -> str:
    """All of it, as SQL."""
    return files("kayan_workers.demo").joinpath("schema.sql").read_text()


def make_missing(connection: psycopg.Connection) -> None:
    """Make the tables and types that are not there, with their indexes. What is there stays as it is."""
    statements = text().split(";\n")
    subjects = [found[1] if (found := _MADE.search(each) or _INDEXED.search(each)) else "" for each in statements]
    missing = {str(name) for (name,) in connection.execute(_MISSING, [sorted(set(subjects) - {""})])}
    wanted = [each for each, subject in zip(statements, subjects, strict=True) if subject in missing]
    if wanted:
        connection.execute(";\n".join(wanted).encode())
