"""The moment that SES leaves open: it has taken a mail, and nobody has written that down yet. Workers are killed around it, many times.

A mail may come twice only out of that moment, is then marked as such, and both copies carry one id. No mail is lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import ses_server
from app import owner_of
from kayan import environment
from kayan_workers.mail.samples import SAMPLE_VARIABLES
from ses_server import Accepted, Quota, SesServer

TESTS = Path(__file__).parent.parent
KILLS = 24

# One process loads everything once and forks a worker for each job, so that a kill costs milliseconds.
WORKERS = """
import json, os, sys
from dataclasses import dataclass
from doubles import FakeJob
from kayan_workers import deliveries
from kayan_workers.binding import Processors
from kayan_workers.edges import Edges
from kayan_workers.processors.table import ROLES
from kayan_workers.settings import Settings

@dataclass
class EmailJob(FakeJob):
    queue: str = "email"
    raw_data: bytes = b""

deliveries.CLAIM_SECONDS = 2
roles = [role for role in ROLES if role.name == "email"]
edges = Edges(Settings.from_environment(roles=roles))
send = Processors(roles, edges).handler(roles[0])
edges.mailer

for line in sys.stdin:
    job_id, payload = json.loads(line)
    worker = os.fork()
    if worker == 0:
        try:
            send(EmailJob(id=job_id, raw_data=json.dumps(payload).encode()))
        finally:
            os._exit(0)
    print(worker, flush=True)
    print(os.waitpid(worker, 0)[1], flush=True)
"""


@dataclass
class Workers:
    """Workers one after the other."""

    process: subprocess.Popen[str]

    def run(self, job_id: str) -> int:
        """One run of a job to the worker's end; returns how that came about, as ``waitpid`` says it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        payload = {"to": f"{job_id}@example.com", "template": "welcome", "data": SAMPLE_VARIABLES["welcome"]}
        self.process.stdin.write(json.dumps([job_id, payload]) + "\n")
        self.process.stdin.flush()
        self.pid = int(self.process.stdout.readline())
        return int(self.process.stdout.readline())


@pytest.fixture
def ses() -> Iterator[SesServer]:
    with ses_server.running() as server:
        server.quota = Quota(per_second=1000)
        yield server


@pytest.fixture
def rights() -> str:
    return "email"


@pytest.fixture
def workers(ses: SesServer, database_url: str, redis_url: str) -> Iterator[list[Workers]]:
    variables = environment(
        REDIS_URL=redis_url, DATABASE_URL=database_url, AWS_ENDPOINT_URL_SES=ses.url, AWS_ACCESS_KEY_ID="test",
        AWS_SECRET_ACCESS_KEY="test", AWS_SES_REGION="eu-central-1", EMAIL_FROM="noreply@kayanlive.example",
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        started = []
        for _ in range(4):
            process = subprocess.Popen(
                [sys.executable, "-c", WORKERS], cwd=TESTS, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            started.append(Workers(process))
        yield started


def by_job(ses: SesServer) -> dict[str, list[Accepted]]:
    found: dict[str, list[Accepted]] = {}
    for mail in ses.accepted:
        found.setdefault(mail.destinations[0].partition("@")[0], []).append(mail)
    return found


def deliveries_of(database_url: str) -> dict[str, tuple[bool, bool]]:
    """By job: whether it may have gone out twice, and whether it is recorded as sent."""
    with psycopg.connect(owner_of(database_url)) as connection:
        found = connection.execute("SELECT job_id, maybe_twice, sent_at IS NOT NULL FROM kayan_workers.mails").fetchall()
    return {job_id: (maybe_twice, sent) for job_id, maybe_twice, sent in found}


def test_workers_killed_around_the_moment_ses_takes_a_mail_lose_none_and_mark_each_that_may_come_twice(
    workers: list[Workers], ses: SesServer, database_url: str
) -> None:
    """Every third is killed before SES has answered, the others at any moment in the milliseconds after."""
    jobs = [f"job{number}" for number in range(KILLS)]
    chance = random.Random(4)

    def shoot(worker: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it was quicker, and has written everything down
            os.kill(worker, signal.SIGKILL)

    def kill(mail: Accepted) -> None:
        job, worker = mail.destinations[0].partition("@")[0], workers[0].pid
        if jobs.index(job) % 3 == 0:
            shoot(worker)
        else:
            threading.Timer(chance.uniform(0, 0.012), shoot, [worker]).start()

    ses.on_accept = kill
    for job in jobs:
        workers[0].run(job)
    ses.on_accept = lambda mail: None
    first = {job: len(mails) for job, mails in by_job(ses).items()}
    recorded = {job for job, (_, sent) in deliveries_of(database_url).items() if sent}

    with ThreadPoolExecutor(len(workers)) as threads:
        ends = list(threads.map(run_all, workers, [jobs[number :: len(workers)] * 2 for number in range(len(workers))]))

    copies, after = by_job(ses), deliveries_of(database_url)
    assert first == dict.fromkeys(jobs, 1)
    assert {end for some in ends for end in some} == {0}
    assert after.keys() == set(jobs)
    for job in jobs:
        assert len(copies[job]) == (1 if job in recorded else 2), "twice only when nobody had written it down"
        assert after[job] == (job not in recorded, True)
        assert len({mail.message["X-Kayan-Message-ID"] for mail in copies[job]}) == 1
    assert not recorded & set(jobs[::3]), "who dies before the answer cannot have written it down"
    print(f"killed {KILLS}, of which {KILLS - len(recorded)} within the moment that SES leaves open")


def run_all(workers: Workers, jobs: list[str]) -> list[int]:
    return [workers.run(job) for job in jobs]
