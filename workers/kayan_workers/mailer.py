"""The edge to the world's mailboxes: SES, or a folder that stands for them. Knows messages, and nothing of jobs or templates."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import tempfile
import threading
from base64 import b32decode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from kayan_workers.errors import KayanError, NotNowError, PermanentError, TemporaryError

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import BotoCoreError, ClientError
    from types_boto3_ses.client import SESClient

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 40 * 1024 * 1024
"""The most any SES account takes for one message, after encoding. An account's own limit is lower until it is raised (10 MB):
then SES itself refuses, for good as well."""

_MAIL_IS_WRONG = frozenset({
    "MessageRejected", "InvalidParameterValue", "InvalidParameterCombination", "MissingParameter", "ValidationError", "MalformedInput",
    "RequestEntityTooLarge",
})
"""What SES answers when this mail will never pass. Everything else (quota, outage, a paused account, wrong keys) can be healed."""
_THROTTLED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException"})
_MAIL_FROM_IS_UNVERIFIED = frozenset({"MailFromDomainNotVerified", "MailFromDomainNotVerifiedException"})
_PAUSED = frozenset({"AccountSendingPaused", "AccountSendingPausedException"})
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException"})
_WE_ARE_UNKNOWN = frozenset({
    "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId", "MissingAuthenticationToken",
    "MissingAuthenticationTokenException", "OptInRequired", "RequestExpired", "SignatureDoesNotMatch", "UnrecognizedClientException",
})
_OF_SES = frozenset({"GetSendQuota", "SendRawEmail"})
"""What we ask of SES. Another operation that fails is a step on the way to credentials: a role that STS does not let us take, say."""
_CHECK_THE_WAY = "check the network, AWS_SES_REGION and, if set, AWS_ENDPOINT_URL_SES"
_CHECK_THE_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the pod's role, AWS_SES_REGION and, if set, AWS_ENDPOINT_URL_SES"
_GIVE_KEYS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role and let it reach whoever hands out its keys"
_LOOK_SECONDS = 20
"""How long a look at SES may take: to whoever hands out the credentials, botocore has the patience of minutes."""
CLOSED_SECONDS = 600.0
"""How long nobody sends when SES takes nothing more: what AWS advises."""

_THROTTLED_SECONDS = 5.0
"""How long a job waits that SES has throttled until its patience was at an end."""
_ADDRESS = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


class AnswerLostError(TemporaryError):
    """The connection broke or fell silent after the message had gone out: it may be on its way, it may not."""


class ThrottledError(NotNowError):
    """SES takes no more at this moment. The mail has not gone out and may go out soon."""


class Pace(Protocol):
    """Keeps all workers together within what SES allows."""

    def wait(self, count: int, *, until: float, stop: threading.Event, read_limit: Callable[[], float]) -> None: ...

    def slow_down(self) -> float: ...

    def close(self, seconds: float, why: str) -> bool: ...

    def disconnect(self) -> None: ...


class Suppressed(Protocol):
    """Knows to whom mails do not arrive."""

    def why(self, address: str) -> str | None: ...

    def close(self) -> None: ...


class Mailer(Protocol):
    """Hands a message over for delivery."""

    @property
    def sender(self) -> Address:
        """Who the mails are from."""
        ...

    def send(self, message: EmailMessage, destinations: Sequence[str]) -> str:
        """Hand over ``message`` for the addresses in ``destinations``, whatever its headers say. Returns the receiver's own id for it.

        Raises TemporaryError when it may pass later (ThrottledError: soon), AnswerLostError when it may have passed, PermanentError
        when it never will. It is handed over once a call: trying again is the caller's business.
        """
        ...

    def wait_turn(self, recipients: int, *, until: float, stop: threading.Event) -> None:
        """Wait until a mail to so many may be sent; where nobody else sends, that is now. Ends a few seconds after ``until``
        (``time.monotonic``) at the latest.

        Raises NotNowError when there is no room by then, TemporaryError when ``stop`` is set meanwhile.
        """
        ...

    def check(self) -> None:
        """Ask for next to nothing, and only if there has been trouble. Raises TemporaryError when no mail can pass, whosever it is."""
        ...

    def close(self) -> None: ...


class SesMailer:
    """Sends through Amazon SES (API version 1, ``SendRawEmail``), or what ``AWS_ENDPOINT_URL_SES`` names in its place.

    Credentials come from boto3's own chain. One instance serves many threads. ``pace_of`` makes the pace that keeps it, with all other
    workers of its account (``""`` when that cannot be told), within the account's sending rate; without one, SES alone says when it is
    too much. ``suppressed_of`` makes what tells to whom a mail would never arrive: SES itself says so only when it is too late.
    """

    def __init__(
        self,
        *,
        sender: Address,
        region: str,
        pace_of: Callable[[str], Pace] | None = None,
        suppressed_of: Callable[[Session], Suppressed] | None = None,
        max_connections: int = 10,
    ) -> None:
        from botocore.exceptions import BotoCoreError

        self.sender = sender
        self.region = region
        self._max_connections = max_connections
        self._is_heard = False
        """Whether SES answered the last time, and to somebody it knows."""
        self._lacks_keys = False
        self._pace_of = pace_of
        self._pace: Pace | None = None
        self._making_pace = threading.Lock()
        try:
            self._session = _session()
            self._client = _ses_client(self._session, region, max_connections)
        except BotoCoreError as error:
            raise self._unusable(error) from error
        self._suppressed = suppressed_of(self._session) if suppressed_of is not None else None
        self._told = False

    def check(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        if self._is_heard:
            return
        try:
            if self._lacks_keys:  # a client looks for them when it is made, and never again
                self._client = _ses_client(_session(), self.region, self._max_connections)
                self._lacks_keys = False
            with self._listening():
                self._client.get_send_quota()
        except ResponseParserError:
            self._is_heard = True  # another SES, which has no such question and says so in its own way
        except (BotoCoreError, ClientError) as error:
            if _is_unusable(error):
                raise self._unusable(error) from error

    @contextmanager
    def _listening(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            yield
        except (BotoCoreError, ClientError) as error:
            self._is_heard = not _is_unusable(error)
            self._lacks_keys = self._lacks_keys or isinstance(error, NoCredentialsError)
            raise
        self._is_heard = True

    def wait_turn(self, recipients: int, *, until: float, stop: threading.Event) -> None:
        self._make_pace()
        if self._pace is not None:
            self._pace.wait(recipients, until=until, stop=stop, read_limit=self._sending_rate)

    def _make_pace(self) -> None:
        """Not before the first mail: whoever hands out the credentials may take its time."""
        with self._making_pace:
            if self._pace is None and self._pace_of is not None:
                self._pace = self._pace_of(self._account())

    def _account(self) -> str:
        """The account whose quota the mails use up, ``""`` when the credentials do not tell. Raises TemporaryError when there are none."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

        try:
            credentials = self._session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            key = credentials.get_frozen_credentials().access_key
        except (BotoCoreError, ClientError) as error:
            self._is_heard = False
            raise TemporaryError(f"there are no credentials for SES: {error}", _GIVE_KEYS) from error
        return account_of(key or "")

    def close(self) -> None:
        if self._suppressed is not None:
            self._suppressed.close()
        if self._pace is not None:
            self._pace.disconnect()

    def send(self, message: EmailMessage, destinations: Sequence[str]) -> str:
        from botocore.exceptions import BotoCoreError, ClientError

        data = _serialised(message)
        self._refuse_the_suppressed(destinations)
        try:
            with self._listening():
                answer = self._client.send_raw_email(
                    Source=self.sender.addr_spec, Destinations=list(destinations), RawMessage={"Data": data}
                )
        except ClientError as error:
            raise self._refused(error) from error
        except BotoCoreError as error:
            raise self._unreachable(error) from error
        return answer["MessageId"]

    def _refuse_the_suppressed(self, destinations: Sequence[str]) -> None:
        if self._suppressed is None:
            return
        for position, address in enumerate(destinations, 1):
            if why := self._suppressed.why(address):
                raise PermanentError(why if len(destinations) == 1 else f"{why} (recipient {position} of {len(destinations)})")

    def _sending_rate(self) -> float:
        """How many mails a second SES takes from this account, 0 when it does not say. Closes the pace when the day's mails are used up."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            with self._listening():
                quota = self._client.get_send_quota()
        except ClientError as error:
            if error.response["Error"].get("Code") in _NOT_ALLOWED and not self._told:
                self._told = True
                log.warning(
                    "SES in %s does not tell its sending rate, so mails go out as fast as they come and wait when SES says so: "
                    "allow ses:GetSendQuota to the workers' role",
                    self.region,
                )
            return 0.0
        except BotoCoreError:  # whoever sends the next mail will hear of it
            return 0.0
        daily = quota.get("Max24HourSend", -1.0)
        if 0 <= daily <= quota.get("SentLast24Hours", 0.0):
            self._close(f"the {daily:.0f} mails that SES in {self.region} takes in 24 hours are used up")
        return quota.get("MaxSendRate", 0.0)

    def _close(self, why: str) -> NotNowError:
        if self._pace is not None and self._pace.close(CLOSED_SECONDS, why):
            log.warning("%s: no mail goes out for %.0f minutes, all wait", why, CLOSED_SECONDS / 60)
        return NotNowError(why, again_in_seconds=CLOSED_SECONDS)

    def _slow_down(self, said: str) -> ThrottledError:
        if self._pace is not None and (seconds := self._pace.slow_down()):
            log.warning("SES in %s is throttling (%s): all workers wait %.1f s", self.region, said, seconds)
        return ThrottledError(f"SES in {self.region} is throttling: {said}", again_in_seconds=_THROTTLED_SECONDS)

    def _unreachable(self, error: BotoCoreError) -> TemporaryError:
        """botocore's own messages name settings and addresses of servers, never the mail."""
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, HTTPClientError, ProxyConnectionError

        never_reached = isinstance(error, ConnectTimeoutError | EndpointConnectionError | ProxyConnectionError)
        if isinstance(error, HTTPClientError) and not never_reached:
            return AnswerLostError(f"SES in {self.region} did not answer, so the mail may or may not be on its way: {error}")
        return self._unusable(error)

    def _unusable(self, error: BotoCoreError | ClientError) -> TemporaryError:
        from botocore.exceptions import ClientError, HTTPClientError
        from botocore.exceptions import ConnectionError as BotoConnectionError

        if isinstance(error, ClientError) and error.operation_name in _OF_SES:
            code = error.response["Error"].get("Code")
            # of a long explanation (what should have been signed), the first line
            said = self._without_addresses(error.response["Error"].get("Message", "").partition("\n")[0][:200]).rstrip(".")
            return TemporaryError(f"SES in {self.region} does not accept our credentials: {code}: {said}", _CHECK_THE_KEYS)
        remedy = _CHECK_THE_WAY if isinstance(error, BotoConnectionError | HTTPClientError) else _GIVE_KEYS
        return TemporaryError(f"SES in {self.region} cannot be used: {error}", remedy)

    def _refused(self, error: ClientError) -> TemporaryError | PermanentError:
        if _is_unusable(error):
            return self._unusable(error)
        code = error.response["Error"].get("Code", "unknown")
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
        said = self._without_addresses(error.response["Error"].get("Message", ""))
        if code in _MAIL_IS_WRONG or status == 413:
            suppressed = "suppressed: " if re.search(r"suppress|blacklist", said, re.IGNORECASE) else ""
            return PermanentError(f"{suppressed}SES refuses the mail: {code}: {said}")
        if code in _THROTTLED:
            return self._close(f"SES in {self.region} takes no more today: {said}") if "daily" in said.lower() else self._slow_down(said)
        if code in _PAUSED:
            return self._close(f"SES in {self.region} has paused this account: {said}")
        if code in _NOT_ALLOWED:
            remedy = "allow ses:SendRawEmail to the workers' role or user"
            return TemporaryError(f"SES in {self.region} does not accept our credentials for mails: {code}: {said}", remedy)
        remedy = ""
        if code in _MAIL_FROM_IS_UNVERIFIED:
            remedy = (
                f"restore the MX record of the custom MAIL FROM domain of {self.sender.domain}, or let SES use its default MAIL FROM domain"
            )
        return TemporaryError(f"SES in {self.region} cannot take the mail now: {code} ({status}): {said}", remedy)

    def _without_addresses(self, text: str) -> str:
        """What SES says, without the recipients it names: errors are logged. The sender may stay, it is a setting."""
        ours = self.sender.addr_spec.lower()
        return _ADDRESS.sub(lambda match: match[0] if match[0].rstrip(".").lower() == ours else "<address>", text)


