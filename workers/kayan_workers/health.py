"""One port for whoever watches a worker: ``/healthz`` (its loops turn), ``/readyz`` (it can work, or why not), ``/metrics``.

Just enough HTTP for a kubelet and Prometheus: GET and HEAD, one answer a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from kayan_workers.errors import SettingsError

JSON = "application/json"
_REQUEST_SECONDS = 5
_LARGEST_REQUEST = 16 * 1024


class Answer(NamedTuple):
    """What a page says."""

    status: HTTPStatus
    body: bytes
    content_type: str = JSON

    @classmethod
    def json(cls, ok: bool, value: object) -> Answer:
        return cls(HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE, msgspec.json.encode(value) + b"\n")


Page = Callable[[], Awaitable[Answer]]


class HealthServer:
    """Serves ``pages`` by path until it is closed."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which ``port`` 0 leaves to the system. Raises SettingsError when it is taken."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_LARGEST_REQUEST)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise SettingsError(
                [f"HEALTH_PORT is {port}: cannot listen on {host}:{port} ({reason}). Choose another port, 0 for any free one, or off"]
            ) from error
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                method, path = await _request(reader)
                answer = await self._answer(method, path)
                writer.write(_response(answer, with_body=method != "HEAD"))
                await writer.drain()
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a visitor who speaks no HTTP, or has left
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, method: str, path: str) -> Answer:
        page = self._pages.get(path)
        if page is None:
            return Answer(HTTPStatus.NOT_FOUND, msgspec.json.encode({"pages": list(self._pages)}) + b"\n")
        if method not in ("GET", "HEAD"):
            return Answer(HTTPStatus.METHOD_NOT_ALLOWED, b'{"allowed":["GET","HEAD"]}\n')
        return await page()


async def _request(reader: asyncio.StreamReader) -> tuple[str, str]:
    """Method and path; the headers are read and forgotten."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _version = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return method, urlsplit(target).path


def _response(answer: Answer, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (answer.body if with_body else b"")
