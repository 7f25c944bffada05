"""A role's processor, bound to typed payloads."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

import msgspec
import pytest
from kayan_workers.binding import Processors, Rehearsal
from kayan_workers.edges import Edges
from kayan_workers.errors import PermanentError
from kayan_workers.processors.table import ROLES, Role
from kayan_workers.settings import Settings

EDGES = Edges(Settings())


class Payload(msgspec.Struct, rename="camel"):
    asset_id: str
    variants: list[str]
    note: str | None = None


@dataclass
class RawJob:
    raw_data: bytes
    queue: str = "variant-generation"
    id: str = "7"


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("a_processor")
    module.Payload = Payload  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_processor", module)
    return module


def bound(role: Role, edges: Edges) -> Callable[[Any], Any]:
    return Processors([role], edges).handler(role)


def role(batch: int = 1) -> Role:
    return Role(name="mine", queue="mine", family="media", label="Mine", concurrency=1, module="a_processor", batch=batch)


def test_a_processor_receives_the_payload_typed(processor: Any) -> None:
    processor.process = lambda payload, job, edges: (payload.asset_id, payload.variants, payload.note, job.id, edges is EDGES)
    handle = bound(role(), EDGES)
    job = RawJob(b'{"assetId":"a1","variants":["WEB"],"note":null,"unknown":1}')
    assert handle(job) == ("a1", ["WEB"], None, "7", True)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"assetId":"a1","variants":[3]}', "variant-generation job 7: malformed payload: $.variants[0]: Expected `str`, got `int`"),
        (b'{"variants":[]}', "variant-generation job 7: malformed payload: Object missing required field `assetId`"),
        (b'{"assetId":', "variant-generation job 7: its data is not JSON: "),
        (b"[1]", "variant-generation job 7: malformed payload: Expected `object`, got `array`"),
        (b'{"assetId":"\xff"}', "variant-generation job 7: its data is not JSON: "),
    ],
)
def test_a_malformed_payload_fails_for_good_and_names_the_field(processor: Any, data: bytes, says: str) -> None:
    processor.process = lambda *_: pytest.fail("the processor was called")
    with pytest.raises(PermanentError) as caught:
        bound(role(), EDGES)(RawJob(data))
    assert str(caught.value).startswith(says)


def test_a_malformed_payload_does_not_show_its_content(processor: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        processor.process = lambda *_: None
        bound(role(), EDGES)(RawJob(b'{"assetId":"a1","variants":"my secret"}'))
    assert "secret" not in str(caught.value)


class Paint(StrEnum):
    RED = "RED"
    BLUE = "BLUE"


class Booth(msgspec.Struct, rename="camel"):
    main_color: Literal["red", "blue"] = "red"
    paints: list[Paint] | None = None
    beside: list[Booth] | None = None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"mainColor":"my secret"}', "$.mainColor: Invalid enum value; known are blue, red"),
        (b'{"paints":["RED","my secret"]}', "$.paints[1]: Invalid enum value; known are RED, BLUE"),
        (b'{"beside":[{"paints":["my secret"]}]}', "$.beside[0].paints[0]: Invalid enum value; known are RED, BLUE"),
    ],
)
def test_a_word_that_is_on_no_list_is_answered_with_the_list_and_not_repeated(processor: Any, data: bytes, says: str) -> None:
    processor.Payload, processor.process = Booth, lambda *_: None
    with pytest.raises(PermanentError) as caught:
        bound(role(), EDGES)(RawJob(data))
    assert str(caught.value) == f"variant-generation job 7: malformed payload: {says}"


def test_in_a_batch_a_payload_nested_without_end_fails_alone_and_for_good(processor: Any) -> None:
    processor.process_batch = lambda work, edges: [payload.asset_id for payload, _ in work]
    good = RawJob(b'{"assetId":"a1","variants":[]}')
    deep = RawJob(b'{"assetId":"a2","variants":[],"unknown":' + b'{"a":' * 1_000_000 + b"1" + b"}" * 1_000_001)
    results = bound(role(batch=10), EDGES)([good, deep, good])
    assert (results[0], results[2]) == ("a1", "a1")
    assert isinstance(results[1], PermanentError)
    assert str(results[1]) == "variant-generation job 7: malformed payload: it is nested too deep to be read"


def test_half_an_emoji_that_javascript_cut_off_is_no_reason_to_lose_a_job(processor: Any) -> None:
    """``"🎉".substring(0, 1)`` travels as an escape that no strict reader takes; in JavaScript's own UTF-8 it is U+FFFD."""
    processor.process = lambda payload, job, edges: payload

    found = bound(role(), EDGES)(RawJob(rb'{"assetId":"a","variants":["\\ud83c"],"note":"well done \ud83c\udf89 \ud83c"}'))

    assert found == Payload("a", [r"\ud83c"], "well done 🎉 �")


