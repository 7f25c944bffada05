"""The ledger of effects against a real server, written by several workers at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from doubles import FakeJob
from kayan_workers import deliveries, ledger
from kayan_workers.database import Database
from kayan_workers.errors import PermanentError, TemporaryError


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=16, application_name="kayan-test")
    yield database
    database.close()


@pytest.fixture
def bare_database(owner_url: str) -> Iterator[Database]:
    """As an owner, where no administrator has made the workers' schema: whoever needs it first does."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA kayan_workers")
    database = Database(owner_url, pool_size=16, application_name="kayan-test")
    yield database
    database.close()


def record(database: Database, job: FakeJob, effect: str = "counted") -> bool:
    with database.transaction() as connection:
        return ledger.record_once(connection, job, effect)


def entries(database: Database) -> int:
    with database.transaction() as connection:
        row = connection.execute("SELECT count(*) FROM kayan_workers.ledger").fetchone()
    assert row is not None
    return int(row[0])


def test_an_effect_is_new_once_and_known_ever_after(database: Database) -> None:
    job = FakeJob()

    assert [record(database, job) for _ in range(3)] == [True, False, False]


def test_effects_jobs_queues_and_times_are_told_apart(database: Database) -> None:
    job = FakeJob(id="1")
    record(database, job)

    assert record(database, job, "mailed")
    assert record(database, FakeJob(id="2"))
    assert record(database, FakeJob(id="1", queue="email"))
    assert record(database, FakeJob(id="1", timestamp_ms=job.timestamp_ms + 1))  # ids start again when Redis is emptied


def test_an_entry_vanishes_with_the_transaction_that_failed(database: Database) -> None:
    job = FakeJob()
    with pytest.raises(PermanentError), database.transaction() as connection:
        assert ledger.record_once(connection, job, "counted")
        raise PermanentError("the effect failed")

    assert record(database, job)


def test_many_jobs_are_recorded_at_once_and_only_the_new_ones_are_named(database: Database) -> None:
    jobs = [FakeJob() for _ in range(300)]
    with database.transaction() as connection:
        first = ledger.record_many_once(connection, jobs[:200], "counted")
    with database.transaction() as connection:
        second = ledger.record_many_once(connection, [*jobs[100:], jobs[250]], "counted")

    assert first == {ledger.name_of(job) for job in jobs[:200]}
    assert second == {ledger.name_of(job) for job in jobs[200:]}


def test_no_jobs_are_no_entries(database: Database) -> None:
    with database.transaction() as connection:
        assert ledger.record_many_once(connection, [], "counted") == set()


def test_the_first_use_by_many_workers_at_once_makes_one_ledger(bare_database: Database) -> None:
    together = threading.Barrier(12)
    outcomes: list[object] = []

    def first_use() -> None:
        together.wait(10)
        try:
            outcomes.append(record(bare_database, FakeJob()))
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=first_use) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [True] * 12
    assert entries(bare_database) == 12


def test_ledger_and_list_of_mails_may_be_the_first_in_their_schema_at_once(bare_database: Database) -> None:
    together = threading.Barrier(12)
    outcomes: list[object] = []

    def first_use(job: FakeJob) -> None:
        together.wait(10)
        try:
            if int(job.id) % 2:
                outcomes.append(record(bare_database, job))
            else:
                delivery = deliveries.Delivery(job.queue, job.id, job.timestamp_ms, "0" * 64, f"<{job.id}@example.com>")
                outcomes.append(deliveries.claim(bare_database, delivery, job.cancelled) is deliveries.Claim.NEW)
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=first_use, args=(FakeJob(),)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [True] * 12


def test_of_two_workers_with_the_same_jobs_in_opposite_order_each_job_is_new_to_one(database: Database) -> None:
    jobs = [FakeJob() for _ in range(200)]
    record(database, FakeJob())
    together = threading.Barrier(2)
    found: list[set[ledger.JobName]] = []

    def work(some: list[FakeJob]) -> None:
        together.wait(10)
        with database.transaction() as connection:
            found.append(ledger.record_many_once(connection, some, "counted"))

    threads = [threading.Thread(target=work, args=(some,)) for some in (jobs, jobs[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found[0] | found[1] == {ledger.name_of(job) for job in jobs}
    assert not found[0] & found[1]


def test_trimming_forgets_the_old_in_bounded_steps_and_keeps_the_rest(database: Database) -> None:
    old, new = [FakeJob() for _ in range(5)], FakeJob()
    now = datetime.now(UTC)
    with database.transaction() as connection:
        ledger.record_many_once(connection, old, "counted")
        connection.execute("UPDATE kayan_workers.ledger SET recorded_at = %s", (now - timedelta(days=31),))
        ledger.record_once(connection, new, "counted")

    forgotten = []
    for _ in range(3):
        with database.transaction() as connection:
            forgotten.append(ledger.TABLE.trim(connection, now - timedelta(days=30), limit=3))

    assert forgotten == [3, 2, 0]
    assert not record(database, new)


def test_a_ledger_that_was_never_needed_has_nothing_to_trim(database: Database) -> None:
    with database.transaction() as connection:
        assert ledger.TABLE.trim(connection, datetime.now(UTC)) == 0


def test_a_role_that_may_not_create_schemas_is_told_what_an_administrator_should_run(bare_database: Database) -> None:
    with pytest.raises(TemporaryError, match="CREATE SCHEMA kayan_workers AUTHORIZATION"), bare_database.transaction() as connection:
        connection.execute("CREATE ROLE kayan_limited")
        connection.execute("SET LOCAL ROLE kayan_limited")
        ledger.record_once(connection, FakeJob(), "counted")


def test_the_ledger_works_in_a_schema_that_an_administrator_made(bare_database: Database) -> None:
    with pytest.raises(PermanentError), bare_database.transaction() as connection:
        connection.execute("CREATE ROLE kayan_limited")
        connection.execute("CREATE SCHEMA kayan_workers AUTHORIZATION kayan_limited")
        connection.execute("SET LOCAL ROLE kayan_limited")
        assert ledger.record_once(connection, FakeJob(), "counted")
        raise PermanentError("roles belong to the whole server: undo it")
