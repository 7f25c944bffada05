"""The words everybody shares for what went wrong.

KayanError
├── TemporaryError    the world may heal: a timeout, a restart; the job is retried
│   └── NotNowError   all is well, but there is no room for the job yet: it comes again later, and no attempt is counted
├── PermanentError    no retry can help: no such file, a malformed payload; the job fails now
└── SettingsError     the environment is wrong; nothing starts
"""

from __future__ import annotations

from collections.abc import Sequence


class KayanError(Exception):
    """The root of every error this project raises on purpose. ``remedy`` is what somebody can do about it; it ends the message."""

    def __init__(self, says: str = "", remedy: str = "") -> None:
        super().__init__(f"{says}; {remedy}" if remedy else says)
        self.says = says
        self.remedy = remedy


class TemporaryError(KayanError):
    """The world may heal, so the attempt is worth repeating."""


class NotNowError(TemporaryError):
    """The world has no room for this job yet (a quota is used up, say). It is put off, and keeps the attempts it has."""

    def __init__(self, says: str, remedy: str = "", *, again_in_seconds: float) -> None:
        super().__init__(says, remedy)
        self.again_in_seconds = again_in_seconds


class PermanentError(KayanError):
    """No retry can help, so the job fails at once, whatever attempts it has left."""


class SettingsError(KayanError):
    """The environment is wrong. Carries every problem found, so that one run of the program reports them all."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
