"""What Redis answers instead of doing its work is said once, however long it lasts."""

from __future__ import annotations

from collections.abc import Callable


class Refusal:
    """The refusals that one part of a consumer meets."""

    def __init__(self, warn: Callable[[str], None], what: str) -> None:
        """``what`` begins the warning: Redis refuses to do what."""
        self._warn = warn
        self._what = what
        self._last = ""

    def met(self, error: Exception) -> None:
        """Warn, unless the last call met the very same."""
        if self._last != (said := str(error)):
            self._last = said
            self._warn(f"{self._what}, trying again: {error}")

    def over(self) -> None:
        """A call was done: the next refusal is a new one."""
        self._last = ""
