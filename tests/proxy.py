"""A TCP proxy with a bad temper: it cuts connections, swallows replies, waits before it passes anything on, or speaks TLS.

It stands between a worker and its server, so that a test decides which byte gets lost:

    async with Proxy(server_port) as proxy:
        worker = connect(proxy.url)
        proxy.swallow_reply_to(b"EVALSHA")     # the next such command reaches the server; its answer, and the connection, do not
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self

_GO_ON = b"HTTP/1.1 100 "
"""An HTTP server's word that it will take the body of a request: not yet an answer."""


class Proxy:
    """Passes bytes between clients and ``host:port``, until it is told to do something worse. A ``host`` with a slash is the folder of
    PostgreSQL's socket."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        self.host, self.target = host, port
        self.port = 0
        self.tls = tls
        self.delay = 0.0
        """Seconds that every chunk waits in each direction."""
        self.refusing = False
        """True: new connections are closed at once."""
        self.silent = False
        """True: the connection stands and nothing passes, as with a firewall that forgot it."""
        self.accepted = 0
        """Connections taken so far."""
        self.cuts = 0
        """Replies swallowed so far."""
        self.holding = 0
        """Requests and answers kept back so far: the client of each waits."""
        self._withheld: bytes | None = None
        self._held: bytes | None = None
        self._needle: bytes | None = None
        self._times = 0
        self._before = False
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'rediss' if self.tls else 'redis'}://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        self.cut_all()
        await asyncio.sleep(0)

    def swallow_reply_to(self, command: bytes, *, times: int = 1) -> None:
        """Let the next ``times`` requests that contain ``command`` reach the server, drop the answer and cut that connection."""
        self._needle, self._times, self._before = command, times, False

    def drop_request(self, command: bytes, *, times: int = 1) -> None:
        """Cut the connection instead of passing on the next ``times`` requests that contain ``command``."""
        self._needle, self._times, self._before = command, times, True

    def withhold_replies_to(self, command: bytes) -> None:
        """Pass on requests that contain ``command``, and keep every answer on such a connection back until ``release``."""
        self._withheld = command

    def hold_request(self, command: bytes) -> None:
        """Keep back the next request that contains ``command``, and its connection with it, until that is cut."""
        self._held = command

    def release(self) -> None:
        """Let the answers go that were withheld."""
        self._withheld = None
        for link in self._links:
            link.withheld = False

    def cut_all(self) -> None:
        """Cut every connection, as a network would: no goodbye, whatever is under way."""
        for link in list(self._links):
            link.cut()

    def mute_all(self) -> None:
        """Let nothing more pass on the connections that stand, and leave them standing; new ones are as good as ever."""
        for link in self._links:
            link.muted = True

    def _strikes(self, chunk: bytes) -> bool:
        if self._needle is None or self._times <= 0 or self._needle not in chunk:
            return False
        self._times -= 1
        self.cuts += 1
        return True

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.refusing:
            writer.transport.abort()
            return
        try:
            if self.host.startswith("/"):
                server_reader, server_writer = await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.target}")
            else:
                server_reader, server_writer = await asyncio.open_connection(self.host, self.target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, writer, server_writer)
        self._links.add(link)
        try:
            await asyncio.gather(link.requests(reader), link.replies(server_reader))
        finally:
            link.cut()
            self._links.discard(link)


class _Link:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.doomed = False
        self.withheld = False
        self.muted = False
        self.ended = asyncio.Event()

    async def requests(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while chunk := await reader.read(65_536):
                await self._hold()
                if self.proxy._held is not None and self.proxy._held in chunk:
                    self.proxy._held = None
                    self.proxy.holding += 1
                    await self.ended.wait()
                    break
                if self.proxy._withheld is not None and self.proxy._withheld in chunk:
                    self.withheld = True
                if self.proxy._strikes(chunk):
                    if self.proxy._before:
                        break
                    self.doomed = True  # set before the request leaves, so that its answer cannot slip through
                self.server.write(chunk)
                await self.server.drain()
        self.cut()

    async def replies(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while chunk := await reader.read(65_536):
                if self.doomed:
                    break
                await self._hold()
                if self.withheld and not chunk.startswith(_GO_ON):
                    self.proxy.holding += 1
                    while self.withheld and not self.ended.is_set():
                        await asyncio.sleep(0.01)
                self.client.write(chunk)
                await self.client.drain()
        self.cut()

    async def _hold(self) -> None:
        if self.proxy.delay:
            await asyncio.sleep(self.proxy.delay)
        while (self.proxy.silent or self.muted) and not self.ended.is_set():
            await asyncio.sleep(0.01)

    def cut(self) -> None:
        # asyncio's own abort: the peer sees a reset, as after a lost machine
        self.ended.set()
        self.client.transport.abort()
        self.server.transport.abort()
