"""Messages over a pair of sockets: four bytes of length, then the message. Neither end can be made to wait for the rest of one."""

from __future__ import annotations

import socket

LONGEST = 16 * 1024 * 1024
"""Bytes. The longest text we keep of a document, many times over."""
_CHUNK = 256 * 1024


class Wire:
    """One end of a connection between a worker and a codec process."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._received = bytearray()

    def fileno(self) -> int:
        return self._end.fileno()

    def send(self, message: bytes) -> None:
        """Raises OSError when the other end is gone or does not take it within a minute."""
        self._end.settimeout(60)
        self._end.sendall(len(message).to_bytes(4, "big") + message)

    def receive(self, within_seconds: float) -> bytes | None:
        """The next message, or None when it is not complete within that time; what has come of it is kept.

        Raises EOFError or OSError when the other end is gone, ValueError for a message that is too long to be one of ours.
        """
        self._end.settimeout(within_seconds)
        while (message := self._complete()) is None:
            try:
                chunk = self._end.recv(_CHUNK)
            except TimeoutError:
                return None
            if not chunk:
                raise EOFError
            self._received += chunk
        return message

    def close(self) -> None:
        self._end.close()

    def _complete(self) -> bytes | None:
        if len(self._received) < 4:
            return None
        length = int.from_bytes(self._received[:4], "big")
        if length > LONGEST:
            raise ValueError(f"a message of {length} bytes")
        if len(self._received) < 4 + length:
            return None
        message = bytes(self._received[4 : 4 + length])
        del self._received[: 4 + length]
        return message
