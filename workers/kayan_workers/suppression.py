"""Whom SES will not deliver to, although it takes their mail without a word: the account's suppression list.

SES refuses mail to that list only afterwards, as a bounce event somewhere else; whoever queued the mail would think it was sent.
Asking costs a request for each new address, and SES answers about one a second, so the answers are kept for a while, and a mail that
gets none goes out unasked.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

_KEPT_SECONDS = 600.0
_MOST_KEPT = 20_000
_PAUSE_SECONDS = 1.0
"""SES was asked too often."""
_LONG_PAUSE_SECONDS = 300.0
"""It cannot be asked at all."""

_WHY = {
    "BOUNCE": "bounced: an earlier mail to this address came back for good, so SES delivers no more to it",
    "COMPLAINT": "suppressed: the owner of this address complained about an earlier mail, so SES delivers no more to it",
}
_REMEDY = "take it off the account's suppression list in SES, if that has changed"


class SuppressionList:
    """The list of one account in one region, with what it said lately. Serves many threads."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._making = threading.Lock()
        self._client: Any = None
        self._known: dict[str, tuple[str | None, float]] = {}
        self._ask_from = 0.0
        self.trouble = ""
        """Why SES does not say, when it cannot be asked."""

    def why(self, address: str) -> str | None:
        """Why a mail to ``address`` would never arrive, in words that begin with ``bounced`` or ``suppressed``; None when it may, or SES
        does not say. The words do not name the address."""
        address = address.lower()
        reason, until = self._known.get(address, (None, 0.0))
        now = time.monotonic()
        if until <= now and self._ask_from <= now:
            reason = self.ask(address)
            if self.trouble:
                told = "SES in %s does not tell whom it suppresses, so mails go out unasked: %s; `kayan check` tells more"
                log.warning(told, self._region, self.trouble)
        if reason is None:
            return None
        return f"{_WHY.get(reason, 'suppressed: SES delivers no more to this address')}; {_REMEDY}"

    def ask(self, address: str) -> str | None:
        """SES's own word for why it suppresses an address (in lower case); None when it does not, or does not say."""
        from botocore.exceptions import BotoCoreError, ClientError

        self.trouble = ""
        found: str | None
        try:
            found = self._sesv2().get_suppressed_destination(EmailAddress=address)["SuppressedDestination"]["Reason"]
        except ClientError as error:
            if not self._says_no(error):
                return None
            found = None
        except BotoCoreError as error:
            self._pause(_LONG_PAUSE_SECONDS, str(error))
            return None
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[address] = (found, time.monotonic() + _KEPT_SECONDS)
        return found

    def _says_no(self, error: ClientError) -> bool:
        """Whether this is how SES says that an address is not on the list; if not, it is left alone for a while."""
        code = error.response["Error"].get("Code")
        if code == "NotFoundException":
            return True
        if code in ("TooManyRequestsException", "ThrottlingException"):
            self._pause(_PAUSE_SECONDS, "")
        else:
            self._pause(_LONG_PAUSE_SECONDS, str(code))
        return False

    def _pause(self, seconds: float, why: str) -> None:
        self._ask_from = time.monotonic() + seconds
        self.trouble = why

    def _sesv2(self) -> Any:
        import boto3
        from botocore.config import Config

        with self._making:
            if self._client is None:
                config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1, "mode": "standard"})
                self._client = boto3.session.Session().client("sesv2", region_name=self._region, config=config)
            return self._client
