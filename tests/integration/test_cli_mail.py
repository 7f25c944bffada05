"""``kayan mail``, as whoever works on a mail uses it."""

from __future__ import annotations

import json
import subprocess
import sys
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from kayan import kayan
from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.mail.render import render
from kayan_workers.mail.samples import SAMPLE_VARIABLES

MILESTONE = render("milestone-approved", SAMPLE_VARIABLES["milestone-approved"])


def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    return kayan("mail", *arguments, stdin=stdin, variables=variables)


def test_the_list_names_every_template_and_what_it_needs() -> None:
    shown = run("list").stdout
    listed = json.loads(run("list", "--json").stdout)

    assert all(name in shown for name in CATALOGUE)
    assert [each["name"] for each in listed] == list(CATALOGUE)
    assert listed[3] == {
        "name": "asset-shared", "required": ["sharerName", "assetName", "shareUrl"], "optional": ["message", "password", "expiresAt"],
    }  # fmt: skip


def test_a_preview_prints_the_page_and_its_subject_aside() -> None:
    result = run("preview", "milestone-approved")

    assert result.stdout.strip() == MILESTONE.html.strip()
    assert result.stderr.strip() == f"Subject: {MILESTONE.subject}"
    assert result.returncode == 0


def test_a_preview_in_words_begins_with_the_subject() -> None:
    assert run("preview", "MILESTONE_APPROVED", "--text").stdout.strip() == f"Subject: {MILESTONE.subject}\n\n{MILESTONE.text}".strip()


def test_the_name_of_the_file_says_what_is_written(tmp_path: Path) -> None:
    for form in ("html", "txt", "eml"):
        result = run("preview", "milestone-approved", "--out", str(tmp_path / f"mail.{form}"))
        assert (result.returncode, result.stdout) == (0, ""), result.stderr

    assert (tmp_path / "mail.html").read_text() == MILESTONE.html
    assert (tmp_path / "mail.txt").read_text() == f"Subject: {MILESTONE.subject}\n\n{MILESTONE.text}"
    message = message_from_bytes((tmp_path / "mail.eml").read_bytes(), policy=default)
    assert message["Subject"] == MILESTONE.subject
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@pytest.mark.parametrize("source", ["file", "standard input"])
def test_a_preview_shows_data_of_ones_own(source: str, tmp_path: Path) -> None:
    data = json.dumps({"userName": "ليلى", "dashboardUrl": "https://x.example/"})
    (tmp_path / "data.json").write_text(data)
    given = str(tmp_path / "data.json") if source == "file" else "-"
    result = run("preview", "welcome", "--text", "--data", given, stdin=data)

    assert "Welcome to Kayan Live - ليلى" in result.stdout


@pytest.mark.parametrize(("arguments", "stdin", "code", "said"), [
    (("welcom",), "", 2, "no template is called 'welcom'. Did you mean welcome? There are: welcome, project-invitation"),
    (("welcome", "--data", "-"), '{"userName": "Jo"}', 1, "e-mail template welcome: variables are missing: dashboardUrl"),
    (("welcome", "--data", "-"), '{"userName": "J\\u0007o", "dashboardUrl": "https://x.example/"}', 1, "line break or control character"),
    (("welcome", "--data", "-"), '["Jo"]', 2, "--data: standard input must be a JSON object"),
    (("welcome", "--data", "-"), "{", 2, "--data: standard input is not JSON"),
    (("welcome", "--data", "/nowhere.json"), "", 2, "--data /nowhere.json: No such file or directory"),
    (("welcome", "--out", "/nowhere/mail.html"), "", 1, "--out /nowhere/mail.html: No such file or directory"),
    (("welcome", "--out", "mail.pdf"), "", 2, "the name must end in one of .html, .txt, .eml"),
])
def test_what_cannot_be_previewed_is_said_with_its_reason(arguments: tuple[str, ...], stdin: str, code: int, said: str) -> None:
    result = run("preview", *arguments, stdin=stdin)

    assert result.returncode == code
    assert said in result.stderr
    assert result.stdout == ""


def test_a_browser_is_shown_the_mail_at_both_widths_and_its_text(tmp_path: Path) -> None:
    browser = tmp_path / "browser.py"
    browser.write_text(f"import sys, pathlib; pathlib.Path({str(tmp_path / 'opened')!r}).write_text(sys.argv[1])")
    result = run("preview", "milestone-approved", "--open", BROWSER=f"{sys.executable} {browser} %s", TMPDIR=str(tmp_path))

    page = Path(result.stdout.strip())
    assert (tmp_path / "opened").read_text() == page.as_uri()
    html = page.read_text()
    assert html.count("<iframe sandbox=") == 2
    assert "View Project: https://kayanlive.example/projects/leap-2026" in html


def test_where_there_is_no_browser_the_page_is_named() -> None:
    result = run("preview", "welcome", "--open", BROWSER="no-such-browser", PATH="/nowhere")

    assert result.returncode == 1
    page = Path(result.stderr.partition("The page is ")[2].partition(";")[0])
    assert page.exists()
    page.unlink()
