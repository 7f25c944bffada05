"""Who a mail goes to: every form the app sends is understood, and nothing that could mean two things."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kayan_workers.errors import PermanentError, SettingsError
from kayan_workers.mail.addresses import recipients, sender


@pytest.mark.parametrize(("to", "expected"), [
    ("ada@example.com", ["ada@example.com"]),
    (" ada@example.com ", ["ada@example.com"]),
    (["ada@example.com", "bob@example.com"], ["ada@example.com", "bob@example.com"]),
    ("ada@example.com, Bob <bob@example.com>", ["ada@example.com", "Bob <bob@example.com>"]),
    ('"Doe, Jo" <jo@example.com>', ['"Doe, Jo" <jo@example.com>']),
    ("نور الدين <noor@example.com>", ["نور الدين <noor@example.com>"]),
    ("jo@bücher.example", ["jo@xn--bcher-kva.example"]),
    ("o'neil+leads_1@mail.example.co.uk", ["o'neil+leads_1@mail.example.co.uk"]),
    (["ada@example.com", "Ada@Example.com", "bob@example.com", "ada@example.com"], ["ada@example.com", "bob@example.com"]),
])
def test_everyone_named_is_found_once_and_in_order(to: str | list[str], expected: list[str]) -> None:
    assert [str(address) for address in recipients(to)] == expected


@pytest.mark.parametrize("nobody", [None, "", "   ", [], [""], ["", " "]])
def test_a_mail_to_nobody_is_a_permanent_error(nobody: str | list[str] | None) -> None:
    """Defect 47: a null recipient went to SES with an empty list of destinations."""
    with pytest.raises(PermanentError, match="no recipient"):
        recipients(nobody)


@pytest.mark.parametrize("wrong", [
    "ada", "ada@", "@example.com", "ada@localhost", "ada@example..com", "ada@-example.com", "a da@example.com", "ada@[127.0.0.1]",
    "alice@example.com)bob@evil.example", "alice@example.com <bob@evil.example>", "<alice@example.com> bob@evil.example",
    "alice@example.com;bob@evil.example", "team: alice@example.com;", "undisclosed-recipients:;", f"{'a' * 65}@example.com",
    f"ada@{'a' * 64}.example", f"ada@{'a.' * 130}example", "jürgen@example.com", "ada@exa mple.com", "ada@example.com>",
])
def test_what_is_not_clearly_one_address_is_refused(wrong: str) -> None:
    with pytest.raises(PermanentError, match="recipient"):
        recipients(wrong)


@given(st.text(st.sampled_from('a@.,;:<>()[]"\\ é=?_'), max_size=60))
def test_a_text_of_punctuation_is_addresses_or_a_permanent_error(text: str) -> None:
    with suppress(PermanentError):
        for address in recipients(text):
            assert re.fullmatch(r"[^\s,;:<>()\[\]\"]+@([a-z0-9-]+\.)+[a-z0-9-]+", address.addr_spec)


@pytest.mark.parametrize("endless", ["(" * 5_000_000, "a," * 2_500_000, "a" * 5_000_000, '"' * 5_000_000])
def test_a_recipient_of_five_megabytes_is_refused_at_once(endless: str) -> None:
    with pytest.raises(PermanentError, match="too long"):
        recipients(endless)


@pytest.mark.parametrize("injected", [
    "ada@example.com\r\nBcc: eve@evil.example", "ada@example.com\nBcc: eve@evil.example", "Ada\r <ada@example.com>", "ada@example.com\0",
    "Ada\u2028 <ada@example.com>",
    "=?utf-8?q?Ada=0D=0ABcc=3A_eve=40evil.example?= <ada@example.com>", "=?utf-8?q?Ada=00?= <ada@example.com>",
])
def test_an_address_cannot_bring_a_header_of_its_own(injected: str) -> None:
    with pytest.raises(PermanentError, match=r"line break or control character|is not an e-mail address"):
        recipients(injected)


def test_the_wrong_one_of_several_is_named_by_its_place_and_never_quoted() -> None:
    with pytest.raises(PermanentError) as caught:
        recipients(["ada@example.com", "s3cret person"])

    assert str(caught.value) == "recipient 2 of 2 (`to`) is not an e-mail address"


def test_a_sender_may_have_a_name_in_any_script() -> None:
    assert str(sender("Kayan Live", "noreply@kayanlive.com")) == "Kayan Live <noreply@kayanlive.com>"
    assert str(sender("", "noreply@kayanlive.com")) == "noreply@kayanlive.com"
    assert sender("كيان", "noreply@kayanlive.com").display_name == "كيان"


@pytest.mark.parametrize(("name", "address"), [("Kayan\nLive", "noreply@kayanlive.com"), ("Kayan", "nobody"), ("Kayan", "")])
def test_a_sender_who_cannot_send_is_a_wrong_setting(name: str, address: str) -> None:
    with pytest.raises(SettingsError, match="EMAIL_FROM"):
        sender(name, address)
