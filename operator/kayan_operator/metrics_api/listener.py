"""The port: TLS whose certificate and trusted authorities change while connections come and go."""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

IDLE_SECONDS: Final = 120.0
"""Longer than kube-apiserver keeps an idle connection (90 s), so that it is never we who close one under a request."""
GOODBYE_SECONDS: Final = 5.0
MOST_HEADERS: Final = 1024
"""Each group of a caller has a header of its own, and some have many groups."""
LONGEST_REQUEST: Final = 65_536
"""Of the line with its selector, in characters."""


class Listener:
    """Serves an application over TLS on one port, on all addresses where ``host`` is None.

    What ``present`` and ``trust`` were given last holds for the next connection; those that are there keep what they began with, and are
    closed with their next answer. ``untrusted`` is called when a client shows a certificate that no trusted authority has issued.
    """

    def __init__(self, application: web.Application, *, host: str | None, port: int, untrusted: Callable[[], None]) -> None:
        application.on_response_prepare.append(_let_an_old_connection_go)
        self._runner = web.AppRunner(
            application, access_log=None, handle_signals=False, keepalive_timeout=IDLE_SECONDS, shutdown_timeout=GOODBYE_SECONDS,
            max_headers=MOST_HEADERS, max_line_size=LONGEST_REQUEST,
        )  # fmt: skip
        self._host, self._port = host, port
        self._untrusted = untrusted
        self._door = _Door(ssl.PROTOCOL_TLS_SERVER)
        self._chain_pem = b""
        self._authorities_pem = ""

    @property
    def port(self) -> int:
        """The port that is listened on, also where 0 was asked for."""
        return int(self._runner.addresses[0][1])

    def present(self, chain_pem: bytes) -> None:
        """Show this certificate from now on: its private key and itself, in PEM."""
        if chain_pem != self._chain_pem:
            self._door.behind = _context(chain_pem, self._authorities_pem, self._untrusted)
            self._chain_pem = chain_pem

    def trust(self, authorities_pem: str) -> None:
        """Trust client certificates of these authorities from now on, and of no others. A certificate is presented already."""
        if authorities_pem != self._authorities_pem:
            self._door.behind = _context(self._chain_pem, authorities_pem, self._untrusted)
            self._authorities_pem = authorities_pem

    async def start(self) -> None:
        """Listen; a certificate is presented already. Raises OSError when the port cannot be had."""
        await self._runner.setup()
        await web.SockSite(self._runner, _socket(self._host, self._port), ssl_context=self._door).start()

    async def stop(self) -> None:
        """Take no more connections, finish the answers under way, and close them all."""
        await self._runner.cleanup()


def _socket(host: str | None, port: int) -> socket.socket:
    """One for both families of addresses where it can be: two would be given two ports where 0 is asked for."""
    if host is None and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server((host or "", port), family=socket.AF_INET6 if ":" in (host or "") else socket.AF_INET)


def is_current(request: web.BaseRequest) -> bool:
    """Whether a request's connection began with the certificate and the authorities of today."""
    context = request.get_extra_info("ssl_object").context
    return not (isinstance(context, _Context) and context.outdated)


async def _let_an_old_connection_go(request: web.Request, response: web.StreamResponse) -> None:
    if not is_current(request):
        response.force_close()
        # the headers are made already
        response.headers["Connection"] = "close"


class _Context(ssl.SSLContext):
    """What new connections begin with, until it is outdated."""

    outdated = False


class _Door(ssl.SSLContext):
    """The context that the event loop is given for good. Each connection gets the one behind it at that moment."""

    _behind: _Context | None = None

    @property
    def behind(self) -> _Context | None:
        return self._behind

    @behind.setter
    def behind(self, context: _Context) -> None:
        if self._behind is not None:
            self._behind.outdated = True
        self._behind = context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        assert self._behind is not None, "nothing is presented yet"
        return self._behind.wrap_bio(*arguments, **options)


def _context(chain_pem: bytes, authorities_pem: str, untrusted: Callable[[], None]) -> _Context:
    """Asks for a client certificate, does without one, and refuses one that none of the authorities has issued."""

    class Noticing(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLCertVerificationError:
                untrusted()
                raise

    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Noticing
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    # like kube-apiserver, take each certificate of the bundle as an authority, though another one has issued it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # a session that is taken up again would bring an identity that is trusted no more
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    if authorities_pem:
        context.load_verify_locations(cadata=authorities_pem)
    # the module ssl reads private keys from files only
    with tempfile.NamedTemporaryFile() as file:
        file.write(chain_pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context
