"""A small HTTP server that speaks SES's query API (version 2010-12-01), for what of SES cannot run here: SES itself.

boto3 talks to it over a real connection. It keeps every mail it accepts, has a quota that it enforces, and can be told to throttle,
reject, fall silent or drop the connection, before or after it has accepted the mail.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

TOLERANCE = 2.0
"""SES lets bursts pass that are a little above the rate; so does this server, because a busy machine delays one mail and not the next."""

_NAMESPACE = "http://ses.amazonaws.com/doc/2010-12-01/"


@dataclass(frozen=True)
class Accepted:
    """A mail that the server took for delivery."""

    id: str
    source: str
    destinations: list[str]
    raw: bytes
    at: float = 0.0
    """When, by ``time.monotonic``."""

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=default)


@dataclass(frozen=True)
class Refusal:
    """An error as SES words it."""

    code: str
    message: str
    status: int = 400


THROTTLED = Refusal("Throttling", "Maximum sending rate exceeded.", 400)
THROTTLED_QUESTION = Refusal("TooManyRequestsException", "Too many requests", 429)
LONG_AGO = 1_700_000_000.0
USED_UP = Refusal("Throttling", "Daily message quota exceeded.", 400)


@dataclass(frozen=True)
class Verified:
    """An address that mails may come from; here, every one is."""

    identity: str


@dataclass
class Quota:
    """What the account may send. Every recipient counts."""

    per_second: float
    per_day: float = -1
    sent_today: float = 0


@dataclass
class SesServer:
    """What a test sees of the server. ``refusals`` answer the next requests, one each; then mails are accepted again."""

    url: str = ""
    accepted: list[Accepted] = field(default_factory=list)
    requests: int = 0
    refusals: deque[Refusal] = field(default_factory=deque)
    refused_addresses: dict[str, Refusal] = field(default_factory=dict)
    refused_keys: dict[str, Refusal] = field(default_factory=dict)
    """By access key id, what each of its requests is answered instead."""
    refused_actions: dict[str, Refusal] = field(default_factory=dict)
    """By action, what each such request is answered instead. Any AWS service's will do: STS speaks like SES."""
    on_accept: Callable[[Accepted], object] = lambda mail: None
    """Called when a mail has been accepted, before the answer goes out."""
    quota: Quota | None = None
    """None: the role may not ask for it, and nothing is enforced."""
    quota_asked: int = 0
    throttled: int = 0
    """How many mails came too fast."""
    suppressed: dict[str, str] = field(default_factory=dict)
    """By address, why the account's suppression list has it: BOUNCE or COMPLAINT. Mails to it are taken all the same."""
    listed_at: dict[str, float] = field(default_factory=dict)
    """By address, when it came onto that list (``time.time``), if not long ago."""
    lookups: int = 0
    lookup_refusal: Refusal | None = None
    """What the suppression list answers instead."""
    lookups_per_second: float = 0
    """Beyond so many it throttles; 0 is no limit."""
    on_lookup: Callable[[str], object] = lambda address: None
    """Called with the address before the suppression list answers."""
    pages: int = 0
    """How many pages of that list were asked for."""
    page_refusal: Refusal | None = field(
        default_factory=lambda: Refusal("AccessDeniedException", "not authorized to perform ses:ListSuppressedDestinations", 403)
    )
    """What a page's reader is answered instead; None: whoever asks may read the list."""
    page_sizes: list[int] = field(default_factory=list)
    """How many addresses each page had that was given."""
    on_page: Callable[[int], object] = lambda number: None
    """Called before a page is answered, with how many were asked for."""
    drop_answers: int = 0
    """So many of the next accepted mails get no answer: the connection is closed."""
    _next_lookup: float = 0
    _next_page: float = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, form: dict[str, list[str]], access_key: str = "") -> Accepted | Refusal | Quota | Verified:
        """Take one request's form fields as SES would."""
        with self._lock:
            if form["Action"] == ["GetSendQuota"]:
                self.quota_asked += 1
            if refusal := self.refused_keys.get(access_key) or self.refused_actions.get(form["Action"][0]):
                return refusal
            if form["Action"] == ["GetSendQuota"]:
                return self.quota or Refusal("AccessDenied", "User is not authorized to perform ses:GetSendQuota", 403)
            if form["Action"] == ["GetIdentityVerificationAttributes"]:
                return Verified(form["Identities.member.1"][0])
            self.requests += 1
            if form["Action"] != ["SendRawEmail"]:
                return Refusal("InvalidAction", f"Could not find operation {form['Action'][0]}")
            if self.refusals:
                return self.refusals.popleft()
            destinations = [value[0] for name, value in form.items() if name.startswith("Destinations.member.")]
            for address in destinations:
                if address in self.refused_addresses:
                    return self.refused_addresses[address]
            now = time.monotonic()
            if refusal := self._over_quota(len(destinations), now):
                return refusal
            raw = base64.b64decode(form["RawMessage.Data"][0])
            mail = Accepted(f"{len(self.accepted):016x}-ses", form["Source"][0], destinations, raw, now)
            self.accepted.append(mail)
            return mail

    def _over_quota(self, recipients: int, now: float) -> Refusal | None:
        if self.quota is None:
            return None
        if 0 <= self.quota.per_day < self.quota.sent_today + recipients:
            return USED_UP
        if self.busiest(1.0, now) > self.quota.per_second * TOLERANCE:
            self.throttled += 1
            return THROTTLED
        self.quota.sent_today += recipients
        return None

    def lookup(self) -> Refusal | None:
        """Count a question to the suppression list; returns what answers it in the list's place."""
        with self._lock:
            self.lookups += 1
            now = time.monotonic()
            if self.lookups_per_second and now < self._next_lookup:
                return THROTTLED_QUESTION
            self._next_lookup = now + 1 / (self.lookups_per_second or 1)
            return self.lookup_refusal

    def page(self, query: dict[str, list[str]]) -> Refusal | dict[str, object]:
        """ListSuppressedDestinations: one page of the list, and the token that leads to the next."""
        with self._lock:
            now = time.monotonic()
            if self.lookups_per_second and now < self._next_page:
                return THROTTLED_QUESTION
            self._next_page = now + 1 / (self.lookups_per_second or 1)
            if self.page_refusal is not None:
                return self.page_refusal
            since = datetime.fromisoformat(query["StartDate"][0]).timestamp() if "StartDate" in query else 0.0
            found = [(address, why) for address, why in self.suppressed.items() if self.listed_at.get(address, LONG_AGO) >= since]
            size, start = int(query["PageSize"][0]), int(query.get("NextToken", ["0"])[0])
            entries = [
                {"EmailAddress": address, "Reason": why, "LastUpdateTime": self.listed_at.get(address, LONG_AGO)}
                for address, why in found[start : start + size]
            ]
            self.page_sizes.append(len(entries))
            is_last = start + size >= len(found)
            return {"SuppressedDestinationSummaries": entries} | ({} if is_last else {"NextToken": str(start + size)})

    def busiest(self, seconds: float, until: float | None = None) -> int:
        """How many recipients were accepted within the last ``seconds`` before ``until``, or in the busiest such time of all."""
        ends = [mail.at for mail in self.accepted] if until is None else [until]
        return max(
            (sum(len(mail.destinations) for mail in self.accepted if end - seconds < mail.at <= end) for end in ends), default=0
        )

    def to(self, address: str) -> list[Accepted]:
        """The mails accepted for one address."""
        return [mail for mail in self.accepted if address in mail.destinations]


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed leaves in the middle of a word; that is no news."""


@contextmanager
def running() -> Iterator[SesServer]:
    """A server on a free port of this machine, stopped at the end."""
    ses = SesServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # else an answer comes 40 ms late

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            credential = self.headers.get("Authorization", "").partition("Credential=")[2]
            answer = ses.answer(parse_qs(body.decode()), credential.partition("/")[0])
            if isinstance(answer, Refusal):
                # without a code it is another server's answer, in its own words
                self._write(answer.status, _error(answer) if answer.code else answer.message)
                return
            if isinstance(answer, Quota | Verified):
                self._write(200, _told(answer) if isinstance(answer, Quota) else _verified(answer))
                return
            ses.on_accept(answer)
            if ses.drop_answers:
                ses.drop_answers -= 1
                self.close_connection = True
                return
            self._write(200, _success(answer.id))

        def do_GET(self) -> None:
            """What is asked of the suppression list, in version 2, which speaks JSON."""
            path, _, query = self.path.partition("?")
            if path.endswith("/addresses"):
                self._list(parse_qs(query))
            else:
                self._tell_of(unquote(path.rpartition("/")[2]))

        def _list(self, query: dict[str, list[str]]) -> None:
            ses.pages += 1
            ses.on_page(ses.pages)
            answer = ses.page(query)
            if isinstance(answer, Refusal):
                self._refuse(answer)
            else:
                self._write(200, json.dumps(answer))

        def _tell_of(self, address: str) -> None:
            refused = ses.lookup()
            ses.on_lookup(address)
            refusal = refused or Refusal("NotFoundException", "Email address does not exist on your suppression list.", 404)
            if refused is None and (reason := ses.suppressed.get(address)):
                entry = {"EmailAddress": address, "Reason": reason, "LastUpdateTime": LONG_AGO}
                self._write(200, json.dumps({"SuppressedDestination": entry}))
            else:
                self._refuse(refusal)

        def _refuse(self, refusal: Refusal) -> None:
            in_json = json.dumps({"message": refusal.message})
            # without a code it is another server's answer, in its own words
            self._write(refusal.status, in_json if refusal.code else refusal.message, error=refusal.code)

        def _write(self, status: int, body: str, *, error: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/xml" if body.startswith("<") else "application/json")
            if error:
                self.send_header("x-amzn-ErrorType", error)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Tests read the mails, not the access log."""

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    ses.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield ses
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _told(quota: Quota) -> str:
    return (
        f'<GetSendQuotaResponse xmlns="{_NAMESPACE}"><GetSendQuotaResult><SentLast24Hours>{quota.sent_today}</SentLast24Hours>'
        f"<Max24HourSend>{quota.per_day}</Max24HourSend><MaxSendRate>{quota.per_second}</MaxSendRate></GetSendQuotaResult>"
        "<ResponseMetadata><RequestId>273021c6-c866-11e0-b926-699e21c3af9e</RequestId></ResponseMetadata></GetSendQuotaResponse>"
    )


