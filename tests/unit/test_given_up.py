"""Telling the app of jobs that were given up never costs the worker more than a line."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

from kayan_workers import logs
from kayan_workers.given_up import GivenUp
from kayan_workers.processors.table import ROLES
from waiting import wait_until


class Broken:
    """Processors that cannot be loaded any more."""

    def given_up(self, role: object) -> None:
        raise ImportError("libvips.so.42 has gone")


async def test_a_processor_that_cannot_be_loaded_is_a_warning() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    broken: Any = Broken()
    queue: Any = SimpleNamespace(name="asset-processing")
    given_up = GivenUp(broken)

    given_up.of(ROLES[0], queue)(["7"])
    await wait_until(stream.getvalue)
    await given_up.close()

    [event] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (event["event"], event["queue"]) == ("queue.warning", "asset-processing")
    assert "libvips.so.42 has gone" in event["message"]
