"""The folder that stands for SES when things are tried out."""

from __future__ import annotations

from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from kayan_workers import mailer
from kayan_workers.errors import PermanentError, TemporaryError
from kayan_workers.mail.message import Attachment, Mail, compose, message_id
from kayan_workers.mailer import OutboxMailer

SENDER = Address("Kayan Live", addr_spec="noreply@kayanlive.com")
ADA = Address("", addr_spec="ada@example.com")


def a_message(subject: str, number: int = 1, content: bytes = b"") -> EmailMessage:
    mail = Mail(subject=subject, text="Hello", attachments=(Attachment(filename="x", content=content),) if content else ())
    return compose(mail, sender=SENDER, recipients=[ADA], message_id=message_id("kayanlive.com", number))


def test_a_mail_is_a_file_that_a_mail_program_opens(tmp_path: Path) -> None:
    outbox = OutboxMailer(tmp_path / "new" / "outbox", sender=SENDER)

    receiver_id = outbox.send(a_message("Welcome to Kayan Live – سارة"), ["ada@example.com"])

    (file,) = outbox.folder.iterdir()
    assert file.name == f"welcome-to-kayan-live-{receiver_id}.eml"
    message = message_from_bytes(file.read_bytes(), policy=default)
    assert message["Subject"] == "Welcome to Kayan Live – سارة"
    assert message["X-Destinations"] == "ada@example.com"


def test_a_subject_cannot_choose_where_the_file_goes(tmp_path: Path) -> None:
    outbox = OutboxMailer(tmp_path / "outbox", sender=SENDER)

    for number, subject in enumerate(["../../etc/passwd", "/abs", "..", "", "س", "a" * 300]):
        outbox.send(a_message(subject, number), ["ada@example.com"])

    assert len(list(outbox.folder.iterdir())) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["outbox"]


def test_the_same_mail_handed_over_twice_is_one_file_and_no_half_file_stays(tmp_path: Path) -> None:
    outbox = OutboxMailer(tmp_path, sender=SENDER)

    for _ in range(2):
        outbox.send(a_message("Hi"), ["ada@example.com"])

    assert [path.suffix for path in tmp_path.iterdir()] == [".eml"]


def test_a_folder_that_cannot_be_written_may_heal(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(TemporaryError, match="cannot be written"):
        OutboxMailer(tmp_path / "file", sender=SENDER).send(a_message("Hi"), ["ada@example.com"])


def test_a_mail_that_ses_would_never_take_is_refused_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailer, "MAX_MESSAGE_BYTES", 1024 * 1024)

    with pytest.raises(PermanentError, match=r"the mail is 1\.4 MB with its attachments, and SES takes at most 1 MB: send a link instead"):
        OutboxMailer(tmp_path, sender=SENDER).send(a_message("Hi", content=b"x" * 1024 * 1024), ["ada@example.com"])

    assert not list(tmp_path.iterdir())
