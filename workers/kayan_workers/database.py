"""The app's PostgreSQL: a small pool, opened on first use, that works behind PgBouncer and under Prisma's own connection URL.

Nothing is set on the session, because a transaction-pooling PgBouncer hands a session to somebody else after every transaction.
What a transaction needs (UTC, the search path, its time limits) travels with its BEGIN, in the same message.

Foreign errors are translated here: whatever a later attempt may cure leaves as TemporaryError, everything that the statement or its
values are to blame for leaves as the psycopg.Error it is. Source of the URL's rules: Prisma's PostgreSQL connector.
"""

from __future__ import annotations

import logging
import math
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolTimeout

from kayan_workers.errors import KayanError, SettingsError, TemporaryError

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# Only Prisma understands these. The pool is ours, statements are never prepared, and the rest would be refused by libpq.
_PRISMA_ONLY = frozenset({"connection_limit", "pool_timeout", "pgbouncer", "statement_cache_size", "socket_timeout", "schema", "sslaccept",
                          "sslidentity", "sslpassword"})
# The world may heal, although psycopg files these elsewhere: a fail-over still read-only, a migration or a grant that is yet to come.
_MAY_HEAL = (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction, errors.IdleInTransactionSessionTimeout)
_NOT_READY = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedObject, errors.InvalidSchemaName, errors.InvalidCatalogName,
              errors.InsufficientPrivilege)
_PROGRAM_LIMIT = "54"  # SQLSTATE class: a value too long for its index, a statement too complex. No retry makes it shorter.

# A dead half of a TCP connection is noticed within a minute, not after the kernel's two hours.
_KEEPALIVE = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3, "tcp_user_timeout": 30_000}


class AllBusyError(TemporaryError):
    """The server is there, but every connection of ours stayed busy."""


