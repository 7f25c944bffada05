"""The fuzzer itself: the same damage again, and no death unseen."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from corpus import catalogue
from corpus.came import Examined, Surprise
from corpus.crew import Crew, family
from corpus.fuzz import Breeder


def test_a_seed_makes_the_same_mutants_again() -> None:
    once, again, other = Breeder(1), Breeder(1), Breeder(2)

    mutants = [once.next() for _ in range(200)]

    assert [again.next() for _ in range(200)] == mutants
    assert [other.next() for _ in range(200)] != mutants
    whole = catalogue.everything()
    assert sum(mutant.data != whole[mutant.name] for mutant in mutants) > 150


def test_a_worker_that_dies_is_seen_and_replaced() -> None:
    photo = catalogue.everything()["photo.jpg"]
    with Crew(1) as crew:
        assert isinstance(crew.try_file("photo.jpg", photo, "IMAGE").result().examine, Examined)
        endless = crew.try_file("bomb-pattern.pdf", catalogue.everything()["bomb-pattern.pdf"], "DOCUMENT")
        [worker] = [pid for pid in family(os.getpid()) if command_of(pid)[2:3] == ["work"]]
        os.kill(worker, signal.SIGKILL)

        came = endless.result()
        assert isinstance(came.examine, Surprise)
        assert "SIGKILL" in came.examine.what
        assert crew.deaths == 1
        assert isinstance(crew.try_file("photo.jpg", photo, "IMAGE").result().examine, Examined)


def command_of(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []
