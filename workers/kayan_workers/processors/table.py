"""The seven queues: role, wire name, family, concurrency and module, one line each.

Adding a queue takes three steps: a payload type and a processor in a module of their own, and one line here.
Only this table knows both a role's name and its queue's name on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass

DATABASE, STORAGE, MAIL, CODECS = "database", "storage", "mail", "codecs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One queue and how it is worked. The module holds ``Payload`` (a msgspec.Struct) and ``process`` or ``process_batch``.

    ``process(payload, job, edges)`` handles one job and returns what Bull stores as its return value (any JSON value or None).
    ``process_batch(work, edges)`` handles up to ``batch`` jobs as one transaction: ``work`` is a list of (payload, job) pairs;
    it returns one entry per pair, in order: the return value, or the exception that this job alone deserves.
    ``given_up(payload, edges)``, where there is one, hears of a job that no worker will run again because all that took it died.
    ``check(payload)``, where the module has one, raises what would be raised whatever the outside systems say: ``kayan add`` asks it.
    """

    name: str
    queue: str
    family: str
    label: str
    concurrency: int
    """Slots of one process. A slot holds one job, or one batch for a batch role."""
    module: str
    batch: int = 1
    """The most jobs of one slot; more than 1 makes it a batch role, whose module has ``process_batch``."""
    spread: bool = False
    """Heavy work: take one job a turn, so that a burst spreads over the pods instead of filling the first."""
    needs: tuple[str, ...] = ()
    """The outside systems it cannot work without, out of ``database``, ``storage`` and ``mail``: their settings are required."""
    timeout_seconds: float = 600
    """How long one attempt may take before it is ended and counts as failed. For a job whose own options say nothing."""


ROLES: tuple[Role, ...] = (
    Role(name="asset", queue="asset-processing", family="media", label="Asset Processing", concurrency=2,
         module="kayan_workers.processors.asset", spread=True,
         needs=(DATABASE, STORAGE, CODECS), timeout_seconds=900),
    Role(name="thumbnail", queue="thumbnail-generation", family="media", label="Thumbnail", concurrency=5,
         module="kayan_workers.processors.thumbnail", spread=True,
         needs=(DATABASE, STORAGE, CODECS), timeout_seconds=300),
    Role(name="variant", queue="variant-generation", family="media", label="Variant", concurrency=3,
         module="kayan_workers.processors.variant", spread=True,
         needs=(DATABASE, STORAGE, CODECS), timeout_seconds=3600),
    Role(name="email", queue="email", family="messaging", label="Email", concurrency=10,
         module="kayan_workers.processors.email",
         needs=(DATABASE, MAIL), timeout_seconds=120),
    Role(name="notification", queue="notification", family="messaging", label="Notification", concurrency=10,
         module="kayan_workers.processors.notification", batch=250,
         needs=(DATABASE,), timeout_seconds=60),
    Role(name="analytics", queue="analytics", family="analytics", label="Analytics", concurrency=5,
         module="kayan_workers.processors.analytics", batch=500,
         needs=(DATABASE,), timeout_seconds=60),
    Role(name="cleanup", queue="cleanup", family="maintenance", label="Cleanup", concurrency=1,
         module="kayan_workers.processors.cleanup", spread=True,
         needs=(DATABASE, STORAGE), timeout_seconds=3600),
)
