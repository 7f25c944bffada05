"""What is heard of kopf's own troubles."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import kopf
import pytest
from kayan_operator.cluster.fleet import Fleet
from kayan_operator.cluster.handlers import watch_settings, watches
from kayan_workers.bull.ending import end
from redis_process import free_port
from waiting import wait_until

NOWHERE = """
apiVersion: v1
kind: Config
current-context: nowhere
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
clusters: [{name: nowhere, cluster: {server: "http://127.0.0.1:%d"}}]
users: [{name: nobody, user: {token: none}}]
"""


class Heard(logging.Handler):
    """What was said of requests that are repeated."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "will retry" in record.getMessage():
            self.records.append(record)


def test_a_request_that_is_repeated_is_a_warning_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").write_text(NOWHERE % free_port())
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    heard = Heard()
    monkeypatch.setattr(logging.getLogger(), "handlers", [heard])

    async def watch() -> None:
        watching = asyncio.create_task(kopf.operator(registry=watches(Fleet(prefix="bull")), settings=watch_settings(), standalone=True,
                                                     namespaces=["work"]))
        await wait_until(lambda: heard.records, what="kopf tries again")
        await end([watching])

    asyncio.run(watch())
    assert {record.levelname for record in heard.records} == {"WARNING"}
