"""A cut connection: replies that never come. Wire document, section 9, scenario 23, and windows W2, W7, W8, W21."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from kayan_workers.bull import scripts
from kayan_workers.bull.options import JobOptions
from kayan_workers.bull.queue import BulkJob, Queue
from kayan_workers.bull.running import ActiveJob
from kayan_workers.bull.server import RedisAddress
from proxy import Proxy
from redis.asyncio import Redis
from waiting import wait_until
from wire.party import Party, Worker, finished, nothing

Work = Callable[..., Worker]


def sha(script: str) -> bytes:
    """What a call of the script carries on the wire."""
    return scripts.load(script).sha.encode()


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    address = urlsplit(redis_url)
    async with Proxy(address.port or 6379, address.hostname or "127.0.0.1") as proxy:
        yield proxy


@pytest.fixture
def far_queue(proxy: Proxy, party: Party) -> Queue:
    """The queue ``mail`` at the end of a line that can be cut. The proxy is asked for first, so that the workers stop before it does."""
    return party.queue("mail", server=party.at(RedisAddress(url=proxy.url)))


@pytest.mark.parametrize("cut", ["swallow_reply_to", "drop_request"])
async def test_an_add_over_a_cut_connection_makes_exactly_one_job(far_queue: Queue, proxy: Proxy, redis: Redis, cut: str):
    """Scenario 23 and window W21: whether the command or its answer was lost, the caller gets the id of the one job."""
    await far_queue.add({"n": 0})
    getattr(proxy, cut)(sha("add"))

    job = await far_queue.add({"n": 1})

    assert proxy.cuts == 1
    assert await redis.lrange("bull:mail:wait", 0, -1) == [job.id, "1"]
    assert await redis.hget(f"bull:mail:{job.id}", "data") == '{"n":1}'


@pytest.mark.parametrize("cut", ["swallow_reply_to", "drop_request"])
async def test_a_bulk_over_a_cut_connection_adds_every_job_once(far_queue: Queue, proxy: Proxy, redis: Redis, cut: str):
    """Scenario 23 for add_bulk, cut twice on its way."""
    await far_queue.add({"n": -1})
    getattr(proxy, cut)(sha("add"), times=2)

    jobs = await far_queue.add_bulk([BulkJob({"n": n}) for n in range(1200)])

    assert proxy.cuts == 2
    assert len({job.id for job in jobs}) == 1200
    assert await redis.llen("bull:mail:wait") == 1201
    waiting = await redis.lrange("bull:mail:wait", 0, -1)
    assert [job.id for job in jobs] == waiting[:-1][::-1]


async def test_concurrent_adds_over_a_bad_line_are_each_there_once(far_queue: Queue, proxy: Proxy, redis: Redis):
    """Window W21 under load: the line is cut again and again, and no add is lost or doubled."""

    async def saboteur() -> None:
        while True:
            await asyncio.sleep(0.05)
            proxy.cut_all()

    task = asyncio.create_task(saboteur())
    jobs = []
    for start in range(0, 500, 50):
        jobs += await asyncio.gather(*(far_queue.add({"n": n}) for n in range(start, start + 50)))
        await asyncio.sleep(0.03)
    task.cancel()

    assert await redis.llen("bull:mail:wait") == 500
    numbers = [await redis.hget(f"bull:mail:{job.id}", "data") for job in jobs]
    assert numbers == [f'{{"n":{n}}}' for n in range(500)]


@pytest.mark.parametrize("cut", ["swallow_reply_to", "drop_request"])
async def test_a_custom_id_added_over_a_cut_connection_is_no_duplicate(far_queue: Queue, proxy: Proxy, redis: Redis, cut: str):
    """The repeated call recognises its own first one."""
    await far_queue.add({})
    getattr(proxy, cut)(sha("add"))

    job = await far_queue.add({}, options=JobOptions(job_id="order-1"))

    assert job.id == "order-1"
    assert await redis.lrange("bull:mail:wait", 0, -1) == ["order-1", "1"]


@pytest.mark.parametrize("cut", ["swallow_reply_to", "drop_request"])
async def test_a_claim_whose_answer_is_lost_strands_no_job(far_queue: Queue, work: Work, proxy: Proxy, redis: Redis, cut: str):
    """Scenario 23 and windows W2 and W8: the jobs go back to the head of the line at once, and no stall is counted."""
    worker = work(far_queue, nothing, concurrency=3, stalled_interval_ms=0)
    await asyncio.sleep(0.4)
    getattr(proxy, cut)(sha("settle"))
    for number in range(5):
        await redis.hset(
            f"bull:mail:{number}", mapping={"name": "x", "data": "{}", "opts": "{}", "timestamp": "1", "priority": "0", "delay": "0"}
        )
    await redis.lpush("bull:mail:wait", *map(str, range(5)))

    await finished(redis, "mail", 5, timeout=8)

    assert proxy.cuts == 1
    assert Counter(worker.started) == Counter(map(str, range(5)))
    assert not [number for number in range(5) if await redis.hexists(f"bull:mail:{number}", "stalledCounter")]


@pytest.mark.parametrize("cut", ["swallow_reply_to", "drop_request"])
@pytest.mark.parametrize("keep", [None, True])
async def test_a_finish_whose_answer_is_lost_is_written_once(
    far_queue: Queue, work: Work, proxy: Proxy, redis: Redis, cut: str, keep: bool | None
):
    """Scenario 23 and window W8: Bull would take the refusal of the second call for a failure of the job (W7)."""
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> str:
        await gate.wait()
        return "done"

    worker = work(far_queue, handler)
    job = await far_queue.add({}, options=JobOptions(remove_on_complete=keep, attempts=3))
    await worker.has_started(1)
    getattr(proxy, cut)(sha("settle"))
    gate.set()

    await wait_until(lambda: worker.seen.completed)

    assert proxy.cuts == 1
    assert worker.seen.completed == [job.id]
    assert worker.seen.lost == []
    assert worker.started == [job.id]
    assert not await redis.exists("bull:mail:active", "bull:mail:wait", "bull:mail:failed")
    fields = await redis.hgetall(f"bull:mail:{job.id}")
    assert (fields == {}) if keep else (fields["returnvalue"] == '"done"' and "failedReason" not in fields)


@pytest.mark.parametrize("cut", ["swallow_reply_to", "drop_request"])
async def test_a_failure_whose_answer_is_lost_counts_one_attempt(far_queue: Queue, work: Work, proxy: Proxy, redis: Redis, cut: str):
    """Scenario 23 for a failed attempt: attemptsMade is 1 after one failure, and the retry runs."""
    gate = asyncio.Event()

    async def handler(job: ActiveJob) -> str:
        await gate.wait()
        if job.attempt == 1:
            raise ValueError("first")
        return "done"

    worker = work(far_queue, handler)
    job = await far_queue.add({}, options=JobOptions(attempts=3, backoff=400))
    await worker.has_started(1)
    getattr(proxy, cut)(sha("fail"))
    gate.set()

    await finished(redis, "mail", 1)

    assert proxy.cuts == 1
    assert [start.attempt for start in worker.seen.starts] == [1, 2]
    assert worker.seen.lost == []
    assert await redis.hget(f"bull:mail:{job.id}", "attemptsMade") == "1"


async def test_a_worker_outlives_a_line_that_is_cut_again_and_again(far_queue: Queue, work: Work, proxy: Proxy, redis: Redis):
    """Scenario 23 under load: 400 jobs, a cut every 150 ms, each job's effect exactly once."""
    ran: Counter[str] = Counter()

    async def handler(job: ActiveJob) -> None:
        await asyncio.sleep(0.01)
        ran[job.id] += 1

    async def saboteur() -> None:
        while True:
            await asyncio.sleep(0.15)
            proxy.cut_all()

    await far_queue.add_bulk([BulkJob({"n": n}) for n in range(400)])
    task = asyncio.create_task(saboteur())
    worker = work(far_queue, handler, concurrency=4)
    await asyncio.sleep(1.5)
    task.cancel()
    await finished(redis, "mail", 400, timeout=30)

    assert await redis.zcard("bull:mail:completed") == 400
    assert set(ran.values()) == {1}, "a job ran twice though its worker lived"
    assert worker.seen.failed == []


