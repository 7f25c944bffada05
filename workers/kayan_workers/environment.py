"""Reads environment variables one by one and keeps every complaint, so that a wrong environment is reported whole.

A complaint names the variable, says what is the matter with it, and ends in a remedy. Values of secrets are never in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

_YES = ("1", "true", "yes", "on")
_NO = ("0", "false", "no", "off")


class Environment:
    """The variables of a process. Every reader returns a usable value, the default where the variable's own is no good.

    An empty variable counts as not set, as it does for the web app.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self.known: set[str] = set()
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def complain(self, problem: str) -> None:
        self.problems.append(problem)

    def warn(self, oddity: str) -> None:
        """Something that works, but hardly as meant; it ends in a remedy as well."""
        self.warnings.append(oddity)

    def text(self, name: str, default: str | None = None) -> str | None:
        self.known.add(name)
        return self._variables.get(name, "").strip() or default

    def required(self, name: str, why: str, example: str) -> str:
        """A text that must be there; ``why`` says who needs it."""
        value = self.text(name)
        if value is None:
            self.complain(f"{name} is not set: {why}. Set it, for example {name}={example}")
        return value or ""

    def choice(self, name: str, choices: Mapping[str, str], default: str) -> str:
        """One of ``choices``, which maps what may be written (any case) to what it means."""
        value = self.text(name, default) or default
        if value.lower() not in choices:
            self.complain(f"{name} is {value!r}: {_suggestion(value, choices)}choose one of {', '.join(dict.fromkeys(choices))}")
            return choices[default]
        return choices[value.lower()]

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name)
        if value is None:
            return default
        if value.lower() not in _YES + _NO:
            self.complain(f"{name} is {value!r}: write true or false")
        return value.lower() in _YES

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        return int(self._number(name, default, least, most, whole=True))

    def number(self, name: str, default: float, least: float, most: float) -> float:
        return self._number(name, default, least, most, whole=False)

    def _number(self, name: str, default: float, least: float, most: float, *, whole: bool) -> float:
        value = self.text(name)
        if value is None:
            return default
        kind = "a whole number" if whole else "a number"
        try:
            number = int(value) if whole else float(value)
        except ValueError:
            self.complain(f"{name} is {_shown(value)}: it must be {kind} from {least:g} to {most:g}{_kubernetes_trap(name, value)}")
            return default
        if not least <= number <= most:
            self.complain(f"{name} is {value}: it must be {kind} from {least:g} to {most:g}")
            return default
        return number

    def port(self, name: str, default: int) -> int:
        return self.integer(name, default, 1, 65535)

    def url(self, name: str, schemes: Collection[str], example: str) -> str | None:
        """A URL with one of ``schemes``. A complaint names the part that is wrong and shows neither user nor password."""
        value = self.text(name)
        if value is None:
            return None
        if problem := url_problem(value, schemes):
            self.complain(f"{name}: {problem}. It should look like {example}")
            return None
        return value

    def file(self, name: str) -> str | None:
        """A file that can be read."""
        value = self.text(name)
        if value is not None and not Path(value).is_file():
            self.complain(f"{name} is {value!r}: there is no such file. Mount it, or unset the variable")
        return value

    def starting_with(self, prefix: str) -> list[str]:
        """The names of the set variables that start with ``prefix``, sorted."""
        return sorted(name for name, value in self._variables.items() if name.startswith(prefix) and value.strip())

    def suspicious(self, prefixes: Collection[str]) -> list[str]:
        """Set variables that look like misspellings of known ones: nobody reads them."""
        warnings = []
        for name in sorted(self._variables):
            if name not in self.known and name.startswith(tuple(prefixes)):
                close = difflib.get_close_matches(name, self.known, n=1, cutoff=0.87)
                if close:
                    warnings.append(f"{name} is set, but nothing reads it; is {close[0]} meant?")
        return warnings


def url_problem(value: str, schemes: Collection[str]) -> str | None:
    """Which part of a URL is wrong, without its user and password; None when it is fine."""
    try:
        parts = urlsplit(value)
    except ValueError as error:
        return f"it is no URL ({error})"
    if parts.scheme not in schemes:
        start = f"starts with {parts.scheme + '://'!r}" if "://" in value else "has no scheme"
        return f"it {start}; the scheme must be {' or '.join(scheme + '://' for scheme in schemes)}"
    if parts.scheme == "unix":
        return None if parts.path else "it has no path of a socket"
    if parts.scheme.startswith("postgres") and ("," in parts.netloc or not parts.netloc.rpartition("@")[2]):
        return None  # several hosts, or a local socket: libpq's own forms
    return _authority_problem(parts)


def _authority_problem(parts: SplitResult) -> str | None:
    try:
        port = parts.port
    except ValueError:
        return ("its port is not a number from 1 to 65535; if the password contains any of / ? # @ : %, write it percent-encoded "
                "(for example / as %2F, @ as %40)")
    if port == 0:
        return "its port is 0"
    if not parts.hostname:
        return "it names no host"
    return None


def _suggestion(value: str, choices: Collection[str]) -> str:
    close = difflib.get_close_matches(value.lower(), choices, n=1)
    return f"did you mean {close[0]}? " if close else ""


def _shown(value: str) -> str:
    """A value that ought to be a number; a long one may be a secret in the wrong place."""
    return repr(value) if len(value) <= 40 else f"{len(value)} characters long"


def _kubernetes_trap(name: str, value: str) -> str:
    if not value.startswith(("tcp://", "udp://")):
        return ""
    service = name.removesuffix("_PORT").lower().replace("_", "-")
    return (f". Kubernetes puts this there for a Service named {service!r}: set enableServiceLinks: false on the pod, "
            f"or {name} itself")
