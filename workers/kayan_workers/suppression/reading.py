"""The whole suppression list, read page by page by a thread of its own and kept fresh: what is not on it need not be asked about."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kayan_workers.suppression.entries import Entries
from kayan_workers.suppression.sesv2 import Clients, Lasts, Silence, silence

PERMISSION = "ses:ListSuppressedDestinations"

_BEGIN_ANEW = frozenset({"BadRequestException", "InvalidNextTokenException"})
"""What SES answers to a token that has run out, or to a question that it takes no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How much is read, and when."""

    page_size: int = 1000
    """The most that SES gives at once."""
    most: int = 1_000_000
    page_seconds: float = 1.0
    """Between two pages: SES gives about one a second, to all workers of the account together."""
    most_patience_seconds: float = 60.0
    """Between two tries for one page, when SES is asked too often or does not answer."""
    added_seconds: float = 600.0
    """Between two readings of what was added."""
    overlap_seconds: float = 900.0
    """How far before the last reading that begins: clocks differ, and SES's list may lag behind."""
    whole_seconds: float = 6 * 3600.0
    """Between two readings of the whole, which alone show what was taken off."""
    settled_seconds: float = 3600.0
    """Until it is tried again where it may not be read. Short enough that a permission counts without a restart."""
    believed_seconds: float = 3600.0
    """How long the list counts when no more is heard of it."""


class _ClosedError(Exception):
    """Nobody wants the list any more."""


class _SilentError(Exception):
    """SES does not give the list, and asking for the same page again would not help."""

    def __init__(self, silence: Silence) -> None:
        self.silence = silence


class _TooLongError(_SilentError):
    """It is more than we hold."""


class Reading:
    """The list as it was read last. Nothing is read before ``begin``; ``close`` ends it, without waiting for an answer under way.

    Two are called in the thread that reads: ``on_new`` with the addresses of each page that it did not know, in lower case, and
    ``on_silence`` when ``silence`` says why SES does not give it.
    """

    def __init__(
        self,
        clients: Clients,
        policy: Policy,
        *,
        on_new: Callable[[Iterable[str]], object] = lambda addresses: None,
        on_silence: Callable[[], object] = lambda: None,
    ) -> None:
        self._clients = clients
        self._policy = policy
        self._on_new = on_new
        self._on_silence = on_silence
        self._client: Any = None
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._entries: Entries | None = None
        self._heard_at = 0.0
        self._began = datetime.now(UTC)
        self._whole_from = 0.0
        self.silence: Silence | None = None
        """Why SES does not give it, since it last did."""

    def begin(self) -> None:
        """Once; a daemon, so that an answer under way does not keep the process from ending."""
        if self._thread is not None:
            return
        with self._beginning:
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._keep_reading, name="suppression list", daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    @property
    def entries(self) -> Entries | None:
        """Everything on the list; None while that is not known."""
        return self._entries if time.monotonic() - self._heard_at <= self._policy.believed_seconds else None

    def look(self) -> Silence | None:
        """Ask for one entry, without keeping it; returns why SES does not give it."""
        try:
            self._ask({"PageSize": 1})
        except Exception as error:
            return silence(error, PERMISSION)
        return None

    def _keep_reading(self) -> None:
        """The thread's whole life."""
        wait = 0.0
        while not self._closed.wait(wait):
            try:
                wait = self._read()
            except _ClosedError:
                return
            except _SilentError as error:
                is_settled = error.silence.lasts is Lasts.SETTLED
                if is_settled:
                    self._entries = None
                self._whole_from = 0.0
                self._fall_silent(error.silence)
                if isinstance(error, _TooLongError):
                    return
                wait = self._policy.settled_seconds if is_settled else self._policy.most_patience_seconds

    def _read(self) -> float:
        """Bring the list up to date; returns after how many seconds again."""
        began = time.monotonic()
        began_at = datetime.now(UTC)
        if self._entries is None or began >= self._whole_from:
            entries = Entries()
            self._take(self._pages(), entries)
            self._entries = entries
            self._whole_from = began + self._policy.whole_seconds
        else:
            self._take(self._pages(since=self._began - timedelta(seconds=self._policy.overlap_seconds)), self._entries)
        self._began = began_at
        return max(self._policy.page_seconds, began + self._policy.added_seconds - time.monotonic())

    def _take(self, pages: Iterable[dict[str, str]], entries: Entries) -> None:
        for page in pages:
            self._on_new([address for address, reason in page.items() if entries.add(address, reason)])
            if len(entries) > self._policy.most:
                why, remedy = f"it has more than {self._policy.most:,} addresses", "take off it whom nobody mails any more"
                raise _TooLongError(Silence(Lasts.SETTLED, why, remedy))

    def _pages(self, since: datetime | None = None) -> Iterator[dict[str, str]]:
        """SES's word for why it suppresses an address, by address in lower case, page by page and no faster than it likes."""
        query: dict[str, Any] = {"PageSize": self._policy.page_size}
        if since is not None:
            query["StartDate"] = since
        while True:
            page, token = self._patiently(query)
            yield page
            if not token:
                return
            query["NextToken"] = token
            self._wait(self._policy.page_seconds)

    def _patiently(self, query: dict[str, Any]) -> tuple[dict[str, str], str | None]:
        """One page, asked for until it comes: to begin anew would cost all those before it."""
        patience = self._policy.page_seconds
        while True:
            try:
                answer = self._ask(query)
            except Exception as error:
                why = silence(error, PERMISSION)
                if why.lasts is Lasts.SETTLED or why.why in _BEGIN_ANEW:
                    raise _SilentError(why) from error
                if why.lasts is Lasts.LONG:
                    self._fall_silent(why)
            else:
                self.silence = None
                self._heard_at = time.monotonic()
                return answer
            patience = min(2 * patience, self._policy.most_patience_seconds)
            self._wait(patience * random.uniform(0.5, 1.0))  # noqa: S311  other workers read it too

    def _ask(self, query: dict[str, Any]) -> tuple[dict[str, str], str | None]:
        if self._client is None:
            self._client = self._clients.make(read_timeout=20)
        answer = self._client.list_suppressed_destinations(**query)
        if len(query) == 1 and "SuppressedDestinationSummaries" not in answer:
            raise ValueError("no list at all")  # botocore takes any words of any server for an answer; an empty page is another matter
        found = answer.get("SuppressedDestinationSummaries", [])
        return {entry["EmailAddress"].lower(): entry["Reason"] for entry in found}, answer.get("NextToken")

    def _fall_silent(self, why: Silence) -> None:
        self.silence = why
        if not self._closed.is_set():
            self._on_silence()

    def _wait(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise _ClosedError
