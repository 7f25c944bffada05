"""A mail whose worker was killed goes out once, but for the moment in which SES has it and nobody else knows: then both copies are one mail
by their Message-ID, and the second is marked."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import ses_server
from integration.killed.scene import PATIENCE, Arrival, Scene
from ses_server import SesServer
from waiting import wait_until

MAIL = {"to": ["ada@example.com", "grace@example.com"], "subject": "Hello", "data": {"text": "Hi"}}


@dataclass
class Sent:
    """SES has taken the mail to ``address`` and its answer is held back. With ``recorded`` the worker hears it and Redis does not."""

    ses: SesServer
    address: str
    recorded: bool = False
    answer: threading.Event = field(default_factory=threading.Event)

    @asynccontextmanager
    async def prepared(self, scene: Scene) -> AsyncIterator[Arrival]:
        self.ses.on_accept = lambda mail: self.address in mail.destinations and self.answer.wait(PATIENCE)

        async def come() -> None:
            await wait_until(lambda: self.ses.to(self.address), PATIENCE, what="SES to take the mail")
            if self.recorded:
                scene.redis_line.silent = True
                self.answer.set()
                await wait_until(lambda: unsettled(scene) == 0, PATIENCE, what="the mail to be recorded")

        yield come
        scene.redis_line.silent = False
        self.answer.set()


def unsettled(scene: Scene) -> int:
    """Mails that a worker has claimed and not recorded."""
    row = scene.app.connection.execute("SELECT count(*) FROM kayan_workers.mails WHERE sent_at IS NULL").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def ses(scene: Scene) -> Iterator[SesServer]:
    with ses_server.running() as ses:
        scene.variables |= {
            "KAYAN_MAIL": "ses", "AWS_ENDPOINT_URL_SES": ses.url, "AWS_SES_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
            "EMAIL_FROM": "noreply@kayanlive.example",
        }  # fmt: skip
        yield ses


@pytest.mark.parametrize(("last", "recorded", "copies"), [
    pytest.param("ada@example.com", False, [2, 1], id="between sending and recording the first"),
    pytest.param("grace@example.com", False, [1, 2], id="between sending and recording the second"),
    pytest.param("grace@example.com", True, [1, 1], id="before it said so"),
])  # fmt: skip
async def test_a_mail_whose_worker_was_killed_comes_once_or_is_known_to_come_twice(
    scene: Scene, ses: SesServer, last: str, recorded: bool, copies: list[int]
) -> None:
    await scene.kill_a_worker("email", [MAIL], at=Sent(ses, last, recorded))
    # The time in which the dead worker might still be sending has passed.
    scene.app.connection.execute("UPDATE kayan_workers.mails SET claimed_until = now() WHERE claimed_until IS NOT NULL")
    await scene.let_another_finish()

    mails = [ses.to(address) for address in MAIL["to"]]
    assert [len(some) for some in mails] == copies
    assert [len({mail.message["Message-ID"] for mail in some}) for some in mails] == [1, 1]
    marked = scene.app.connection.execute("SELECT message_id FROM kayan_workers.mails WHERE maybe_twice").fetchall()
    assert [message_id for (message_id,) in marked] == [some[0].message["Message-ID"] for some in mails if len(some) > 1]
    assert unsettled(scene) == 0
