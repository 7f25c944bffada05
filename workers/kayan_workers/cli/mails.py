"""``kayan mail``: the templates, and how a mail of each looks. Needs no server."""

from __future__ import annotations

import sys
import tempfile
import webbrowser
from email.headerregistry import Address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kayan_workers.cli import session
from kayan_workers.errors import PermanentError
from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.mail.samples import SAMPLE_VARIABLES

if TYPE_CHECKING:
    from email.message import EmailMessage

    from kayan_workers.mail.render import Rendered

_STDIN = "-"
_FORMS = (".html", ".txt", ".eml")


def show_list(*, as_json: bool) -> None:
    """The templates and the variables that each must and may be given."""
    if as_json:
        session.print_json(
            [{"name": each.name, "required": each.required, "optional": (*each.optional, *each.together)} for each in CATALOGUE.values()]
        )
        return
    rows = [(each.name, " ".join(each.required), " ".join((*each.optional, *each.together))) for each in CATALOGUE.values()]
    session.print_table(("template", "needs", "may have"), rows)


def preview(template: str, *, data: str | None, text: bool, out: str | None, in_browser: bool) -> None:
    """Render a template, with sample data unless there is other, and show it where it is wanted: HTML on standard output otherwise."""
    name = session.named(template, tuple(CATALOGUE), "template")
    target = Path(out) if out is not None else None
    if target is not None and target.suffix.lower() not in _FORMS:
        session.fail(f"--out {target}: the name must end in one of {', '.join(_FORMS)}, which says what is written", session.USAGE)
    variables = SAMPLE_VARIABLES[name] if data is None else _variables(data)
    mail, message = _rendered(name, variables)
    readable = f"Subject: {mail.subject}\n\n{mail.text}"
    if target is not None:
        forms = {".html": mail.html.encode(), ".txt": readable.encode(), ".eml": message.as_bytes()}
        _write(target, forms[target.suffix.lower()])
    if in_browser:
        _open(name, mail)
    if target is None and not in_browser:
        if text:
            print(readable)
        else:
            print(f"Subject: {mail.subject}", file=sys.stderr)
            print(mail.html)


def _variables(source: str) -> dict[str, Any]:
    """The variables out of a file or standard input."""
    where = "standard input" if source == _STDIN else source
    try:
        found = msgspec.json.decode(sys.stdin.buffer.read() if source == _STDIN else Path(source).read_bytes())
    except OSError as error:
        session.fail(f"--data {source}: {error.strerror}", session.USAGE)
    except msgspec.DecodeError as error:
        session.fail(f"--data: {where} is not JSON: {error}", session.USAGE)
    if not isinstance(found, dict):
        session.fail(f"--data: {where} must be a JSON object, with the variables by their names", session.USAGE)
    return found


def _rendered(name: str, variables: dict[str, Any]) -> tuple[Rendered, EmailMessage]:
    """The mail, and all of it as a mail program opens it. Ends the command where a worker would refuse it."""
    try:
        from kayan_workers.mail.message import Mail, compose
        from kayan_workers.mail.render import render
    except ImportError as error:
        session.fail(f"mails cannot be rendered here ({error}). Install kayan-workers[messaging]")
    nobody = Address("Preview", "preview", "kayanlive.example")
    try:
        mail = render(name, variables)
        said = Mail(subject=mail.subject, text=mail.text, html=mail.html)
        return mail, compose(said, sender=nobody, recipients=[nobody], message_id="<preview@kayanlive.example>")
    except PermanentError as error:
        session.fail(str(error))


def _write(target: Path, content: bytes) -> None:
    try:
        target.write_bytes(content)
    except OSError as error:
        session.fail(f"--out {target}: {error.strerror}")


def _open(name: str, mail: Rendered) -> None:
    """The mail as a desktop and as a phone shows it, beside its text."""
    from kayan_workers.mail.render import preview_page

    with tempfile.NamedTemporaryFile("w", prefix=f"kayan-mail-{name}-", suffix=".html", delete=False, encoding="utf-8") as file:
        file.write(preview_page(name, mail))
    if not webbrowser.open(Path(file.name).as_uri()):
        session.fail(f"there is no browser to open here. The page is {file.name}; --out FILE.html writes the mail itself")
    print(file.name)
