"""What SES allows, kept by several worker processes together: mails wait in the queue, and no job fails of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import ses_server
from at_work import queue_at
from kayan import WorkerProcess, kayan, worker
from kayan_workers.edges import Edges
from kayan_workers.errors import NotNowError, TemporaryError
from kayan_workers.mail.samples import SAMPLE_VARIABLES
from kayan_workers.mailer import account_of
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings
from redis.asyncio import Redis
from ses_server import THROTTLED, Quota, Refusal, SesServer
from waiting import wait_until

PAYLOAD: dict[str, Any] = {"template": "welcome", "data": SAMPLE_VARIABLES["welcome"]}


@pytest.fixture
def rights() -> str:
    return "email"


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with ses_server.running() as server:
        yield server


@pytest.fixture
def variables(ses: SesServer, database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL_SES": ses.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SES_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "EMAIL_FROM": "noreply@kayanlive.example",
    }


@pytest.fixture
def workers(variables: dict[str, str]) -> Iterator[list[WorkerProcess]]:
    """Three of them, ready to work."""
    with ExitStack() as stack:
        started = [stack.enter_context(worker("email", variables=variables)) for _ in range(3)]
        for each in started:
            each.wait_for("worker.started")
        yield started


async def add(redis_url: str, count: int, **payload: Any) -> None:
    async with queue_at(redis_url, "email") as queue:
        jobs = [{"data": PAYLOAD | {"to": f"r{number}@example.com"} | payload} for number in range(count)]
        await queue.add_bulk(jobs)


def said(workers: list[WorkerProcess], event: str) -> list[dict[str, Any]]:
    return [found for each in workers for found in each.events(event)]


async def test_three_workers_send_no_faster_than_ses_allows_and_no_job_fails(
    workers: list[WorkerProcess], redis_url: str, ses: SesServer
) -> None:
    ses.quota = Quota(per_second=10)
    await add(redis_url, 50)
    await wait_until(lambda: len(said(workers, "job.completed")) == 50, 60)

    assert sorted(mail.destinations[0] for mail in ses.accepted) == sorted(f"r{number}@example.com" for number in range(50))
    assert ses.busiest(2.0) <= 30, "20 in two seconds, and what a busy machine held up before"
    assert all(each.events("job.completed") for each in workers), "all of them took part"
    assert ses.quota_asked == 1 + len(workers), "each looks at its start whether it may send, and one reads it for all"
    assert [said(workers, event) for event in ("job.retried", "job.failed", "job.postponed")] == [[], [], []]


async def test_when_ses_throttles_all_workers_slow_down_and_no_job_fails(
    workers: list[WorkerProcess], redis_url: str, ses: SesServer
) -> None:
    """Its quota is not told, and somebody else sends as well: only the answer says that it is too much."""
    ses.refusals.extend([THROTTLED] * 12)
    await add(redis_url, 20)
    await wait_until(lambda: len(said(workers, "job.completed")) == 20, 60)

    assert len(ses.accepted) == 20
    assert [said(workers, event) for event in ("job.retried", "job.failed")] == [[], []]
    output = "".join(each.output() for each in workers)
    assert "SES in eu-central-1 is throttling (Maximum sending rate exceeded.): all workers wait 0.5 s" in output
    assert output.count("allow ses:GetSendQuota to the workers' role") == 1


async def test_when_the_days_mails_are_used_up_the_others_wait_in_the_queue_with_all_their_attempts(
    workers: list[WorkerProcess], variables: dict[str, str], redis_url: str, redis: Redis, ses: SesServer
) -> None:
    ses.quota = Quota(per_second=100, per_day=5)
    await add(redis_url, 8)
    await wait_until(lambda: redis.zcard("bull:email:delayed"), 30, what="the first mail too many")
    await wait_until(lambda: len(said(workers, "job.postponed")) == 3, 30)

    waiting = await redis.zrange("bull:email:delayed", 0, -1)
    assert len(waiting) == 3
    assert len(ses.accepted) == 5
    for job_id in waiting:
        reason, attempts = await redis.hmget(f"bull:email:{job_id}", "failedReason", "attemptsMade")
        assert attempts == "0"
        assert "SES in eu-central-1 takes no more today" in reason
    output = "".join(each.output() for each in workers)
    assert output.count("no mail goes out for 10 minutes, all wait") == 1, "said once, whoever hears of it"

    ses.quota.per_day = 100  # tomorrow
    await redis.delete("kayan:pace:{ses:eu-central-1}:held")
    promoted = kayan("promote", "email", "--all", variables=variables)
    assert promoted.returncode == 0, promoted.stderr
    await wait_until(lambda: len(said(workers, "job.completed")) == 8, 30)
    assert len(ses.accepted) == 8
    assert [said(workers, event) for event in ("job.retried", "job.failed")] == [[], []]


def test_check_tells_the_quota_or_which_right_is_missing(variables: dict[str, str], ses: SesServer) -> None:
    def said_of_mail() -> dict[str, str]:
        result = kayan("check", "email", "--json", variables=variables)
        return next(finding for finding in json.loads(result.stdout) if finding["name"] == "mail")

    unknown = said_of_mail()
    ses.quota, ses.page_refusal = Quota(per_second=14, per_day=50_000, sent_today=7), None
    known = said_of_mail()

    assert unknown["verdict"] == "warning"
    assert "allow ses:GetSendQuota" in unknown["remedy"]
    assert (known["verdict"], known["says"]) == ("ok", "SES in eu-central-1: 7 of 50000 mails today, at most 14 a second")


def test_check_names_what_the_suppression_list_does_not_tell_and_fails_where_the_settings_insist(
    variables: dict[str, str], ses: SesServer
) -> None:
    def checked(mode: str) -> tuple[int, str, str]:
        result = kayan("check", "email", "--json", variables=variables | {"KAYAN_MAIL_SUPPRESSION": mode})
        mail = next(finding for finding in json.loads(result.stdout) if finding["name"] == "mail")
        return result.returncode, mail["verdict"], mail["remedy"]

    denied = Refusal("AccessDeniedException", "not authorized", 403)
    ses.quota, ses.page_refusal = Quota(per_second=14), None
    allowed = [checked(mode) for mode in ("auto", "check", "off")]
    ses.lookup_refusal, ses.page_refusal = None, denied
    only_single = [checked(mode) for mode in ("auto", "check")]
    ses.lookup_refusal, ses.page_refusal = denied, None
    only_whole = [checked(mode) for mode in ("auto", "check")]
    ses.lookup_refusal = ses.page_refusal = denied
    noted, insisting, off = [checked(mode) for mode in ("auto", "check", "off")]
    ses.quota = None
    insisting_without_quota = checked("check")

    assert allowed == [(0, "ok", "")] * 3
    assert only_single == [(0, "warning", "allow ses:ListSuppressedDestinations to the workers' role or user")] * 2
    assert only_whole == [(0, "warning", "allow ses:GetSuppressedDestination to the workers' role or user")] * 2
    remedy = (
        "allow ses:GetSuppressedDestination and ses:ListSuppressedDestinations to the workers' role or user, "
        "or set KAYAN_MAIL_SUPPRESSION=off"
    )
    assert noted == (0, "warning", remedy)
    assert insisting == insisting_without_quota == (1, "failed", remedy)
    assert off == (0, "ok", "")


async def test_a_day_that_is_known_to_be_over_costs_ses_no_request(workers: list[WorkerProcess], redis_url: str, ses: SesServer) -> None:
    ses.quota = Quota(per_second=100, per_day=5, sent_today=5)
    await add(redis_url, 1)
    await wait_until(lambda: said(workers, "job.postponed"), 30)
    requests = ses.requests
    await add(redis_url, 10)
    await wait_until(lambda: len(said(workers, "job.postponed")) == 11, 30)

    assert ses.requests == requests
    assert json.dumps(said(workers, "job.postponed")).count("are used up") >= 10


@pytest.mark.parametrize(
    ("access_key", "account"),
    [
        ("ASIAY34FZKBOKMUTVV7A", "609629065308"),
        ("AKIAY34FZKBOAAAAAAAA", "609629065308"),
        ("AKIAIOSFODNN7EXAMPLE", ""),  # older than 2019
        ("minioadmin", ""),
        ("", ""),
    ],
)
def test_a_key_tells_its_account_or_nothing(access_key: str, account: str) -> None:
    assert account_of(access_key) == account


def take_turn(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait to send one mail, as a worker with these variables does."""
    with monkeypatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        edges = Edges(Settings.from_environment(roles=[role for role in ROLES if role.name == "email"]))
        try:
            edges.mailer.wait_turn(1, until=time.monotonic() + 5, stop=threading.Event())
        finally:
            edges.close()


def test_accounts_that_share_a_redis_have_a_pace_each(variables: dict[str, str], ses: SesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def turn_of(access_key: str) -> None:
        take_turn(variables | {"AWS_ACCESS_KEY_ID": access_key}, monkeypatch)

    ses.quota = Quota(per_second=100, per_day=5, sent_today=5)
    with pytest.raises(NotNowError, match="used up"):
        for _ in range(2):  # who finds out that the day is over goes on, as SES itself will say so
            turn_of("ASIAY34FZKBOKMUTVV7A")
    ses.quota = Quota(per_second=100)

    with pytest.raises(NotNowError, match="used up"):
        turn_of("ASIAY34FZKBOAAAAAAAA")  # another key of that account
    turn_of("ASIAQNZGKIQY56JQ7WML")


def test_credentials_that_cannot_be_had_now_are_trouble_to_retry(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a role come from STS, which is away here."""
    token = tmp_path / "token"
    token.write_text("who we are")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    of_a_role = {
        "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/workers",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
    }  # fmt: skip

    with pytest.raises(TemporaryError, match="there are no credentials for SES"):
        take_turn(variables | of_a_role, monkeypatch)