async def test_a_silent_line_is_noticed_and_replaced(far_queue: Queue, party: Party, proxy: Proxy, redis: Redis):
    """A firewall that forgot the connection: nothing comes, nothing is refused. The jobs in hand are kept or run again, none is lost."""
    server = party.at(RedisAddress(url=proxy.url))
    server.call_timeout = 1.0
    queue = party.queue("mail", server=server)
    worker = party.work(queue, nothing)
    await far_queue.add({})
    await worker.has_started(1)
    proxy.silent = True
    await redis.lpush("bull:mail:wait", "late")
    await redis.hset("bull:mail:late", mapping={"name": "x", "data": "{}", "opts": "{}", "timestamp": "1", "priority": "0", "delay": "0"})
    await asyncio.sleep(2.5)
    proxy.silent = False

    await finished(redis, "mail", 2, timeout=20)


async def test_an_unreachable_redis_is_waited_for(proxy: Proxy, party: Party, redis: Redis):
    """The worker starts before Redis can be reached, says so once, and works as soon as it is there."""
    server = party.at(RedisAddress(url=proxy.url))
    changes: list[bool] = []
    server.on_change.append(lambda up, error: changes.append(up))
    proxy.refusing = True
    worker = party.work(party.queue("mail", server=server), nothing)
    await asyncio.sleep(1)
    await party.queue("mail").add({})
    proxy.refusing = False

    await worker.has_started(1)

    assert changes == [False, True]
