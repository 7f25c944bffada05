"""What SES says of a single address.

A question costs a request for each new address, and SES answers about one a second, so the answers are kept for a while. One thread asks
at a time and the others wait for it only briefly, so a list that is slow or silent holds up one mail and not the queue.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kayan_workers.suppression.sesv2 import Clients, Lasts, Silence, code_of, silence

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

PERMISSION = "ses:GetSuppressedDestination"

_KEPT_SECONDS = 600.0
_MOST_KEPT = 20_000
_TURN_SECONDS = 0.25
"""How long a mail waits while another one asks: several answers of a list in good health."""
_SHORT_PAUSE_SECONDS = 1.0
_LONG_PAUSE_SECONDS = 300.0
_SETTLED_SECONDS = 3600.0
"""Short enough that a permission counts without a restart."""


class Asking:
    """What SES said of single addresses lately. Serves many threads. Addresses are in lower case.

    Where it may not be asked, or there is no list, it is hardly asked again, unless somebody ``insists``: then every few minutes.
    """

    def __init__(self, clients: Clients, *, insists: bool) -> None:
        self._clients = clients
        self._insists = insists
        self._turn = threading.Lock()
        self._client: Any = None
        self._known: dict[str, tuple[str | None, float]] = {}
        self._ask_from = 0.0
        self._untold: Silence | None = None
        self.answered: bool | None = None
        """Whether the last question had an answer; None when there was none."""

    def reason(self, address: str, *, otherwise: str | None = None) -> str | None:
        """SES's own word for why it suppresses ``address``; None when it does not, ``otherwise`` when it does not say."""
        if self._must_ask(address) and self._turn.acquire(timeout=_TURN_SECONDS):
            try:
                if self._must_ask(address):  # whoever had the turn may have asked the same, or been told to ask no more
                    self.ask(address)
            finally:
                self._turn.release()
        reason, _ = self._known.get(address, (otherwise, 0.0))
        return reason

    def ask(self, address: str) -> Silence | None:
        """Ask SES now, and remember what it says; returns why it says nothing. For one thread at a time."""
        from botocore.exceptions import ClientError

        found: str | None = None
        try:
            if self._client is None:
                self._client = self._clients.make(read_timeout=3)
            found = self._client.get_suppressed_destination(EmailAddress=address)["SuppressedDestination"]["Reason"]
        except Exception as error:
            if not (isinstance(error, ClientError) and _says_no(error)):
                return self._pause(silence(error, PERMISSION))
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[address] = (found, time.monotonic() + _KEPT_SECONDS)
        self.answered, self._untold = True, None
        return None

    def forget(self, addresses: Iterable[str]) -> None:
        """Something newer is known of these."""
        for address in addresses:
            self._known.pop(address, None)

    def take_untold(self) -> Silence | None:
        """Why the last question had no answer, if that is worth saying and has not been taken yet."""
        untold, self._untold = self._untold, None
        return untold

    def _must_ask(self, address: str) -> bool:
        _, until = self._known.get(address, (None, 0.0))
        now = time.monotonic()
        return until <= now and self._ask_from <= now

    def _pause(self, why: Silence) -> Silence:
        seconds = {
            Lasts.SHORT: _SHORT_PAUSE_SECONDS,
            Lasts.LONG: _LONG_PAUSE_SECONDS,
            Lasts.SETTLED: _LONG_PAUSE_SECONDS if self._insists else _SETTLED_SECONDS,
        }[why.lasts]
        self._ask_from = time.monotonic() + seconds
        self.answered, self._untold = False, None if why.lasts is Lasts.SHORT else why
        return why


def _says_no(error: ClientError) -> bool:
    """Whether this is how SES says that it suppresses no such address."""
    return code_of(error) in ("NotFoundException", "BadRequestException")  # the latter for what SES takes for no address
