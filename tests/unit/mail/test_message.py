"""The message itself, read back with the standard library: what a recipient sees, and what stands on the wire."""

from __future__ import annotations

from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.errors import PermanentError
from kayan_workers.mail.message import Attachment, Mail, compose, message_id

SENDER = Address("Kayan Live", addr_spec="noreply@kayanlive.com")
ADA = Address("", addr_spec="ada@example.com")
UNBROKEN = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300)


def received(mail: Mail, sender: Address = SENDER, recipient: Address = ADA) -> EmailMessage:
    """The mail as a recipient's program reads it from the wire."""
    return message_from_bytes(wire(mail, sender, recipient), policy=default)


def wire(mail: Mail, sender: Address = SENDER, recipient: Address = ADA) -> bytes:
    return compose(mail, sender=sender, recipients=[recipient], message_id="<1@kayanlive.com>").as_bytes()


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return cast("str", part.get_content()).rstrip("\r\n")


def test_text_comes_first_and_html_is_its_alternative() -> None:
    message = received(Mail(subject="Grüße", text="Hallo مرحبا", html="<p>Hallo مرحبا</p>"))

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content_charset() for part in message.iter_parts()] == ["utf-8", "utf-8"]
    assert body(message, "plain") == "Hallo مرحبا"
    assert body(message, "html") == "<p>Hallo مرحبا</p>"


def test_headers_say_who_to_whom_what_and_when() -> None:
    message = received(Mail(subject="New Task: “Bühne” 🎪", text="x"))

    assert message["From"] == "Kayan Live <noreply@kayanlive.com>"
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "New Task: “Bühne” 🎪"
    assert message["Message-ID"] == message["X-Kayan-Message-ID"] == "<1@kayanlive.com>"
    assert message["Date"].datetime is not None
    assert message["MIME-Version"] == "1.0"


def test_attachments_surround_the_two_bodies() -> None:
    message = received(Mail(subject="s", text="t", html="<p>h</p>", attachments=(Attachment(filename="a.txt", content="hi"),)))

    assert message.get_content_type() == "multipart/mixed"
    assert [part.get_content_type() for part in message.iter_parts()] == ["multipart/alternative", "text/plain"]


def test_only_html_is_a_mail_of_html_and_nothing_is_an_empty_text() -> None:
    assert received(Mail(subject="s", html="<p>h</p>")).get_content_type() == "text/html"
    empty = received(Mail(subject="s"))
    assert (empty.get_content_type(), body(empty, "plain")) == ("text/plain", "")


def test_a_text_attachment_arrives_as_it_stood_in_utf_8() -> None:
    content = "a;b\r\n١;ü\nlast, not base64: aGk="
    (part,) = received(Mail(subject="s", text="t", attachments=(Attachment(filename="leads.csv", content=content),))).iter_attachments()

    assert part.get_payload(decode=True) == content.encode()
    assert (part.get_content_type(), part.get_content_charset(), part.get_filename()) == ("text/csv", "utf-8", "leads.csv")
    assert part.get_content_disposition() == "attachment"


@given(st.binary(max_size=2000))
def test_bytes_arrive_unchanged(content: bytes) -> None:
    attachment = Attachment(filename="x.bin", content=content, content_type="text/plain")
    (part,) = received(Mail(subject="s", text="t", attachments=(attachment,))).iter_attachments()

    assert part.get_payload(decode=True) == content


@pytest.mark.parametrize(("filename", "declared", "expected"), [
    ("a.pdf", None, "application/pdf"), ("a.unheardof", None, "application/octet-stream"), ("a", "image/png", "image/png"),
    ("a.csv", "text/csv; charset=windows-1256", "text/csv"), ("a.eml", "message/rfc822", "application/octet-stream"),
    ("a.mht", "multipart/related", "application/octet-stream"), ("a.svg", "image/svg+xml", "image/svg+xml"),
    ("a.pdf", "", "application/pdf"),
])
def test_the_type_is_the_declared_one_or_that_of_the_name(filename: str, declared: str | None, expected: str) -> None:
    attachment = Attachment(filename=filename, content=b"x", content_type=declared)
    (part,) = received(Mail(subject="s", text="t", attachments=(attachment,))).iter_attachments()

    assert part.get_content_type() == expected


