"""Notifications, from Redis to their rows: a worker of ours beside the app's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from app import App
from bench import to_the_last_row
from bench.peer import APP_OPTIONS
from bench.results import Row
from bench.stage import Stage
from bench.to_the_last_row import Backlog
from kayan_workers.bull.options import JobOptions

GOAL = 5
_USERS, _TASKS = 200, 500


async def run(stage: Stage) -> list[Row]:
    backlog = Backlog(
        role="notification", jobs=_assignments, check=_check, tables=("notifications",),
        options=JobOptions(priority=1, delay_ms=0).over(APP_OPTIONS),
    )
    return await to_the_last_row.run(stage, backlog, GOAL)


def _assignments(app: App, number: int) -> list[dict[str, Any]]:
    """What the app queues when tasks are created: one for each assignee."""
    users, project = [app.user() for _ in range(_USERS)], app.project()
    tasks = [app.task(project) for _ in range(_TASKS)]
    choice = random.Random(4)

    def assignment(task: str, user: str) -> dict[str, Any]:
        return {
            "userId": user, "type": "TASK_ASSIGNED", "title": "New Task Assigned",
            "message": 'You have been assigned to task "Booth render" in project "LEAP 2026"',
            "data": {"taskId": task, "taskName": "Booth render", "projectId": project, "projectName": "LEAP 2026", "assignedBy": "Mona"},
            "projectId": project, "taskId": task,
        }

    return [assignment(choice.choice(tasks), choice.choice(users)) for _ in range(number)]


def _check(app: App, notes: Sequence[dict[str, Any]]) -> None:
    expected = sorted((note["userId"], note["taskId"]) for note in notes)
    assert app.rows("notifications", "userId", "taskId") == expected, "notifications are missing or doubled"
