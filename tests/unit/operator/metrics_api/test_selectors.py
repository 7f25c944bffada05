"""Label selectors, in all the forms that a HorizontalPodAutoscaler's can have."""

from __future__ import annotations

import pytest
from kayan_operator.metrics_api.selectors import SelectorError, exact, parse, selects

EMAIL = {"queuescaler": "email", "team": "messaging", "kayan.dev/tier": "", "blank": ""}


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "queuescaler=email", "queuescaler==email", " queuescaler = email ", "queuescaler=email,team=messaging",
        "queuescaler in (email)", "queuescaler in (audio, email ,video)", "queuescaler in(email),team in (messaging)", "queuescaler",
        "!absent", "! absent", "absent!=email", "queuescaler!=audio", "queuescaler notin (audio,video)", "absent notin (email)",
        "kayan.dev/tier", "blank=", "blank=,queuescaler", "blank in (,x)", "blank in ()", "absent!=",
    ],
)  # fmt: skip
def test_a_selector_that_is_met(text: str) -> None:
    assert selects(parse(text), EMAIL)


@pytest.mark.parametrize(
    "text",
    [
        "queuescaler=audio", "queuescaler=Email", "absent=email", "absent=", "absent in (email)", "absent in (,email)", "absent",
        "!queuescaler", "queuescaler!=email", "queuescaler notin (audio,email)", "queuescaler=email,team=media", "queuescaler=",
        "in in (in)", "blank!=",
    ],
)  # fmt: skip
def test_a_selector_that_is_not_met(text: str) -> None:
    assert not selects(parse(text), EMAIL)


def test_only_a_label_that_may_have_one_value_is_exact() -> None:
    selector = parse("queuescaler=email,team in (messaging),tier in (a,b),zone,!gone,kind!=x,size notin (y)")
    assert exact(selector) == {"queuescaler": "email", "team": "messaging"}
    assert exact(parse("")) == {}


def test_words_that_look_like_operators_are_names_and_values_too() -> None:
    assert selects(parse("in in (notin),notin=in"), {"in": "notin", "notin": "in"})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("queuescaler>3", "'>' is no operator that is served here"), ("queuescaler<3", "'<' is no operator that is served here"),
        ("queuescaler like email", "'like' is no operator"), ("a=b c=d", "',' is expected where 'c' stands"),
        ("a in b", "'(' is expected where 'b' stands"), ("a in (b", "')' is expected where the end stands"),
        ("a in (b c)", "')' is expected where 'c' stands"), ("a=b,", "the end is no label's name"), (",a", "',' is no label's name"),
        ("=b", "'=' is no label's name"), ("!a=b", "',' is expected where '=' stands"), ("a=b=c", "',' is expected where '=' stands"),
        ("-a=b", "'-a' is no label's name"), ("a=-b", "'-b' is no label's value"), ("a=(", "'(' is no label's value"),
        ("/a=b", "'/a' is no label's name"), ("a/=b", "'a/' is no label's name"), ("A.b/c=d", "'A.b/c' is no label's name"),
        (f"{'a' * 64}=b", "is no label's name"), (f"a={'b' * 64}", "is no label's value"), (f"{'a.' * 127}a/c=d", "is no label's name"),
        ("a=b\x00", "is no label's value"), ("a==!b", "'!' is no label's value"),
    ],
)  # fmt: skip
def test_what_is_no_selector_says_why(text: str, says: str) -> None:
    with pytest.raises(SelectorError) as error:
        parse(text)
    assert says in str(error.value)


def test_a_long_selector_is_read_in_one_go() -> None:
    names = [f"scaler-{number}" for number in range(5000)]

    selector = parse(f"queuescaler in ({','.join(names)})")

    assert selects(selector, {"queuescaler": "scaler-4999"})
    assert not selects(selector, {"queuescaler": "scaler-5000"})
