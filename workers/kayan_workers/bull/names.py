"""Which names and ids a queue may carry: the checks that Bull leaves out.

Source: wire document, section 1 (reserved ids, glob characters) and W22.
"""

from __future__ import annotations

import re

from kayan_workers.bull.errors import NoSuchJob
from kayan_workers.bull.keys import RESERVED_IDS

_GLOB = re.compile(r"[*?\[\]\\]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_OWN_KEYS = re.compile(r"^(de|metrics|limiter|repeat):|:(lock|logs)$")
_LONGEST_ID = 1024


def check_queue_name(name: str, prefix: str) -> None:
    """Raises ValueError when events or tools could not tell this queue's keys from others."""
    for what, text in (("queue name", name), ("prefix", prefix)):
        if not text or _CONTROL.search(text):
            raise ValueError(f"the {what} {text!r} is empty or has control characters")
        if _GLOB.search(text) or "@" in text:
            raise ValueError(f"the {what} {text!r} has one of * ? [ ] \\ @: subscriptions and scans would match other queues; leave it out")


def is_own_key(job_id: str) -> bool:
    """Whether what stands under this id is a hash of the queue's own. Its other keys are no hashes: nobody takes them for a job."""
    return job_id in RESERVED_IDS or job_id == "limiter:index"


def refuse_own_key(queue: str, job_id: str) -> None:
    """Raises NoSuchJob when what stands under this id is the queue's own."""
    if is_own_key(job_id):
        raise NoSuchJob(f"{job_id} is one of the keys of queue {queue} itself, and no job")


def check_job_id(job_id: str) -> None:
    """Raises ValueError when ``job_id`` cannot be a job's own id.

    A job's hash shares the namespace of the queue's keys, and Bull's automatic ids, plain numbers, overwrite whatever
    stands under them.
    """
    if not isinstance(job_id, str):
        raise ValueError(f"job id {job_id!r} is no string")
    if not job_id or len(job_id) > _LONGEST_ID or _CONTROL.search(job_id):
        raise ValueError(f"job id {job_id[:80]!r} is empty, has control characters or is longer than {_LONGEST_ID}")
    if job_id.isdecimal():
        raise ValueError(f"job id {job_id} is a number: an automatic id would overwrite it one day; give it a prefix, like order-{job_id}")
    if job_id in RESERVED_IDS or _OWN_KEYS.search(job_id):
        raise ValueError(f"job id {job_id!r} is the name of one of the queue's own keys; choose another")
