"""The email queue end to end: a job's JSON in, real boto3 and real PostgreSQL between, and what stands in a recipient's mailbox."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from html import unescape
from pathlib import Path
from typing import Any

import psycopg
import pytest
import ses_server
from app import owner_of
from doubles import FakeJob
from kayan_workers import deliveries
from kayan_workers.binding import Processors
from kayan_workers.edges import Edges
from kayan_workers.errors import NotNowError, PermanentError, TemporaryError
from kayan_workers.mail.samples import SAMPLE_VARIABLES
from kayan_workers.processors import email
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings
from kayan_workers.suppression import asking
from ses_server import THROTTLED, USED_UP, Refusal, SesServer
from waiting import wait_until

EMAIL = next(role for role in ROLES if role.name == "email")
WELCOME: dict[str, Any] = {"to": "ada@example.com", "subject": "ignored", "template": "welcome", "data": SAMPLE_VARIABLES["welcome"]}
PLAIN: dict[str, Any] = {"to": "ada@example.com", "subject": "Hello", "template": "", "data": {"html": "<p>Hi</p>", "text": "Hi"}}

AWAY = Refusal("ServiceUnavailable", "Try later", 503)

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"

Send = Callable[["EmailJob"], Any]


@pytest.fixture
def rights() -> str:
    return "email"


@dataclass
class EmailJob(FakeJob):
    queue: str = "email"
    raw_data: bytes = b"{}"


def a_job(payload: dict[str, Any], **fields: Any) -> EmailJob:
    return EmailJob(raw_data=json.dumps(payload).encode(), **fields)


def again(job: EmailJob) -> EmailJob:
    """The same job as the next worker gets it."""
    return EmailJob(id=job.id, timestamp_ms=job.timestamp_ms, raw_data=job.raw_data, attempt=job.attempt + 1)


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with ses_server.running() as server:
        yield server


@pytest.fixture
def environment(ses: SesServer, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of an email worker. boto3 reads some of them by itself."""
    variables = {
        "REDIS_URL": redis_url,
        "AWS_ENDPOINT_URL_SES": ses.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SES_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "DATABASE_URL": database_url,
        "EMAIL_FROM": "noreply@kayanlive.example",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables


@pytest.fixture
def edges(environment: dict[str, str]) -> Iterator[Edges]:
    edges = Edges(Settings.from_environment(environment, [EMAIL]), slots=10)
    yield edges
    edges.close()


@pytest.fixture
def send(edges: Edges) -> Send:
    """What the consumer calls with a running job."""
    return Processors([EMAIL], edges).handler(EMAIL)


@pytest.fixture
def send_without_database(ses: SesServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Send]:
    """For jobs that must fail before anything is written down or sent: a database that is asked would say so."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SES", ses.url)
    edges = Edges(Settings.from_environment({"DATABASE_URL": NO_DATABASE}, [EMAIL]))
    yield Processors([EMAIL], edges).handler(EMAIL)
    edges.close()


def rows(edges: Edges) -> list[dict[str, Any]]:
    with edges.database.transaction() as connection:
        cursor = connection.execute("SELECT * FROM kayan_workers.mails ORDER BY recorded_at")
        return [dict(zip([column.name for column in cursor.description or ()], row, strict=True)) for row in cursor]


def body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


# -- what a recipient sees --------------------------------------------------------------------------------------------------------


def test_a_template_mail_arrives_with_the_templates_subject_and_both_bodies(send: Send, ses: SesServer) -> None:
    assert send(a_job(WELCOME)) is None

    (mail,) = ses.accepted
    assert (mail.source, mail.destinations) == ("noreply@kayanlive.example", ["ada@example.com"])
    assert mail.message["From"] == "Kayan Live <noreply@kayanlive.example>"
    assert mail.message["To"] == "ada@example.com"
    assert mail.message["Subject"] == "Welcome to Kayan Live - Sara Al-Harbi"
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert "Hi Sara Al-Harbi," in body(mail.message, "plain")
    assert "Hi <bdi>Sara Al-Harbi</bdi>," in body(mail.message, "html")


def test_every_template_goes_through(send: Send, ses: SesServer) -> None:
    for name, variables in SAMPLE_VARIABLES.items():
        send(a_job({"to": ["ada@example.com"], "subject": "", "template": name, "data": variables}))

    assert len({mail.message["Subject"] for mail in ses.accepted}) == 14


@pytest.mark.parametrize("template", [{"template": ""}, {"template": None}, {}])
def test_without_a_template_the_job_speaks_for_itself(template: dict[str, Any], send: Send, ses: SesServer) -> None:
    payload = {"to": "ada@example.com", "subject": "مرحبا", "data": {"html": "<b>Hi & bye</b>", "text": "Hi & bye"}} | template
    send(a_job(payload))

    message = ses.accepted[0].message
    assert message["Subject"] == "مرحبا"
    assert body(message, "html").strip() == "<b>Hi & bye</b>"
    assert body(message, "plain").strip() == "Hi & bye"


def test_the_lead_follow_up_mail_is_sent_although_its_template_does_not_exist(send: Send, ses: SesServer) -> None:
    """Defect 46: the only mail the web app queues named a template nobody had, and failed every time."""
    words = "Hi Sara,\n\nGreat meeting you & the team.\nWrite to Omar <omar@kayanlive.com>\n\nMona"
    payload = {"to": "lead@example.com", "subject": "Great meeting you at LEAP!", "template": "follow-up-email",
               "data": {"html": words, "text": words}}
    send(a_job(payload))

    (mail,) = ses.accepted
    assert mail.message["Subject"] == "Great meeting you at LEAP!"
    assert body(mail.message, "plain").replace("\r\n", "\n").strip() == words
    html = body(mail.message, "html").replace("\r\n", "\n").strip()
    assert html == (
        "Hi Sara,<br>\n<br>\nGreat meeting you &amp; the team.<br>\nWrite to Omar &lt;omar@kayanlive.com&gt;<br>\n<br>\nMona"
    ), "every word and line break shows, although it is plain text called HTML"


@pytest.mark.parametrize("words", ['<img src="https://x.example/seen.gif">', "<a href='javascript:alert(1)'>Your booth</a>", "<p>Hi</p>"])
def test_what_is_a_mails_text_as_well_as_its_html_is_never_taken_for_html(words: str, send: Send, ses: SesServer) -> None:
    send(a_job(PLAIN | {"data": {"html": words, "text": words}}))

    message = ses.accepted[0].message
    assert body(message, "plain").strip() == words
    assert "<" not in body(message, "html")
    assert unescape(body(message, "html")).strip() == words


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\v"])
def test_a_line_break_in_a_variable_costs_neither_the_mail_nor_its_headers(end: str, send: Send, ses: SesServer) -> None:
    name = f"Jo{end}Bcc: eve@example.com{end}"
    send(a_job(WELCOME | {"data": {"userName": name, "dashboardUrl": "https://x.example/"}}))

    (mail,) = ses.accepted
    assert mail.message["Subject"] == "Welcome to Kayan Live - Jo Bcc: eve@example.com"
    assert mail.message["Bcc"] is None
    assert mail.destinations == ["ada@example.com"]


@pytest.mark.parametrize("subject", [None, "", "  "])
def test_a_mail_without_a_subject_goes_out_and_says_so(subject: str | None, send: Send, ses: SesServer) -> None:
    send(a_job({"to": "ada@example.com", "subject": subject, "data": {"text": "Hi"}}))

    assert ses.accepted[0].message["Subject"] == "(no subject)"


@pytest.mark.parametrize(
    ("named", "sent"),
    [("../../x.pdf", "x.pdf"), ("C:\\plans\\stage.pdf", "stage.pdf"), ("a/..", "attachment"), ("", "attachment"), ("a..b.png", "a..b.png")],
)
def test_an_attachment_is_saved_nowhere_but_where_its_reader_saves_it(named: str, sent: str, send: Send, ses: SesServer) -> None:
    send(a_job(WELCOME | {"attachments": [{"filename": named, "content": "x"}]}))

    [attachment] = ses.accepted[0].message.iter_attachments()
    assert attachment.get_filename() == sent


def test_html_with_tags_of_its_own_is_left_alone(send: Send, ses: SesServer) -> None:
    send(a_job(PLAIN | {"data": {"html": "<p>One\ntwo</p>"}}))

    assert body(ses.accepted[0].message, "html").replace("\r\n", "\n").strip() == "<p>One\ntwo</p>"


def test_recipients_do_not_see_each_other(send: Send, ses: SesServer) -> None:
    """Defect 49: everyone stood in one To header."""
    everyone = ["ada@example.com", "Bob <bob@example.com>", "eve@example.com", "ADA@example.com"]
    send(a_job(WELCOME | {"to": everyone}))

    assert [mail.destinations for mail in ses.accepted] == [["ada@example.com"], ["bob@example.com"], ["eve@example.com"]]
    for mail in ses.accepted:
        assert sum(address.encode() in mail.raw for address in ("ada@example.com", "bob@example.com", "eve@example.com")) == 1
    assert ses.accepted[1].message["To"] == "Bob <bob@example.com>"
    assert len({mail.message["Message-ID"] for mail in ses.accepted}) == 3


def test_a_buffer_that_went_through_redis_arrives_as_its_bytes(send: Send, ses: SesServer) -> None:
    """Defect 48: nodemailer refused them all."""
    content = bytes(range(256)) * 3
    attachments = [
        {"filename": "عرض.pdf", "content": {"type": "Buffer", "data": list(content)}, "contentType": "application/pdf"},
        {"filename": "note.txt", "content": "aGVsbG8= – not base64"},
        {"filename": "empty.bin", "content": {"type": "Buffer", "data": []}},
    ]
    send(a_job(WELCOME | {"attachments": attachments}))

    parts = list(ses.accepted[0].message.iter_attachments())
    assert [part.get_filename() for part in parts] == ["عرض.pdf", "note.txt", "empty.bin"]
    assert [part.get_payload(decode=True) for part in parts] == [content, "aGVsbG8= – not base64".encode(), b""]
    assert [part.get_content_type() for part in parts] == ["application/pdf", "text/plain", "application/octet-stream"]


# -- what is refused, before anything is sent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "said"), [
    ({"to": None}, "no recipient"),
    ({"to": ""}, "no recipient"),
    ({"to": []}, "no recipient"),
    ({"to": 7}, r"\$\.to"),
    ({"to": ["ada@example.com", None]}, r"\$\.to\[1\]"),
    ({"to": ["ada@example.com", "nobody"]}, r"recipient 2 of 2 \(`to`\) is not an e-mail address"),
    ({"to": "ada@example.com\nBcc: eve@example.com"}, "line break"),
    ({"template": "no-such"}, "template: unknown; known are asset-shared, "),
    ({"template": "constructor"}, "template: unknown"),
    ({"template": "../mail"}, "template: unknown"),
    ({"template": 5}, r"\$\.template"),
    ({"data": None}, "variables are missing: userName, dashboardUrl"),
    ({"data": {"userName": "Jo"}}, "variables are missing: dashboardUrl"),
    ({"data": "text"}, r"\$\.data"),
    ({"data": {"userName": "Jo\0Bcc: eve@example.com", "dashboardUrl": "https://x.example/"}}, "the subject contains .* control character"),
    ({"attachments": {"filename": "x"}}, r"\$\.attachments"),
    ({"attachments": [{"filename": "x"}]}, r"\$\.attachments\[0\]: .*content"),
    ({"attachments": [{"content": "x"}]}, r"\$\.attachments\[0\]: .*filename"),
    ({"attachments": [{"filename": "a", "content": "x"}, {"filename": "b", "content": 5}]}, r"\$\.attachments\[1\]\.content"),
    ({"attachments": [{"filename": "a", "content": {"type": "Buffer", "data": [1, 256]}}]}, r"\$\.attachments\[0\]\.content\.data\[1\]"),
    ({"attachments": [{"filename": "a", "content": {"type": "Buffer", "data": "aGk="}}]}, r"\$\.attachments\[0\]\.content\.data"),
    ({"attachments": [{"filename": "a\r\nX: y", "content": "x"}]}, r"attachments\[0\]\.filename contains a line break"),
    ({"template": "", "subject": "Hi\r\nBcc: eve@example.com", "data": {"text": "Hi"}}, "the subject contains a line break"),
    ({"template": "", "data": None}, "data: has neither html nor text"),
    ({"template": None, "data": {"html": "", "text": None}}, "data: has neither html nor text"),
])
def test_a_job_that_can_never_be_mailed_fails_for_good_and_says_why(
    change: dict[str, Any], said: str, send_without_database: Send, ses: SesServer
) -> None:
    with pytest.raises(PermanentError, match=said) as caught:
        send_without_database(a_job(WELCOME | change))

    assert ses.requests == 0
    assert "eve@example.com" not in str(caught.value)


@pytest.mark.parametrize("source", ["path", "href", "raw"])
def test_an_attachment_is_never_fetched_from_the_workers_disk_or_network(source: str, send_without_database: Send, ses: SesServer) -> None:
    """Defect 8: with nodemailer, ``path`` mailed any file of the worker to whoever the job named."""
    for attachment in ({"filename": "a", source: "/etc/passwd"}, {"filename": "a", "content": "x", source: "/etc/passwd"},
                       {"filename": "a", "content": {source: "/etc/passwd"}}):
        with pytest.raises(PermanentError, match=r"\$\.attachments\[0\].*: .*never reads a file .*queue the file's bytes as `content`"):
            send_without_database(a_job(WELCOME | {"attachments": [attachment]}))

    assert ses.requests == 0


@pytest.mark.parametrize("template", ["", "follow-up-email"])
@pytest.mark.parametrize("field", ["html", "text"])
def test_a_body_is_never_read_from_a_file_or_an_address(field: str, template: str, send_without_database: Send, ses: SesServer) -> None:
    """Defect 8: ``{"path": …}`` as HTML made nodemailer read the file."""
    for source in ({"path": "/etc/passwd"}, {"href": "http://169.254.169.254/"}, ["x"], 5, True):
        with pytest.raises(PermanentError, match=f"data.{field} must be text"):
            send_without_database(a_job(PLAIN | {"template": template, "data": {"html": "x", "text": "x"} | {field: source}}))

    assert ses.requests == 0


# -- once, and only once ----------------------------------------------------------------------------------------------------------


def test_a_job_that_runs_twice_mails_once(send: Send, ses: SesServer, edges: Edges) -> None:
    job = a_job(WELCOME | {"to": ["ada@example.com", "bob@example.com"]})
    for _ in range(3):
        send(job)
        job = again(job)

    assert [len(ses.to("ada@example.com")), len(ses.to("bob@example.com")), ses.requests] == [1, 1, 2]
    assert [row["receiver_id"] for row in rows(edges)] == [mail.id for mail in ses.accepted]
    assert [row["message_id"] for row in rows(edges)] == [mail.message["X-Kayan-Message-ID"] for mail in ses.accepted]


def test_the_list_of_mails_holds_no_address(send: Send, edges: Edges) -> None:
    send(a_job(WELCOME))

    (row,) = rows(edges)
    assert "ada" not in str(row)


def test_a_job_number_used_again_after_redis_was_emptied_is_another_job(send: Send, ses: SesServer) -> None:
    send(a_job(WELCOME, id="1", timestamp_ms=1))
    send(a_job(WELCOME, id="1", timestamp_ms=2))

    assert len(ses.accepted) == 2


def test_a_throttled_mail_waits_in_its_job_and_goes_out_once(send: Send, ses: SesServer, edges: Edges) -> None:
    ses.refusals.extend([THROTTLED, THROTTLED])
    job = a_job(WELCOME)

    send(job)
    send(again(job))

    assert (len(ses.accepted), ses.requests) == (1, 3)
    assert [row["maybe_twice"] for row in rows(edges)] == [False]


def test_the_next_try_goes_on_where_the_last_one_stopped(send: Send, ses: SesServer) -> None:
    everyone = [f"r{number}@example.com" for number in range(4)]
    job = a_job(WELCOME | {"to": everyone})
    ses.on_accept = lambda mail: ses.refusals.append(AWAY) if len(ses.accepted) == 2 else None

    with pytest.raises(TemporaryError):
        send(job)
    assert [mail.destinations[0] for mail in ses.accepted] == everyone[:2]
    send(again(job))

    assert [mail.destinations[0] for mail in ses.accepted] == everyone


def test_a_job_with_many_recipients_takes_several_turns_and_loses_no_attempt(
    send: Send, ses: SesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email, "PATIENCE_SECONDS", 0)
    ses.refused_addresses["r0@example.com"] = Refusal("MessageRejected", "no")
    everyone = [f"r{number}@example.com" for number in range(4)]
    job = a_job(WELCOME | {"to": everyone})

    for have_it in (1, 2):
        with pytest.raises(NotNowError, match=f"{have_it} of 4 recipients have their mail, the others follow"):
            send(again(job))
    with pytest.raises(PermanentError, match="recipient 1 of 4: SES refuses the mail"):
        send(again(job))

    assert [mail.destinations[0] for mail in ses.accepted] == everyone[1:]


def test_after_a_lost_answer_the_mail_goes_out_again_under_the_same_id(send: Send, ses: SesServer, edges: Edges) -> None:
    """SES took it, nobody heard: the one case in which a second copy may exist, and it can be told."""
    ses.drop_answers = 1
    job = a_job(WELCOME)

    with pytest.raises(TemporaryError, match="may or may not be on its way"):
        send(job)
    assert ses.requests == 1, "boto3 does not send it again by itself"
    second = again(job)
    send(second)

    first_copy, second_copy = ses.accepted
    assert first_copy.message["X-Kayan-Message-ID"] == second_copy.message["X-Kayan-Message-ID"] == first_copy.message["Message-ID"]
    assert [row["maybe_twice"] for row in rows(edges)] == [True]
    assert "may have handed this mail over" in second.rows[0]


def test_two_runs_of_one_job_at_the_same_time_mail_once(send: Send, ses: SesServer) -> None:
    """The first is held inside SES until the others have long asked."""
    others_have_asked = threading.Event()
    ses.on_accept = lambda mail: others_have_asked.wait(5)
    job = a_job(WELCOME)

    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(send, again(job)) for _ in range(4)]
        time.sleep(0.3)
        others_have_asked.set()
        for run in runs:
            run.result(timeout=30)

    assert len(ses.accepted) == 1


WORKER = """
import json, os, signal, sys
from test_email import EMAIL, a_job
from kayan_workers import deliveries, mailer
from kayan_workers.binding import Processors
from kayan_workers.edges import Edges
from kayan_workers.settings import Settings

deliveries.CLAIM_SECONDS = 2
if sys.argv[2] == "before handing over":
    mailer.SesMailer.send = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "after recording":
    record = deliveries.record
    deliveries.record = lambda *arguments: (record(*arguments), os.kill(os.getpid(), signal.SIGKILL))
Processors([EMAIL], Edges(Settings.from_environment(os.environ, [EMAIL]))).handler(EMAIL)(a_job(json.loads(sys.argv[1]), id="killed"))
"""


@pytest.mark.parametrize(("moment", "copies", "maybe_twice"), [
    ("before handing over", 1, True), ("before the answer", 2, True), ("after recording", 1, False),
])
def test_a_worker_that_is_killed_leaves_a_mail_that_the_next_one_settles(
    moment: str, copies: int, maybe_twice: bool, send: Send, ses: SesServer, edges: Edges
) -> None:
    """Only between SES taking the mail and our recording it does a second copy go out: with the same id, and marked."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    worker = subprocess.Popen([sys.executable, "-c", WORKER, json.dumps(WELCOME), moment], env={**os.environ, "PYTHONPATH": path})

    def kill(mail: object) -> None:
        worker.kill()
        worker.wait()

    if moment == "before the answer":
        ses.on_accept = kill

    assert worker.wait(30) == -signal.SIGKILL
    job = a_job(WELCOME, id="killed")
    send(job)
    send(again(job))

    assert len(ses.accepted) == copies
    assert len({mail.message["X-Kayan-Message-ID"] for mail in ses.accepted}) == 1
    assert [(row["maybe_twice"], row["sent_at"] is not None) for row in rows(edges)] == [(maybe_twice, True)]


def test_a_job_that_is_interrupted_while_ses_takes_its_mail_still_writes_it_down(send: Send, ses: SesServer, edges: Edges) -> None:
    """Its time is up, or its worker stops: the mail is out, and nobody may send it again."""
    job = a_job(WELCOME)

    def run() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            send(job)

    thread = threading.Thread(target=run)

    def interrupt(mail: object) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt))
        time.sleep(0.1)

    ses.on_accept = interrupt
    thread.start()
    thread.join(30)
    send(again(job))

    assert len(ses.accepted) == 1
    assert [(row["maybe_twice"], row["sent_at"] is not None) for row in rows(edges)] == [(False, True)]


