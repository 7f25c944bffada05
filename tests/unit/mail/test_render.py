"""The fourteen mails: what they say, when they are refused, and that no value ever does more than show."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import meta, nodes
from kayan_workers.errors import PermanentError
from kayan_workers.mail import render as rendering
from kayan_workers.mail.catalogue import CATALOGUE
from kayan_workers.mail.render import Rendered, is_link, render
from kayan_workers.mail.samples import SAMPLE_VARIABLES

NAMES = sorted(CATALOGUE)
HOSTILE = "\"><script>alert('x')</script><a href=javascript:alert(1)>{{ shareUrl }}{% raw %}${7*7}$&$$"

SUBJECTS = {
    "welcome": "Welcome to Kayan Live - Sara Al-Harbi",
    "project-invitation": "You've been invited to join LEAP 2026 – Main stage",
    "task-assignment": "New Task Assigned: Booth render, second round",
    "asset-shared": "Mona Khalil shared an asset with you",
    "lead-created": "New Lead: Noor Trading Co. from Gulfood 2026",
    "meeting-reminder": "Meeting Reminder: Stage design review - 10:00",
    "password-reset": "Password Reset Request",
    "notification": "Your download is ready",
    "invitation": "You've been invited to join LEAP 2026 – Main stage at KayanLive",
    "milestone-submitted": "Milestone Ready for Review: Concept design - LEAP 2026 – Main stage",
    "milestone-approved": "Milestone Approved: Concept design ✓",
    "milestone-revision": "Revision Request Received: Concept design",
    "deliverable-uploaded": "New Deliverable: Stage walkthrough.mp4 - LEAP 2026 – Main stage",
    "project-status-update": "Project Update: LEAP 2026 – Main stage",
}


class Page(HTMLParser):
    """What a mail program makes of the HTML: the visible text, every element, every link."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[str] = []
        self.links: list[str] = []
        self.hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src", "action", "background"}]
        self.hidden += tag in {"style", "title"}

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in {"style", "title"}

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def required_only(name: str) -> dict[str, Any]:
    return {variable: SAMPLE_VARIABLES[name][variable] for variable in CATALOGUE[name].required}


