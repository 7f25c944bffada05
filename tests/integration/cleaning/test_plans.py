"""How PostgreSQL goes about a batch in tables that have grown: by an index, never through a whole table for a thousand rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import pytest
from app import App
from integration.cleaning.tidying import days_ago
from kayan_workers.processors.cleaning import expired_links, old_analytics, retention, stuck_assets, temp_files
from kayan_workers.processors.cleaning.rows import Rows
from psycopg import sql

MANY = 10_000

ALL_ROWS = [
    expired_links._SHARE_LINKS, expired_links._EXTERNAL_LINKS, expired_links._INVITATIONS, old_analytics._COUNTERS, stuck_assets._ASSETS,
    *retention._TABLES.values(),
]  # fmt: skip


@pytest.fixture
def grown(app: App) -> App:
    """Some rows are due, most are not."""
    asset, project = app.asset(id="a"), app.project()
    user = app.user(id="u")
    when = "timestamp '2025-01-01' + n * interval '10 minutes'"
    fill = {
        "assets": ("""id, name, type, "fileName", "originalName", "fileSize", "mimeType", "updatedAt", "createdAt", "uploadedBy", "fileKey",
                      "uploadStatus", "processingStatus", "isArchived" """,
                   f"""'a' || n, 'n', 'IMAGE', 'f', 'o', 1, 'm', {when}, {when}, 'u', 'k' || n,
                       (CASE WHEN n % 100 = 0 THEN 'PENDING' ELSE 'COMPLETED' END)::"UploadStatus",
                       (CASE WHEN n % 100 = 0 THEN 'PROCESSING' ELSE 'COMPLETED' END)::"ProcessingStatus", n % 100 = 0"""),
        "asset_variants": ("""id, "assetId", "variantType", "fileKey", "fileSize", format, "updatedAt" """,
                           f"'v' || n, 'a' || n, 'MOBILE', 'v' || n, 1, 'jpeg', {when}"),
        "asset_share_links": ("""id, token, "assetId", "createdById", "expiresAt" """, f"'l' || n, 't' || n, 'a', 'u', {when}"),
        "asset_external_links": ("""id, token, "assetId", "createdById", "expiresAt" """, f"'l' || n, 't' || n, 'a', 'u', {when}"),
        "invitations": ("""id, email, token, expires, "projectId", "invitedById", "updatedAt" """,
                        f"'i' || n, 'e', 't' || n, {when}, '{project}', 'u', {when}"),
        "asset_analytics": ("""id, "assetId", date""", "'d' || n, 'a' || n, date '2024-01-01' + n % 1000"),
        "asset_activities": ("""id, type, description, "userId", "createdAt" """, f"'a' || n, 'ASSET_VIEWED', 'd', 'u', {when}"),
        "search_history": ("""id, "userId", query, "createdAt" """, f"'s' || n, 'u', 'q', {when}"),
        "share_link_access": ("""id, "shareLinkId", "accessType", "createdAt" """, f"'x' || n, 'l' || n, 'VIEW', {when}"),
        "notifications": ("""id, type, title, message, "userId", read, "createdAt" """,
                          f"'n' || n, 'ASSET_UPLOADED', 't', 'm', 'u', n % 2 = 0, {when}"),
    }  # fmt: skip
    for table, (columns, values) in fill.items():
        query = f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, {MANY}) AS n"
        app.connection.execute(query)  # type: ignore[arg-type]
    app.connection.execute("VACUUM ANALYZE")
    assert (asset, user) == ("a", "u")
    return app


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from steps(part)


def read_whole(plan: dict[str, Any]) -> list[str]:
    """The tables that a plan goes through from end to end."""
    return [step["Relation Name"] for step in steps(plan) if step["Node Type"] == "Seq Scan"]


def planned(app: App, statement: sql.Composable, values: Any) -> dict[str, Any]:
    row = app.connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + statement, values).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def test_no_batch_is_looked_for_in_a_whole_table(grown: App) -> None:
    for rows in ALL_ROWS:
        plan = planned(grown, rows._change(), {"after": date.min, "before": _early(rows), "limit": 1000})
        [selection] = [step for step in steps(plan) if step.get("Subplan Name") == "CTE batch"]
        assert read_whole(selection) == [], rows

    values = {"before": days_ago(1), "after": "", "limit": temp_files.ASSETS}
    assert read_whole(planned(grown, temp_files._BATCH, values)) == []


def _early(rows: Rows) -> date:
    """A cutoff with a twentieth of the rows before it, as in a run that comes every day or month."""
    return date(2024, 2, 20) if rows.since == "date" else datetime(2025, 1, 11)  # noqa: DTZ001  as the app's columns have it
