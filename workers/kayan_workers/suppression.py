"""Whom SES will not deliver to, although it takes their mail without a word: the account's suppression list.

SES refuses mail to that list only afterwards, as a bounce event somewhere else; whoever queued the mail would think it was sent.
Asking costs a request for each new address, and SES answers about one a second, so the answers are kept for a while, and a mail that
gets none goes out unasked. One thread asks at a time and the others wait for it only briefly, so a list that is slow or silent holds
up one mail and not the queue.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError

log = logging.getLogger(__name__)

_KEPT_SECONDS = 600.0
_MOST_KEPT = 20_000
_TURN_SECONDS = 0.25
"""How long a mail waits while another one asks: several answers of a list in good health."""
_PAUSE_SECONDS = 1.0
"""SES was asked too often."""
_LONG_PAUSE_SECONDS = 300.0
"""It cannot be asked at all."""
_SETTLED_SECONDS = 3600.0
"""Nor will that change until somebody changes it. Short enough that a permission counts without a restart."""

_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException"})
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException"})

_WHY = {
    "BOUNCE": "bounced: an earlier mail to this address came back for good, so SES delivers no more to it",
    "COMPLAINT": "suppressed: the owner of this address complained about an earlier mail, so SES delivers no more to it",
}
_REMEDY = "take it off the account's suppression list in SES, if that has changed"


class SuppressionList:
    """The list of one account in one region, with what it said lately. Serves many threads.

    ``endpoint`` is where it is asked, if not where boto3 would. Where it may not be asked, or is not there, that is said once and hardly
    asked again, unless somebody ``insists``: then it is said and tried every few minutes.
    """

    def __init__(self, session: Session, region: str, *, endpoint: str | None = None, insists: bool = False) -> None:
        self._session = session
        self._region = region
        self._endpoint = endpoint
        self._insists = insists
        self._turn = threading.Lock()
        self._client: Any = None
        self._known: dict[str, tuple[str | None, float]] = {}
        self._ask_from = 0.0
        self._told = False
        self.trouble = ""
        """Why SES does not say, when it cannot be asked."""
        self.remedy = ""

    def why(self, address: str) -> str | None:
        """Why a mail to ``address`` would never arrive, in words that begin with ``bounced`` or ``suppressed``; None when it may, or SES
        does not say. The words do not name the address."""
        address = address.lower()
        if self._must_ask(address) and self._turn.acquire(timeout=_TURN_SECONDS):
            try:
                if self._must_ask(address):  # whoever had the turn may have asked the same, or been told to ask no more
                    self.ask(address)
                    self._tell()
            finally:
                self._turn.release()
        reason, _ = self._known.get(address, (None, 0.0))
        if reason is None:
            return None
        return f"{_WHY.get(reason, 'suppressed: SES delivers no more to this address')}; {_REMEDY}"

    def ask(self, address: str) -> str | None:
        """SES's own word for why it suppresses an address (in lower case); None when it does not, or does not say.

        For one thread at a time."""
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
            # By its name: botocore's own words give the URL, and with it the address.
            self._pause(_LONG_PAUSE_SECONDS, type(error).__name__, "check the network and, if set, AWS_ENDPOINT_URL_SESV2")
            return None
        except Exception:  # botocore trips in many ways over what is no answer of SES's, and none may cost the mail
            self._has_no_list("what answers there is not SES")
            return None
        if len(self._known) >= _MOST_KEPT:
            self._known.clear()
        self._known[address] = (found, time.monotonic() + _KEPT_SECONDS)
        return found

    def _must_ask(self, address: str) -> bool:
        _, until = self._known.get(address, (None, 0.0))
        now = time.monotonic()
        return until <= now and self._ask_from <= now

    def _says_no(self, error: ClientError) -> bool:
        """Whether this is how SES says that it suppresses no such address; if not, it is left alone for a while."""
        code = str(error.response["Error"].get("Code"))
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        if code in ("NotFoundException", "BadRequestException"):  # the latter for what SES takes for no address
            return True
        if code in _THROTTLED or status == 429:
            self._pause(_PAUSE_SECONDS)
        elif code in _NOT_ALLOWED:
            self._settle(code, "allow ses:GetSuppressedDestination to the workers' role or user, or set KAYAN_MAIL_SUPPRESSION=off")
        elif status == 501 or (status < 500 and (code.isdigit() or code == "UnknownOperationException")):  # no word of SES's own
            self._has_no_list(f"it has no such list, and answers {status}")
        else:
            self._pause(_LONG_PAUSE_SECONDS, code, "check the credentials and, if set, AWS_ENDPOINT_URL_SESV2")
        return False

    def _has_no_list(self, why: str) -> None:
        self._settle(why, "set KAYAN_MAIL_SUPPRESSION=off, or AWS_ENDPOINT_URL_SESV2 to where the list is")

    def _settle(self, why: str, remedy: str) -> None:
        """Nothing but a change of the settings helps."""
        self._pause(_LONG_PAUSE_SECONDS if self._insists else _SETTLED_SECONDS, "" if self._told else why, remedy)
        self._told = not self._insists

    def _pause(self, seconds: float, why: str = "", remedy: str = "") -> None:
        self._ask_from = time.monotonic() + seconds
        self.trouble = why
        self.remedy = remedy

    def _tell(self) -> None:
        if self.trouble:
            told = "SES in %s does not tell whom it suppresses, so mails to them go out and are dropped in silence: %s; %s"
            log.warning(told, self._region, self.trouble, self.remedy)

    def _sesv2(self) -> Any:
        from botocore.config import Config

        if self._client is None:
            config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 1, "mode": "standard"})
            self._client = self._session.client("sesv2", region_name=self._region, endpoint_url=self._endpoint, config=config)
        return self._client