def squeezed(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_has_its_subject_and_says_everything_it_was_told_in_both_bodies(name: str) -> None:
    mail = render(name, SAMPLE_VARIABLES[name])

    assert mail.subject == SUBJECTS[name]
    page = Page(mail.html)
    for variable, value in SAMPLE_VARIABLES[name].items():
        if variable in {"hasMessage", "subject"}:
            continue
        shown = squeezed(str(value))
        assert shown in squeezed(mail.text), f"{variable} in the text"
        assert shown in page.links if variable in CATALOGUE[name].links else shown in page.text, f"{variable} in the HTML"


@pytest.mark.parametrize("name", NAMES)
def test_a_mail_is_complete_without_its_optional_variables(name: str) -> None:
    mail = render(name, required_only(name))

    for body in (Page(mail.html).text, mail.text):
        assert not re.search(r"\{\{|\}\}|\{%|None|undefined|null", body)
    template = CATALOGUE[name]
    for variable in (*template.optional, *template.together):
        assert str(SAMPLE_VARIABLES[name][variable]) not in mail.html + mail.text


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("nothing", [None, "", False])
def test_an_optional_variable_that_is_empty_opens_no_block(name: str, nothing: object) -> None:
    bare = render(name, required_only(name), year=2026)

    assert render(name, required_only(name) | dict.fromkeys(CATALOGUE[name].optional, nothing), year=2026) == bare


@pytest.mark.parametrize(("name", "variable"), [(name, variable) for name in NAMES for variable in CATALOGUE[name].optional])
def test_each_optional_block_opens_on_its_own(name: str, variable: str) -> None:
    companions = [other for other, condition in CATALOGUE[name].together.items() if condition == variable]
    given_variables = required_only(name) | {key: SAMPLE_VARIABLES[name][key] for key in [variable, *companions]}

    mail, bare = render(name, given_variables), render(name, required_only(name))

    assert len(mail.text.splitlines()) > len(bare.text.splitlines())
    assert len(Page(mail.html).elements) > len(Page(bare.html).elements)


@pytest.mark.parametrize("name", NAMES)
def test_every_file_shows_exactly_the_variables_its_template_declares(name: str) -> None:
    """A variable that a text uses and nobody declares would fail in production; one that is declared and never shown is a lie."""
    environment = rendering._environment()
    used: set[str] = set()
    for part in ("subject.txt", "html", "txt"):
        assert environment.loader is not None
        source, _, _ = environment.loader.get_source(environment, f"{name}.{part}")
        tree = environment.parse(source)
        used |= meta.find_undeclared_variables(tree)
        assert not list(tree.find_all(nodes.MarkSafe)), "nothing may be marked as safe HTML"
        assert "safe" not in {node.name for node in tree.find_all(nodes.Filter)}
    assert used - {"year", "parts"} == set(CATALOGUE[name].variables)


# -- defects of the present workers, by their numbers in the contract -----------------------------------------------------------------


def test_a_password_that_is_not_set_is_not_mailed_as_undefined() -> None:
    """Defect 43: conditions were mailed as text and their blocks always showed."""
    mail = render("asset-shared", {"sharerName": "Mona", "assetName": "a.png", "shareUrl": "https://x.example/s"})

    for body in mail:
        assert "Password" not in body
        assert "#if" not in body
        assert "undefined" not in body


@pytest.mark.parametrize("pattern", ["$&", "$$", "$`", "$'", "$1", "\\1", "\\g<0>", "%s", "{0}"])
def test_a_value_is_never_read_as_a_replacement_pattern(pattern: str) -> None:
    """Defect 44: values were taken for regex replacement patterns."""
    mail = render("welcome", {"userName": pattern, "dashboardUrl": "https://x.example/"})

    assert mail.subject == f"Welcome to Kayan Live - {pattern}"
    assert f"Hi {pattern}," in mail.text
    assert f"Hi {pattern}," in Page(mail.html).text


@pytest.mark.parametrize("key", ["a(", "[", "*", "user.name", "__class__", "self", "loop", "year", "range", "lines"])
def test_a_key_that_no_template_knows_changes_nothing(key: str) -> None:
    """Defect 44: a key such as ``a(`` threw; ours may neither throw nor replace what the templates use themselves."""
    plain = SAMPLE_VARIABLES["welcome"]

    assert render("welcome", plain | {key: "INJECTED"}, year=2026) == render("welcome", plain, year=2026)


@pytest.mark.parametrize("value", ["{{shareUrl}}", "{{ shareUrl }}", "{% include 'layout.html' %}", "{# x #}", "{{ self.__class__ }}"])
def test_a_value_that_looks_like_a_placeholder_stays_what_it_is(value: str) -> None:
    """Defect 45: values were rendered again."""
    mail = render("asset-shared", {"sharerName": "Mona", "assetName": value, "shareUrl": "https://x.example/secret"})

    assert value in mail.text
    assert value in Page(mail.html).text


def test_missing_variables_stop_the_mail_and_are_all_named() -> None:
    """Defect 50: they went out as literal braces."""
    with pytest.raises(PermanentError) as caught:
        render("task-assignment", {"userName": "Omar", "taskName": None, "priority": "High"})

    assert str(caught.value) == "e-mail template task-assignment: variables are missing: taskName, taskDescription, dueDate, taskUrl"


def test_null_is_missing_and_never_shown() -> None:
    """Defect 50: null went out as the word null."""
    with pytest.raises(PermanentError, match="variables are missing: userName"):
        render("welcome", {"userName": None, "dashboardUrl": "https://x.example/"})


@pytest.mark.parametrize("name", NAMES)
def test_without_data_every_required_variable_is_named(name: str) -> None:
    with pytest.raises(PermanentError) as caught:
        render(name, {})

    assert str(caught.value).endswith(", ".join(CATALOGUE[name].required))


@pytest.mark.parametrize(("name", "condition", "companion"), [
    ("invitation", {"hasMessage": True}, "message"), ("notification", {"actionUrl": "https://x.example/"}, "actionText"),
])
def test_a_block_that_is_opened_needs_what_it_shows(name: str, condition: dict[str, object], companion: str) -> None:
    with pytest.raises(PermanentError, match=f"variables are missing: {companion}"):
        render(name, required_only(name) | condition)


def test_a_message_shows_only_when_the_producer_says_it_has_one() -> None:
    """The web app sends ``message: ''`` and ``hasMessage: false`` with every invitation that has none."""
    mail = render("invitation", required_only("invitation") | {"hasMessage": False, "message": ""})

    assert "Message from" not in mail.text + mail.html


# -- hostile values -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_value_is_shown_as_text_and_adds_no_element_and_no_link(name: str) -> None:
    template = CATALOGUE[name]
    harmless = {key: value if key in template.links else "harmless" for key, value in SAMPLE_VARIABLES[name].items()}
    hostile = {key: value if key in template.links else HOSTILE for key, value in SAMPLE_VARIABLES[name].items()}

    expected, page = Page(render(name, harmless).html), Page(render(name, hostile).html)

    assert page.elements == expected.elements
    assert page.links == expected.links
    assert squeezed(HOSTILE) in page.text


@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_whatever_a_name_is_the_mail_keeps_its_shape(value: str) -> None:
    variables = SAMPLE_VARIABLES["milestone-revision"] | {"feedback": value, "clientName": value, "milestoneName": value}
    page = Page(render("milestone-revision", variables).html)

    expected = Page(render("milestone-revision", SAMPLE_VARIABLES["milestone-revision"]).html)
    assert [element for element in page.elements if element != "br"] == [element for element in expected.elements if element != "br"]
    assert page.links == expected.links


@pytest.mark.parametrize("link", [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,<script>", "vbscript:x",
    "file:///etc/passwd", "//evil.example", "/dashboard", "https:", "https://", "http:///x", "https://a b.example", "", "https://x\"onclick=1",
    "https://[::1", "ftp://x.example/", "DATA:text/html;base64,PHNjcmlwdD4=", "java\tscript:alert(1)", "\x01javascript:alert(1)",
    "javascript&colon;alert(1)", "&#106;avascript:alert(1)", "jav&#x0A;ascript:alert(1)", "https:\\\\evil.example", "https://x.example/\x00",
    "https://x.example/\u202egnp.exe", "https://x.example/\u200b", "https://x.example/\x85", "mailto:", "blob:https://x.example/1",
])
def test_a_button_leads_to_http_https_or_mailto_or_there_is_no_mail(link: str) -> None:
    assert not is_link(link)
    with pytest.raises(PermanentError, match="template welcome: dashboardUrl must be an http, https or mailto link"):
        render("welcome", {"userName": "Jo", "dashboardUrl": link})


@pytest.mark.parametrize("link", [
    "https://kayanlive.example/a?b=1&c=%20#d", "http://localhost:3000/x", "HTTPS://X.EXAMPLE/", "mailto:a@b.example?subject=x", "https://قطر.example/س",
])
def test_ordinary_links_are_links(link: str) -> None:
    page = Page(render("welcome", {"userName": "Jo", "dashboardUrl": link}).html)

    assert page.links == [link]


def test_a_meeting_link_that_cannot_be_followed_safely_is_shown_without_a_link() -> None:
    variables = SAMPLE_VARIABLES["meeting-reminder"] | {"meetingLink": "javascript:alert(1)"}
    mail = render("meeting-reminder", variables)

    assert "javascript:alert(1)" in Page(mail.html).text
    assert Page(mail.html).links == [variables["meetingUrl"]]


@pytest.mark.parametrize(("value", "kind"), [({"a": 1}, "an object"), ([1], "a list")])
def test_an_object_is_refused_instead_of_shown_as_object_object(value: object, kind: str) -> None:
    with pytest.raises(PermanentError, match=f"userName must be text, a number or true/false, not {kind}"):
        render("welcome", {"userName": value, "dashboardUrl": "https://x.example/"})


def test_an_error_names_variables_and_never_their_values() -> None:
    with pytest.raises(PermanentError) as caught:
        render("asset-shared", {"sharerName": ["s3cret"], "password": {"p": "s3cret"}, "shareUrl": "javascript:s3cret"})

    assert "s3cret" not in str(caught.value)
    for variable in ("assetName", "sharerName", "password", "shareUrl"):
        assert variable in str(caught.value)


@pytest.mark.parametrize(("number", "shown"), [(87, "87/100"), (87.0, "87/100"), (87.5, "87.5/100"), (0, "0/100")])
def test_numbers_read_as_javascript_writes_them(number: float, shown: str) -> None:
    assert f"Quality Score: {shown}" in render("lead-created", SAMPLE_VARIABLES["lead-created"] | {"qualityScore": number}).text


@pytest.mark.parametrize("name", [
    "follow-up-email", "constructor", "__proto__", "toString", "", "../welcome", "welcome.html", "layout", "parts", "/etc/passwd",
    "welcome\0", "Welcome",
])
def test_an_unknown_template_is_a_permanent_error_that_names_the_known_ones(name: str) -> None:
    with pytest.raises(PermanentError) as caught:
        render(name, {})

    assert str(caught.value) == f"template: unknown; known are {', '.join(sorted(CATALOGUE))}"


def test_line_breaks_of_a_message_survive_in_html() -> None:
    html = render("notification", required_only("notification") | {"body": "One\nTwo & <b>"}).html

    assert "One<br>\nTwo &amp; &lt;b&gt;" in html


def test_the_copyright_carries_the_current_year() -> None:
    assert f"© {datetime.now(UTC).year} Kayan Live" in Page(render("milestone-approved", SAMPLE_VARIABLES["milestone-approved"]).html).text


@pytest.mark.parametrize("name", NAMES)
def test_the_html_is_made_of_what_mail_programs_draw(name: str) -> None:
    """Nothing to fetch, nothing to run, 600 pixels at most."""
    html = render(name, SAMPLE_VARIABLES[name]).html

    page = Page(html)
    assert not {"script", "img", "link", "form", "iframe", "object", "svg"} & set(page.elements)
    assert "max-width:600px" in html
    assert len(html.encode()) < 102_000, "Gmail cuts longer mails"
    opened = [element for element in page.elements if element not in {"meta", "br"}]
    assert sorted(re.findall(r"</(\w+)>", re.sub(r"<!--.*?-->", "", html, flags=re.S))) == sorted(opened), "every element is closed"


def test_samples_cover_every_variable_of_every_mail() -> None:
    assert {name: set(variables) for name, variables in SAMPLE_VARIABLES.items()} == {
        name: set(template.variables) for name, template in CATALOGUE.items()
    }
    assert isinstance(render("welcome", SAMPLE_VARIABLES["welcome"]), Rendered)