def test_whoever_knows_an_address_finds_its_mail_in_the_record_however_the_job_spells_it(send: Send, edges: Edges) -> None:
    send(a_job(PLAIN | {"to": "Ada <ADA@Example.com>"}, id="1"))
    send(a_job(PLAIN | {"to": ["omar@example.com", "Ada@example.com"], "visibleRecipients": True}, id="2"))

    together = ["ada@example.com", "omar@example.com"]
    assert [row["recipient"] for row in rows(edges)] == [deliveries.digest_of(["ada@example.com"]), deliveries.digest_of(together)]


def test_recipients_see_each_other_when_the_job_says_so_and_it_is_one_mail(send: Send, ses: SesServer, edges: Edges) -> None:
    everyone = ["ada@example.com", "Bob <bob@example.com>", "eve@example.com", "ADA@example.com"]
    job = a_job(WELCOME | {"to": everyone, "visibleRecipients": True})
    send(job)
    send(a_job(WELCOME | {"to": everyone[::-1], "visibleRecipients": True}, id=job.id))

    (mail,) = ses.accepted
    assert mail.destinations == ["ada@example.com", "bob@example.com", "eve@example.com"]
    assert mail.message["To"] == "ada@example.com, Bob <bob@example.com>, eve@example.com"
    assert len(rows(edges)) == 1, "recorded as one, whatever order its recipients come in"


