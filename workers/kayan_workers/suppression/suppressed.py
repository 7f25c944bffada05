"""Whom SES will not deliver to, although it takes their mail without a word: the account's suppression list.

SES refuses mail to that list only afterwards, as a bounce event somewhere else; whoever queued the mail would think it was sent. So the
whole list is read beforehand. Until it is known, or where it may not be read, SES is asked about each address, as fast as it answers.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from kayan_workers.suppression.asking import Asking
from kayan_workers.suppression.reading import Policy, Reading
from kayan_workers.suppression.sesv2 import Clients, Lasts, Silence

if TYPE_CHECKING:
    from boto3.session import Session

log = logging.getLogger(__name__)

_WHY = {
    "BOUNCE": "bounced: an earlier mail to this address came back for good, so SES delivers no more to it",
    "COMPLAINT": "suppressed: the owner of this address complained about an earlier mail, so SES delivers no more to it",
}
_REMEDY = "take it off the account's suppression list in SES, if that has changed"


class SuppressionList:
    """The list of one account in one region. Serves many threads.

    ``endpoint`` is where it is asked, if not where boto3 would. Where neither the list nor an address may be asked for, or there is no
    list, that is said once and hardly tried again, unless somebody ``insists``: then it is said and tried every few minutes.
    """

    def __init__(
        self, session: Session, region: str, *, endpoint: str | None = None, insists: bool = False, policy: Policy | None = None
    ) -> None:
        clients = Clients(session, region, endpoint)
        self._region = region
        self._insists = insists
        self._asking = Asking(clients, insists=insists)
        policy = policy or Policy(settled_seconds=300.0 if insists else 3600.0)
        self._reading = Reading(clients, policy, on_new=self._asking.forget, on_silence=self._tell)
        self._telling = threading.Lock()
        self._told_that_neither = False
        self._told_why_not_whole = set[str]()

    def why(self, address: str) -> str | None:
        """Why a mail to ``address`` would never arrive, in words that begin with ``bounced`` or ``suppressed``; None when it may, or SES
        does not say. The words do not name the address."""
        self._reading.begin()
        reason = self._reason(address.lower())
        if reason is None:
            return None
        return f"{_WHY.get(reason, 'suppressed: SES delivers no more to this address')}; {_REMEDY}"

    @property
    def is_known(self) -> bool:
        """Whether the whole list is, so that most addresses need not be asked about."""
        return self._reading.entries is not None

    def close(self) -> None:
        self._reading.close()

    def examine(self, address: str) -> tuple[Silence | None, Silence | None]:
        """Why SES does not say whether it suppresses ``address``, and why it does not give the whole list."""
        return self._asking.ask(address), self._reading.look()

    def _reason(self, address: str) -> str | None:
        entries = self._reading.entries
        if entries is None:
            reason = self._asking.reason(address)
            self._tell()
            return reason
        listed = entries.get(address)
        if listed is None:
            return None
        reason = self._asking.reason(address, otherwise=listed)  # it may have been taken off since
        if reason is None:
            entries.discard(address)
        return reason

    def _tell(self) -> None:
        """Say what is lost, when it is lost: nothing while the list is being read, and not that it cannot be before it is known
        whether single addresses can."""
        with self._telling:
            reading = self._reading.silence
            if reading is None or self.is_known:
                return
            if asking := self._asking.take_untold():
                self._tell_that_neither(asking.along_with(reading))
            elif self._asking.answered and reading.why not in self._told_why_not_whole:
                self._told_why_not_whole.add(reading.why)
                told = "SES in %s does not give its whole suppression list, so in a burst most mails go out without a question: %s; %s"
                log.info(told, self._region, reading.why, reading.remedy)

    def _tell_that_neither(self, why: Silence) -> None:
        if why.lasts is Lasts.SETTLED:
            if self._told_that_neither and not self._insists:
                return
            self._told_that_neither = True
        told = "SES in %s does not tell whom it suppresses, so mails to them go out and are dropped in silence: %s; %s"
        log.warning(told, self._region, why.why, why.remedy)
