"""What a check of ``kayan check`` raises when something is not as it should be."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818
    """Something is not as it should be: what, and what to do. Mild trouble is a warning."""

    def __init__(self, says: str, remedy: str, *, is_mild: bool = False) -> None:
        super().__init__(says)
        self.says = says
        self.remedy = remedy
        self.is_mild = is_mild