@pytest.mark.parametrize("visible", [None, False])
def test_recipients_see_each_other_only_when_the_job_says_so(visible: bool | None, send: Send, ses: SesServer) -> None:
    send(a_job(WELCOME | {"to": ["ada@example.com", "bob@example.com"], "visibleRecipients": visible}))

    assert [mail.destinations for mail in ses.accepted] == [["ada@example.com"], ["bob@example.com"]]


def test_more_recipients_who_see_each_other_than_ses_takes_are_refused_before_anything_is_sent(
    send_without_database: Send, ses: SesServer
) -> None:
    with pytest.raises(PermanentError, match="names 51 recipients who see each other, and SES takes at most 50 in one mail"):
        send_without_database(a_job(WELCOME | {"to": [f"r{n}@example.com" for n in range(51)], "visibleRecipients": True}))

    assert ses.requests == 0


CUT_ALL_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_a_database_that_drops_its_connections_while_ses_takes_the_mail_causes_no_second_copy(
    send: Send, ses: SesServer, edges: Edges, database_url: str
) -> None:
    send(a_job(WELCOME))

    def cut(mail: object) -> None:
        with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
            connection.execute(CUT_ALL_OTHERS)

    ses.on_accept = cut
    job = a_job(WELCOME)
    send(job)
    send(again(job))

    assert len(ses.accepted) == 2
    assert all(row["sent_at"] for row in rows(edges))


