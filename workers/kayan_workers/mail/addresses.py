"""Reads the recipients of a mail: who is meant, each once, or a clear refusal. No error repeats an address: errors are logged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.errors import InvalidHeaderDefect
from email.headerregistry import Address
from email.policy import SMTP
from typing import Any

from kayan_workers.errors import PermanentError, SettingsError

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST_LOCAL, _LONGEST_ADDRESS = 64, 254
"""In bytes, RFC 5321 section 4.5.3.1."""
_LONGEST_ENTRY = 2000
"""In characters. The parser takes time that grows with the square of what it reads."""


def recipients(to: str | Sequence[str] | None) -> list[Address]:
    """Everyone in ``to``, in order, each once (capitals make no difference).

    An entry is ``ada@example.com``, ``Ada <ada@example.com>``, or several of these with commas between, as nodemailer reads it.
    Domains come back in ASCII (punycode), the only form SES takes. Raises PermanentError when nobody is named, and when one of
    them is not an address, by its position.
    """
    entries = [to] if isinstance(to, str) else list(to or ())
    if not any(entry.strip() for entry in entries):
        raise PermanentError("the mail has no recipient: `to` is null or empty; add an address, then queue the mail again")
    named: dict[str, Address] = {}
    for position, entry in enumerate(entries, 1):
        where = f"recipient {position} of {len(entries)} (`to`)" if len(entries) > 1 else "the recipient (`to`)"
        for address in _parse(entry, where):
            named.setdefault(address.addr_spec.lower(), address)
    return list(named.values())


def sender(name: str, address: str) -> Address:
    """Who the mails are from: ``name`` may be empty. Raises SettingsError when there is no such address."""
    try:
        return _checked(name, address, "the sender (EMAIL_FROM, EMAIL_FROM_NAME)")
    except PermanentError as error:
        raise SettingsError([str(error)]) from error


def _parse(entry: str, where: str) -> list[Address]:
    if _CONTROL.search(entry):
        raise PermanentError(f"{where} contains a line break or control character")
    if len(entry) > _LONGEST_ENTRY:
        raise PermanentError(f"{where} is too long to be one: name the recipients in a list, one by one")
    try:
        header: Any = SMTP.header_factory("To", entry)  # of a class that the header registry builds on demand
    except Exception as error:  # the parser trips over some texts in ways of its own: IndexError, ValueError, RecursionError
        raise PermanentError(f"{where} is not an e-mail address") from error
    ambiguous = any(isinstance(defect, InvalidHeaderDefect) for defect in header.defects)
    if ambiguous or not header.addresses or any(group.display_name is not None for group in header.groups):
        raise PermanentError(f"{where} is not an e-mail address")
    return [_checked(address.display_name, address.addr_spec, where) for address in header.addresses]


def _checked(name: str, spec: str, where: str) -> Address:
    if _CONTROL.search(name):
        raise PermanentError(f"{where} contains a line break or control character")
    local, _, domain = spec.rpartition("@")
    if not local.isascii():
        raise PermanentError(f"{where} has letters before the @ that SES cannot deliver to: only ASCII is possible there")
    try:
        domain = domain.encode("idna").decode()
    except UnicodeError as error:
        raise PermanentError(f"{where} is not an e-mail address: there can be no such domain") from error
    too_long = len(local) > _LONGEST_LOCAL or len(local) + 1 + len(domain) > _LONGEST_ADDRESS
    if too_long or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise PermanentError(f"{where} is not an e-mail address")
    return Address(display_name=name, username=local, domain=domain)
