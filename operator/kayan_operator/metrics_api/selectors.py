"""Label selectors as Kubernetes writes them: ``a=b``, ``a==b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``, ``a`` and ``!a``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"\s*(==|!=|[=!,()<>]|[^\s=!,()<>]+)")
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX: Final = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_OPERATORS: Final = {"=": False, "==": False, "!=": True, "in": False, "notin": True}
"""How a key and its values may be joined, and whether that says which values it may not have."""


class SelectorError(ValueError):
    """The text is no label selector, or one of a form that is not served; the message says why."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one label must be, or with ``negated`` must not be. ``values`` None means any: the label is there."""

    key: str
    values: frozenset[str] | None = None
    negated: bool = False

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """As Kubernetes has it, a label that is missing is none of the values."""
        has_it = self.key in labels and (self.values is None or labels[self.key] in self.values)
        return has_it is not self.negated


Selector = tuple[Requirement, ...]
"""All of them must be met; an empty one selects everything."""


def parse(text: str) -> Selector:
    """The selector that a text means. Raises SelectorError."""
    tokens = _Tokens(text)
    requirements: list[Requirement] = []
    while tokens.next is not None:
        if requirements:
            tokens.expect(",")
        requirements.append(_requirement(tokens))
    return tuple(requirements)


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether labels meet every requirement."""
    return all(requirement.met_by(labels) for requirement in selector)


def exact(selector: Selector) -> dict[str, str]:
    """The labels that may have one value only, and that value: nothing else can be selected."""
    return {
        requirement.key: next(iter(requirement.values))
        for requirement in selector
        if requirement.values is not None and len(requirement.values) == 1 and not requirement.negated
    }


class _Tokens:
    """Words and signs of a selector, one after the other; ``next`` is None at the end."""

    def __init__(self, text: str) -> None:
        self._rest = iter(_TOKEN.findall(text))
        self.next: str | None = next(self._rest, None)

    def take(self) -> str | None:
        taken, self.next = self.next, next(self._rest, None)
        return taken

    def take_if(self, sign: str) -> bool:
        return self.next == sign and bool(self.take())

    def expect(self, sign: str) -> None:
        found = self.take()
        if found != sign:
            raise SelectorError(f"{sign!r} is expected where {_named(found)} stands")

    def take_value(self) -> str:
        """A value, which may be empty."""
        return "" if self.next in (None, ",", ")") else _value(self.take())


def _requirement(tokens: _Tokens) -> Requirement:
    if tokens.take_if("!"):
        return Requirement(_key(tokens.take()), negated=True)
    key = _key(tokens.take())
    if tokens.next in (None, ","):
        return Requirement(key)
    operator = tokens.take()
    if operator not in _OPERATORS:
        raise SelectorError(f"{_named(operator)} is no operator that is served here; there are =, ==, !=, in and notin")
    values = _values(tokens) if operator in ("in", "notin") else {tokens.take_value()}
    return Requirement(key, frozenset(values), negated=_OPERATORS[operator])


def _values(tokens: _Tokens) -> set[str]:
    tokens.expect("(")
    values = {tokens.take_value()}
    while tokens.take_if(","):
        values.add(tokens.take_value())
    tokens.expect(")")
    return values


def _key(word: str | None) -> str:
    prefix, slash, name = (word or "").rpartition("/")
    if not _NAME.fullmatch(name) or (slash and not _PREFIX.fullmatch(prefix)):
        raise SelectorError(f"{_named(word)} is no label's name")
    return word or ""


def _value(word: str | None) -> str:
    if not _NAME.fullmatch(word or ""):
        raise SelectorError(f"{_named(word)} is no label's value")
    return word or ""


def _named(word: str | None) -> str:
    return "the end" if word is None else repr(word)
