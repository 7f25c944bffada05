"""The pace that all workers share: what one process takes, the others see, on a real Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from at_work import server_at
from kayan_workers.bull import scripts
from kayan_workers.errors import NotNowError, TemporaryError
from kayan_workers.pace import shared
from kayan_workers.pace.shared import SharedPace
from redis import Redis

RESERVE = scripts.read(Path(shared.__file__).parent / "reserve.lua")
FAR_MS = 1_000_000

Limit = Callable[[], float]


@pytest.fixture
def client(redis_url: str) -> Iterator[Any]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def pace_of(redis_url: str) -> Iterator[Callable[[], SharedPace]]:
    """Makes the pace of one more process."""
    made: list[SharedPace] = []

    def make() -> SharedPace:
        made.append(SharedPace(server_at(redis_url), "post:somewhere"))
        return made[-1]

    yield make
    for pace in made:
        pace.disconnect()


def reserve(client: Any, limit: float, count: int = 1, horizon_ms: int = FAR_MS) -> tuple[str, int]:
    """Verdict and wait in ms, where the limit is known."""
    client.set("limit", limit)
    verdict, wait_ms, _, _ = scripts.run_blocking(client, RESERVE, ["limit", "asking", "taken", "held"], [count, horizon_ms, 1000, 1000])
    return verdict, wait_ms


def go(pace: SharedPace, limit: Limit = lambda: 1000.0, *, seconds: float = 30, stop: threading.Event | None = None) -> None:
    pace.wait(1, until=time.monotonic() + seconds, stop=stop or threading.Event(), read_limit=limit)


def test_a_burst_within_the_limit_goes_at_once_and_the_rest_a_window_later_in_order(client: Any) -> None:
    waits = [reserve(client, 10)[1] for _ in range(25)]

    assert waits[:10] == [0] * 10
    assert all(0 < wait <= 1000 for wait in waits[10:20])
    assert all(1000 < wait <= 2000 for wait in waits[20:])


def test_less_than_one_a_second_is_a_limit_too(client: Any) -> None:
    waits = [reserve(client, 0.5)[1] for _ in range(3)]

    assert waits[0] == 0
    assert 1500 < waits[1] <= 2000
    assert 3500 < waits[2] <= 4000


def test_what_counts_as_several_takes_the_room_of_several(client: Any) -> None:
    assert reserve(client, 10, count=7) == ("granted", 0)
    assert reserve(client, 10, count=3) == ("granted", 0)
    assert 0 < reserve(client, 10, count=2)[1] <= 1000
    assert 0 < reserve(client, 10, count=8)[1] <= 1000, "they share the next window"
    assert 1000 < reserve(client, 10)[1] <= 2000


def test_what_is_more_than_a_window_holds_fills_several(client: Any) -> None:
    assert reserve(client, 10, count=35) == ("granted", 0)
    assert 3000 < reserve(client, 10, count=10)[1] <= 4000, "the last five of them fall into the fourth window"


def test_a_moment_too_far_ahead_is_not_taken(client: Any) -> None:
    assert [reserve(client, 1, horizon_ms=500)[0] for _ in range(3)] == ["granted", "full", "full"]
    assert client.llen("taken") == 1


def test_no_limit_is_no_wait(client: Any) -> None:
    assert {reserve(client, 0) for _ in range(500)} == {("granted", 0)}


def test_nothing_of_it_stays_in_redis_for_ever(client: Any, pace_of: Callable[[], SharedPace]) -> None:
    pace = pace_of()
    go(pace)
    pace.slow_down()
    found = client.keys("*")
    assert sorted(found) == [f"kayan:pace:{{post:somewhere}}:{name}" for name in ("asking", "held", "last_hold", "limit", "taken")]
    assert all(client.pttl(key) > 0 for key in found)


def test_one_process_finds_out_the_limit_and_the_others_go_by_it(client: Any, pace_of: Callable[[], SharedPace]) -> None:
    asked = []

    def limit() -> float:
        asked.append(threading.get_ident())
        time.sleep(0.2)  # the others come meanwhile
        return 1000.0

    paces = [pace_of() for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda pace: go(pace, limit), paces))

    assert len(asked) == 1
    assert client.llen("kayan:pace:{post:somewhere}:taken") == 8


def test_a_limit_that_cannot_be_told_holds_nobody_up_and_replaces_none(client: Any, pace_of: Callable[[], SharedPace]) -> None:
    go(pace_of(), lambda: 0.0)
    assert client.get("kayan:pace:{post:somewhere}:limit") == "0.0"

    client.set("kayan:pace:{post:somewhere}:limit", "14.0")
    client.delete("kayan:pace:{post:somewhere}:asking")
    go(pace_of(), lambda: 0.0)
    assert client.get("kayan:pace:{post:somewhere}:limit") == "14.0"


def test_being_told_to_slow_down_again_and_again_makes_everybody_wait_longer(client: Any, pace_of: Callable[[], SharedPace]) -> None:
    one, other = pace_of(), pace_of()
    holds = []
    for _ in range(4):
        holds.append(one.slow_down())
        assert other.slow_down() == 0, "one pause at a time, whoever hears of it"
        assert reserve_as(client)[1] > 0
        client.delete("kayan:pace:{post:somewhere}:held")  # it is over

    assert holds == [0.5, 1.0, 2.0, 4.0]


def reserve_as(client: Any) -> tuple[str, int]:
    keys = [f"kayan:pace:{{post:somewhere}}:{name}" for name in ("limit", "asking", "taken", "held")]
    client.set(keys[0], 0)
    verdict, wait_ms, _, _ = scripts.run_blocking(client, RESERVE, keys, [1, FAR_MS, 1000, 1000])
    return verdict, wait_ms


def test_when_nothing_goes_any_more_everybody_hears_why_and_comes_again(pace_of: Callable[[], SharedPace]) -> None:
    one, other = pace_of(), pace_of()
    one.slow_down()
    assert one.close(600, "the day's letters are used up"), "a pause is no reason to go on"
    assert not other.close(600, "the day's letters are used up")

    with pytest.raises(NotNowError, match="the day's letters are used up") as caught:
        go(other)
    assert 500 < caught.value.again_in_seconds < 700


def test_whoever_finds_no_room_in_time_comes_again(client: Any, pace_of: Callable[[], SharedPace]) -> None:
    pace = pace_of()
    go(pace, lambda: 0.1)

    with pytest.raises(NotNowError, match="waits its turn"):
        go(pace, seconds=0)


@pytest.mark.parametrize("rate", [0.01, 1.0], ids=["for room", "for its moment"])
def test_a_wait_ends_when_the_job_is_stopped(rate: float, pace_of: Callable[[], SharedPace]) -> None:
    pace = pace_of()
    go(pace, lambda: rate)
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()

    with pytest.raises(TemporaryError, match="stopped while waiting for its turn"):
        go(pace, stop=stop)


def test_without_redis_everybody_goes_ahead() -> None:
    pace = SharedPace(server_at("redis://127.0.0.1:1/0"), "post:somewhere")

    for _ in range(3):
        go(pace)
    assert pace.slow_down() == 0
    assert not pace.close(600, "over")