def _verified(answer: Verified) -> str:
    return (
        f'<GetIdentityVerificationAttributesResponse xmlns="{_NAMESPACE}"><GetIdentityVerificationAttributesResult><VerificationAttributes>'
        f"<entry><key>{escape(answer.identity)}</key><value><VerificationStatus>Success</VerificationStatus></value></entry>"
        "</VerificationAttributes></GetIdentityVerificationAttributesResult>"
        "<ResponseMetadata><RequestId>1d0c29f1-9bf1-11e1-9279-0100e8cf109a</RequestId></ResponseMetadata>"
        "</GetIdentityVerificationAttributesResponse>"
    )


def _success(message_id: str) -> str:
    return (
        f'<SendRawEmailResponse xmlns="{_NAMESPACE}"><SendRawEmailResult><MessageId>{message_id}</MessageId></SendRawEmailResult>'
        "<ResponseMetadata><RequestId>d5964849-c866-11e0-9beb-01a62d68c57f</RequestId></ResponseMetadata></SendRawEmailResponse>"
    )


def _error(refusal: Refusal) -> str:
    fault = "Sender" if refusal.status < 500 else "Receiver"
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>{fault}</Type><Code>{escape(refusal.code)}</Code>'
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>42d59b56-7407-4c4a-be0f-4c88daeea257</RequestId></ErrorResponse>"
    )
