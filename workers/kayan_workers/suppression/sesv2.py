"""SES's API version 2, as far as the suppression list needs it: its clients, and what it means when one gets no answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError

_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException"})
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException"})

_TO_WHOM = "to the workers' role or user"


class Lasts(Enum):
    """How long there will be no answer."""

    SHORT = "SES was asked too often"
    LONG = "until somebody or something recovers"
    SETTLED = "until somebody changes the settings"


@dataclass(frozen=True, slots=True)
class Silence:
    """Why SES gave no answer, without a word of whom it was asked about."""

    lasts: Lasts
    why: str = ""
    remedy: str = ""
    missing: str = ""
    """The permission that would help."""

    def along_with(self, other: Silence) -> Silence:
        """This silence where ``other`` is kept at the same time: whoever lacks two permissions hears of both, and may not want either."""
        if not (self.missing and other.missing):
            return self
        remedy = f"allow {self.missing} and {other.missing} {_TO_WHOM}, or set KAYAN_MAIL_SUPPRESSION=off"
        return Silence(self.lasts, self.why, remedy)


class Clients:
    """Makes clients of a session, which is not safe to do in several threads at once."""

    def __init__(self, session: Session, region: str, endpoint: str | None) -> None:
        self._session = session
        self._region = region
        self._endpoint = endpoint
        self._making = threading.Lock()

    def make(self, *, read_timeout: float) -> Any:
        from botocore.config import Config

        config = Config(connect_timeout=2, read_timeout=read_timeout, retries={"total_max_attempts": 1, "mode": "standard"})
        with self._making:
            return self._session.client("sesv2", region_name=self._region, endpoint_url=self._endpoint, config=config)


def silence(error: Exception, permission: str) -> Silence:
    """What ``error`` means, raised by a call that needs ``permission``."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _refusal(error, permission)
    if isinstance(error, BotoCoreError):
        # By its name: botocore's own words give the URL, and with it the address.
        return Silence(Lasts.LONG, type(error).__name__, "check the network and, if set, AWS_ENDPOINT_URL_SESV2")
    # botocore trips in many ways over what is no answer of SES's, and none may cost the mail
    return _no_list("what answers there is not SES")


def _refusal(error: ClientError, permission: str) -> Silence:
    code = code_of(error)
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    if code in _THROTTLED or status == 429:
        return Silence(Lasts.SHORT)
    if code in _NOT_ALLOWED:
        return Silence(Lasts.SETTLED, code, f"allow {permission} {_TO_WHOM}", permission)
    if status == 501 or (status < 500 and (code.isdigit() or code == "UnknownOperationException")):  # no word of SES's own
        return _no_list(f"it has no such list, and answers {status}")
    return Silence(Lasts.LONG, code, "check the credentials and, if set, AWS_ENDPOINT_URL_SESV2")


def code_of(error: ClientError) -> str:
    return str(error.response["Error"].get("Code"))


def _no_list(why: str) -> Silence:
    return Silence(Lasts.SETTLED, why, "set KAYAN_MAIL_SUPPRESSION=off, or AWS_ENDPOINT_URL_SESV2 to where the list is")
