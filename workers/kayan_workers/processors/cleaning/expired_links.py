"""EXPIRED_LINKS: share links whose time has come stop working. The rows stay, the app shows them as expired."""

from __future__ import annotations

from kayan_workers.processors.cleaning.run import Run

_COUNT = """
SELECT count(*) FROM asset_share_links WHERE "isActive" AND "expiresAt" <= %(now)s
"""

_DEACTIVATE = """
UPDATE asset_share_links SET "isActive" = false WHERE id IN (
  SELECT id FROM asset_share_links WHERE "isActive" AND "expiresAt" <= %(now)s LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
"""


def clean(run: Run) -> dict[str, object]:
    return {"deactivated": run.sweep(_COUNT, _DEACTIVATE, {"now": run.utc})}
