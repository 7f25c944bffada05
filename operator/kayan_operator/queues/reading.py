"""How things stand with the queues of one Redis, read all at once: one round trip, however many they are.

    reader = Reader(server)
    facts = await reader.read([Request(Keys("thumbnail-generation"), look_ahead=10)])

What cannot be read is Unread, each queue by itself. A queue in which nothing waits or runs is only asked whether it has changed
(``look.lua``): a thousand of them cost Redis about twenty commands.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from kayan_workers.bull import scripts
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.line import LOST_CONNECTION, Line
from kayan_workers.bull.server import Server
from redis.exceptions import RedisError

from kayan_operator.decision.facts import QueueFacts, Unread
from kayan_operator.queues.lines import Lines
from kayan_operator.queues.patience import within

LOOK = scripts.read(Path(__file__).parent / "lua" / "look.lua")

AT_ONCE = 200
"""Queues in one call of the script: it holds Redis up for a few milliseconds at most."""

_CLOSELY_SECONDS = 300.0
"""A quiet queue is read closely this often all the same: figures of the past grow old, and a retry that becomes delayed counts nothing."""
_CLOSELY_WHILE_PAUSED = 30.0
"""In a paused queue what was delayed goes on to be held."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one queue. Both times are seconds."""

    keys: Keys
    look_ahead: float = 0
    """Delayed jobs that are due within it, or overdue, are ``due``."""
    window: float = 300
    """How far back jobs that finished or failed are counted."""


class _Question(NamedTuple):
    """A request as the script wants it."""

    base: str
    look_ahead_ms: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class _Quiet:
    """A queue in which nothing waited or ran at the last look."""

    facts: QueueFacts
    at: float
    until: float
    """When it is to be read closely again."""
    window_ms: int
    marks: str
    """Which of its keys there were, as the script has it."""

    def holds_for(self, question: _Question, now: float) -> bool:
        """Whether nothing but a change of its keys can have made it other than it was."""
        if now >= self.until or question.window_ms != self.window_ms:
            return False
        return self.facts.next_due is None or self.facts.next_due - (now - self.at) > question.look_ahead_ms / 1000

    def facts_at(self, now: float) -> QueueFacts:
        if self.facts.next_due is None:
            return self.facts
        return replace(self.facts, next_due=self.facts.next_due - (now - self.at))


