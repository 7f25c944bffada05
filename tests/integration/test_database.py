"""The pool against a real server: what a transaction is given, what it leaves behind, and what its failures are called."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from kayan_workers.database import Database, reason
from kayan_workers.errors import PermanentError, SettingsError, TemporaryError
from psycopg import sql


@pytest.fixture
def database(owner_url: str) -> Iterator[Database]:
    database = Database(owner_url, pool_size=2, application_name="kayan-test", wait_seconds=1)
    yield database
    database.close()


def run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement))


def name_of(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


def with_parameters(url: str, parameters: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{parameters}"


def add_user(connection: psycopg.Connection[tuple[object, ...]], user_id: str) -> None:
    connection.execute('INSERT INTO "User" (id, email, "updatedAt") VALUES (%s, %s, now())', (user_id, f"{user_id}@example.com"))


def users(database: Database) -> list[str]:
    with database.transaction() as connection:
        return [row[0] for row in connection.execute('SELECT id FROM "User" ORDER BY id')]


def test_nothing_is_connected_before_the_first_transaction() -> None:
    Database("postgresql://nobody@127.0.0.1:1/nothing", pool_size=1, application_name="kayan-test").close()


def test_a_transaction_commits_when_its_block_ends(database: Database) -> None:
    with database.transaction() as connection:
        add_user(connection, "u1")

    assert users(database) == ["u1"]


def test_an_error_of_the_block_rolls_everything_back_and_leaves_as_it_is(database: Database) -> None:
    with pytest.raises(PermanentError, match="as it is"), database.transaction() as connection:
        add_user(connection, "u1")
        raise PermanentError("as it is")

    assert users(database) == []


def test_a_swallowed_error_of_the_server_is_not_mistaken_for_a_commit(database: Database) -> None:
    with pytest.raises(psycopg.errors.InFailedSqlTransaction), database.transaction() as connection:
        add_user(connection, "u1")
        with pytest.raises(psycopg.errors.UniqueViolation):
            add_user(connection, "u1")

    assert users(database) == []


def test_savepoints_work_inside_the_transaction(database: Database) -> None:
    with database.transaction() as connection:
        add_user(connection, "u1")
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            add_user(connection, "u1")
        add_user(connection, "u2")

    assert users(database) == ["u1", "u2"]


def test_the_session_is_in_utc_whatever_the_server_prefers(database: Database, owner_url: str) -> None:
    run(owner_url, f'ALTER DATABASE "{name_of(owner_url)}" SET timezone TO \'Asia/Riyadh\'')

    with database.transaction() as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_a_server_that_prefers_serializable_transactions_does_not_break_upserts(database: Database, owner_url: str) -> None:
    run(owner_url, f'ALTER DATABASE "{name_of(owner_url)}" SET default_transaction_isolation TO serializable')

    with database.transaction() as connection:
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)


def test_prismas_schema_becomes_the_search_path_and_its_other_parameters_are_understood(owner_url: str) -> None:
    run(owner_url, 'CREATE SCHEMA "App Tables"; CREATE TABLE "App Tables".only_here ()')
    url = with_parameters(
        owner_url, "schema=App%20Tables&connection_limit=5&pool_timeout=10&pgbouncer=true&socket_timeout=7&statement_cache_size=0"
    )
    database = Database(url, pool_size=1, application_name="kayan-test")

    with database.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM only_here").fetchone() == (0,)
        assert connection.execute("SHOW statement_timeout").fetchone() == ("7s",)
        assert connection.execute("SHOW application_name").fetchone() == ("kayan-test",)
    database.close()


def test_who_has_less_time_may_set_limits_and_nobody_more_than_all_have(database: Database) -> None:
    with database.transaction(statement_seconds=2, lock_seconds=0.5) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("2s",)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("500ms",)
    with database.transaction(statement_seconds=3600) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("30s",)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_nothing_is_left_on_the_session_for_whoever_gets_it_next(database: Database) -> None:
    with database.transaction() as connection:
        pass
    with psycopg.Connection.connect(**database._parameters, autocommit=True) as fresh:
        untouched = fresh.execute("SHOW search_path").fetchone(), fresh.execute("SHOW statement_timeout").fetchone()

    assert (connection.execute("SHOW search_path").fetchone(), connection.execute("SHOW statement_timeout").fetchone()) == untouched


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:p@db/app", "expected postgresql://"),
        ("prisma://accelerate.example/?api_key=x", "expected postgresql://"),
        ("db:5432", "expected postgresql://"),
        ("postgresql://u:hidden-password@db:none/app", "percent-encode"),
        ("postgresql://u:hidden-password%zz@db/app", "percent-encode"),
        ("postgresql://u:hidden-password@db/app?colour=red", "parameters after the question mark"),
        ("postgresql://u:hidden-password@db/app?socket_timeout=soon", "parameters after the question mark"),
        ("postgresql://u:hidden-password@db/app?sslidentity=client.p12", "PKCS"),
    ],
)
def test_a_url_that_cannot_be_read_is_a_settings_error_that_keeps_the_password(url: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Database(url, pool_size=1, application_name="kayan-test")

    assert "hidden-password" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_prismas_certificate_authority_becomes_libpqs() -> None:
    database = Database("postgresql://u@db/app?sslmode=verify-ca&sslaccept=strict&sslcert=/etc/ca.pem", pool_size=1, application_name="t")

    assert database._parameters["sslrootcert"] == "/etc/ca.pem"
    assert database._parameters["sslmode"] == "verify-ca"
    assert "sslcert" not in database._parameters


def test_an_unreachable_server_is_a_temporary_error_that_says_why() -> None:
    database = Database("postgresql://u:hidden-password@127.0.0.1:1/app", pool_size=1, application_name="kayan-test", wait_seconds=0.3)

    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1/app.*refused") as caught, database.transaction():
        pytest.fail("there is no server")

    assert "hidden-password" not in str(caught.value)
    database.close()


def test_a_crowded_pool_is_a_temporary_error_that_says_so(database: Database) -> None:
    busy = pytest.raises(TemporaryError, match="all 2 connections stayed busy for 1 s")
    with database.transaction(), database.transaction(), busy, database.transaction():
        pytest.fail("the pool holds two")


def test_connections_that_died_while_idle_are_replaced_without_a_word(database: Database, owner_url: str) -> None:
    with database.transaction() as connection, database.transaction():
        add_user(connection, "u1")

    run(owner_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kayan-test'")

    assert users(database) == ["u1"]


def test_a_connection_cut_in_the_middle_is_a_temporary_error_and_nothing_of_it_stays(database: Database, owner_url: str) -> None:
    with pytest.raises(TemporaryError), database.transaction() as connection:
        add_user(connection, "u1")
        run(owner_url, f"SELECT pg_terminate_backend({connection.info.backend_pid})")
        add_user(connection, "u2")

    assert users(database) == []


def test_a_statement_over_its_time_limit_is_a_temporary_error(owner_url: str) -> None:
    database = Database(with_parameters(owner_url, "socket_timeout=0.05"), pool_size=1, application_name="kayan-test")

    with pytest.raises(TemporaryError, match="statement timeout"), database.transaction() as connection:
        connection.execute("SELECT pg_sleep(5)")
    database.close()


def test_the_loser_of_a_deadlock_gets_a_temporary_error(database: Database, owner_url: str) -> None:
    run(owner_url, f'ALTER DATABASE "{name_of(owner_url)}" SET deadlock_timeout TO \'50ms\'')
    with database.transaction() as connection:
        add_user(connection, "u1")
        add_user(connection, "u2")
    both_hold_one = threading.Barrier(2)
    errors: list[Exception] = []

    def lock(first: str, second: str) -> None:
        try:
            with database.transaction() as connection:
                connection.execute('UPDATE "User" SET name = %s WHERE id = %s', ("x", first))
                both_hold_one.wait(10)
                connection.execute('UPDATE "User" SET name = %s WHERE id = %s', ("x", second))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=lock, args=pair) for pair in (("u1", "u2"), ("u2", "u1"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(errors) == 1
    assert isinstance(errors[0], TemporaryError)
    assert "deadlock" in str(errors[0])


def test_a_table_that_is_not_there_is_a_temporary_error_with_the_remedy(database: Database) -> None:
    with pytest.raises(TemporaryError, match=r'"asset_wishes" does not exist; .*prisma db push'), database.transaction() as connection:
        connection.execute("SELECT * FROM asset_wishes")


def test_bad_values_stay_errors_of_psycopg_and_quote_no_row_to_whoever_logs_them(database: Database) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation) as caught, database.transaction() as connection:
        connection.execute('INSERT INTO "User" (id, email, password, "updatedAt") VALUES (%s, %s, %s, NULL)', ("u1", "a@b", "secret-hash"))

    assert "secret-hash" in str(caught.value.diag.message_detail)
    assert "secret-hash" not in "".join(traceback.format_exception_only(caught.value))
    assert "updatedAt" in str(caught.value)
    assert str(caught.value) == reason(caught.value)


def test_a_value_too_long_for_its_index_is_not_worth_a_retry(database: Database) -> None:
    with database.transaction() as connection:
        add_user(connection, "u1")
    noise = "".join(chr(0x4E00 + (i * 7919) % 20000) for i in range(9000))

    with pytest.raises(psycopg.errors.ProgramLimitExceeded), database.transaction() as connection:
        connection.execute('INSERT INTO search_history (id, "userId", query) VALUES (%s, %s, %s)', ("s1", "u1", noise))


def test_a_closed_database_opens_again_when_it_is_needed(database: Database) -> None:
    with database.transaction() as connection:
        add_user(connection, "u1")
    database.close()

    assert users(database) == ["u1"]


def test_closing_while_a_transaction_runs_lets_it_finish(database: Database) -> None:
    with database.transaction() as connection:
        add_user(connection, "u1")
        database.close()

    assert users(database) == ["u1"]
