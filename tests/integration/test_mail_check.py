"""Whether SES can be used: what its answers mean for all mails, and how rarely it is asked."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import pytest
import ses_server
from kayan import environment
from kayan_workers import readiness
from kayan_workers.edges import Edges
from kayan_workers.errors import TemporaryError
from kayan_workers.mailer import SesMailer
from kayan_workers.readiness import MailCheck
from kayan_workers.settings import Settings
from ses_server import THROTTLED, Refusal, SesServer
from waiting import wait_until

LATE = "import sys; from kayan_workers import mailer; mailer._LOOK_SECONDS = 3; sys.argv[1:] = ['eu-central-1']; mailer.main()"
"""The process that looks, with less patience."""


@pytest.fixture
def ses(monkeypatch: pytest.MonkeyPatch) -> Iterator[SesServer]:
    with ses_server.running() as server:
        for name in ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables(server.url).items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never says a word, as where packets to the machine's metadata are dropped."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def variables(endpoint: str) -> dict[str, str]:
    return {"AWS_ENDPOINT_URL_SES": endpoint, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/nonexistent"}  # fmt: skip


def a_mailer() -> SesMailer:
    return SesMailer(sender=Address("", "noreply", "kayanlive.example"), region="eu-central-1")


def send(mailer: SesMailer) -> None:
    message = EmailMessage()
    message["Subject"] = "Hello"
    mailer.send(message, ["ada@example.com"])


def looked(command: list[str], **more: str) -> tuple[int, str, float]:
    """Exit code, words and seconds of the process that looks."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *command], env=environment(**variables("http://127.0.0.1:1") | more), capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout, time.monotonic() - began


@pytest.mark.parametrize("code", [
    "InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "ExpiredToken", "IncompleteSignature", "OptInRequired",
])  # fmt: skip
def test_whom_ses_does_not_know_cannot_send(ses: SesServer, code: str) -> None:
    ses.refused_keys["AKIATEST"] = Refusal(code, "The request signature does not match.\n\nThe canonical string should have been …", 403)
    with pytest.raises(TemporaryError, match=rf"credentials: {code}: The request signature does not match; check AWS_ACCESS_KEY_ID and"):
        a_mailer().check()


@pytest.mark.parametrize("refusal", [
    Refusal("AccessDenied", "User is not authorized to perform ses:GetSendQuota", 403),
    Refusal("AccessDeniedException", "not authorized", 403),
    THROTTLED,
    Refusal("AccountSendingPausedException", "Sending is paused for this account"),
    Refusal("InvalidAction", "Could not find operation GetSendQuota", 404),
    Refusal("ServiceUnavailable", "Please try again", 503),
    Refusal("", "404 page not found", 404),
    Refusal("", "Bad Gateway", 502),
], ids=lambda refusal: refusal.code or refusal.message)  # fmt: skip
def test_any_other_refusal_is_an_answer_to_somebody_it_knows(ses: SesServer, refusal: Refusal) -> None:
    ses.refused_actions["GetSendQuota"] = refusal
    a_mailer().check()
    assert ses.quota_asked == 1


def test_keys_that_come_later_are_found_without_a_new_start(ses: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a role that the pod is given while it runs."""
    with monkeypatch.context() as without:
        without.setenv("AWS_ACCESS_KEY_ID", "")
        without.setenv("AWS_SECRET_ACCESS_KEY", "")
        mailer = a_mailer()
        for _ in range(2):
            with pytest.raises(TemporaryError, match=r"Unable to locate credentials; set AWS_ACCESS_KEY_ID .* or give the pod a role"):
                mailer.check()
    mailer.check()
    send(mailer)
    assert len(ses.accepted) == 1


@pytest.mark.parametrize(("names", "said"), [
    ({"AWS_SECRET_ACCESS_KEY": ""}, "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY; set AWS_ACCESS_KEY_ID"),
    ({"AWS_PROFILE": "nobody"}, "profile .* could not be found; set AWS_ACCESS_KEY_ID"),
])  # fmt: skip
def test_credentials_that_are_not_whole_are_trouble_in_words(
    ses: SesServer, monkeypatch: pytest.MonkeyPatch, names: dict[str, str], said: str
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TemporaryError, match=f"SES in eu-central-1 cannot be used: .*{said}"):
        a_mailer()


@pytest.mark.parametrize("code", ["AccessDenied", "ValidationError"])
def test_a_role_that_sts_does_not_let_us_take_is_trouble_of_the_credentials_and_not_of_the_mail(
    ses: SesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    token = tmp_path / "token"
    token.write_text("who we are")
    ses.refused_actions["AssumeRoleWithWebIdentity"] = Refusal(code, "Not authorized to perform this", 403)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/workers",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ENDPOINT_URL_STS": ses.url,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    mailer = a_mailer()
    for act in (mailer.check, lambda: send(mailer)):
        with pytest.raises(TemporaryError, match=r"cannot be used: .*AssumeRoleWithWebIdentity.*; set AWS_ACCESS_KEY_ID .* a role"):
            act()


async def test_while_mails_pass_ses_is_not_asked_whoever_doubts_it_and_after_a_mails_trouble_it_is(ses: SesServer) -> None:
    edges = Edges(Settings(ses_region="eu-central-1", suppression="off"))
    assert isinstance(edges.mailer, SesMailer)
    check = MailCheck(edges, "eu-central-1")
    send(edges.mailer)
    for _ in range(20):
        check.doubt()
        await check()
    assert ses.quota_asked == 0
    ses.refused_keys["AKIATEST"] = Refusal("ExpiredToken", "The security token included in the request is expired", 403)
    with pytest.raises(TemporaryError):
        send(edges.mailer)
    check.doubt()
    for _ in range(20):
        with pytest.raises(TemporaryError, match="ExpiredToken"):
            await check()
    assert ses.quota_asked == 1, "bad news counts for seconds"
    ses.refused_keys.clear()

    async def is_usable() -> bool:
        try:
            await check()
        except TemporaryError:
            return False
        return True

    await wait_until(is_usable, 15)
    for _ in range(20):
        check.doubt()
        await check()
    assert ses.quota_asked == 2
    edges.close()


async def test_a_mailer_that_gets_no_answer_is_not_waited_for(ses: SesServer, silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SES", silent)
    monkeypatch.setattr(readiness, "_ANSWER_SECONDS", 0.5)
    edges = Edges(Settings(ses_region="eu-central-1", suppression="off"))
    _ = edges.mailer
    with pytest.raises(TemporaryError, match=r"SES in eu-central-1 cannot be used: no answer within 0.5 s; check the way to SES"):
        await MailCheck(edges, "eu-central-1")()


def test_a_metadata_service_that_is_cut_off_keeps_nobody_waiting_for_long(silent: str) -> None:
    code, said, seconds = looked(
        ["-m", "kayan_workers.mailer", "eu-central-1"],
        AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=silent,
    )  # fmt: skip
    assert (code, "Unable to locate credentials" in said) == (1, True)
    assert seconds < 20


def test_an_sts_that_is_cut_off_is_given_up_in_time(silent: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("who we are")
    code, said, seconds = looked(
        ["-c", LATE], AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_ROLE_ARN="arn:aws:iam::123456789012:role/workers",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(token), AWS_ENDPOINT_URL_STS=silent,
    )  # fmt: skip
    assert code == 1
    assert said.startswith("SES in eu-central-1 cannot be used: no answer within 3 s; check the network, AWS_SES_REGION")
    assert seconds < 20
