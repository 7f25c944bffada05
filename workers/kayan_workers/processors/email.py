"""The ``email`` queue: one mail to each recipient, from a template or as the job itself words it.

Every recipient gets a message of their own and is recorded on their own (see ``deliveries``), so nobody sees the others, and a
job that failed halfway goes on where it stopped. The app queues nothing that a worker should read: neither files nor URLs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from email.headerregistry import Address
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from kayan_workers import deliveries
from kayan_workers.deliveries import Claim, Delivery
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.mail.addresses import recipients
from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.mail.message import Attachment, Mail, compose, message_id
from kayan_workers.mail.render import render
from kayan_workers.mailer import AnswerLostError

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle

_NO_SUBJECT = "(no subject)"
"""What mail programs show for a mail without one: a mail is worth more than its subject."""
_TAG = re.compile(r"<[a-zA-Z/!]")


_NEVER_FETCHED = "a worker never reads a file or an address on a job's behalf; queue the file's bytes as `content`"


class NodeBuffer(msgspec.Struct):
    """A Node Buffer as JSON leaves it: ``{"type":"Buffer","data":[104,105]}``."""

    type: str | None = None
    data: list[Annotated[int, msgspec.Meta(ge=0, le=255)]] | None = None

    def __post_init__(self) -> None:
        if self.type != "Buffer" or self.data is None:
            raise ValueError(f'it is neither text nor a Buffer ({{"type":"Buffer","data":[…]}}): {_NEVER_FETCHED}')


class AttachmentPayload(msgspec.Struct, rename="camel"):
    """A file to send along. Its content is in the job; a path or an address to fetch it from is refused."""

    filename: str
    content: str | NodeBuffer | None = None
    """A text is sent as it stands, in UTF-8, never taken for base64."""
    content_type: str | None = None
    path: Any = None
    href: Any = None
    raw: Any = None

    def __post_init__(self) -> None:
        """Here and not in the types, so that the refusal says why."""
        if elsewhere := [name for name in ("path", "href", "raw") if getattr(self, name) is not None]:
            raise ValueError(f"`{elsewhere[0]}` is refused: {_NEVER_FETCHED}")
        if self.content is None:
            raise ValueError("`content` is missing: it is the file, as text or as a Buffer")

    @property
    def file(self) -> bytes | str:
        return bytes(self.content.data or ()) if isinstance(self.content, NodeBuffer) else self.content or ""


class Payload(msgspec.Struct, rename="camel"):
    """A job of this queue. ``subject`` counts only without a template; ``data`` holds its variables, or ``html`` and ``text``."""

    to: str | list[str] | None = None
    subject: str | None = None
    template: str | None = None
    data: dict[str, Any] | None = None
    attachments: list[AttachmentPayload] | None = None


def check(payload: Payload) -> None:
    """Raises PermanentError for a job that can never be sent, as ``process`` does before it sends anything."""
    to = recipients(payload.to)
    compose(_mail(payload), sender=to[0], recipient=to[0], message_id="<checked@localhost>")


def process(payload: Payload, job: JobHandle, edges: Edges) -> None:
    """Send the mail to everyone it names, once each.

    Raises PermanentError for a job that can never be sent (no recipient, missing variables, a header with a line break), before
    anything is sent, and for recipients whom SES refuses, after all others have their mail. Raises TemporaryError when the
    receiver, the database or this worker cannot go on now; the next try leaves out who has their mail already.
    """
    to = recipients(payload.to)
    mail = _mail(payload)
    refused = []
    for position, recipient in enumerate(to, 1):
        who = f"recipient {position} of {len(to)}: " if len(to) > 1 else ""
        try:
            _deliver(mail, recipient, who, job, edges)
        except PermanentError as error:
            refused.append(f"{who}{error}")
    if refused:
        raise PermanentError("; ".join(refused))


def _mail(payload: Payload) -> Mail:
    """What the job says, from its template or in its own words.

    The app names a template that does not exist (``follow-up-email``) and brings the words along: they are what it means.
    """
    data = payload.data or {}
    attachments = tuple(_attachment(attachment) for attachment in payload.attachments or ())
    own_words = data.get("html") is not None or data.get("text") is not None
    if not payload.template or (payload.template not in CATALOGUE and own_words):
        html, text = _with_line_breaks(_words(data, "html")), _words(data, "text")
        if not html and not text and not attachments:
            raise PermanentError("data: has neither html nor text, and there is no template: the mail would be empty")
        subject = payload.subject or ""
        return Mail(subject=subject if subject.strip() else _NO_SUBJECT, text=text, html=html, attachments=attachments)
    rendered = render(payload.template, data)
    return Mail(subject=rendered.subject, text=rendered.text, html=rendered.html, attachments=attachments)


def _words(data: Mapping[str, Any], name: str) -> str | None:
    """The job's own HTML or text. nodemailer would read ``{"path": …}`` from the worker's disk; here only text is text."""
    words = data.get(name)
    if words is None or isinstance(words, str):
        return words
    raise PermanentError(f"data.{name} must be text: a worker never reads a file or an address on a job's behalf")


def _with_line_breaks(html: str | None) -> str | None:
    """The app's follow-up mails bring plain text as HTML: without a single tag, its line breaks would be lost."""
    if html is None or _TAG.search(html):
        return html
    return re.sub(r"\r\n|\r|\n", "<br>\n", html)


def _attachment(attachment: AttachmentPayload) -> Attachment:
    return Attachment(filename=attachment.filename, content=attachment.file, content_type=attachment.content_type or None)


def _deliver(mail: Mail, recipient: Address, who: str, job: JobHandle, edges: Edges) -> None:
    """Hand the mail for one recipient over, unless an earlier run has done so."""
    address = recipient.addr_spec
    delivery = _delivery(job, recipient, edges.mailer.sender)
    message = compose(mail, sender=edges.mailer.sender, recipient=recipient, message_id=delivery.message_id)
    if job.cancelled.is_set():
        raise TemporaryError(f"{who}the job was stopped before this mail was handed over")
    claim = deliveries.claim(edges.database, delivery, job.cancelled)
    if claim is Claim.SENT:
        return
    if claim is Claim.MAYBE_SENT:
        job.log(f"{who}an earlier run may have handed this mail over; sending it again under the same {delivery.message_id}")
    try:
        receiver_id = edges.mailer.send(message, [address])
    except Exception as error:
        deliveries.give_back(edges.database, delivery, maybe_sent=isinstance(error, AnswerLostError))
        raise
    deliveries.record(edges.database, delivery, receiver_id)
    job.log(f"{who}handed over as {receiver_id}")


def _delivery(job: JobHandle, recipient: Address, sender: Address) -> Delivery:
    digest = hashlib.sha256(recipient.addr_spec.lower().encode()).hexdigest()
    own_id = message_id(sender.domain, job.queue, job.id, job.timestamp_ms, digest)
    return Delivery(job.queue, job.id, job.timestamp_ms, digest, own_id)
