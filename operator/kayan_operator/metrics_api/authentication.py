"""Who makes a request: whom the front proxy asks for, or whose the bearer token is."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from kayan_operator.metrics_api.front_proxy import FrontProxy, common_name
from kayan_operator.metrics_api.identity import Identity
from kayan_operator.metrics_api.listener import is_current
from kayan_operator.metrics_api.tokens import Tokens


class Authenticator:
    """Names the caller of a request.

    ``front_proxy`` is as it was read last; ``suspect`` is called when a client certificate is not, or no longer, the front proxy's.
    """

    def __init__(self, tokens: Tokens, suspect: Callable[[], None]) -> None:
        self.front_proxy: FrontProxy | None = None
        self._tokens = tokens
        self._suspect = suspect

    async def identify(self, request: web.Request) -> Identity | None:
        """The caller, or None when nobody vouches for one. Raises KubernetesError when a token cannot be looked up."""
        if self.front_proxy is not None and self._is_from(self.front_proxy, request):
            named = self.front_proxy.names(request.headers)
            if named is not None:
                return named
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return await self._tokens.owner(token.strip())
        return None

    def _is_from(self, front_proxy: FrontProxy, request: web.Request) -> bool:
        """The certificate was verified in the handshake, by the authorities of that moment."""
        certificate = request.get_extra_info("peercert")
        if not certificate:
            return False
        if front_proxy.allows(common_name(certificate)) and (is_current(request) or _still_issued(front_proxy, request)):
            return True
        self._suspect()
        return False


def _still_issued(front_proxy: FrontProxy, request: web.Request) -> bool:
    der = request.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return front_proxy.issued(der)
