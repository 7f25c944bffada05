"""Pings among other jobs: they are answered, and the others never notice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pytest
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.pong import PING, answering


@dataclass
class NamedJob:
    """As much of a running job as is asked here."""

    raw_name: bytes
    waited_ms: float = 3.4


ASKING = NamedJob(PING.encode())
PONG = {"pong": {"pod": "email-0", "version": version("kayan-workers"), "waited_ms": 3}}


def batch(handler: Callable[[Sequence[Any]], Sequence[Any]]) -> Callable[[Any], Any]:
    return answering(handler, batch=True, pod="email-0")


def test_a_ping_is_answered_and_no_processor_is_asked() -> None:
    handle = answering(lambda job: pytest.fail("the processor was called"), batch=False, pod="email-0")
    assert handle(ASKING) == PONG
    assert batch(lambda jobs: pytest.fail("the processor was called"))([ASKING, ASKING]) == [PONG, PONG]


def test_every_other_job_goes_to_its_processor() -> None:
    job = NamedJob(b"__default__")
    assert answering(lambda one: one is job, batch=False, pod="email-0")(job)


def test_in_the_middle_of_a_batch_each_of_the_others_has_its_own_result() -> None:
    jobs = [NamedJob(b"__default__", waited_ms) for waited_ms in range(500)]
    mistake = PermanentError("the third is wrong")
    seen: list[Any] = []

    def process(given: Sequence[Any]) -> list[Any]:
        seen.extend(given)
        return [mistake if job.waited_ms == 3 else job.waited_ms for job in given]

    results = batch(process)([*jobs[:250], ASKING, *jobs[250:]])
    assert seen == jobs
    assert results == [*(mistake if n == 3 else n for n in range(250)), PONG, *range(250, 500)]


def test_what_fails_all_of_a_batch_fails_no_ping() -> None:
    trouble = TemporaryError("PostgreSQL is away")

    def process(given: Sequence[Any]) -> list[Any]:
        raise trouble

    assert batch(process)([NamedJob(b"__default__"), ASKING, NamedJob(b"__default__")]) == [trouble, PONG, trouble]
