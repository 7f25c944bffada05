"""The command ``kayan`` as an operator uses it: real processes against a real Redis."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from app import as_role, owner_of
from at_work import queue_at, working
from kayan import COMMAND, environment, kayan
from kayan_workers.bull.options import JobOptions, Repeat
from kayan_workers.bull.running import ActiveJob
from kayan_workers.cli import added
from kayan_workers.cli.app import app as command_line
from kayan_workers.errors import PermanentError
from kayan_workers.processors.table import ROLES
from redis.asyncio import Redis
from waiting import wait_until

Kayan = Callable[..., "subprocess.CompletedProcess[str]"]

EMAIL = {"to": "ada@example.com", "subject": "Hello", "data": {"text": "Hi"}}


@pytest.fixture
def run(redis_url: str) -> Kayan:
    """``kayan ARGUMENTS`` against the test's Redis; fails the test when the exit code is another than ``code``."""

    def run(*arguments: str, code: int = 0, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        done = kayan(*arguments, variables={"REDIS_URL": redis_url} | variables, stdin=stdin)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


# -- add -------------------------------------------------------------------------------------------------------------------------


async def test_add_queues_a_job_with_the_web_apps_own_options(run: Kayan, redis: Redis) -> None:
    job_id = run("add", "email", json.dumps(EMAIL), "--priority", "3", "--delay", "5m").stdout.strip()
    job = await redis.hgetall(f"bull:email:{job_id}")
    options = json.loads(job["opts"])
    assert json.loads(job["data"]) == EMAIL
    assert job["name"] == "__default__"
    del options["timestamp"]
    assert options == {"attempts": 3, "backoff": {"type": "exponential", "delay": 2000}, "removeOnComplete": 100, "removeOnFail": 500,
                       "priority": 3, "delay": 300_000}  # fmt: skip


async def test_add_says_that_a_job_of_that_id_exists_already(run: Kayan, redis: Redis) -> None:
    assert run("add", "email", json.dumps(EMAIL), "--id", "welcome-ada").stdout == "welcome-ada\n"
    again = run("add", "email", json.dumps(EMAIL), "--id", "welcome-ada").stdout
    assert again == "welcome-ada: exists already, it is waiting; nothing was added\n"
    assert await redis.llen("bull:email:wait") == 1
    two = "\n".join([json.dumps(EMAIL)] * 2)
    assert "--id names one job, and 2 are given" in run("add", "email", "-", "--id", "x", stdin=two, code=2).stderr


async def test_add_reads_one_job_a_line_from_standard_input(run: Kayan, redis: Redis) -> None:
    lines = "\n".join(json.dumps(EMAIL | {"subject": str(number)}) for number in range(3))
    assert run("add", "email", "-", stdin=lines).stdout.split() == ["1", "2", "3"]
    assert await redis.llen("bull:email:wait") == 3


async def test_add_refuses_what_the_processor_would_refuse(run: Kayan, redis: Redis) -> None:
    said = run("add", "email", '{"to": 5}', code=2).stderr
    assert said.startswith("kayan: the payload is malformed: $.to: Expected ")
    assert "; nothing was added" in said
    assert "not JSON" in run("add", "email", '{"to":', code=2).stderr
    assert "line 2 is not JSON" in run("add", "email", "-", stdin='{"to":"a@b.c"}\n{"to"\n', code=2).stderr
    assert "--delay: 'soon' is no length of time" in run("add", "email", "{}", "--delay", "soon", code=2).stderr
    assert not await redis.exists("bull:email:id")
    run("add", "email", '{"to": 5}', "--unchecked")
    assert await redis.llen("bull:email:wait") == 1


@pytest.mark.parametrize(
    ("queue", "payload", "says"),
    [
        ("email", {}, "the mail has no recipient"),
        ("email", EMAIL | {"template": "", "data": None}, "data: has neither html nor text"),
        ("email", EMAIL | {"subject": "a\nb"}, "the subject contains a line break"),
        ("cleanup", {"type": "NOPE"}, "type: not a cleanup; known are EXPIRED_LINKS"),
        ("analytics", {"type": "NOPE", "timestamp": "2025-11-24T10:05:07.123Z"}, "type: not an analytics event"),
        ("analytics", {"type": "ASSET_VIEW", "timestamp": "2025-11-24T10:05:07.123Z"}, "assetId: missing"),
        ("notification", {"userId": "u", "type": "NOPE", "title": "t", "message": "m"}, "type: not a NotificationType"),
        ("thumbnail", {"assetId": "a", "fileKey": "../../etc/passwd", "fileType": "IMAGE"}, "does not stay inside the store"),
        ("asset", {"assetId": "a", "fileKey": "/etc/passwd", "fileType": "IMAGE"}, "does not stay inside the store"),
        ("variant", {"assetId": "a", "fileKey": "a/b", "fileType": "AUDIO", "variants": ["WEB_OPTIMIZED"]}, "made of IMAGE and VIDEO only"),
        ("asset", {"assetId": "a", "fileKey": "a/b", "fileType": "NOPE"}, "$.fileType: Invalid enum value; known are IMAGE, VIDEO"),
    ],
)
async def test_add_refuses_what_no_database_or_store_could_make_good(
    run: Kayan, redis: Redis, queue: str, payload: dict[str, Any], says: str
) -> None:
    said = run("add", queue, json.dumps(payload), code=2).stderr
    assert says in said
    assert "nothing was added" in said
    assert await redis.keys("*") == []


async def test_a_cleanup_is_queued_once_per_slot_however_often_it_is_asked_for(run: Kayan, redis: Redis) -> None:
    first = run("cleanup", "temp-files").stdout
    again = run("cleanup", "TEMP_FILES").stdout
    assert first.endswith(": queued\n")
    assert "queued before, it is waiting" in again
    assert await redis.llen("bull:cleanup:wait") == 1
    run("cleanup", "temp-files", "--again")
    assert await redis.llen("bull:cleanup:wait") == 2
    job_id = first.partition(":")[0]
    assert await redis.hget(f"bull:cleanup:{job_id}", "data") == '{"type":"TEMP_FILES"}'
    assert "Did you mean TEMP_FILES?" in run("cleanup", "temp_file", code=2).stderr


async def test_a_cleanups_slot_is_that_of_the_time_zone_it_is_given(run: Kayan, redis: Redis) -> None:
    for zone in ("Etc/GMT+12", "Etc/GMT-14"):  # a day and two hours apart: never the same date
        assert run("cleanup", "retention", "--time-zone", zone).stdout.endswith(": queued\n")
    assert "queued before" in run("cleanup", "retention", "--time-zone", "Pacific/Kiritimati").stdout
    assert await redis.llen("bull:cleanup:wait") == 2
    for wrong in ("Asia/Riad", "Asia", "/etc/localtime"):
        assert f"--time-zone: there is no time zone '{wrong}'" in run("cleanup", "retention", "--time-zone", wrong, code=2).stderr
    assert "--time-zone" in run("cleanup", "retention", "--dry-run", "--time-zone", "UTC", code=2).stderr


async def test_a_cleanup_retires_the_node_workers_own_schedule_when_asked_to(run: Kayan, redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url, "cleanup") as queue:
        await queue.add({"type": "TEMP_FILES"}, options=JobOptions(repeat=Repeat(cron="0 * * * *")))
        await queue.add({"type": "EXPIRED_LINKS"}, options=JobOptions(repeat=Repeat(cron="0 2 * * *")))
    run("cleanup", "temp-files")
    assert await redis.zcard("bull:cleanup:repeat") == 2
    assert "schedule has ended" in run("cleanup", "temp-files", "--retire-node-schedule").stdout
    assert await redis.zrange("bull:cleanup:repeat", 0, -1) == ["__default__::::0 2 * * *"]


async def test_schedules_are_listed_and_ended_by_key(run: Kayan, redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url, "cleanup") as queue:
        await queue.add({"type": "TEMP_FILES"}, options=JobOptions(repeat=Repeat(cron="0 * * * *")))
    assert "__default__::::0 * * * *" in run("schedules", "cleanup").stdout
    [schedule] = json.loads(run("schedules", "cleanup", "--json").stdout)
    run("unschedule", "cleanup", schedule["key"], "--yes")
    assert not await redis.exists("bull:cleanup:repeat")
    assert "has no schedule" in run("unschedule", "cleanup", schedule["key"], "--yes", code=1).stderr


# -- look ------------------------------------------------------------------------------------------------------------------------


async def test_queues_shows_every_queue_and_what_is_odd_about_it(run: Kayan, redis_url: str) -> None:
    async with queue_at(redis_url, "email") as queue:
        await queue.add(EMAIL)
        await queue.pause()
    text = run("queues").stdout
    rows = {row["queue"]: row for row in json.loads(run("queues", "--json").stdout)}
    assert [line.split()[0] for line in text.splitlines()[2:9]] == list(rows)
    assert text.splitlines()[9:] == ["email is paused: kayan resume email"]
    assert (rows["email"]["paused"], rows["email"]["is_paused"], rows["email"]["workers"], rows["email"]["role"]) == (1, True, 0, "email")
    assert len(rows) == 7


def on_a_terminal(redis_url: str, *arguments: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    variables = environment(REDIS_URL=redis_url, TERM="xterm", COLUMNS="80")
    process = subprocess.Popen([*COMMAND, *arguments], env=variables, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the terminal's end, once nobody writes to it any more
        while chunk := os.read(ours, 4096):
            said += chunk
    os.close(ours)
    assert process.wait(30) == 0
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said.decode())


def test_a_name_is_never_cut_on_a_terminal_of_80_columns(run: Kayan, redis_url: str) -> None:
    ident = "order-2026-11-24-booth-render-north-view-4711"
    run("pause", "all")
    run("add", "variant", "-", "--unchecked", "--id", ident, stdin="{}")
    text = on_a_terminal(redis_url, "queues")
    lines = [line.rstrip() for line in text.splitlines()]
    assert [line.split()[0] for line in lines[1:8]] == json_queues(run)
    assert lines[0].split() == ["queue", "waiting", "active", "delayed", "paused", "completed", "failed", "workers"]
    assert all(len(line) <= 80 for line in lines)
    assert "variant-generation is paused: kayan resume variant" in lines
    assert ident in on_a_terminal(redis_url, "jobs", "variant", "-s", "paused")


def json_queues(run: Kayan) -> list[str]:
    return [row["queue"] for row in json.loads(run("queues", "--json").stdout)]


def test_queues_may_be_watched_until_ctrl_c(redis_url: str) -> None:
    command = [*COMMAND, "queues", "--watch", "--json"]
    process = subprocess.Popen(command, env=environment(REDIS_URL=redis_url), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert len(json.loads(process.stdout.readline())) == 7
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


async def test_a_job_is_shown_with_all_there_is_to_know(run: Kayan, redis_url: str) -> None:
    async def fail(job: ActiveJob) -> None:
        job.progress(40)
        job.log("opened the envelope")
        raise PermanentError("the address does not exist")

    async with queue_at(redis_url, "email") as queue:
        job = await queue.add(EMAIL, options=JobOptions(attempts=3))
        async with working(queue, fail) as (_, recorder):
            await wait_until(lambda: recorder.said("job_failed"))
    facts = json.loads(run("job", "email", job.id, "--json").stdout)
    expected = {"state": "failed", "data": EMAIL, "attempts_made": 1, "attempts": 3, "failed_reason": "the address does not exist",
                "progress": 40, "logs": ["opened the envelope"], "owner": None}  # fmt: skip
    assert {name: facts[name] for name in expected} == expected
    text = run("job", "email", job.id).stdout
    assert text.startswith(f"job {job.id} of email: failed\n")
    assert "opened the envelope" in text
    assert "the address does not exist" in run("jobs", "email").stdout
    assert "queue email has no job 99" in run("job", "email", "99", code=1).stderr


async def test_a_running_job_names_its_worker_and_a_waiting_one_its_place(run: Kayan, redis_url: str) -> None:
    async def hang(job: ActiveJob) -> None:
        await wait_until(lambda: job.cancelled.is_set(), timeout=30)

    async with queue_at(redis_url, "email") as queue:
        jobs = [await queue.add(EMAIL) for _ in range(3)]
        async with working(queue, hang, pod="email-7d9f-x2x", settings={"grace_seconds": 0.1}) as (consumer, _):
            await wait_until(lambda: consumer.in_flight)
            active = json.loads(run("jobs", "email", "--state", "active", "--json").stdout)
            facts = json.loads(run("job", "email", jobs[2].id, "--json").stdout)
    assert [(job["id"], job["owner"]) for job in active] == [(jobs[0].id, "email-7d9f-x2x")]
    assert (facts["state"], facts["position"]) == ("waiting", 2)


async def test_a_list_of_jobs_has_no_column_without_a_head_and_no_age_of_fifty_years(run: Kayan, redis: Redis) -> None:
    run("add", "email", json.dumps(EMAIL))
    await redis.hset("bull:email:1", "timestamp", "1")
    head, _, row = run("jobs", "email", "-s", "waiting").stdout.splitlines()
    assert re.split(r"\s{2,}", head) == ["id", "attempt", "priority", "added", "last error"]
    assert "1970-01-01" in row
    await redis.hset("bull:email:1", "timestamp", "9" * 18)
    assert "job 1 of email: waiting" in run("job", "email", "1").stdout


def test_jobs_shows_no_more_than_asked_for_and_says_how_many_there_are(run: Kayan) -> None:
    run("add", "analytics", "-", stdin="\n".join(['{"type":"SEARCH","data":{"query":"stage"},"timestamp":"2025-11-24T10:05:07.123Z"}'] * 5))
    text = run("jobs", "analytics", "--state", "waiting", "--limit", "2").stdout
    assert text.splitlines()[-1] == "2 of 5; --limit shows more"
    assert run("jobs", "analytics").stdout == "analytics has no failed jobs\n"


async def test_a_malformed_job_is_shown_as_it_stands(run: Kayan, redis: Redis) -> None:
    await redis.hset("bull:email:bad", mapping={"name": "__default__", "data": '{"to": \x1b[2J', "opts": "{", "timestamp": "soon"})
    await redis.lpush("bull:email:wait", "bad")
    text = run("job", "email", "bad").stdout
    assert "\x1b" not in text
    assert '"{\\"to\\": \\u001b[2J"' in text
    assert "bad" in run("jobs", "email", "-s", "waiting").stdout


# -- change ----------------------------------------------------------------------------------------------------------------------


async def test_jobs_are_retried_promoted_and_removed_and_one_that_cannot_keeps_no_other_from_it(run: Kayan, redis_url: str) -> None:
    async def fail(_: ActiveJob) -> None:
        raise PermanentError("no")

    async with queue_at(redis_url, "email") as queue:
        failed = [await queue.add(EMAIL) for _ in range(3)]
        async with working(queue, fail) as (_, recorder):
            await wait_until(lambda: len(recorder.said("job_failed")) == 3)
        delayed = [await queue.add(EMAIL, options=JobOptions(delay_ms=60_000)) for _ in range(2)]
        done = run("retry", "email", "99", failed[0].id, code=1)
        assert done.stdout == f"{failed[0].id} waits again\n"
        assert "no job 99 on email" in done.stderr
        assert run("retry", "email", "--all-failed").stdout == "2 failed jobs of email wait again\n"
        run("promote", "email", delayed[0].id)
        assert run("promote", "email", "--all").stdout == "1 delayed jobs of email wait now\n"
        assert "is not delayed" in run("promote", "email", delayed[0].id, code=1).stderr
        assert (await queue.counts()).waiting == 5
        run("remove", "email", failed[0].id, delayed[0].id, "--yes")
        assert (await queue.counts()).waiting == 3


def test_a_command_names_jobs_or_all_and_not_both(run: Kayan) -> None:
    assert "name the jobs, or say --all-failed" in run("retry", "email", code=2).stderr
    assert "not both" in run("retry", "email", "1", "--all-failed", code=2).stderr


async def test_queues_are_paused_and_resumed_by_role_or_family(run: Kayan, redis: Redis) -> None:
    run("pause", "media", "email")
    paused = [key.split(":")[1] async for key in redis.scan_iter("bull:*:meta-paused")]
    assert sorted(paused) == ["asset-processing", "email", "thumbnail-generation", "variant-generation"]
    run("resume", "all")
    assert [key async for key in redis.scan_iter("bull:*:meta-paused")] == []


async def test_what_destroys_asks_first_and_without_a_terminal_takes_only_yes_for_an_answer(run: Kayan, redis: Redis) -> None:
    run("add", "email", json.dumps(EMAIL))
    for command in (["empty", "email"], ["remove", "email", "1"], ["clean", "email", "--state", "waiting"]):
        assert "say --yes" in run(*command, code=2).stderr
    assert await redis.llen("bull:email:wait") == 1
    assert run("empty", "email", "--yes").stdout == "1 waiting and delayed jobs of email are removed\n"
    assert not await redis.exists("bull:email:wait")


async def test_clean_removes_the_jobs_of_one_state_that_are_old_enough(run: Kayan, redis_url: str, redis: Redis) -> None:
    async with queue_at(redis_url, "email") as queue:
        for age_ms in (7_200_000, 10_000):
            await queue.add(EMAIL, options=JobOptions(timestamp_ms=int((await redis.time())[0] * 1000) - age_ms))
    assert run("clean", "email", "-s", "waiting", "--older-than", "1h", "-y").stdout == "1 waiting jobs of email are removed\n"
    assert await redis.lrange("bull:email:wait", 0, -1) == ["2"]


# -- manners ---------------------------------------------------------------------------------------------------------------------


def test_an_absent_redis_is_one_line_and_exit_code_1() -> None:
    done = kayan("queues", variables={"REDIS_PORT": "1"})
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("kayan: Redis at redis://localhost:1/0: ")
    assert "REDIS_HOST" in line


def test_an_unknown_queue_is_answered_with_the_nearest(run: Kayan) -> None:
    assert "Did you mean thumbnail?" in run("jobs", "thumbnails", code=2).stderr


def test_help_needs_no_environment_and_names_every_command() -> None:
    done = kayan("--help", variables={"REDIS_PORT": "nonsense"})
    assert done.returncode == 0
    work = ["worker", "demo", "check", "queues", "jobs", "job", "schedules", "add", "cleanup"]
    for command in [*work, "retry", "promote", "remove", "pause", "resume", "empty", "clean", "unschedule", "simulate"]:
        assert f" {command} " in done.stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("kayan jobs thu", ["thumbnail", "thumbnail-generation"]),
        ("kayan cleanup te", ["temp-files"]),
        ("kayan cleanup TE", ["TEMP_FILES"]),
        ("kayan pause me", ["media", "messaging"]),
    ],
)
def test_the_tab_key_completes_what_may_stand_there(words: str, found: list[str]) -> None:
    variables = {"_KAYAN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
    script = "from kayan_workers.__main__ import main; main()"
    done = subprocess.run([COMMAND[0], "-c", script], env=environment(**variables), capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split() == found


def test_every_help_speaks_of_kayan_and_not_of_pythons_types() -> None:
    top = [each.name or each.callback.__name__ for each in command_line.registered_commands if each.callback]
    for command in ["", *top, *added.names(), "mail", "mail list", "mail preview", "demo", "demo schema", "demo seed", "demo verify"]:
        text = kayan(*command.split(), "--help", variables={"COLUMNS": "140"}).stdout
        assert not re.search(r"<\w+(\[\w+\])?>|\{|\[\[|int range", text.replace("CONCURRENCY_<ROLE>", "")), text
    usages = {"worker": "all | ROLE... | FAMILY...", "retry": "QUEUE [ID...]", "job": "QUEUE ID", "check": "[ROLE... | FAMILY...]"}
    for command, usage in usages.items():
        text = kayan(command, "--help", variables={"COLUMNS": "140"}).stdout
        assert f"Usage: kayan {command} [OPTIONS] {usage}" in text
    assert "The id of a job." in kayan("job", "--help", variables={}).stdout
    assert "families" in kayan("pause", "--help", variables={}).stdout


def test_the_help_of_worker_names_the_roles_and_families_of_the_table() -> None:
    text = " ".join(kayan("worker", "--help", variables={"COLUMNS": "140"}).stdout.split())
    assert f"Roles: {' '.join(role.name for role in ROLES)}." in text
    assert f"Families: {' '.join(dict.fromkeys(role.family for role in ROLES))}." in text


def test_version_says_which_one_this_is() -> None:
    done = kayan("--version", variables={})
    assert (done.returncode, done.stdout) == (0, f"kayan {version('kayan-workers')}\n")


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"\x04", 1), (b"\x03", 130)])
def test_on_a_terminal_it_asks_and_no_means_no(run: Kayan, redis_url: str, answer: bytes, code: int) -> None:
    run("add", "email", json.dumps(EMAIL))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(["setsid", "--ctty", *COMMAND, "remove", "email", "1"], env=environment(REDIS_URL=redis_url, TERM="dumb"),
                               stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    assert process.stdout is not None
    asked = b""
    while not asked.endswith(b": "):
        asked += process.stdout.read(1)
    _, err = answered(process, ours, answer)
    os.close(ours)
    os.close(theirs)
    assert (process.returncode, asked) == (code, b"Delete job 1 of email? [y/N]: ")
    assert err.decode().strip() == "kayan: nothing was changed"
    assert "job 1 of email: waiting" in run("job", "email", "1").stdout


def answered(process: subprocess.Popen[bytes], terminal: int, answer: bytes) -> tuple[bytes, bytes]:
    """What it says to an answer, which is typed again if the first came between the question and the reading (Python forgets it then)."""
    for _ in range(3):
        os.write(terminal, answer)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=10)
    process.kill()
    pytest.fail(f"no end after {answer!r}")


