"""The fourteen mails in a real browser: on a desktop and on a phone, with plausible data, with Arabic and with words that never end.

What is checked is what a reader would stumble over, whatever Chromium and fonts there are: text that is out of sight, cut off, hardly
to be read or on the wrong side. The pictures are left in ``build/mail`` for whoever wants to see how a change looks;
``build/mail/index.html`` has them all on one page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import pytest
import servers
from chromium import Page, write_picture
from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.mail.render import preview_page, render
from kayan_workers.mail.samples import SAMPLE_VARIABLES

NAMES = sorted(CATALOGUE)
LOOK = (Path(__file__).parent.parent / "look.js").read_text()
PICTURES = servers.BUILD / "mail"
WIDTHS = {"desktop": 700, "phone": 375, "small phone": 320}

ARABIC = "تصميم المسرح الرئيسي وتنفيذه مع شاشة عرض كبيرة ومنصة دوارة في قاعة المعارض بمدينة الرياض"
ENDLESS = "Donaudampfschiff" * 20
KINDS = ("plausible", "arabic", "endless")


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    try:
        with chromium.page() as page:
            yield page
            _write_sheet(page)
    except servers.UnavailableError as error:
        servers.missing(str(error))


def variables(name: str, kind: str) -> dict[str, Any]:
    """The sample data, or every text of it replaced."""
    sample, links = SAMPLE_VARIABLES[name], CATALOGUE[name].links
    if kind == "plausible":
        return sample
    text = ARABIC if kind == "arabic" else ENDLESS
    replaced = {key: text if isinstance(value, str) and key not in links else value for key, value in sample.items()}
    return replaced | ({key: f"{sample[key]}/{ENDLESS}" for key in links} if kind == "endless" else {})


def look(page: Page, html: str, device: str) -> dict[str, Any]:
    page.show(html, width=WIDTHS[device], phone=device != "desktop")
    found: dict[str, Any] = page.ask(LOOK)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("device", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_a_mail_can_be_read_wherever_it_is_opened(name: str, device: str, kind: str, page: Page) -> None:
    found = look(page, render(name, variables(name, kind), year=2026).html, device)
    if device != "small phone":
        write_picture(page, PICTURES / f"{name}-{device}-{kind}.png")

    assert found["complaints"] == []
    assert found["heading"]
    assert found["title"] == found["heading"]
    assert found["card"] == min(600, WIDTHS[device])
    assert len(found["buttons"]) == 1, "one thing to do"


WELCOME = render("welcome", SAMPLE_VARIABLES["welcome"]).html


@pytest.mark.parametrize(("change", "complaint"), [
    (("<body", "<body hidden"), "nothing to read"),
    (('<p dir="ltr" style="', '<p dir="ltr" style="color:#c9ced3;'), "hardly to be told from its ground"),
    (('<p dir="ltr" style="', '<p dir="ltr" style="white-space:nowrap;word-spacing:200px;'), "scrolls sideways"),
    (('<p dir="ltr" style="', '<p dir="ltr" style="position:relative;left:300px;'), "runs out of the card"),
    (('<p dir="ltr" style="', '<p dir="ltr" style="font-size:7px;'), "too small to read"),
    (('<p dir="ltr" style="', '<p dir="ltr" style="height:4px;overflow:hidden;'), "covered or cut off"),
    (('class="card"', 'class="card" style="min-width:900px"'), "scrolls sideways"),
    (("padding:14px 32px", "padding:0"), "too small to tap"),
    (("Hi <bdi>Sara Al-Harbi</bdi>,", ARABIC), "Arabic from the left"),
    (("<bdi>Sara Al-Harbi</bdi>", ARABIC), "two scripts in disorder"),
])
def test_what_a_reader_would_stumble_over_is_found(change: tuple[str, str], complaint: str, page: Page) -> None:
    assert change[0] in WELCOME
    found = look(page, WELCOME.replace(*change), "phone")

    assert [said for said in found["complaints"] if said.startswith(complaint)], found["complaints"]


def test_a_mail_without_its_button_or_its_heading_is_noticed(page: Page) -> None:
    assert look(page, WELCOME.replace("display:inline-block", "display:none"), "desktop")["buttons"] == []
    assert look(page, WELCOME.replace("<h1", "<h1 hidden"), "desktop")["heading"] == ""


def test_the_preview_shows_the_mail_twice_and_its_text(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "preview.html"
    file.write_text(preview_page("welcome", render("welcome", SAMPLE_VARIABLES["welcome"])))
    page.go(file.as_uri(), width=1700)
    write_picture(page, PICTURES / "preview-page.png")

    assert page.ask("[...document.querySelectorAll('iframe')].map((frame) => frame.clientWidth)") == [700, 375]
    assert "Go to Dashboard: https://" in page.ask("document.querySelector('pre').innerText")
    assert page.ask("document.querySelector('h1').innerText") == "Welcome to Kayan Live - Sara Al-Harbi"


def _write_sheet(page: Page) -> None:
    """All pictures on one page, and a picture of that."""
    rows = [
        f"<figure><img src='{name}-{device}-{kind}.png' width='{width}'><figcaption>{name}, {device}</figcaption></figure>"
        for kind in KINDS[:2]
        for device, width in (("desktop", 350), ("phone", 190))
        for name in NAMES
        if (PICTURES / f"{name}-{device}-{kind}.png").exists()
    ]
    style = "body{font:12px sans-serif;margin:16px}main{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}figure{margin:0}"
    sheet = PICTURES / "index.html"
    PICTURES.mkdir(parents=True, exist_ok=True)
    sheet.write_text(f"<!DOCTYPE html><meta charset='utf-8'><title>Mails</title><style>{style}</style><main>{''.join(rows)}</main>")
    page.go(sheet.as_uri(), width=2600)
    write_picture(page, PICTURES / "index.png")