class Database:
    """A pool of at most ``pool_size`` connections, shared by all threads of the process.

    ``url`` is what the web app calls DATABASE_URL; ``?schema=`` becomes the search path (``public`` when absent).
    ``wait_seconds`` is how long a transaction may wait for a connection, a restarting server included.
    When nothing has been asked of it for ``idle_seconds``, no connection is left.
    Raises SettingsError when the URL cannot be understood; never connects before the first transaction.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int,
        application_name: str,
        wait_seconds: float = 15.0,
        connect_timeout_seconds: int = 5,
        statement_timeout_seconds: float = 30.0,
        idle_seconds: float = 60.0,
    ) -> None:
        address, prisma = _split_prisma(url)
        defaults = {"application_name": application_name, "connect_timeout": connect_timeout_seconds, "client_encoding": "UTF8"}
        self._parameters: dict[str, Any] = {**_KEEPALIVE, **defaults, **address}
        self._pool_size = pool_size
        self._wait_seconds = wait_seconds
        self._idle_seconds = idle_seconds
        self._used_at = time.monotonic()
        seconds = float(prisma.get("socket_timeout") or statement_timeout_seconds)
        self._statement_seconds = seconds
        self._schema = prisma.get("schema") or "public"
        self._name = f"{address.get('host') or 'the local socket'}/{address.get('dbname') or ''}"
        self._lock = threading.Lock()
        self._opened: ConnectionPool[Connection] | None = None
        self._lent = 0

    @contextmanager
    def transaction(
        self,
        *,
        wait_seconds: float | None = None,
        statement_seconds: float = math.inf,
        lock_seconds: float | None = None,
        counts_as_use: bool = True,
    ) -> Iterator[Connection]:
        """Lend a connection inside one transaction: committed when the block ends, rolled back when it raises.

        For whoever has less time than others: ``wait_seconds`` is how long to wait for a connection, ``statement_seconds`` how long a
        statement may take, ``lock_seconds`` how long it may wait for one lock. Who only watches is no use: ``counts_as_use``.

        Raises TemporaryError when the server cannot be reached, gives up on us, or asks for another try (deadlock, serialization,
        time limit). A block that swallowed an error of the server cannot commit: PostgreSQL would answer COMMIT with a silent rollback.
        """
        patience = self._wait_seconds if wait_seconds is None else wait_seconds
        if counts_as_use:
            self._used_at = time.monotonic()
        with self._translated(patience, may_log_in=counts_as_use):
            pool = self._pool()
            connection = self._checked_out(pool, patience, self._begin(statement_seconds, lock_seconds))
            with self._lock:
                self._lent += 1
            try:
                yield connection
                if connection.info.transaction_status == TransactionStatus.INERROR:
                    raise errors.InFailedSqlTransaction("a statement of this transaction failed, so nothing of it can be committed")
                connection.commit()
            except BaseException:
                with suppress(psycopg.Error):
                    connection.rollback()
                raise
            finally:
                with self._lock:
                    self._lent -= 1
                pool.putconn(connection)
                if counts_as_use:
                    self._used_at = time.monotonic()

    @property
    def in_use(self) -> bool:
        """False when connections that are left should be let go: who watches may ask no more, or they would stay for ever."""
        return time.monotonic() - self._used_at < self._idle_seconds / 2

    def check(self) -> None:
        """Log in once, apart from the pool, and begin a transaction. Raises TemporaryError with the reason and a remedy."""
        try:
            with self._translated(0), psycopg.connect(**self._parameters, autocommit=True) as connection:
                connection.execute(self._begin(math.inf, None))
        except TemporaryError as error:
            raise TemporaryError(error.says, error.remedy or remedy(error.says)) from error

    def close(self) -> None:
        """Close every connection. Transactions that run are not waited for."""
        with self._lock:
            if self._opened is not None:
                self._opened.close(timeout=0)
                self._opened = None

    def _pool(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._opened is None:
                # The pool warns at every failed try to connect; who waits for a connection hears of it once, from us.
                logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
                self._opened = ConnectionPool(
                    kwargs={**self._parameters, "autocommit": True, "prepare_threshold": None},
                    min_size=0, max_size=self._pool_size, max_idle=self._let_go_every_seconds(), num_workers=2,
                    timeout=self._wait_seconds, reconnect_timeout=self._wait_seconds, open=False,
                )
                self._opened.open()
            return self._opened

    def _let_go_every_seconds(self) -> float:
        """The pool lets go of one connection each time that so long not all were needed; all have half of the idle time for it."""
        return self._idle_seconds / 2 / (self._pool_size + 1)

    def _begin(self, statement_seconds: float, lock_seconds: float | None) -> sql.Composed:
        lock_ms = None if lock_seconds is None else round(lock_seconds * 1000)
        return _begin_statement(self._schema, round(min(statement_seconds, self._statement_seconds) * 1000), lock_ms)

    def _checked_out(self, pool: ConnectionPool[Connection], wait_seconds: float, begin: sql.Composed) -> Connection:
        """A connection whose transaction has begun. Those that died while idle are passed over: nothing has been said to them yet."""
        for _ in range(self._pool_size + 1):
            connection = pool.getconn(timeout=wait_seconds)
            try:
                connection.execute(begin)
            except psycopg.Error:
                died = connection.closed
                pool.putconn(connection)
                if not died:
                    raise
            else:
                return connection
        raise psycopg.OperationalError("every connection was cut as soon as it was used")

    @contextmanager
    def _translated(self, wait_seconds: float, *, may_log_in: bool = True) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise self._why_none_came(wait_seconds, may_log_in=may_log_in) from error
        except psycopg.Error as error:
            error.args = (reason(error),)  # whoever shows it, in a log or to the app's users, shows nobody's row
            if isinstance(error, _MAY_HEAL) and not (error.sqlstate or "").startswith(_PROGRAM_LIMIT):
                raise TemporaryError(f"database {self._name}: {reason(error)}") from error
            if isinstance(error, _NOT_READY):
                remedy = "give its role the missing right, or bring the app's schema up to date with `prisma db push`"
                raise TemporaryError(f"database {self._name}: {reason(error)}", remedy) from error
            raise

    def _why_none_came(self, waited_seconds: float, *, may_log_in: bool) -> TemporaryError:
        """The pool only says that time ran out; one direct attempt tells a crowded pool from a server that is gone. Who only watches may
        not make it beyond a full pool: that login may be one more than the role is allowed."""
        if may_log_in or self._lent < self._pool_size:
            try:
                psycopg.connect(**self._parameters).close()
            except psycopg.Error as error:
                return TemporaryError(f"database {self._name}: {reason(error)}")
        says = f"all {self._pool_size} connections stayed busy for {waited_seconds:g} s"
        return AllBusyError(f"database {self._name}: {says}", "raise DATABASE_POOL_SIZE, or run fewer slots")


def reason(error: BaseException) -> str:
    """One line of what PostgreSQL objected to, without the DETAIL that quotes the row: rows hold what no log should."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    lines = (primary or str(error)).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def remedy(said: str) -> str:
    """What to do where PostgreSQL or libpq ``said`` that."""
    for pattern, helps in _REMEDIES.items():
        if re.search(pattern, said):
            return helps
    return "is PostgreSQL running, and is DATABASE_URL the same as the web app's?"