def piped(redis_url: str, command: str) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which ``kayan`` is the command; its own exit code is said last."""
    script = f"set -o pipefail; {command}; echo $?"
    kayan = "kayan() { " + " ".join(COMMAND) + ' "$@"; }; '
    return subprocess.run(["bash", "-c", kayan + script], env=environment(REDIS_URL=redis_url), capture_output=True, text=True, timeout=60)


def test_a_reader_who_leaves_ends_the_command_without_a_word(run: Kayan, redis_url: str) -> None:
    run("add", "email", "-", stdin="\n".join([json.dumps(EMAIL)] * 300))
    left_at_once = piped(redis_url, "kayan jobs email -s waiting -n 300 --json | true")
    assert (left_at_once.stdout, left_at_once.stderr) == ("141\n", "")
    left_later = piped(redis_url, "kayan queues --watch --json | head -n 1")
    assert (len(json.loads(left_later.stdout.splitlines()[0])), left_later.stdout.splitlines()[1], left_later.stderr) == (7, "141", "")
    left_check = piped(redis_url, "kayan check analytics | true")
    assert (left_check.stdout, left_check.stderr) == ("141\n", "")


@pytest.mark.parametrize("name", ["meta", "metrics:completed", "id", "wait", "limiter:index"])
async def test_the_keys_of_a_queue_itself_are_no_jobs(run: Kayan, redis: Redis, name: str) -> None:
    run("add", "email", json.dumps(EMAIL))
    if name in ("meta", "metrics:completed", "limiter:index"):
        await redis.hset(f"bull:email:{name}", mapping={"count": "7"})
    before = await redis.dump(f"bull:email:{name}")
    for command in (["remove", "--yes"], ["retry"], ["promote"], ["job"]):
        said = run(command[0], "email", name, *command[1:], code=1).stderr
        assert said == f"kayan: {name} is one of the keys of queue email itself, and no job\n"
    assert await redis.dump(f"bull:email:{name}") == before


async def test_a_lock_a_log_and_a_list_are_no_jobs_either(run: Kayan, redis: Redis) -> None:
    run("add", "email", json.dumps(EMAIL))
    await redis.set("bull:email:1:lock", "a worker's token")
    await redis.rpush("bull:email:1:logs", "a row")
    for name in ("1:lock", "1:logs"):
        assert "no job 1:l" in run("remove", "email", name, "--yes", code=1).stderr
        assert "no job 1:l" in run("job", "email", name, code=1).stderr
    assert await redis.get("bull:email:1:lock") == "a worker's token"
    assert await redis.llen("bull:email:1:logs") == 1


async def test_a_key_of_another_kind_is_told_without_suspecting_the_network(run: Kayan, redis: Redis) -> None:
    await redis.set("bull:email:failed", "not a set")
    said = run("jobs", "email", code=1).stderr
    assert "WRONGTYPE" in said
    assert "REDIS_HOST" not in said


async def test_an_id_forges_no_line_and_sends_the_terminal_nothing(run: Kayan, redis: Redis) -> None:
    forged = "7\n2026-01-01 email 8 failed\x1b[2J"
    await redis.hset(f"bull:email:{forged}", mapping={"name": "__default__", "data": "{}", "opts": "{}", "timestamp": "1795431282192"})
    await redis.lpush("bull:email:wait", forged)
    for text in (run("jobs", "email", "-s", "waiting").stdout, run("job", "email", forged).stdout,
                 run("retry", "email", forged, code=1).stderr, run("remove", "email", forged, "--yes").stdout):  # fmt: skip
        assert "\x1b" not in text
        assert r"7\n2026-01-01 email 8 failed\x1b[2J" in text


def test_an_add_that_finds_no_redis_says_so_once_with_the_usual_advice() -> None:
    done = kayan("add", "email", json.dumps(EMAIL), variables={"REDIS_PORT": "1"})
    [line] = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert line.startswith("kayan: Redis at redis://localhost:1/0: 1 job for email: Redis did not answer within 10 s (")
    assert "REDIS_HOST" in line
    assert ".)" not in line
    assert "number" not in line


def test_ctrl_c_ends_an_add_that_waits_for_redis_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(20)
        command = [*COMMAND, "add", "email", json.dumps(EMAIL)]
        process = subprocess.Popen(command, env=environment(REDIS_PORT=str(silent.getsockname()[1])), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)  # fmt: skip
        connection, _ = silent.accept()
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        connection.close()
    assert (process.returncode, out, err) == (130, "", "")
    assert time.monotonic() - began < 8  # a call to Redis would take 10 to give up


# -- check -----------------------------------------------------------------------------------------------------------------------


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(done.stdout)}


def test_check_finds_a_whole_fleet_in_order(run: Kayan, database_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": database_url, "KAYAN_STORAGE": f"folder:{tmp_path}/objects", "KAYAN_MAIL": f"outbox:{tmp_path}/outbox"}
    found = findings(run("check", "--json", **settings))
    assert {finding["verdict"] for finding in found.values()} == {"ok"}
    systems = ["environment", "processors", "Redis", "queues", "PostgreSQL", "storage", "mail"]
    assert list(found) == [*systems, "Pillow", "libvips", "PDF", "ffmpeg", "isolation", "temporary files"]
    assert list((tmp_path / "objects").rglob("*.txt")) == []


def test_check_says_of_each_failure_what_to_do(run: Kayan, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": "postgresql://kayan:hush-hush@127.0.0.1:1/kayan", "AWS_ENDPOINT_URL_SES": "http://127.0.0.1:1",
                "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "FFMPEG_BIN": "/bin/false", "KAYAN_STORAGE": f"folder:{tmp_path}"}
    done = run("check", "--json", code=1, **settings)
    found = findings(done)
    failed = {name: finding["remedy"] for name, finding in found.items() if finding["verdict"] == "failed"}
    assert list(failed) == ["PostgreSQL", "mail", "ffmpeg"]
    assert "DATABASE_URL" in failed["PostgreSQL"]
    assert "AWS_SES_REGION" in failed["mail"]
    assert "FFMPEG_BIN" in failed["ffmpeg"]
    assert "hush-hush" not in done.stdout + done.stderr
    assert "❌ PostgreSQL: " in run("check", "notification", code=1, **settings).stdout


def test_check_goes_on_where_the_environment_is_wrong(run: Kayan) -> None:
    found = json.loads(run("check", "email", "--json", code=1).stdout)
    assert [(finding["name"], finding["verdict"]) for finding in found[:1]] == [("environment", "failed")]
    assert "DATABASE_URL is not set" in found[0]["says"]
    assert ("Redis", "ok") in [(finding["name"], finding["verdict"]) for finding in found]


def test_check_finds_missing_tables_and_a_bucket_that_is_not_there(run: Kayan, postgres_url: str, s3: Any) -> None:
    settings = {"DATABASE_URL": postgres_url, "AWS_S3_BUCKET": "no-such-bucket", "AWS_ENDPOINT_URL_S3": s3.endpoint,
                "AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}  # fmt: skip
    found = findings(run("check", "cleanup", "--json", code=1, **settings))
    assert "assets" in found["PostgreSQL"]["says"]
    assert "prisma db push" in found["PostgreSQL"]["remedy"]
    assert "AWS_S3_BUCKET" in found["storage"]["remedy"]
    found = findings(run("check", "cleanup", "--json", code=1, **settings | {"AWS_S3_BUCKET": s3.bucket}))
    assert found["storage"]["verdict"] == "ok"
    assert s3.keys() == []


@pytest.mark.parametrize(
    ("role", "table"), [("notification", "notification_preferences"), ("analytics", "search_history"), ("cleanup", "asset_share_links")]
)
def test_check_finds_each_table_that_the_apps_migrations_forget(run: Kayan, database_url: str, role: str, table: str) -> None:
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        connection.execute(f"DROP TABLE {table} CASCADE")  # type: ignore[arg-type]
    found = findings(run("check", role, "--json", code=1, DATABASE_URL=database_url))
    assert found["PostgreSQL"]["says"] == f"these tables are missing: {table}"


def test_check_warns_of_urls_that_no_browser_can_load(run: Kayan, s3: Any) -> None:
    settings = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "AWS_S3_BUCKET": s3.bucket, "AWS_ENDPOINT_URL_S3": s3.endpoint,
                "AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key}  # fmt: skip
    found = json.loads(run("check", "thumbnail", "--json", code=1, **settings).stdout)
    [warning] = [finding["says"] for finding in found if (finding["name"], finding["verdict"]) == ("environment", "warning")]
    assert f"https://{s3.bucket}.s3.us-east-1.amazonaws.com" in warning
    assert "Set AWS_CLOUDFRONT_URL" in warning


def test_check_tests_the_servers_of_every_variable_that_is_right_whatever_is_wrong_beside_it(
    run: Kayan, redis_url: str, tmp_path: Path
) -> None:
    settings = {"LOG_LEVEL": "verbos", "KAYAN_MAIL": f"outbox:{tmp_path}/out", "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    found = findings(run("check", "email", "--json", code=1, **settings))
    assert "LOG_LEVEL" in found["environment"]["says"]
    assert (found["Redis"]["verdict"], found["mail"]["verdict"]) == ("ok", "ok")
    assert redis_url.removeprefix("redis://").split("/")[0] in found["Redis"]["says"]
    assert f"{tmp_path}/out" in found["mail"]["says"]


def test_check_tests_no_other_server_in_place_of_one_whose_address_is_malformed(run: Kayan) -> None:
    settings = {"REDIS_URL": "http://redis", "DATABASE_URL": "kayan", "AWS_ENDPOINT_URL_SES": "ses"}
    found = findings(run("check", "email", "--json", code=1, **settings))
    blamed = {"Redis": "REDIS_URL", "queues": "REDIS_URL", "PostgreSQL": "DATABASE_URL", "mail": "AWS_ENDPOINT_URL_SES"}
    for name, variable in blamed.items():
        assert (found[name]["verdict"], found[name]["says"]) == ("warning", f"not tested, because of {variable}")


def remedied(run: Kayan, database_url: str, lesser_role: str, *arguments: str, **settings: str) -> list[str]:
    """What check says of PostgreSQL, each time its remedy has been followed, until it is content."""
    said = []
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        for _ in range(5):
            done = kayan("check", *arguments, "--json", variables={"DATABASE_URL": as_role(database_url, lesser_role), **settings})
            found = findings(done)["PostgreSQL"]
            if found["verdict"] == "ok":
                return said
            said.append(found["says"])
            connection.execute(found["remedy"].partition(" run: ")[2])
    raise AssertionError(said)


def test_check_names_the_rights_that_a_database_role_lacks_and_the_grants_that_give_them(
    run: Kayan, redis_url: str, database_url: str, lesser_role: str
) -> None:
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        connection.execute("DROP SCHEMA kayan_workers")
    schema, tables, own = remedied(run, database_url, lesser_role, "notification", "analytics", REDIS_URL=redis_url)
    assert schema == f"the database role {lesser_role} may not use schema public"
    assert tables.startswith(f"the database role {lesser_role} lacks SELECT on User, INSERT, SELECT on asset_activities, ")
    assert "INSERT, SELECT on notifications" in tables
    assert "may not create the schema kayan_workers" in own
    with psycopg.connect(owner_of(database_url), autocommit=True) as connection:
        connection.execute("ALTER SCHEMA kayan_workers OWNER TO CURRENT_USER")
        connection.execute(f"REVOKE ALL ON SCHEMA kayan_workers FROM {lesser_role}")  # type: ignore[arg-type]
    [own] = remedied(run, database_url, lesser_role, "analytics", REDIS_URL=redis_url)
    assert "may not use the schema kayan_workers" in own


def test_check_says_which_part_of_the_database_url_is_to_blame(run: Kayan, database_url: str) -> None:
    nowhere = urlunsplit(urlsplit(database_url)._replace(path="/no_such_database"))
    assert "mend the database's name" in findings(run("check", "analytics", "--json", code=1, DATABASE_URL=nowhere))["PostgreSQL"]["remedy"]
    nobody = as_role(database_url, "no_such_role")
    assert "mend user and password" in findings(run("check", "analytics", "--json", code=1, DATABASE_URL=nobody))["PostgreSQL"]["remedy"]


async def test_check_knows_a_redis_that_speaks_no_tls(run: Kayan, redis_url: str) -> None:
    began = time.monotonic()
    done = run("check", "analytics", "--json", code=1, REDIS_URL=redis_url.replace("redis://", "rediss://"),
               DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")  # fmt: skip
    found = findings(done)
    assert "without TLS" in found["Redis"]["says"]
    assert "REDIS_TLS=false" in found["Redis"]["remedy"]
    assert found["Redis"]["seconds"] < 2
    assert found["queues"]["says"] == "not tested, because of Redis"
    assert time.monotonic() - began < 30


def test_check_counts_its_warnings_and_looks_at_the_queues_of_its_roles_only(run: Kayan, database_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": database_url, "KAYAN_STORAGE": f"folder:{tmp_path}/objects", "KAYAN_MAIL": f"outbox:{tmp_path}/outbox"}
    run("add", "email", json.dumps(EMAIL))
    lines = run("check", "analytics", **settings).stdout.splitlines()
    assert lines[-1] == "6 checks, all is well"
    text = run("check", "email", **settings).stdout
    assert "jobs wait and nobody works them: email" in text
    assert text.splitlines()[-1] == "7 checks, 1 warning"


def test_check_gives_the_remedy_of_a_storage_folder_and_of_missing_credentials_apart(run: Kayan, database_url: str, tmp_path: Path) -> None:
    settings = {"DATABASE_URL": database_url, "KAYAN_STORAGE": "folder:/proc/nope"}
    found = findings(run("check", "cleanup", "--json", code=1, **settings))["storage"]
    assert (found["verdict"], "KAYAN_STORAGE" in found["remedy"]) == ("failed", True)
    settings = {"DATABASE_URL": database_url, "AWS_S3_BUCKET": "kayan", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    found = findings(run("check", "cleanup", "--json", code=1, **settings))["storage"]
    assert "Unable to locate credentials" in found["says"]
    assert found["remedy"].startswith("set AWS_ACCESS_KEY_ID")


def test_check_names_the_extra_that_brings_what_is_missing(run: Kayan, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('no psycopg here')")
    found = findings(run("check", "analytics", "cleanup", "--json", code=1, DATABASE_URL=database_url, PYTHONPATH=str(tmp_path),
                         KAYAN_STORAGE=f"folder:{tmp_path}"))  # fmt: skip
    assert "pip install 'kayan-workers[analytics,maintenance]'" in found["PostgreSQL"]["remedy"]
