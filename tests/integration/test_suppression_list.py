"""SES's suppression list, known whole: each mail is checked, as many as may come at once."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.headerregistry import Address
from email.message import EmailMessage
from statistics import median
from typing import Any

import boto3
import pytest
import ses_server
from at_work import queue_at
from kayan import worker
from kayan_workers.errors import PermanentError
from kayan_workers.mail.samples import SAMPLE_VARIABLES
from kayan_workers.mailer import SesMailer
from kayan_workers.suppression import asking
from kayan_workers.suppression.reading import Policy
from kayan_workers.suppression.suppressed import SuppressionList
from ses_server import Refusal, SesServer
from waiting import wait_until

DENIED = Refusal("AccessDeniedException", "not authorized", 403)
NONE = "nobody@example.com"

Started = Callable[..., SuppressionList]


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[SesServer]:
    """Whoever asks may read the list."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with ses_server.running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SES", server.url)
        server.page_refusal = None
        yield server


@pytest.fixture
def the_list(ses: SesServer) -> Iterator[Started]:
    """A worker's view of the list; it is read in no time, and not again unless the test says so."""
    with contextlib.ExitStack() as stack:

        def start(*, insists: bool = False, **changes: Any) -> SuppressionList:
            policy = Policy(**{"page_seconds": 0.0} | changes)
            found = SuppressionList(boto3.session.Session(), "eu-central-1", endpoint=ses.url, insists=insists, policy=policy)
            return stack.enter_context(contextlib.closing(found))

        yield start


async def is_read(suppressed: SuppressionList) -> None:
    """Ends when the list is known: nobody is asked about any more."""
    suppressed.why(NONE)
    await wait_until(lambda: suppressed.is_known, what="the whole list")


def told(log: pytest.LogCaptureFixture, level: int = logging.INFO) -> list[str]:
    return [each.getMessage() for each in log.records if each.name.startswith("kayan_workers.suppression") and each.levelno >= level]


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "suppression list"]


def a_mail(number: int) -> tuple[EmailMessage, list[str]]:
    mail = EmailMessage()
    mail["Subject"] = "Hello"
    mail.set_content("Hi")
    return mail, [f"r{number}@example.com"]


async def test_in_a_burst_every_suppressed_address_fails_and_no_other_mail_waits(ses: SesServer) -> None:
    """The list answers once a second, and throttles."""
    ses.lookups_per_second = 1
    ses.suppressed = {f"r{number}@example.com": "BOUNCE" for number in range(0, 300, 10)}
    ses.suppressed |= {f"gone{number}@example.com": "COMPLAINT" for number in range(2470)}
    lists = []

    def suppressed_of(session: Any) -> SuppressionList:
        lists.append(SuppressionList(session, "eu-central-1", endpoint=ses.url))
        return lists[-1]

    sender = SesMailer(sender=Address("", "noreply", "kayanlive.example"), region="eu-central-1", suppressed_of=suppressed_of)

    def send(number: int) -> tuple[int, str, float]:
        began = time.monotonic()
        try:
            sender.send(*a_mail(number))
        except PermanentError as error:
            return number, str(error), time.monotonic() - began
        return number, "", time.monotonic() - began

    with contextlib.closing(sender):
        send(1)
        await wait_until(lambda: lists[0].is_known, 30, what="the whole list")
        read, lookups = ses.pages, ses.lookups
        with ThreadPoolExecutor(10) as threads:
            sent = list(threads.map(send, range(2, 302)))

    refused = [number for number, error, _ in sent if error]
    assert refused == list(range(10, 300, 10))
    assert all(error.startswith("bounced: ") for _, error, _ in sent if error)
    assert len(ses.accepted) == 301 - len(refused)
    assert ses.lookups - lookups <= len(refused), "those that go out cost no question"
    assert median(seconds for _, error, seconds in sent if not error) < 0.25, "less than a mail waits for another's question"
    assert 3 <= read <= 6, "2,500 addresses, a thousand a page, and hardly asked faster than they come"


async def test_what_is_not_on_the_list_is_not_asked_about_once_the_list_is_known(the_list: Started, ses: SesServer) -> None:
    ses.suppressed = {"bob@example.com": "BOUNCE", "Eve@Example.com": "COMPLAINT"} | {f"r{n}@example.com": "BOUNCE" for n in range(50)}
    suppressed = the_list(page_size=20)
    await is_read(suppressed)
    lookups = ses.lookups
    ses.lookup_refusal = Refusal("TooManyRequestsException", "Too many requests", 429)

    assert suppressed.why("ada@example.com") is None
    assert ses.lookups == lookups
    assert (suppressed.why("BOB@example.com") or "").startswith("bounced: ")
    assert (suppressed.why("eve@example.com") or "").startswith("suppressed: the owner")