def test_a_mail_that_cannot_be_recorded_beforehand_is_not_sent(environment: dict[str, str], ses: SesServer) -> None:
    unreachable = environment | {"DATABASE_URL": NO_DATABASE}
    edges = Edges(Settings.from_environment(unreachable, [EMAIL]))
    edges.database._wait_seconds = 0.5

    with pytest.raises(TemporaryError, match="database"):
        Processors([EMAIL], edges).handler(EMAIL)(a_job(WELCOME))

    assert ses.requests == 0
    edges.close()


def test_a_stopped_job_hands_nothing_over(send: Send, ses: SesServer) -> None:
    job = a_job(WELCOME)
    job.cancelled.set()

    with pytest.raises(TemporaryError, match="stopped"):
        send(job)

    assert ses.requests == 0


def test_a_job_stopped_while_it_waits_for_another_run_gives_up_at_once(edges: Edges) -> None:
    ours = deliveries.Delivery("email", "1", 1, "recipient", "<1@x>")
    deliveries.claim(edges.database, ours, threading.Event())
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()

    began = time.monotonic()
    with pytest.raises(TemporaryError, match="stopped while waiting"):
        deliveries.claim(edges.database, ours, stop)

    assert time.monotonic() - began < 10


def test_what_is_old_is_forgotten_in_batches(send: Send, edges: Edges) -> None:
    for number in range(3):
        send(a_job(WELCOME, id=f"old{number}"))
    later = datetime.now(UTC) + timedelta(days=1)

    with edges.database.transaction() as connection:
        assert deliveries.TABLE.trim(connection, datetime.now(UTC) - timedelta(days=1)) == 0
        assert [deliveries.TABLE.trim(connection, later, limit=2) for _ in range(3)] == [2, 1, 0]


