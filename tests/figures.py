"""What tests have measured, printed at the end of the run: figures to read, never to fail on.

A plugin of pytest. What was noted in a worker of pytest-xdist travels to the process that prints.
"""

from __future__ import annotations

from typing import Any

import pytest

_taken: dict[str, dict[str, str]] = {}
"""By heading, what was measured and what came out."""


def note(heading: str, what: str, value: str = "") -> None:
    """One line under ``heading``; said again, it replaces what was said before."""
    _taken.setdefault(heading, {})[what] = value


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["figures"] = _taken


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended; one that died has nothing to tell."""
    for heading, lines in getattr(node, "workeroutput", {}).get("figures", {}).items():
        for what, value in lines.items():
            note(heading, what, value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for heading, lines in _taken.items():
        terminalreporter.section(heading)
        width = max(map(len, lines))
        for what, value in lines.items():
            terminalreporter.write_line(f"{what:<{width}}  {value}".rstrip())
