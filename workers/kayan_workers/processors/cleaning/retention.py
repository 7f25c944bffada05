"""RETENTION: rows with personal data that the app keeps for ever go after as many days as the operator set for their table.

A notification goes only when it has been read; the app does not record when, so its age is what counts.
"""

from __future__ import annotations

from datetime import timedelta

from kayan_workers.processors.cleaning.rows import Rows
from kayan_workers.processors.cleaning.run import Run

_TABLES: dict[str, Rows] = {
    "ASSET_ACTIVITIES": Rows(what="activity", reason="older than its retention", table="asset_activities", since="createdAt"),
    "NOTIFICATIONS": Rows(
        what="notification", reason="read, and older than its retention", table="notifications", since="createdAt", due="read"
    ),
    "SEARCH_HISTORY": Rows(what="search", reason="older than its retention", table="search_history", since="createdAt"),
    "SHARE_LINK_ACCESS": Rows(what="share link access", reason="older than its retention", table="share_link_access", since="createdAt"),
}


def clean(run: Run) -> None:
    for name, days in sorted(run.edges.cleanup.retention_days.items()):
        _TABLES[name].clean(run, run.utc - timedelta(days=days))
