"""An object store that speaks S3 as it was spoken before 2022, as many S3-compatible ones still do: Content-MD5, and no newer checksum."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree


class PlainStore(ThreadingHTTPServer):
    """Keeps objects by path, ``/bucket/key``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.parts: dict[int, bytes] = {}

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: PlainStore
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self._body()
        path, query = self._asked
        if "partNumber" in query:
            self.server.parts[int(query["partNumber"][0])] = body
        else:
            self.server.objects[path] = body
        self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')

    def do_POST(self) -> None:
        body = self._body()
        path, query = self._asked
        if "uploads" in query:
            self._answer(200, b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
        elif "uploadId" in query:
            self.server.objects[path] = b"".join(part for _, part in sorted(self.server.parts.items()))
            self._answer(200, b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
        elif self.headers["Content-MD5"] != base64.b64encode(hashlib.md5(body).digest()).decode():
            self._answer(400, b"<Error><Code>InvalidRequest</Code><Message>Missing required header: Content-MD5</Message></Error>")
        else:
            for key in ElementTree.fromstring(body).iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key"):
                self.server.objects.pop(f"{path.rstrip('/')}/{key.text}", None)
            self._answer(200, b"<DeleteResult/>")

    def do_HEAD(self) -> None:
        self._give(with_body=False)

    def do_GET(self) -> None:
        self._give(with_body=True)

    def _give(self, *, with_body: bool) -> None:
        found = self.server.objects.get(self._asked[0])
        if found is None:
            self._answer(404)
            return
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, found, with_body=with_body, ETag='"e"')
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        piece = found[int(first) : int(last) + 1 if last else None]
        reach = f"bytes {first}-{int(first) + len(piece) - 1}/{len(found)}"
        self._answer(206, piece, with_body=with_body, **{"ETag": '"e"', "Content-Range": reach})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    @property
    def _asked(self) -> tuple[str, dict[str, list[str]]]:
        address = urlsplit(self.path)
        return unquote(address.path), parse_qs(address.query, keep_blank_values=True)

    def _answer(self, status: int, body: bytes = b"", *, with_body: bool = True, **headers: str) -> None:
        names = [name.lower() for name in self.headers]
        newer = [name for name in names if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"))]
        if newer or "aws-chunked" in self.headers.get("Content-Encoding", ""):
            text = f"A header you provided implies functionality that is not implemented: {newer}"
            status, body = 501, f"<Error><Code>NotImplemented</Code><Message>{text}</Message></Error>".encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def plain_store() -> Iterator[PlainStore]:
    with PlainStore() as store:
        thread = threading.Thread(target=store.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield store
        finally:
            store.shutdown()
            thread.join()
