"""Renders a mail: a template's name and variables in; subject, HTML and plain text out.

A value is only ever shown, never interpreted: HTML is escaped, a value that looks like a placeholder stays what it is, and
nothing but the variables a template declares reaches it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from kayan_workers.errors import PermanentError
from kayan_workers.mail.catalogue import CATALOGUE, Template

_LINK = re.compile(r"(?:https?://|mailto:)[^\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f<>\"\\^`{|}]+", re.IGNORECASE)
"""No control characters, and none of the invisible ones that make a link look like another."""


class Rendered(NamedTuple):
    """A mail's three texts."""

    subject: str
    html: str
    text: str


def render(name: str, variables: Mapping[str, Any], *, year: int | None = None) -> Rendered:
    """Fill the mail called ``name``.

    ``variables`` is the ``data`` of an e-mail job: texts, numbers and booleans by their names; those that the template does
    not know are ignored. ``year`` is the copyright's, the current one (UTC) by default.
    Raises PermanentError when there is no such template, naming those there are; when variables are missing, null or not
    text, naming every one of them; and when a button's link is not http, https or mailto.
    """
    template = _template(name)
    shown = _shown(template, variables)
    context = {**shown, "year": year or datetime.now(UTC).year}
    environment = _environment()
    subject, html, text = (environment.get_template(f"{name}.{part}").render(context) for part in ("subject.txt", "html", "txt"))
    return Rendered(subject=_one_line(subject), html=html, text=text)


def preview_page(name: str, mail: Rendered) -> str:
    """An HTML page that shows a mail at the widths of a desktop and of a phone, beside its text."""
    return _environment().get_template("preview.html").render(name=name, mail=mail)


def is_link(value: str) -> bool:
    """True when a click on it can do no more than open a web page or start a mail."""
    if not _LINK.fullmatch(value):
        return False
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    return address.scheme == "mailto" or bool(address.hostname)


def _template(name: str) -> Template:
    template = CATALOGUE.get(name)
    if template is None:
        raise PermanentError(f"template: unknown; known are {', '.join(sorted(CATALOGUE))}")
    return template


def _shown(template: Template, variables: Mapping[str, Any]) -> dict[str, str]:
    """Every declared variable as the text that is shown for it; one that opens no block is empty.

    Raises PermanentError with everything that is wrong, so that one look at the failed job is enough.
    """
    opened = {name for name in template.optional if _is_set(variables.get(name))}
    needed = [*template.required, *(name for name, condition in template.together.items() if condition in opened)]
    missing = [name for name in needed if variables.get(name) is None]
    shown: dict[str, str] = {}
    problems = [f"variables are missing: {', '.join(missing)}"] if missing else []
    for name in [*needed, *(name for name in template.optional if name in opened)]:
        value = variables.get(name)
        if isinstance(value, str | int | float):
            shown[name] = _text(value)
        elif value is not None:
            problems.append(f"{name} must be text, a number or true/false, not {_kind(value)}")
    problems += [f"{name} must be an http, https or mailto link" for name in template.links if name in shown and not is_link(shown[name])]
    if problems:
        raise PermanentError(f"e-mail template {template.name}: {'; '.join(problems)}")
    return {**dict.fromkeys(template.variables, ""), **shown}


def _is_set(value: Any) -> bool:
    """Whether a condition holds, as JavaScript means it, except that an empty list or object opens nothing either."""
    return bool(value)


def _text(value: str | float) -> str:
    """A value as JavaScript prints it: ``true``, ``3`` for 3.0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "an object"


def _one_line(subject: str) -> str:
    """A name that was typed with a line break is worth no mail; other control characters are refused where the header is written."""
    return " ".join(subject.split())


def lines(value: str) -> Markup:
    """Text of several lines as HTML: escaped, its line breaks kept."""
    return Markup("<br>\n").join(escape(line) for line in value.splitlines())


@cache
def _environment() -> Environment:
    """The templates of this package, compiled when first used and kept: several threads may render at once."""
    environment = Environment(
        loader=PackageLoader("kayan_workers.mail", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["lines"] = lines
    environment.tests["link"] = is_link
    return environment
