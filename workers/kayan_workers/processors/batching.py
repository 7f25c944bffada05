"""One transaction for a whole batch, and a poisonous row that takes nobody down with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec

from kayan_workers.errors import KayanError, PermanentError

W = TypeVar("W")

_DEADLOCK = "40P01"
"""The SQLSTATE of whom PostgreSQL chose to end a ring of waiting transactions."""

Outcome = object | Exception
"""What one job of a batch comes to: its return value, or the exception that it alone deserves."""


def in_as_few_as_possible(work: Sequence[W], apply: Callable[[Sequence[W]], list[Outcome]]) -> list[Outcome]:
    """Apply ``work`` in one call of ``apply``, which is one transaction; where a row breaks it, halve until that row stands alone.

    ``apply`` returns one outcome per entry, in order, or raises with nothing done. One bad row among 100 costs about 14 calls. A
    TemporaryError is no row's fault, so it is everybody's outcome and nothing is tried again here; but two batches that waited for
    each other go on in halves, as waiting for the next attempt would bring both together again.
    """
    if not work:
        return []
    try:
        return apply(work)
    except KayanError as error:
        if len(work) == 1 or not _is_deadlock(error):
            return [error] * len(work)
    except Exception as error:
        if len(work) == 1:
            return [_refusal(error)]
    middle = len(work) // 2
    return in_as_few_as_possible(work[:middle], apply) + in_as_few_as_possible(work[middle:], apply)


def _is_deadlock(error: KayanError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) == _DEADLOCK


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
