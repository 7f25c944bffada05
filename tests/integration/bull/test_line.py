"""A line that listens: to patterns of channels, on a real server."""

from __future__ import annotations

import math
from typing import Any

from at_work import server_at
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from waiting import wait_until


async def test_a_line_hears_what_matches_its_patterns_and_answers_to_its_pings(redis_url: str, redis: Redis) -> None:
    server, heard = server_at(redis_url), list[Any]()
    line = await server.open_line("any", timeout=math.inf)
    line.psubscribe(["bull:*:d*", "post:*"], heard.append)
    await wait_until(lambda: len(heard) == 2)
    assert heard == [[b"psubscribe", b"bull:*:d*", 1], [b"psubscribe", b"post:*", 2]]

    await redis.publish("bull:mail:delayed", "17")
    await redis.publish("bull:mail:completed", "not this one")
    line.ping()
    await redis.publish("post:mail", "")
    await wait_until(lambda: len(heard) == 5)
    assert heard[2] == [b"pmessage", b"bull:*:d*", b"bull:mail:delayed", b"17"]
    assert [b"pong", b""] in heard
    assert [b"pmessage", b"post:*", b"post:mail", b""] in heard
    line.close()
    await server.close()


async def test_a_line_that_may_not_listen_hears_why(redis_url: str, redis: Redis) -> None:
    await redis.execute_command("ACL", "SETUSER", "deaf", "on", ">pw", "~*", "+@all", "resetchannels")
    server, heard = server_at(redis_url.replace("redis://", "redis://deaf:pw@")), list[Any]()
    try:
        line = await server.open_line("any", timeout=math.inf)
        line.psubscribe(["bull:*"], heard.append)
        await wait_until(lambda: heard)
        assert isinstance(heard[0], ResponseError)
        line.close()
    finally:
        await redis.execute_command("ACL", "DELUSER", "deaf")
        await server.close()
