"""Who waits for jobs, on real servers: workers of this library, of Bull in Node, and users who may not ask."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import figures
import pytest
from kayan_operator.decision.facts import Consumers
from kayan_operator.queues import consumers
from kayan_operator.queues.consumers import Census
from kayan_workers.bull.keys import Keys
from kayan_workers.bull.server import RedisAddress, Server
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis_process import ClusterGroup, RedisProcess
from waiting import wait_until
from wire.party import Party
from wire.peer import NodePeer

MAIL, FILM = Keys("mail"), Keys("film")


async def nothing(job: Any) -> None:
    pass


async def found(census: Census, keys: Keys) -> tuple[set[str], int]:
    await census.read()
    seen = census.of(keys)
    assert seen is not None
    return set(seen.pods), seen.node


async def test_pods_and_node_workers_are_told_apart(party: Party, node: NodePeer, server: Server) -> None:
    census = Census(server)
    assert census.of(MAIL) is None, "nobody has looked yet"
    for pod in ("email-1", "email-2"):
        party.work(party.queue("mail"), nothing, pod=pod)
    await node.open("mail")
    await node.process("mail", "nothing")

    async def are_there() -> bool:
        return await found(census, MAIL) == ({"email-1", "email-2"}, 1)

    await wait_until(are_there)
    assert await found(census, FILM) == (set(), 0)
    assert len(await node.call("mail", "getWorkers")) == len(await party.queue("mail").workers()) == 3


async def test_a_worker_that_leaves_is_gone_from_the_list(party: Party, server: Server) -> None:
    census, worker = Census(server), party.work(party.queue("mail"), nothing, pod="email-1")

    async def is_there() -> bool:
        return await found(census, MAIL) == ({"email-1"}, 0)

    async def is_gone() -> bool:
        return await found(census, MAIL) == (set(), 0)

    await wait_until(is_there)
    await worker.stop()
    await wait_until(is_gone)


async def test_whoever_may_not_list_clients_knows_nothing_and_hears_so_once(
    private_redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "EVERY_SECONDS", 0.0)
    with private_redis.client() as client:
        client.execute_command("ACL", "SETUSER", "eye", "on", ">pass", "~*", "+@all", "-client")
    server = Server(RedisAddress(url=private_redis.url.replace("redis://", "redis://eye:pass@")), call_timeout=2)
    refusals: list[Exception] = []
    census = Census(server, refused=refusals.append)
    for _ in range(3):
        census.refresh()
        assert census._reading
        await census._reading
        assert census.of(MAIL) is None
    assert len(refusals) == 1
    assert isinstance(refusals[0], ResponseError)
    await census.close()
    await server.close()


async def test_the_list_is_read_in_the_background_and_forgotten_when_it_is_old(server: Server) -> None:
    ahead = 0.0
    census = Census(server, clock=lambda: time.monotonic() + ahead)
    census.refresh()
    await wait_until(lambda: census.of(MAIL) is not None)
    assert census.of(MAIL) == Consumers(read_at=census._read_at)
    ahead = 4 * consumers.EVERY_SECONDS
    assert census.of(MAIL) is None


async def test_in_a_cluster_all_nodes_are_asked() -> None:
    cluster = ClusterGroup()
    try:
        cluster.start()
        server = Server(RedisAddress(url=cluster.url, cluster=True), call_timeout=5)
        clients = [Redis(port=node.port, client_name=MAIL.client_name_of(f"pod-{number}")) for number, node in enumerate(cluster.nodes)]
        for client in clients:
            await client.ping()
        assert await found(Census(server), MAIL) == ({"pod-0", "pod-1", "pod-2"}, 0)
        for client in clients:
            await client.aclose()
        await server.close()
    finally:
        cluster.remove()


async def test_what_a_list_of_two_thousand_clients_costs(private_redis: RedisProcess) -> None:
    """A figure to read. Redis's own time is from its statistics."""
    sockets = []
    try:
        for number in range(2000):
            client = socket.create_connection(("127.0.0.1", private_redis.port))
            client.sendall(f"CLIENT SETNAME {MAIL.client_name_of(f'pod-{number % 500}')}\r\n".encode())
            sockets.append(client)
        server = Server(RedisAddress(url=private_redis.url), call_timeout=5)
        census = Census(server)

        async def are_all_there() -> bool:
            return len((await found(census, MAIL))[0]) == 500

        await wait_until(are_all_there, 30)
        with private_redis.client() as client:
            client.config_resetstat()
            begun = time.process_time()
            for _ in range(10):
                await census.read()
            ours = (time.process_time() - begun) / 10
            stats = client.info("commandstats")
        command = stats.get("cmdstat_client|list") or stats["cmdstat_client"]
        figures.note("CLIENT LIST of 2,000 clients", "Redis", f"{command['usec_per_call'] / 1000:.1f} ms")
        figures.note("CLIENT LIST of 2,000 clients", "the operator's own time", f"{ours * 1000:.1f} ms")
        await server.close()
        await asyncio.sleep(0)
    finally:
        for client in sockets:
            client.close()
