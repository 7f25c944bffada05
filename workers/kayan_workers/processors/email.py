"""The ``email`` queue: one mail to each recipient, from a template or as the job itself words it.

Every recipient gets a message of their own and is recorded on their own (see ``deliveries``), so nobody sees the others, and a
job that failed halfway goes on where it stopped. With ``visibleRecipients`` it is one message to all of them, recorded as one. The app
queues nothing that a worker should read: neither files nor URLs.

What SES does not take at the moment waits: for a while in the job, then in the queue, and no attempt is counted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from kayan_workers import deliveries
from kayan_workers.deliveries import Claim, Delivery
from kayan_workers.errors import NotNowError, PermanentError, TemporaryError
from kayan_workers.mail.addresses import recipients
from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.mail.message import Attachment, Mail, compose, message_id
from kayan_workers.mail.render import lines, render
from kayan_workers.mailer import AnswerLostError, ThrottledError
from kayan_workers.processors.uninterrupted import to_its_end

if TYPE_CHECKING:
    from kayan_workers.edges import Edges
    from kayan_workers.processors.handle import JobHandle

_NO_SUBJECT = "(no subject)"
"""What mail programs show for a mail without one: a mail is worth more than its subject."""
PATIENCE_SECONDS = 45.0
"""How long a job stays in its slot before what is left of it goes back to the queue. Well below the longest attempt (120 s): what runs
out of time costs an attempt, and what goes back does not."""
_BREATH_SECONDS = 0.5
"""The least pause after SES has throttled; the shared pace adds to it."""
MOST_VISIBLE = 50
"""How many recipients SES takes in one message."""
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
    """A job of this queue. ``subject`` counts only without a template; ``data`` holds its variables, or ``html`` and ``text``.

    ``visibleRecipients``: true sends one mail whose To names everybody (at most 50), instead of one mail to each.
    """

    to: str | list[str] | None = None
    subject: str | None = None
    template: str | None = None
    data: dict[str, Any] | None = None
    attachments: list[AttachmentPayload] | None = None
    visible_recipients: bool | None = None


def check(payload: Payload) -> None:
    """Raises PermanentError for a job that can never be sent, as ``process`` does before it sends anything."""
    groups = _groups(payload)
    compose(_mail(payload), sender=groups[0][0], recipients=groups[0], message_id="<checked@localhost>")


def process(payload: Payload, job: JobHandle, edges: Edges) -> None:
    """Send the mail to everyone it names, once each.

    Raises PermanentError for a job that can never be sent (no recipient, missing variables, a header with a line break), before
    anything is sent, and for recipients whom SES refuses, after all others have their mail. Raises TemporaryError when the
    receiver, the database or this worker cannot go on now; the next try leaves out who has their mail already. Raises NotNowError when
    the receiver takes no more for now, and from time to time while there are many recipients, so that no attempt takes too long.
    """
    groups = _groups(payload)
    mail = _mail(payload)
    until = time.monotonic() + PATIENCE_SECONDS
    parcels = [(group, _delivery(job, group, edges.mailer.sender)) for group in groups]
    # Whoever has their mail needs no turn. For a single mail, the claim says so soon enough.
    sent = deliveries.sent_among(edges.database, [delivery for _, delivery in parcels]) if len(parcels) > 1 else set()
    refused: list[str] = []
    gone = 0
    for position, (group, delivery) in enumerate(parcels, 1):
        if delivery in sent:
            continue
        if gone and time.monotonic() >= until:
            raise NotNowError(f"{len(sent) + gone} of {len(parcels)} recipients have their mail, the others follow", again_in_seconds=0.1)
        who = f"recipient {position} of {len(parcels)}: " if len(parcels) > 1 else ""
        try:
            _deliver(mail, group, delivery, who, until, job, edges)
            gone += 1
        except PermanentError as error:
            refused.append(f"{who}{error}")
    if refused:
        raise PermanentError("; ".join(refused))


def _groups(payload: Payload) -> list[list[Address]]:
    """The recipients of each message."""
    to = recipients(payload.to)
    if not payload.visible_recipients:
        return [[recipient] for recipient in to]
    if len(to) > MOST_VISIBLE:
        raise PermanentError(
            f"the mail names {len(to)} recipients who see each other, and SES takes at most {MOST_VISIBLE} in one mail: queue several "
            "jobs, or leave out `visibleRecipients`"
        )
    return [to]


def _mail(payload: Payload) -> Mail:
    """What the job says, from its template or in its own words.

    The app names a template that does not exist (``follow-up-email``) and brings the words along: they are what it means.
    """
    data = payload.data or {}
    attachments = tuple(_attachment(attachment) for attachment in payload.attachments or ())
    own_words = data.get("html") is not None or data.get("text") is not None
    if not payload.template or (payload.template not in CATALOGUE and own_words):
        text = _words(data, "text")
        html = _as_html(_words(data, "html"), text)
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


def _as_html(html: str | None, text: str | None) -> str | None:
    """The app's follow-up mails bring one plain text as both: what is the text as well is shown as it stands, and never interpreted."""
    if html is not None and html == text:
        return str(lines(html))
    return _with_line_breaks(html)


def _with_line_breaks(html: str | None) -> str | None:
    """Without a single tag, it was written as text, and its line breaks would be lost."""
    if html is None or _TAG.search(html):
        return html
    return re.sub(r"\r\n|\r|\n", "<br>\n", html)


def _attachment(attachment: AttachmentPayload) -> Attachment:
    return Attachment(filename=attachment.filename, content=attachment.file, content_type=attachment.content_type or None)


def _deliver(
    mail: Mail, group: Sequence[Address], delivery: Delivery, who: str, until: float, job: JobHandle, edges: Edges
) -> None:
    """Hand one message over, unless an earlier run has done so. While SES is throttling it is tried again ``until`` then."""
    message = compose(mail, sender=edges.mailer.sender, recipients=group, message_id=delivery.message_id)
    addresses = [recipient.addr_spec for recipient in group]

    def hand_over() -> None:
        if job.cancelled.is_set():
            raise TemporaryError(f"{who}the job was stopped before this mail was handed over")
        claim = deliveries.claim(edges.database, delivery, job.cancelled)
        if claim is Claim.SENT:
            return
        if claim is Claim.MAYBE_SENT:
            job.log(f"{who}an earlier run may have handed this mail over; sending it again under the same {delivery.message_id}")
        try:
            receiver_id = edges.mailer.send(message, addresses)
        except Exception as error:
            deliveries.give_back(edges.database, delivery, maybe_sent=isinstance(error, AnswerLostError))
            raise
        deliveries.record(edges.database, delivery, receiver_id)
        job.log(f"{who}handed over as {receiver_id}")

    while True:
        edges.mailer.wait_turn(len(addresses), until=until, stop=job.cancelled)
        try:
            to_its_end(hand_over)
        except ThrottledError:
            if time.monotonic() >= until:
                raise
            job.cancelled.wait(_BREATH_SECONDS)
        else:
            return


def _delivery(job: JobHandle, group: Sequence[Address], sender: Address) -> Delivery:
    """Named after whom it goes to."""
    digest = deliveries.digest_of(recipient.addr_spec for recipient in group)
    own_id = message_id(sender.domain, job.queue, job.id, job.timestamp_ms, digest)
    return Delivery(job.queue, job.id, job.timestamp_ms, digest, own_id)