async def test_an_address_is_found_that_came_onto_the_list_after_it_was_read(the_list: Started, ses: SesServer) -> None:
    ses.suppressed = {f"r{number}@example.com": "BOUNCE" for number in range(50)}
    suppressed = the_list(page_size=10, added_seconds=0.05)
    await is_read(suppressed)
    assert suppressed.why("ada@example.com") is None

    sizes = ses.page_sizes
    first = len(sizes)
    ses.listed_at["ada@example.com"] = time.time() - 60  # SES's list lags behind, or our clock is ahead
    ses.suppressed["ada@example.com"] = "BOUNCE"

    await wait_until(lambda: (suppressed.why("ada@example.com") or "").startswith("bounced: "))
    assert max(sizes[first:]) == 1, "what was there before is not read again"


async def test_an_answer_that_is_kept_gives_way_to_what_the_list_says_later(the_list: Started, ses: SesServer) -> None:
    suppressed = the_list(added_seconds=0.05)
    assert suppressed.why("ada@example.com") is None
    assert ses.lookups == 1, "asked about before the list was known"
    await is_read(suppressed)

    ses.listed_at["ada@example.com"] = time.time()
    ses.suppressed["ada@example.com"] = "BOUNCE"

    await wait_until(lambda: (suppressed.why("ada@example.com") or "").startswith("bounced: "))