class Reader:
    """Reads queues of one server again and again, over one connection (in a cluster one for each node that has some of them)."""

    def __init__(self, server: Server, *, patience: float = 3.0, changed: Callable[[], None] = lambda: None) -> None:
        """A look takes ``patience`` seconds at most, then what is missing is Unread. While our own loop stands still
        no time passes. ``changed`` is called when a node of a cluster is lost, and when it is there again."""
        self._server = server
        self._patience = patience
        self._lines = Lines(server, patience=patience, changed=changed)
        self._quiet: dict[str, _Quiet] = {}
        self._disturbed: set[str] = set()
        self._unread_since: dict[str, float] = {}

    async def read(self, requests: Sequence[Request]) -> list[QueueFacts | Unread]:
        """One look at all these queues; the answers are in the order of the requests. Raises nothing of Redis's own.

        One call at a time: a look is not begun before the one before it has ended.
        """
        self._disturbed.clear()
        questions = [
            _Question(request.keys.base, round(request.look_ahead * 1000), round(request.window * 1000)) for request in requests
        ]
        groups: dict[str, list[_Question]] = {}
        answers: dict[_Question, QueueFacts | str] = {}
        for question, request in dict(zip(questions, requests, strict=True)).items():
            tag = request.keys.hash_tag if self._server.address.cluster else ""
            if tag is None:
                answers[question] = f"in a Redis Cluster its keys need a hash tag, as in the prefix {{{request.keys.prefix}}}"
            else:
                groups.setdefault(tag, []).append(question)
        for some in await asyncio.gather(*(self._read_group(tag, group) for tag, group in groups.items())):
            answers |= some
        now = time.monotonic()
        return [self._known(question.base, answers[question], now) for question in questions]

    def unread(self, requests: Sequence[Request], error: Exception) -> list[QueueFacts | Unread]:
        """The same for a server of which it is known that it would not answer."""
        now = time.monotonic()
        return [self._known(request.keys.base, self._trouble(error), now) for request in requests]

    def look_closely(self, base: str) -> None:
        """Something has happened to the queue with this base key: take nothing for granted at the next look, nor after the present one."""
        self._quiet.pop(base, None)
        self._disturbed.add(base)

    def know(self, bases: Collection[str]) -> None:
        """Of queues with other base keys nothing is remembered any more."""
        for book in (self._quiet, self._unread_since):
            for base in book.keys() - bases:
                del book[base]

    async def run(self) -> None:
        """Until cancelled: learn which nodes of a cluster are lost. Without it a look does, by waiting in vain."""
        await self._lines.run()

    async def close(self) -> None:
        await self._lines.close()

    def _known(self, base: str, answer: QueueFacts | str, now: float) -> QueueFacts | Unread:
        if isinstance(answer, QueueFacts):
            self._unread_since.pop(base, None)
            return answer
        return Unread(answer, now - self._unread_since.setdefault(base, now))

    # -- one slot ------------------------------------------------------------------------------------------------------------

    async def _read_group(self, tag: str, questions: Sequence[_Question]) -> dict[_Question, QueueFacts | str]:
        """Queues whose keys may stand together in one script."""
        try:
            line = await self._lines.of(tag, questions[0].base + "wait")
        except (RedisError, OSError, TimeoutError) as error:
            return dict.fromkeys(questions, self._trouble(error))
        chunks = [questions[first : first + AT_ONCE] for first in range(0, len(questions), AT_ONCE)]
        answers: dict[_Question, QueueFacts | str] = {}
        for some in await asyncio.gather(*(self._ask(line, chunk) for chunk in chunks)):
            answers |= some
        return answers

    async def _ask(self, line: Line, questions: Sequence[_Question]) -> dict[_Question, QueueFacts | str]:
        now, key = time.monotonic(), questions[0].base + "wait"
        known = [quiet if quiet and quiet.holds_for(question, now) else None
                 for question in questions for quiet in (self._quiet.get(question.base),)]
        args: list[Any] = []
        for question, quiet in zip(questions, known, strict=True):
            args += (*question, quiet.marks, quiet.facts.added) if quiet else (*question, "", 0)
        try:
            answers = await within(self._patience, line.run(LOOK, (key,), args))
        except (*LOST_CONNECTION, TimeoutError) as error:
            self._lines.lose(line, key, error)
            return dict.fromkeys(questions, self._trouble(error))
        except RedisError as error:
            return dict.fromkeys(questions, self._trouble(error))
        now = time.monotonic()
        return {
            question: quiet.facts_at(now) if quiet and answer == 0 else self._read_answer(question, answer, now)
            for question, quiet, answer in zip(questions, known, answers, strict=True)
        }

    def _read_answer(self, question: _Question, answer: Sequence[Any], now: float) -> QueueFacts | str:
        if len(answer) == 2:
            self._quiet.pop(question.base, None)
            return _refusal(*answer)
        facts = _facts(answer)
        quiet = _quiet(facts, answer, question.window_ms, now)
        if quiet is not None and question.base not in self._disturbed:
            self._quiet[question.base] = quiet
        else:
            self._quiet.pop(question.base, None)
        return facts

    def _trouble(self, error: BaseException) -> str:
        what = str(error) or str(self._server.trouble or "") or f"no answer within {self._patience:g} s"
        return f"Redis at {self._server.address}: {what.rstrip('.')}"


def _facts(answer: Sequence[int]) -> QueueFacts:
    wait, paused, active, delayed, due, next_due, oldest, is_paused, added, failed, finished = answer
    if is_paused:
        # What waits is held, and so will be what is due. Bull's other flag, in the hash `meta`, says nothing: `empty()` leaves it behind,
        # and workers and producers never look at it.
        return QueueFacts(active=active, delayed=delayed, held=wait + paused, paused=True, added=added, failed=failed, finished=finished)
    return QueueFacts(
        waiting=wait,
        active=active,
        delayed=delayed,
        due=due,
        next_due=next_due / 1000 if next_due >= 0 else None,
        oldest_age=oldest / 1000 if oldest >= 0 else None,
        held=paused,
        added=added,
        failed=failed,
        finished=finished,
    )


def _quiet(facts: QueueFacts, answer: Sequence[int], window_ms: int, now: float) -> _Quiet | None:
    wait, paused, active, delayed, due, *_ = answer
    if wait or active or (due and not facts.paused):
        return None
    marks = "q" + "p" * bool(paused) + "d" * bool(delayed) + "m" * facts.paused
    patience = _CLOSELY_WHILE_PAUSED if facts.paused and delayed else _CLOSELY_SECONDS
    # not all of them in the same moment
    return _Quiet(facts, now, now + patience * random.uniform(0.7, 1), window_ms, marks)  # noqa: S311  no secret


def _refusal(key: bytes, error: bytes) -> str:
    where, text = key.decode(errors="replace"), scripts.refusal(error.decode(errors="replace")).rstrip(".")
    if "WRONGTYPE" in text:
        return f"its key {where} holds something else than Bull keeps there"
    return f"its key {where} could not be read: {text}"
