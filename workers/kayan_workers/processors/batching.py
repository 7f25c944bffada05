"""One transaction for a whole batch, and a row that is poisonous or locked takes nobody down with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from kayan_workers.errors import KayanError, NotNowError, PermanentError

W = TypeVar("W")

_DEADLOCK = "40P01"
"""The SQLSTATE of whom PostgreSQL chose to end a ring of waiting transactions."""
_LOCKED = "55P03"
"""Of a statement that waited for a lock until its patience was at an end."""
_TOO_LONG = "57014"
"""Of a statement that was ended because it took too long."""

Outcome = object | Exception
"""What one job of a batch comes to: its return value, or the exception that it alone deserves."""


class Patience(NamedTuple):
    """How long the statements of one transaction may take, and how much of that may be waiting for one lock."""

    statement_seconds: float
    lock_seconds: float


TOGETHER = Patience(statement_seconds=20.0, lock_seconds=5.0)
"""Of a whole batch: far more than other batches hold a lock that it needs."""
APART = Patience(statement_seconds=5.0, lock_seconds=0.5)
"""Of its parts, once somebody holds a lock for longer than that."""
SEARCH_SECONDS = 20.0
"""How long to look for what is locked. With the first try and the last part that is less than a batch's time limit."""
AGAIN_SECONDS = 10.0
"""When a job comes again whose row was locked."""


def in_as_few_as_possible(
    work: Sequence[W], apply: Callable[[Sequence[W], Patience], list[Outcome]], *, locks: Callable[[W], str]
) -> list[Outcome]:
    """Apply ``work`` in one call of ``apply``, which is one transaction; where a row breaks it, halve until that row stands alone.

    ``apply`` returns one outcome per entry, in order, or raises with nothing done. One bad row among 100 costs about 14 calls. A
    TemporaryError is no row's fault, so it is everybody's outcome and nothing is tried again here, but for two kinds. Batches that
    waited for each other go on in halves, as waiting for the next attempt would bring both together again. And where somebody else holds
    a lock, those that need it are put off, and cost no attempt, while the others go through: ``locks`` says of an entry which row it
    is likely to need, so that all that need the same one are found together.
    """
    batch = _Batch(work, apply, locks)
    batch.settle(range(len(work)), TOGETHER)
    return batch.outcomes


class _Batch(Generic[W]):
    def __init__(self, work: Sequence[W], apply: Callable[[Sequence[W], Patience], list[Outcome]], locks: Callable[[W], str]) -> None:
        self._work = work
        self._apply = apply
        self._locks = locks
        self._search_until: float | None = None
        """There once something was found locked."""
        self.outcomes: list[Outcome] = [None] * len(work)

    def settle(self, places: Sequence[int], patience: Patience) -> None:
        """Find the outcomes of the entries at ``places``."""
        if not places:
            return
        some = [self._work[place] for place in places]
        try:
            self._note(places, self._apply(some, patience))
            return
        except KayanError as error:
            state = _sqlstate(error)
            if state in (_LOCKED, _TOO_LONG) and not self._is_found(some):
                places, patience = sorted(places, key=lambda place: self._locks(self._work[place])), APART
            elif state != _DEADLOCK or len(places) == 1:
                self._note(places, [_put_off(error) if state == _LOCKED else error] * len(places))
                return
        except Exception as error:
            if len(places) == 1:
                self._note(places, [_refusal(error)])
                return
        middle = len(places) // 2
        self.settle(places[:middle], patience)
        self.settle(places[middle:], patience)

    def _note(self, places: Sequence[int], outcomes: Sequence[Outcome]) -> None:
        for place, outcome in zip(places, outcomes, strict=True):
            self.outcomes[place] = outcome

    def _is_found(self, some: Sequence[W]) -> bool:
        """Whether these all need what is locked, or there is no time left to find out which do."""
        now = time.monotonic()
        if self._search_until is None:
            self._search_until = now + SEARCH_SECONDS
        return now >= self._search_until or len(set(map(self._locks, some))) == 1


def _sqlstate(error: KayanError) -> str | None:
    return getattr(error.__cause__, "sqlstate", None)


def _put_off(error: KayanError) -> NotNowError:
    put_off = NotNowError(f"a row that this needs is locked: {error}", again_in_seconds=AGAIN_SECONDS)
    put_off.__cause__ = error
    return put_off


class Row(Protocol):
    """A row to insert, as a struct of its columns."""

    @property
    def id(self) -> str: ...


def as_json(rows: Iterable[Row]) -> str:
    """Rows as one JSON array, for ``json_to_recordset``. In the order of their ids: two batches that have rows in common then wait
    for each other in one order and never in a ring."""
    return msgspec.json.encode(sorted(rows, key=lambda row: row.id)).decode()


def _refusal(error: Exception) -> Exception:
    """What the job itself is told: a value that PostgreSQL will never take is permanent, anything else is the surprise it is."""
    if isinstance(error, RecursionError):
        return PermanentError("the job's data is nested too deep to be stored")
    import psycopg  # here, not above: an idle worker has no use for its ten megabytes

    from kayan_workers.database import reason

    if not isinstance(error, psycopg.DatabaseError | UnicodeError):
        return error
    refusal = PermanentError(f"the database refuses a value of this job: {reason(error)}")
    refusal.__cause__ = error
    return refusal