def test_in_a_batch_a_malformed_payload_fails_alone(processor: Any) -> None:
    processor.process_batch = lambda work, edges: [payload.asset_id for payload, _ in work]
    good, bad = b'{"assetId":"%s","variants":[]}', b"{}"
    results = bound(role(batch=10), EDGES)([RawJob(good % b"a1"), RawJob(bad), RawJob(good % b"a2")])
    assert (results[0], results[2]) == ("a1", "a2")
    assert isinstance(results[1], PermanentError)


def test_a_batch_of_malformed_payloads_does_not_bother_the_processor(processor: Any) -> None:
    processor.process_batch = lambda *_: pytest.fail("the processor was called")
    assert [type(result) for result in bound(role(batch=10), EDGES)([RawJob(b"{}")])] == [PermanentError]


def test_an_async_processor_works_too(processor: Any) -> None:
    async def process(payload: Payload, job: object, edges: object) -> str:
        return payload.asset_id

    processor.process = process
    assert bound(role(), EDGES)(RawJob(b'{"assetId":"a1","variants":[]}')) == "a1"


def test_the_processor_is_loaded_by_its_first_job(processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    processor.process = lambda *_: "done"
    monkeypatch.delitem(sys.modules, "a_processor")
    handle = bound(role(), EDGES)
    monkeypatch.setitem(sys.modules, "a_processor", processor)
    assert handle(RawJob(b'{"assetId":"a1","variants":[]}')) == "done"


def test_jobs_that_arrive_together_load_the_processors_once_and_one_after_another(processor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most, loads = 0, 0, []

    class Slow(types.ModuleType):
        @property
        def Payload(self) -> type[Payload]:  # noqa: N802
            nonlocal under_way, most
            loads.append(self.__name__)
            under_way += 1
            most = max(most, under_way)
            time.sleep(0.05)
            under_way -= 1
            return Payload

    roles = [replace(role(), name=f"role{number}", module=f"slow_{number}") for number in range(3)]
    for each in roles:
        module = Slow(each.module)
        module.process = lambda payload, job, edges: payload.asset_id  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, each.module, module)
    processors = Processors(roles, EDGES)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda each=each: results.append(processors.handler(each)(RawJob(b'{"assetId":"a1","variants":[]}'))))
        for each in roles * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results, sorted(loads), most) == (["a1"] * 12, ["slow_0", "slow_1", "slow_2"], 1)


def test_a_rehearsal_finds_what_is_not_installed_and_keeps_nothing_of_what_it_loads(processor: Any) -> None:
    del processor.Payload
    lost = Role(name="lost", queue="lost", family="media", label="Lost", concurrency=1, module="no_such_processor")
    missing, malformed = Rehearsal([lost, role()]).problems()
    assert missing.startswith("role lost: no_such_processor cannot be loaded (ModuleNotFoundError")
    assert missing.endswith("Install kayan-workers[media]")
    assert "has no attribute 'Payload'" in malformed
    assert Rehearsal(ROLES).problems() == []
