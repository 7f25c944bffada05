"""What the manifest of an OpenDocument says: whether its text is locked."""

from __future__ import annotations

from contextlib import suppress

from kayan_workers.errors import PermanentError
from kayan_workers.media.complaints import locked
from kayan_workers.media.documents.package import Package
from kayan_workers.media.xml import Attributes, attribute, read_xml

_MANIFEST = "META-INF/manifest.xml"
_TEXT = ("content.xml", "encrypted-package")
"""The second is the whole document as one locked member, which LibreOffice writes since 24.8."""


def refuse_locked(package: Package) -> None:
    """Raises PermanentError when the text needs a password. A locked macro alone does not count: the text is open beside it."""
    member = ""
    needs_password = False

    def start(name: str, attributes: Attributes) -> None:
        nonlocal member, needs_password
        if name == "file-entry":
            member = attribute(attributes, "full-path") or ""
        elif name == "encryption-data":
            needs_password = needs_password or member in _TEXT

    if package.has(_MANIFEST):
        with suppress(PermanentError), package.open(_MANIFEST) as stream:  # a manifest that cannot be read is no reason to refuse the rest
            read_xml(stream, on_start=start, allow_doctype=True)
    if needs_password:
        raise locked("the document")