async def test_an_address_that_was_taken_off_the_list_has_its_mail_and_is_asked_about_once(
    the_list: Started, ses: SesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_KEPT_SECONDS", 0.0)
    ses.suppressed = {"ada@example.com": "BOUNCE", "bob@example.com": "BOUNCE"}
    suppressed = the_list()
    await is_read(suppressed)
    del ses.suppressed["ada@example.com"]
    lookups = ses.lookups

    assert [suppressed.why("ada@example.com") for _ in range(3)] == [None] * 3
    assert ses.lookups == lookups + 1
    assert suppressed.why("bob@example.com")


@pytest.mark.parametrize("refusal", [DENIED, Refusal("TooManyRequestsException", "", 429), Refusal("InternalFailure", "", 500)])
async def test_the_list_is_believed_where_single_addresses_may_not_be_asked_for(
    refusal: Refusal, the_list: Started, ses: SesServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ses.suppressed = {"ada@example.com": "BOUNCE"}
    ses.lookup_refusal = refusal
    suppressed = the_list(believed_seconds=60, whole_seconds=0.1, added_seconds=0.05)
    await is_read(suppressed)

    assert (suppressed.why("ada@example.com") or "").startswith("bounced: ")
    assert suppressed.why("bob@example.com") is None
    assert told(caplog) == [], "nothing is lost but a while"

    del ses.suppressed["ada@example.com"]
    await wait_until(lambda: suppressed.why("ada@example.com") is None, what="a whole reading without it")


async def test_where_the_list_may_not_be_read_each_address_is_asked_about_and_that_is_said_once(
    the_list: Started, ses: SesServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ses.suppressed = {"bob@example.com": "BOUNCE"}
    ses.page_refusal = DENIED
    suppressed = the_list(settled_seconds=0.05)
    assert suppressed.why("ada@example.com") is None
    assert suppressed.why("bob@example.com")
    await wait_until(lambda: ses.pages >= 3)

    assert ses.lookups == 2
    [line] = told(caplog)
    assert "in a burst most mails go out without a question: AccessDeniedException; allow ses:ListSuppressedDestinations to" in line

    ses.page_refusal = None
    await is_read(suppressed)
    assert suppressed.why("eve@example.com") is None
    assert ses.lookups == 3, "a permission counts without a restart"


async def test_a_list_that_may_not_be_read_any_more_is_believed_no_longer(the_list: Started, ses: SesServer) -> None:
    suppressed = the_list(added_seconds=0.05, settled_seconds=60)
    await is_read(suppressed)
    ses.page_refusal = DENIED
    await wait_until(lambda: not suppressed.is_known)
    ses.suppressed = {"ada@example.com": "BOUNCE"}

    assert suppressed.why("ada@example.com")


async def test_a_list_that_has_not_been_heard_of_for_long_is_believed_no_longer(the_list: Started, ses: SesServer) -> None:
    suppressed = the_list(added_seconds=0.05, believed_seconds=1.0)
    await is_read(suppressed)
    ses.page_refusal = Refusal("InternalFailure", "", 500)
    await wait_until(lambda: not suppressed.is_known)
    ses.suppressed = {"ada@example.com": "BOUNCE"}
    assert suppressed.why("ada@example.com")

    ses.page_refusal = None
    await wait_until(lambda: suppressed.is_known, what="the list, once it answers again")


async def test_a_list_that_is_too_long_is_read_no_further_and_that_is_said_once(
    the_list: Started, ses: SesServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ses.suppressed = {f"r{number}@example.com": "BOUNCE" for number in range(50)}
    suppressed = the_list(page_size=10, most=20, settled_seconds=0.0)
    suppressed.why(NONE)
    await wait_until(lambda: not readers())

    assert ses.pages == 3
    assert (suppressed.why("r49@example.com") or "").startswith("bounced: ")
    [line] = told(caplog)
    assert "it has more than 20 addresses" in line
    assert "example.com" not in line


async def test_a_page_that_does_not_come_is_asked_for_again_and_the_pages_before_are_not(the_list: Started, ses: SesServer) -> None:
    ses.suppressed = {f"r{number}@example.com": "BOUNCE" for number in range(50)}

    def stumble(number: int) -> None:
        ses.page_refusal = {2: Refusal("InternalFailure", "", 500), 3: ses_server.THROTTLED_QUESTION}.get(number)

    ses.on_page = stumble
    await is_read(the_list(page_size=10, most_patience_seconds=0.01))

    assert ses.pages == 5 + 2


async def test_a_reading_whose_token_has_run_out_begins_anew(the_list: Started, ses: SesServer) -> None:
    ses.suppressed = {f"r{number}@example.com": "BOUNCE" for number in range(50)}

    def stumble(number: int) -> None:
        ses.page_refusal = Refusal("InvalidNextTokenException", "The specified request includes an invalid or expired token", 400)
        ses.page_refusal = ses.page_refusal if number == 3 else None

    ses.on_page = stumble
    suppressed = the_list(page_size=10, most_patience_seconds=0.01)
    await is_read(suppressed)

    assert ses.pages == 3 + 5
    assert suppressed.why("r49@example.com")


async def test_where_what_was_added_is_not_told_the_whole_list_is_read_again(the_list: Started, ses: SesServer) -> None:
    ses.suppressed = {"bob@example.com": "BOUNCE"}

    def refuse(number: int) -> None:
        ses.page_refusal = Refusal("BadRequestException", "The date is no date", 400) if number == 2 else None

    ses.on_page = refuse
    suppressed = the_list(added_seconds=0.05, most_patience_seconds=0.05)
    await is_read(suppressed)
    ses.suppressed["ada@example.com"] = "BOUNCE"  # long ago

    await wait_until(lambda: suppressed.why("ada@example.com"))


async def test_the_reading_ends_with_its_mailer(the_list: Started, ses: SesServer) -> None:
    suppressed = the_list(page_seconds=60.0, page_size=1)
    ses.suppressed = {"ada@example.com": "BOUNCE", "bob@example.com": "BOUNCE"}
    suppressed.why(NONE)
    await wait_until(lambda: ses.pages == 1)
    suppressed.close()
    await wait_until(lambda: not readers(), 2, what="an end before the next page")

    suppressed.why(NONE)
    assert not readers()
    assert ses.pages == 1


PROCESS = """
import os, sys, boto3
from kayan_workers.suppression.suppressed import SuppressionList
suppressed = SuppressionList(boto3.session.Session(), "eu-central-1", endpoint=sys.argv[1])
suppressed.why("ada@example.com")
sys.stdin.readline()
child = os.fork()
if not child:
    sys.exit(suppressed.why("bob@example.com") is None)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


async def test_a_list_that_hangs_keeps_no_process_from_ending_nor_from_forking(ses: SesServer) -> None:
    until = threading.Event()
    ses.on_page = lambda number: until.wait()
    ses.suppressed = {"bob@example.com": "BOUNCE"}
    process = subprocess.Popen([sys.executable, "-c", PROCESS, ses.url], stdin=subprocess.PIPE)
    try:
        await wait_until(lambda: ses.pages == 1, 30)
        process.communicate(b"\n", timeout=10)
        assert process.returncode == 0
    finally:
        until.set()
        process.kill()


async def test_a_worker_leaves_at_once_although_the_list_hangs(ses: SesServer, database_url: str, redis_url: str) -> None:
    variables = {"REDIS_URL": redis_url, "DATABASE_URL": database_url, "AWS_ENDPOINT_URL_SES": ses.url, "AWS_ACCESS_KEY_ID": "test",
                 "AWS_SECRET_ACCESS_KEY": "test", "EMAIL_FROM": "noreply@kayanlive.example"}  # fmt: skip
    until = threading.Event()
    ses.on_page = lambda number: until.wait()
    try:
        with worker("email", variables=variables) as process:
            process.wait_for("worker.started")
            async with queue_at(redis_url, "email") as queue:
                await queue.add_bulk([{"data": {"to": NONE, "template": "welcome", "data": SAMPLE_VARIABLES["welcome"]}}])
            await wait_until(lambda: process.events("job.completed") and ses.pages, 30)
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            assert process.exit_code() == 0
            assert time.monotonic() - began < 10, "it did not wait for an answer"
    finally:
        until.set()
