"""Names as people type them: roles, families and wire names of queues, with suggestions and completion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.processors.cleaning.policy import KINDS, as_typed
from kayan_workers.processors.table import ROLES, Role

ALL = "all"
STATES = ("waiting", "active", "delayed", "paused", "completed", "failed")


class UnknownName(Exception):  # noqa: N818
    """No role, family or queue has this name. The text says which there are."""


def chosen_roles(names: Sequence[str], roles: Sequence[Role] = ROLES) -> list[Role]:
    """The roles that ``names`` mean (``all``, a role, a family, a queue), each once, in the table's order."""
    wanted: set[str] = set()
    for name in names:
        meant = {role.name for role in roles if name.lower() in (ALL, role.name, role.family, role.queue)}
        if not meant:
            raise UnknownName(f"no role, family or queue is called {name!r}. {_hint(name, _role_names(roles))}")
        wanted |= meant
    return [role for role in roles if role.name in wanted]


def queue_name(name: str, roles: Sequence[Role] = ROLES) -> str:
    """The wire name of a queue, from its role's name or its own."""
    for role in roles:
        if name.lower() in (role.name, role.queue):
            return role.queue
    raise UnknownName(f"no queue is called {name!r}. {_hint(name, [role.name for role in roles])}")


def one_of(name: str, names: Sequence[str], what: str) -> str:
    """``name`` as it stands in ``names``, whatever its case, with - for _."""
    plain = {each.lower().replace("_", "-"): each for each in names}
    found = plain.get(name.lower().replace("_", "-"))
    if found is None:
        raise UnknownName(f"no {what} is called {name!r}. {_hint(name, names)}")
    return found


def complete_roles(incomplete: str) -> list[str]:
    return _starting(incomplete, _role_names(ROLES))


def complete_queues(incomplete: str) -> list[str]:
    return _starting(incomplete, [name for role in ROLES for name in (role.name, role.queue)])


def complete_any(incomplete: str) -> list[str]:
    return _starting(incomplete, [*_role_names(ROLES), *(role.queue for role in ROLES)])


def complete_states(incomplete: str) -> list[str]:
    return _starting(incomplete, STATES)


def complete_cleanups(incomplete: str) -> list[str]:
    """As the help spells them, or as the wire does for whoever begins so."""
    return _starting(incomplete, map(as_typed, KINDS)) or _starting(incomplete, KINDS)


def complete_templates(incomplete: str) -> list[str]:
    return _starting(incomplete, CATALOGUE)


def _role_names(roles: Sequence[Role]) -> list[str]:
    return list(dict.fromkeys([ALL, *(role.name for role in roles), *(role.family for role in roles)]))


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name.startswith(incomplete)))


def _hint(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name.lower(), [each.lower() for each in names], n=1)
    meant = f"Did you mean {next(each for each in names if each.lower() == close[0])}? " if close else ""
    return f"{meant}There are: {', '.join(names)}"
