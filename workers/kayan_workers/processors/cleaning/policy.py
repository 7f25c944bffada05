"""Which cleanups there are, which of them may run, and how long personal data is kept: what an operator decides, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kayan_workers.errors import PermanentError

KINDS: Mapping[str, str] = {
    "EXPIRED_LINKS": "daily", "OLD_VARIANTS": "daily", "TEMP_FILES": "hourly", "OLD_ANALYTICS": "monthly",
    "EXPIRED_EXTERNAL_LINKS": "daily", "EXPIRED_INVITATIONS": "daily", "ORPHANED_OBJECTS": "weekly", "STUCK_ASSETS": "daily",
    "OWN_RECORDS": "weekly", "RETENTION": "daily",
}  # fmt: skip
"""The types a job of the queue may have, and how often each is worth its while. The web app and the Node workers know the first four."""

SWITCHES: Mapping[str, bool] = {
    "EXPIRED_EXTERNAL_LINKS": True, "EXPIRED_INVITATIONS": True, "ORPHANED_OBJECTS": False, "STUCK_ASSETS": False, "OWN_RECORDS": True,
    "UNFINISHED_UPLOADS": True,
}  # fmt: skip
"""What may be switched off or on by ``KAYAN_CLEANUP_<NAME>``, and whether it is on where nobody says: only what is safe anywhere."""

RETENTIONS = ("ASSET_ACTIVITIES", "NOTIFICATIONS", "SEARCH_HISTORY", "SHARE_LINK_ACCESS")
"""Tables of the app that grow for ever, each with ``KAYAN_RETENTION_<NAME>_DAYS``; nothing goes where that is not set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the cleanups of a worker may do."""

    on: frozenset[str] = frozenset(name for name, is_on in SWITCHES.items() if is_on)
    """Those of ``SWITCHES`` that are switched on."""
    retention_days: Mapping[str, int] = field(default_factory=dict)
    """By name of ``RETENTIONS``."""
    orphaned_percent: float = 10
    """The largest share of the objects under our folders that can plausibly be orphans."""

    @property
    def variables(self) -> list[str]:
        """The variables of all that it switches on or sets."""
        return [*map(switch_variable, sorted(self.on)), *map(retention_variable, sorted(self.retention_days))]

    def allow(self, kind: str, *, dry_run: bool) -> None:
        """Raises PermanentError for a kind that is switched off, with the switch's name. Looking is always allowed."""
        if kind == "RETENTION" and not self.retention_days:
            variables = ", ".join(map(retention_variable, RETENTIONS))
            raise PermanentError("RETENTION: no retention is set", f"set one of {variables} where the cleanup worker runs")
        if kind in SWITCHES and kind not in self.on and not dry_run:
            look = f"`kayan cleanup {as_typed(kind)} --dry-run` lists what would go"
            raise PermanentError(f"{kind} is switched off", f"set {switch_variable(kind)}=on where the cleanup worker runs; {look}")


def switch_variable(name: str) -> str:
    return f"KAYAN_CLEANUP_{name}"


def retention_variable(name: str) -> str:
    return f"KAYAN_RETENTION_{name}_DAYS"


def as_typed(kind: str) -> str:
    """A kind as people type it: ``old-variants``."""
    return kind.lower().replace("_", "-")