_REMEDIES = {
    'database ".*" does not exist': "mend the database's name in DATABASE_URL, or create it",
    'role ".*" does not exist|authentication failed|no password supplied': "mend user and password in DATABASE_URL",
    "is not permitted to log in": "let the server admit the user of DATABASE_URL (ALTER ROLE … LOGIN), or name another one",
    "no pg_hba.conf entry": "let the server's pg_hba.conf admit us, or say ?sslmode=require in DATABASE_URL",
    "too many (clients|connections)|connection slots": "lower DATABASE_POOL_SIZE, or raise the server's max_connections",
    "SSL|certificate": "mend ?sslmode= and the certificates in DATABASE_URL",
    "translate host name|name resolution|Name or service": "mend the host in DATABASE_URL",
}
"""For what they say when they name the cause themselves."""


@lru_cache(maxsize=8)
def _begin_statement(schema: str, statement_timeout_ms: int, lock_timeout_ms: int | None) -> sql.Composed:
    begin = sql.SQL(
        "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL TimeZone TO 'UTC'; SET LOCAL search_path TO {schema}; "
        "SET LOCAL statement_timeout TO {limit}; SET LOCAL idle_in_transaction_session_timeout TO '120s'"
    ).format(schema=sql.Identifier(schema), limit=sql.Literal(statement_timeout_ms))
    return begin if lock_timeout_ms is None else begin + sql.SQL("; SET LOCAL lock_timeout TO {}").format(sql.Literal(lock_timeout_ms))


def _split_prisma(url: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Part the URL into what libpq understands, as keywords, and what only Prisma does."""
    address, _, query = url.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    prisma = {name: value for name, value in given.items() if name in _PRISMA_ONLY}
    libpq = {name: value for name, value in given.items() if name not in _PRISMA_ONLY}
    if not address.startswith(("postgresql://", "postgres://")):
        scheme = address.partition("://")[0] if "://" in address else "no scheme"
        raise SettingsError([f"DATABASE_URL: expected postgresql://user:password@host:port/database, found {scheme}"])
    if "sslidentity" in prisma:
        raise SettingsError(["DATABASE_URL: sslidentity (PKCS #12) is Prisma's own; give sslcert and sslkey as PEM files instead"])
    if "sslaccept" in prisma and "sslkey" not in libpq:  # with Prisma, sslcert alone is the authority that signed the server's certificate
        libpq.setdefault("sslmode", "verify-full" if prisma["sslaccept"] == "strict" and "sslcert" in libpq else "require")
        if "sslcert" in libpq:
            libpq["sslrootcert"] = libpq.pop("sslcert")
    try:
        float(prisma.get("socket_timeout") or 0)
        keywords = conninfo_to_dict(f"{address}?{urlencode(libpq)}" if libpq else address)
        [int(port) for port in str(keywords.get("port") or 5432).split(",")]
    except (psycopg.ProgrammingError, ValueError):
        # Without its cause: libpq may quote what it could not read, and that may be the password.
        advice = "percent-encode special characters in user and password, and check the parameters after the question mark"
        raise SettingsError([f"DATABASE_URL: cannot be read as a PostgreSQL URL; {advice}"]) from None
    return keywords, prisma


def main() -> None:
    """Log in to the database whose URL stands on standard input, and end with 0, or with 1 and the reason. A process of its own, whose
    driver goes with it."""
    try:
        Database(sys.stdin.read().strip(), pool_size=1, application_name="kayan-workers ready?").check()
    except KayanError as error:
        print(error)  # noqa: T201  to whoever started us
        sys.exit(1)


if __name__ == "__main__":
    main()