def test_bytes_of_a_declared_charset_keep_it() -> None:
    attachment = Attachment(filename="a.csv", content="سارة".encode("windows-1256"), content_type='text/csv; charset="windows-1256"')
    (part,) = received(Mail(subject="s", text="t", attachments=(attachment,))).iter_attachments()

    assert part.get_content() == "سارة"


def test_file_names_in_any_script_arrive() -> None:
    names = ["عرض المشروع.pdf", "Größe; \"final\".pdf", "a" * 200 + ".pdf", "📦.pdf"]
    message = received(Mail(subject="s", text="t", attachments=tuple(Attachment(filename=name, content=b"x") for name in names)))

    assert [part.get_filename() for part in message.iter_attachments()] == names


@given(subject=UNBROKEN, name=UNBROKEN)
def test_any_subject_and_name_arrive_and_the_wire_is_ascii_with_short_lines(subject: str, name: str) -> None:
    """White space at a fold may come back as one blank more or less; no letter may be lost, and no header gained."""
    data = wire(Mail(subject=subject, text="t"), sender=Address(name, addr_spec="noreply@kayanlive.com"))
    message = message_from_bytes(data, policy=default)

    assert "".join(message["Subject"].split()) == "".join(subject.split())
    (sender,) = message["From"].addresses
    assert sender.addr_spec == "noreply@kayanlive.com"
    assert "".join(sender.display_name.split()) == "".join(name.split())
    assert data.isascii()
    assert max(map(len, data.split(b"\r\n"))) <= 998
    assert set(message.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "X-Kayan-Message-ID", "MIME-Version", "Content-Type",
                                   "Content-Transfer-Encoding"}


@pytest.mark.parametrize("mark", ["\r\nBcc: eve@evil.example", "\nBcc: eve@evil.example", "\r", "\0", "\x0b", "\x85", "\u2028", "\ud800"])
def test_a_line_break_in_a_header_is_refused(mark: str) -> None:
    with pytest.raises(PermanentError, match="the subject contains a line break or control character"):
        wire(Mail(subject=f"Hi{mark}", text="t"))
    with pytest.raises(PermanentError, match=r"attachments\[1\]\.filename contains a line break"):
        wire(Mail(subject="s", attachments=(Attachment(filename="a", content="x"), Attachment(filename=f"b{mark}", content="x"))))
    with pytest.raises(PermanentError, match=r"attachments\[0\]\.contentType"):
        wire(Mail(subject="s", attachments=(Attachment(filename="a", content="x", content_type=f"text/plain{mark}"),)))


@pytest.mark.parametrize("wrong", ["text", "text/", "/plain", "text/pl ain", "text plain", "text/plain\tx"])
def test_a_type_that_is_none_is_refused_by_its_index(wrong: str) -> None:
    with pytest.raises(PermanentError, match=r"attachments\[0\]\.contentType is not a MIME type"):
        wire(Mail(subject="s", attachments=(Attachment(filename="a", content="x", content_type=wrong),)))


def test_half_a_character_is_refused_and_not_quoted() -> None:
    for broken in (Mail(subject="s", text="\ud800"), Mail(subject="s", html="\udfff"),
                   Mail(subject="s", attachments=(Attachment(filename="a", content="\ud800"),))):
        with pytest.raises(PermanentError, match="not valid Unicode"):
            wire(broken)


def test_a_message_id_is_the_same_for_the_same_parts_and_another_for_others() -> None:
    parts = ("email", "17", 1_795_431_282_192, "ada@example.com")

    assert message_id("kayanlive.com", *parts) == message_id("kayanlive.com", *parts)
    others = [parts[:3], ("email1", "7", *parts[2:]), ("email", "18", *parts[2:])]
    assert len({message_id("kayanlive.com", *some) for some in [parts, *others]}) == 4
    assert message_id("kayanlive.com", *parts).endswith("@kayanlive.com>")
