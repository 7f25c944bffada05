"""Tries mutated files of the corpus until the time is up, counts what comes of them, and keeps those that nobody expected."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter, defaultdict, deque
from concurrent.futures import Future
from pathlib import Path
from random import Random, SystemRandom
from typing import NamedTuple

import servers
from corpus import catalogue, sentences, table
from corpus.came import Came, Refused, Surprise
from corpus.crew import Crew
from corpus.mutants import mutant

FOLDER = servers.BUILD / "fuzz"
_FAMILIES = ("images", "films", "documents", "models", "bombs", "traps")
_LARGEST_SEED = 200_000
_PATIENT = {"bomb-contents.pdf", "bomb-form.pdf", "bomb-forms.pdf", "bomb-pattern.pdf", "bomb-use.svg"}
"""Files that take their whole time limit as they are; their mutants would take everybody's."""
_FILMED_SHARE = 0.1
_KEPT_OF_A_KIND = 3
_TOLD_EVERY_SECONDS = 10
_AHEAD = 8
FORBIDDEN = {"unexpected", "broke"}
"""What no file may cause. Whatever else ends a file's reader costs that file, is listed, and is worth a look."""


class Mutant(NamedTuple):
    number: int
    name: str
    file_type: str
    data: bytes


def run(*, minutes: float, seed: int | None, again: Path | None) -> int:
    """Exits with 1 when something happened that no file may cause."""
    if again:
        return _again(again)
    seed = SystemRandom().randrange(10**6) if seed is None else seed
    print(f"{minutes:g} minutes, seed {seed}; what is worth a look goes to {FOLDER.relative_to(servers.PROJECT)}", flush=True)
    book = Book()
    breeder = Breeder(seed)
    ends = time.monotonic() + minutes * 60
    told = time.monotonic()
    with Crew() as crew:
        waiting: deque[tuple[Mutant, Future[Came]]] = deque()
        while time.monotonic() < ends or waiting:
            while len(waiting) < _AHEAD and time.monotonic() < ends:
                bred = breeder.next()
                filmed = bred.file_type == "VIDEO" and bred.number % round(1 / _FILMED_SHARE) == 0
                waiting.append((bred, crew.try_file(bred.name, bred.data, bred.file_type, films=filmed)))
            tried, future = waiting.popleft()
            book.enter(tried, future.result())
            if time.monotonic() - told > _TOLD_EVERY_SECONDS:
                told = time.monotonic()
                print(f"{max(0, ends - told):4.0f} s left  {book.line()}", flush=True)
        deaths = crew.deaths
    print(book.report(deaths))
    return 1 if deaths or FORBIDDEN & book.outcomes.keys() else 0


class Breeder:
    """Makes the same mutants in the same order from the same seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._number = 0
        self._files = {
            family: {name: data for name, data in files.items() if len(data) <= _LARGEST_SEED and name not in _PATIENT}
            for family, files in catalogue.families().items()
            if family in _FAMILIES
        }
        self._rows = [row for row in table.rows() if any(row.name in files for files in self._files.values())]

    def next(self) -> Mutant:
        self._number += 1
        chance = Random(f"{self._seed} {self._number}")
        row = chance.choice(self._rows)
        files = next(files for files in self._files.values() if row.name in files)
        ending = Path(row.name).suffix
        relatives = [data for name, data in files.items() if name.endswith(ending)] if chance.random() < 0.7 else list(files.values())
        return Mutant(self._number, row.name, row.file_type, mutant(chance, files[row.name], relatives))


class Book:
    """Counts outcomes, and keeps the first few files of every kind that is worth a look."""

    def __init__(self) -> None:
        self.files = 0
        self.outcomes: Counter[str] = Counter()
        self._signatures: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._slowest: tuple[float, str] = (0.0, "")
        self._largest: tuple[float, str] = (0.0, "")

    def enter(self, tried: Mutant, came: Came) -> None:
        self.files += 1
        label = f"{tried.number} {tried.name} as {tried.file_type}"
        self._slowest = max(self._slowest, (came.seconds, label))
        self._largest = max(self._largest, (came.peak_mb, label))
        for outcome in (came.examine, came.picture, came.films):
            if outcome is None:
                continue
            how, words = _judged(outcome)
            self.outcomes[how] += 1
            if how not in ("good", "refused"):
                self._keep(tried, how, words)

    def _keep(self, tried: Mutant, how: str, words: str) -> None:
        kept = self._signatures[how, re.sub(r"\d+(\.\d+)?|/tmp/\S+", "N", words)[:80]]
        if len(kept) < _KEPT_OF_A_KIND:
            FOLDER.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256(tried.data).hexdigest()[:8]
            path = FOLDER / f"{how.replace(' ', '-')}.{tried.file_type}.{digest}.{tried.name}"
            path.write_bytes(tried.data)
            path.with_name(f"{path.name}.txt").write_text(f"{_command(path)}\n\n{words}\n")
        kept.append(tried.name)

    def line(self) -> str:
        return f"{self.files} files: " + ", ".join(f"{count} {how}" for how, count in self.outcomes.most_common())

    def report(self, deaths: int) -> str:
        lines = [
            f"\n{self.line()}; {deaths} workers died",
            f"slowest {self._slowest[0]:.1f} s ({self._slowest[1]}), largest {self._largest[0]:.0f} MB ({self._largest[1]})",
        ]
        for (how, words), names in sorted(self._signatures.items()):
            lines.append(f"{how}, {len(names)} times: {words.splitlines()[0]}\n  from {', '.join(sorted(set(names)))[:150]}")
        if self._signatures:
            lines.append(f"the first {_KEPT_OF_A_KIND} of each, with how to try them again, are in {FOLDER.relative_to(servers.PROJECT)}")
        return "\n".join(lines)


def _judged(outcome: object) -> tuple[str, str]:
    match outcome:
        case Surprise(what, details):
            return "unexpected", f"{what}\n{details}"
        case Refused(says, log):
            if outcome.how != "refused":
                return outcome.how, f"{says}\n{log}"
            faults = sentences.faults(says)
            return ("badly said", f"{says} ({'; '.join(faults)})") if faults else ("refused", says)
    return "good", ""


def _again(path: Path) -> int:
    """Try one kept file; its name tells what it was declared as."""
    _, file_type, _, name = path.name.split(".", 3)
    with Crew(1) as crew:
        came = crew.try_file(name, path.read_bytes(), file_type, films=file_type == "VIDEO").result()
    outcomes = [outcome for outcome in (came.examine, came.picture, came.films) if outcome]
    for outcome in outcomes:
        how, words = _judged(outcome)
        print(f"{how}: {words or outcome}")
    return 1 if any(_judged(outcome)[0] in FORBIDDEN for outcome in outcomes) else 0


def _command(path: Path) -> str:
    return f".venv/bin/python tests/corpus fuzz --again '{path.relative_to(servers.PROJECT)}'"
