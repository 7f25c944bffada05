"""Makes a MIME message of a mail: text first, then HTML, then attachments; everything outside ASCII encoded."""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from kayan_workers.errors import PermanentError

POLICY = SMTP.clone(cte_type="7bit")
"""CRLF line ends and nothing but ASCII on the wire: SES asks for both."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MEDIA_TYPE = re.compile(r"([A-Za-z0-9][\w!#$&^.+-]*)/([A-Za-z0-9][\w!#$&^.+-]*)\s*(?:;\s*(.*))?", re.ASCII)
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.ASCII | re.IGNORECASE)
_OPAQUE = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that travels with a mail. ``content_type`` is a MIME type; None takes it from the file's name."""

    filename: str
    content: bytes | str
    """A text is sent as UTF-8."""
    content_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What is said, whoever it is said to. At least one of ``text`` and ``html`` is usually there; without both the mail is empty."""

    subject: str
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()


def compose(mail: Mail, *, sender: Address, recipients: Sequence[Address], message_id: str) -> EmailMessage:
    """One message from ``sender`` to ``recipients``, who all see each other in it.

    SES puts its own Message-ID in place of ours, so ``X-Kayan-Message-ID`` carries it as well: two copies of one mail can be told.
    Raises PermanentError when the subject or a file name would break out of its header, or a text is not Unicode.
    """
    message = EmailMessage(policy=POLICY)
    message["From"] = sender
    message["To"] = recipients
    message["Subject"] = _header("the subject", mail.subject)
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = message_id
    message["X-Kayan-Message-ID"] = message_id
    try:
        _write_body(message, mail)
    except UnicodeEncodeError as error:
        raise PermanentError("the mail's text or HTML is not valid Unicode: it contains half of a surrogate pair") from error
    for index, attachment in enumerate(mail.attachments):
        _attach(message, attachment, f"attachments[{index}]")
    return message


def message_id(domain: str, *parts: object) -> str:
    """The Message-ID that ``parts`` always get: ``<32 hex digits@domain>``."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]
    return f"<{digest}@{domain}>"


def _write_body(message: EmailMessage, mail: Mail) -> None:
    if mail.html is None:
        message.set_content(mail.text or "")
    elif mail.text is None:
        message.set_content(mail.html, subtype="html")
    else:
        message.set_content(mail.text)
        message.add_alternative(mail.html, subtype="html")


def _attach(message: EmailMessage, attachment: Attachment, where: str) -> None:
    filename = _base_name(_header(f"{where}.filename", attachment.filename))
    maintype, subtype, charset = _media_type(attachment, where)
    content = attachment.content
    if isinstance(content, str):
        charset = "utf-8"
        try:
            content = content.encode()
        except UnicodeEncodeError as error:
            raise PermanentError(f"{where}.content is not valid Unicode: it contains half of a surrogate pair") from error
    params = {"charset": charset} if charset and maintype == "text" else None
    message.add_attachment(content, maintype=maintype, subtype=subtype, filename=filename, params=params)


def _base_name(filename: str) -> str:
    """The name without its folders: a mail program that took them at their word would save the file somewhere else."""
    name = filename.replace("\\", "/").rpartition("/")[2].strip()
    return name if name.strip(".") else "attachment"


def _media_type(attachment: Attachment, where: str) -> tuple[str, str, str | None]:
    """Type, subtype and charset. Messages and multiparts would be taken apart on their way, so they travel as plain bytes."""
    declared = attachment.content_type or mimetypes.guess_type(attachment.filename)[0] or _OPAQUE
    match = _MEDIA_TYPE.fullmatch(_header(f"{where}.contentType", declared).strip())
    if match is None:
        raise PermanentError(f"{where}.contentType is not a MIME type such as image/png")
    maintype, subtype = match[1].lower(), match[2].lower()
    if maintype in {"message", "multipart"}:
        maintype, subtype = _OPAQUE.split("/")
    charset = _CHARSET.match(match[3] or "")
    return maintype, subtype, charset[1] if charset else None


def _header(what: str, value: str) -> str:
    if _CONTROL.search(value):
        raise PermanentError(f"{what} contains a line break or control character")
    return value