def test_there_is_nothing_to_forget_before_the_first_mail(edges: Edges) -> None:
    with edges.database.transaction() as connection:
        assert deliveries.TABLE.trim(connection, datetime.now(UTC)) == 0


def test_workers_that_all_come_first_make_the_list_once(send: Send, ses: SesServer) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(send, [a_job(WELCOME) for _ in range(16)]))

    assert len(ses.accepted) == 16


# -- what SES may answer -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("refusal", "error", "said"), [
    (Refusal("MessageRejected", "Email address is not verified: ada@example.com"), PermanentError,
     "SES refuses the mail: MessageRejected: Email address is not verified: <address>"),
    (Refusal("MessageRejected", "Address is on the suppression list for your account"), PermanentError, "suppressed: SES refuses the mail"),
    (Refusal("MessageRejected", "Address blacklisted."), PermanentError, "suppressed"),
    (Refusal("MailFromDomainNotVerifiedException", "Domain is not verified"), TemporaryError,
     r"MailFromDomainNotVerifiedException \(400\): Domain is not verified; restore the MX record .* of kayanlive.example"),
    (Refusal("InvalidParameterValue", "Local address contains control or whitespace"), PermanentError, "InvalidParameterValue"),
    (USED_UP, NotNowError, "SES in eu-central-1 takes no more today: Daily message quota exceeded"),
    (AWAY, TemporaryError, r"cannot take the mail now: ServiceUnavailable \(503\)"),
    (Refusal("InternalFailure", "Oops", 500), TemporaryError, "InternalFailure"),
    (Refusal("AccountSendingPausedException", "Sending is paused for this account"), NotNowError,
     "SES in eu-central-1 has paused this account: Sending is paused"),
    (Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403), TemporaryError,
     "SES in eu-central-1 does not accept our credentials: InvalidClientTokenId: The .* is invalid; check AWS_ACCESS_KEY_ID and AWS_"),
    (Refusal("AccessDenied", "User arn:aws:iam::1:user/x is not authorized", 403), TemporaryError,
     "does not accept our credentials for mails: AccessDenied: .*; allow ses:SendRawEmail to the workers' role or user"),
])
def test_an_error_of_ses_is_temporary_or_permanent_by_what_can_heal(
    refusal: Refusal, error: type[Exception], said: str, send: Send, ses: SesServer
) -> None:
    ses.refusals.append(refusal)

    with pytest.raises(error, match=said) as caught:
        send(a_job(WELCOME))

    assert "ada@example.com" not in str(caught.value)
    assert ses.requests == 1


