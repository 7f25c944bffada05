"""Links and invitations whose time has come stop working. The rows stay, the app shows them as expired.

EXPIRED_LINKS switches share links off, EXPIRED_EXTERNAL_LINKS the same of the older ``asset_external_links``. EXPIRED_INVITATIONS marks
invitations that nobody answered as the app itself does when one is opened too late; they can still be sent again.
"""

from __future__ import annotations

from kayan_workers.processors.cleaning.rows import Rows
from kayan_workers.processors.cleaning.run import Run

_SHARE_LINKS = Rows(
    what="share link", reason="expired", table="asset_share_links", since="expiresAt", due='"isActive"', set='"isActive" = false'
)
_EXTERNAL_LINKS = Rows(
    what="external link", reason="expired", table="asset_external_links", since="expiresAt", due='"isActive"', set='"isActive" = false',
    may_be_missing=True,
)  # fmt: skip
_INVITATIONS = Rows(
    what="invitation", reason="expired without an answer", table="invitations", since="expires", due="status = 'PENDING'",
    set="""status = 'EXPIRED', "updatedAt" = now()""", may_be_missing=True,
)  # fmt: skip


def clean(run: Run) -> None:
    _SHARE_LINKS.clean(run, run.utc)


def clean_external(run: Run) -> None:
    _EXTERNAL_LINKS.clean(run, run.utc)


def clean_invitations(run: Run) -> None:
    _INVITATIONS.clean(run, run.utc)