class OutboxMailer:
    """Writes each mail into a folder as an ``.eml`` file, which any mail program opens. For trying things out: nothing leaves the machine.

    A file appears whole or not at all. It is named after subject and Message-ID, so the same mail handed over twice is one file.
    """

    def __init__(self, folder: Path, *, sender: Address) -> None:
        self.sender = sender
        self.folder = folder

    def wait_turn(self, recipients: int, *, until: float, stop: threading.Event) -> None:
        """A folder takes any number."""

    def check(self) -> None:
        """A folder has no keys; what is wrong with it, each mail says."""

    def close(self) -> None:
        """Nothing is open."""

    def send(self, message: EmailMessage, destinations: Sequence[str]) -> str:
        data = b"X-Destinations: " + ", ".join(destinations).encode() + b"\r\n" + _serialised(message)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        subject = re.sub(r"[^a-z0-9]+", "-", str(message["Subject"]).lower()).strip("-")[:50] or "mail"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_whole(data, self.folder / f"{subject}-{name}.eml")
        except OSError as error:
            remedy = "check its owner, mode and free space, or mend KAYAN_MAIL"
            raise TemporaryError(f"outbox {self.folder} cannot be written: {error.strerror}", remedy) from error
        return name


def _write_whole(data: bytes, path: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        try:
            file.write(data)
            file.close()
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise


def _session() -> Session:
    """One of our own: boto3's default session is not safe to build clients from in several threads."""
    import boto3

    return boto3.session.Session()


def _ses_client(session: Session, region: str, max_connections: int) -> SESClient:
    from botocore.config import Config

    config = Config(
        connect_timeout=5,
        read_timeout=20,
        # One try a call: botocore would send again after an answer that got lost, and nobody would know.
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=max_connections,
    )
    return session.client("ses", region_name=region, config=config)


def _is_unusable(error: BotoCoreError | ClientError) -> bool:
    """Whether no mail can pass: SES is out of reach, or does not know us. Whom it tells that he may not, or not now, it knows."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return True
    return error.operation_name not in _OF_SES or error.response["Error"].get("Code") in _WE_ARE_UNKNOWN


def account_of(access_key: str) -> str:
    """The account that an access key belongs to, ``""`` when the key does not tell.

    AWS has written it into the id of every key since 2019, also of those that a role gets for an hour: 40 bits behind a 1, in base 32.
    Asking STS would take another call and another way out of the cluster.
    """
    if not re.fullmatch(r"A[KS]IA[Q-Z2-7][A-Z2-7]{15}", access_key):
        return ""
    number = int.from_bytes(b32decode(access_key[4:])[:6], "big")
    return f"{number >> 7 & (1 << 40) - 1:012d}"


def _serialised(message: EmailMessage) -> bytes:
    data = message.as_bytes()
    if len(data) > MAX_MESSAGE_BYTES:
        size_mb, limit_mb = len(data) / 1024 / 1024, MAX_MESSAGE_BYTES // 1024 // 1024
        raise PermanentError(f"the mail is {size_mb:.1f} MB with its attachments, and SES takes at most {limit_mb} MB: send a link instead")
    return data


def main() -> None:
    """Look at SES once and end with 0, or with 1 and the reason. A process of its own, whose boto3 goes with it."""
    (region,) = sys.argv[1:]

    def end(why: object) -> NoReturn:
        print(why, flush=True)  # noqa: T201  to whoever started us
        os._exit(1)  # as an alarm may: what is under way would go on for minutes

    late = TemporaryError(f"SES in {region} cannot be used: no answer within {_LOOK_SECONDS} s", f"{_CHECK_THE_WAY}, or {_GIVE_KEYS}")
    signal.signal(signal.SIGALRM, lambda *_: end(late))
    signal.alarm(_LOOK_SECONDS)
    try:
        SesMailer(sender=Address(), region=region, max_connections=1).check()
    except KayanError as error:
        end(error)


if __name__ == "__main__":
    main()