def test_ses_that_cannot_be_reached_is_temporary_and_nobody_suspects_a_second_copy(
    environment: dict[str, str], edges: Edges, ses: SesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SES", "http://127.0.0.1:1")

    with pytest.raises(TemporaryError, match="SES in eu-central-1 cannot be used"):
        Processors([EMAIL], edges).handler(EMAIL)(a_job(WELCOME))

    assert [row["maybe_twice"] for row in rows(edges)] == [False]


def test_missing_credentials_are_temporary_and_said_so(edges: Edges, ses: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")

    with pytest.raises(TemporaryError, match="Unable to locate credentials"):
        Processors([EMAIL], edges).handler(EMAIL)(a_job(WELCOME))

    assert ses.requests == 0


def test_one_refused_recipient_does_not_keep_the_mail_from_the_others(send: Send, ses: SesServer) -> None:
    ses.refused_addresses["bob@example.com"] = Refusal("MessageRejected", "bob@example.com is on the suppression list")
    job = a_job(WELCOME | {"to": ["ada@example.com", "bob@example.com", "eve@example.com"]})

    for run in (job, again(job)):
        with pytest.raises(PermanentError) as caught:
            send(run)

    assert str(caught.value) == (
        "recipient 2 of 3: suppressed: SES refuses the mail: MessageRejected: <address> is on the suppression list"
    )
    assert [mail.destinations[0] for mail in ses.accepted] == ["ada@example.com", "eve@example.com"]


# -- the account's suppression list, which SES keeps to itself when it takes a mail ---------------------------------------------------


@pytest.fixture
def send_as(environment: dict[str, str]) -> Iterator[Callable[..., Send]]:
    """A worker with further variables."""
    with contextlib.ExitStack() as stack:

        def started(**variables: str) -> Send:
            edges = stack.enter_context(contextlib.closing(Edges(Settings.from_environment(environment | variables, [EMAIL]), slots=10)))
            return Processors([EMAIL], edges).handler(EMAIL)

        yield started


def told(log: pytest.LogCaptureFixture) -> list[str]:
    """What the worker's log says of the suppression list."""
    return [record.getMessage() for record in log.records if "whom it suppresses" in record.getMessage()]


def test_bounced_and_suppressed_addresses_fail_with_that_word_and_the_others_have_their_mail(send: Send, ses: SesServer) -> None:
    ses.suppressed = {"bob@example.com": "BOUNCE", "eve@example.com": "COMPLAINT"}
    job = a_job(WELCOME | {"to": ["ada@example.com", "Bob@example.com", "eve@example.com"]})

    for run in (job, again(job)):
        with pytest.raises(PermanentError, match=r"^recipient 2 of 3: bounced: .*; recipient 3 of 3: suppressed: .*complained") as caught:
            send(run)

    assert "example.com" not in str(caught.value)
    assert [mail.destinations for mail in ses.accepted] == [["ada@example.com"]]
    assert ses.lookups == 3, "an answer is kept for a while"


def test_one_mail_to_several_is_not_sent_when_one_of_them_has_bounced(send: Send, ses: SesServer) -> None:
    ses.suppressed = {"bob@example.com": "BOUNCE"}

    with pytest.raises(PermanentError, match=r"^bounced: .* \(recipient 2 of 2\)$"):
        send(a_job(WELCOME | {"to": ["ada@example.com", "bob@example.com"], "visibleRecipients": True}))
    assert ses.accepted == []


@pytest.mark.parametrize("refusal", [
    Refusal("TooManyRequestsException", "Too many requests", 429), Refusal("AccessDeniedException", "not authorized", 403),
    Refusal("InternalFailure", "Oops", 500), Refusal("ExpiredTokenException", "expired", 403),
])
@pytest.mark.parametrize("mode", ["auto", "check"])
def test_a_mail_goes_out_when_ses_does_not_say_whom_it_suppresses(
    mode: str, refusal: Refusal, send_as: Callable[..., Send], ses: SesServer
) -> None:
    ses.lookup_refusal = refusal
    send_as(KAYAN_MAIL_SUPPRESSION=mode)(a_job(WELCOME | {"to": ["ada@example.com", "bob@example.com"]}))

    assert len(ses.accepted) == 2
    assert ses.lookups == 1, "and is not asked at once again"


@pytest.mark.parametrize(("refusal", "remedy"), [
    (Refusal("AccessDeniedException", "not authorized", 403),
     "AccessDeniedException; allow ses:GetSuppressedDestination and ses:ListSuppressedDestinations to the workers' role or user, or set"),
    (Refusal("UnknownOperationException", "", 404), "answers 404; set KAYAN_MAIL_SUPPRESSION=off, or AWS_ENDPOINT_URL_SESV2 to where"),
    (Refusal("", "<h1>Not Found</h1>", 404), "answers 404; set KAYAN_MAIL_SUPPRESSION=off"),
    (Refusal("", "no such service", 501), "answers 501; set KAYAN_MAIL_SUPPRESSION=off"),
    (Refusal("", "welcome", 200), "what answers there is not SES; set KAYAN_MAIL_SUPPRESSION=off"),
    (Refusal("", "[]", 404), "what answers there is not SES; set KAYAN_MAIL_SUPPRESSION=off"),
])
async def test_where_the_list_may_not_be_asked_or_is_none_that_is_said_once_and_hardly_asked_again(
    refusal: Refusal, remedy: str, send_as: Callable[..., Send], ses: SesServer, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(asking, "_LONG_PAUSE_SECONDS", 0.0)  # what is settled outlasts it
    ses.lookup_refusal = ses.page_refusal = refusal
    send = send_as()
    for _ in range(3):
        send(a_job(WELCOME))

    await wait_until(lambda: told(caplog))
    [line] = told(caplog)
    assert remedy in line
    assert (len(ses.accepted), ses.lookups) == (3, 1)

    monkeypatch.setattr(asking, "_SETTLED_SECONDS", 0.0)
    send_again = send_as()
    send_again(a_job(WELCOME))
    await wait_until(lambda: len(told(caplog)) == 2)
    for _ in range(2):
        send_again(a_job(WELCOME))
    assert ses.lookups == 4, "a permission counts without a restart"
    assert len(told(caplog)) == 2, "one line for each worker"


async def test_whoever_insists_on_the_list_is_told_each_time_that_it_does_not_answer(
    send_as: Callable[..., Send], ses: SesServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_LONG_PAUSE_SECONDS", 0.0)
    ses.lookup_refusal = Refusal("AccessDeniedException", "not authorized", 403)
    send = send_as(KAYAN_MAIL_SUPPRESSION="check")
    send(a_job(WELCOME))
    await wait_until(lambda: told(caplog))
    for _ in range(2):
        send(a_job(WELCOME))

    assert (len(told(caplog)), ses.lookups) == (3, 3)


def test_an_address_that_the_list_takes_for_none_does_not_keep_it_from_others(send: Send, ses: SesServer) -> None:
    ses.lookup_refusal = Refusal("BadRequestException", "Invalid email address", 400)
    send(a_job(WELCOME))
    ses.lookup_refusal, ses.suppressed = None, {"bob@example.com": "BOUNCE"}

    with pytest.raises(PermanentError, match=r"^bounced: "):
        send(a_job(WELCOME | {"to": "bob@example.com"}))


def test_nobody_is_asked_about_where_the_settings_say_so(send_as: Callable[..., Send], ses: SesServer) -> None:
    ses.suppressed = {"ada@example.com": "BOUNCE"}
    send_as(KAYAN_MAIL_SUPPRESSION="off")(a_job(WELCOME))

    assert (len(ses.accepted), ses.lookups) == (1, 0)


def mail_to(number: int) -> EmailJob:
    return a_job(WELCOME | {"to": f"r{number}@example.com"}, id=str(number))


def test_a_list_that_hangs_holds_up_one_mail_alone(send: Send, ses: SesServer, caplog: pytest.LogCaptureFixture) -> None:
    asked, until = [], threading.Event()

    def hang(address: str) -> None:
        asked.append(address)
        until.wait()

    ses.on_lookup = hang
    try:
        with ThreadPoolExecutor(10) as threads:
            list(threads.map(send, map(mail_to, range(20))))
    finally:
        until.set()

    assert len(ses.accepted) == 20
    assert [ses.accepted[-1].destinations] == [asked], "all the others have overtaken the one that was asked about"
    [line] = told(caplog)
    assert "ReadTimeoutError" in line
    assert "example.com" not in line, "whom it was asked about is nobody's business"


def test_a_list_that_answers_one_a_second_does_not_slow_down_what_ses_takes(send: Send, ses: SesServer) -> None:
    ses.quota, ses.lookups_per_second = ses_server.Quota(per_second=14), 1
    began = time.monotonic()
    with ThreadPoolExecutor(10) as threads:
        list(threads.map(send, map(mail_to, range(42))))

    assert len(ses.accepted) == 42
    assert time.monotonic() - began < 42 / 14 + 2, "three windows of 14, and what a busy machine takes"
    assert ses.lookups >= 2


# -- without SES --------------------------------------------------------------------------------------------------------------------


def test_an_outbox_takes_the_place_of_ses_when_it_is_named(environment: dict[str, str], ses: SesServer, tmp_path: Path) -> None:
    edges = Edges(Settings.from_environment(environment | {"KAYAN_MAIL": f"outbox:{tmp_path}/outbox"}, [EMAIL]))
    ses.suppressed = {"ada@example.com": "BOUNCE"}
    job = a_job(WELCOME)
    Processors([EMAIL], edges).handler(EMAIL)(job)
    Processors([EMAIL], edges).handler(EMAIL)(again(job))

    assert [path.suffix for path in (tmp_path / "outbox").iterdir()] == [".eml"]
    assert (ses.requests, ses.lookups) == (0, 0)
    edges.close()
