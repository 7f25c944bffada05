"""Remembers which mails have been handed over, so that a job that runs twice mails once.

Handing a mail to SES and writing down that SES took it cannot be one transaction. So a run claims the delivery, sends, and records
it. What each ending leaves behind:

- recorded: no later run sends it again;
- the run ended in an error (SES refused, is throttling, did not answer): the claim is given back and the next try sends;
- the worker died between claim and record: nobody knows whether SES has the mail. The next run waits until the dead one cannot be
  sending any more (``CLAIM_SECONDS`` after its claim) and sends again under the same Message-ID: twice is better than never.

Two runs of one job never send at the same time: one claims, the other waits for it. ``maybe_twice`` marks the mails of which a
second copy may exist, because a worker died or an answer got lost; it is the measure of the window that SES leaves open.
The table stands beside the ledger, in the fleet's own schema, and holds no address, only its SHA-256.
"""

from __future__ import annotations

import enum
import hashlib
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from kayan_workers.errors import TemporaryError
from kayan_workers.own_table import OwnTable

if TYPE_CHECKING:
    from kayan_workers.database import Database

CLAIM_SECONDS = 60
"""Longer than one call to SES takes, its time limits included."""
_POLL_SECONDS = 0.5
_RECORD_AGAIN_AFTER_SECONDS = (0.25, 1.0, 4.0)


class Delivery(NamedTuple):
    """One mail, to one recipient or to several who see each other."""

    queue: str
    job_id: str
    added_ms: int
    """When the job was added: ids start again at 1 when Redis is emptied."""
    recipient: str
    """``digest_of`` the address, or of all of them."""
    message_id: str
    """The Message-ID we give it, by which a received mail is traced back to its job."""


def digest_of(addresses: Iterable[str]) -> str:
    """How those who get one mail together are recorded: a SHA-256 in hex, whatever order and spelling a job has them in."""
    return hashlib.sha256("\0".join(sorted(address.lower() for address in addresses)).encode()).hexdigest()


class Claim(enum.Enum):
    """What a run finds when it asks for a delivery."""

    NEW = enum.auto()
    """Nobody has handed it over: ours to send."""
    MAYBE_SENT = enum.auto()
    """A worker died or an answer got lost: ours to send, perhaps for the second time."""
    SENT = enum.auto()
    """Handed over before: nothing to do."""


TABLE = OwnTable(
    "mails",
    """
    queue         TEXT NOT NULL,
    job_id        TEXT NOT NULL,
    added_ms      BIGINT NOT NULL,
    recipient     TEXT NOT NULL,
    message_id    TEXT NOT NULL,
    receiver_id   TEXT,
    claimed_until TIMESTAMPTZ,
    maybe_twice   BOOLEAN NOT NULL DEFAULT false,
    recorded_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    sent_at       TIMESTAMPTZ,
    PRIMARY KEY (queue, job_id, added_ms, recipient)
    """,
    """
    COMMENT ON COLUMN kayan_workers.mails.recipient IS 'SHA-256 of the address';
    COMMENT ON COLUMN kayan_workers.mails.receiver_id IS 'the id under which SES took the mail'
    """,
)

# A claim that has run out was its worker's last sign of life.
_CLAIM = """
INSERT INTO kayan_workers.mails AS mail (queue, job_id, added_ms, recipient, message_id, claimed_until)
VALUES (%s, %s, %s, %s, %s, clock_timestamp() + %s * interval '1 second')
ON CONFLICT (queue, job_id, added_ms, recipient) DO UPDATE
  SET claimed_until = excluded.claimed_until, maybe_twice = mail.maybe_twice OR mail.claimed_until IS NOT NULL
  WHERE mail.sent_at IS NULL AND (mail.claimed_until IS NULL OR mail.claimed_until <= clock_timestamp())
RETURNING maybe_twice
"""
_OF_THIS = "WHERE queue = %s AND job_id = %s AND added_ms = %s AND recipient = %s"
_SENT_AT = f"SELECT sent_at FROM kayan_workers.mails {_OF_THIS}"  # noqa: S608 (a constant)
_SENT_AMONG = """
SELECT recipient FROM kayan_workers.mails WHERE queue = %s AND job_id = %s AND added_ms = %s AND sent_at IS NOT NULL
"""
_GIVE_BACK = f"""
UPDATE kayan_workers.mails SET claimed_until = NULL, maybe_twice = maybe_twice OR %s {_OF_THIS} AND sent_at IS NULL
"""  # noqa: S608
_RECORD = f"""
UPDATE kayan_workers.mails SET claimed_until = NULL, sent_at = clock_timestamp(), receiver_id = %s {_OF_THIS}
"""  # noqa: S608


def sent_among(database: Database, of_one_job: Sequence[Delivery]) -> set[Delivery]:
    """Those of a job's deliveries that have been recorded as sent."""
    with database.transaction() as connection:
        TABLE.make_sure_it_exists(connection)
        sent = {recipient for (recipient,) in connection.execute(_SENT_AMONG, of_one_job[0][:3])}
    return {delivery for delivery in of_one_job if delivery.recipient in sent}


def claim(database: Database, delivery: Delivery, stop: threading.Event) -> Claim:
    """Make ``delivery`` ours to send, or learn that it has been sent. Waits while another run of its job may be sending it.

    Raises TemporaryError when ``stop`` is set meanwhile.
    """
    while True:
        with database.transaction() as connection:
            TABLE.make_sure_it_exists(connection)
            claimed = connection.execute(_CLAIM, (*delivery, CLAIM_SECONDS)).fetchone()
            if claimed is not None:
                return Claim.MAYBE_SENT if claimed[0] else Claim.NEW
            standing = connection.execute(_SENT_AT, delivery[:4]).fetchone()
        if standing is not None and standing[0] is not None:
            return Claim.SENT
        if stop.wait(_POLL_SECONDS):
            raise TemporaryError("stopped while waiting for another run of this job, which is sending the mail")


def give_back(database: Database, delivery: Delivery, *, maybe_sent: bool) -> None:
    """Let the next try send at once. ``maybe_sent``: the receiver may have taken it all the same.

    An unreachable database is no error here: the claim runs out by itself.
    """
    with suppress(TemporaryError), database.transaction() as connection:
        connection.execute(_GIVE_BACK, (maybe_sent, *delivery[:4]))


def record(database: Database, delivery: Delivery, receiver_id: str) -> None:
    """Write down that the receiver took it, as ``receiver_id``. Tries again for a few seconds: without this line a second copy goes out.

    Raises TemporaryError when the database stays away.
    """
    for seconds in (*_RECORD_AGAIN_AFTER_SECONDS, None):
        try:
            with database.transaction() as connection:
                connection.execute(_RECORD, (receiver_id, *delivery[:4]))
        except TemporaryError:
            if seconds is None:
                raise
            time.sleep(seconds)
        else:
            return
