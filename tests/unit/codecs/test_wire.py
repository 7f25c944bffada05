"""The line between a worker and a codec process, whose other end may be a stranger's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from kayan_workers.codecs import messages
from kayan_workers.codecs.wire import LONGEST, Wire
from kayan_workers.errors import PermanentError

Ends = tuple[Wire, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    yield Wire(ours), theirs
    ours.close()
    theirs.close()


def test_messages_arrive_whole_and_in_order_however_they_were_cut(ends: Ends) -> None:
    wire, stranger = ends
    line = b"".join(len(message).to_bytes(4, "big") + message for message in (b"first", b"", b"second"))
    received = []

    for byte in line:
        stranger.send(bytes([byte]))
        if (message := wire.receive(0.001)) is not None:
            received.append(message)

    assert received == [b"first", b"", b"second"]


def test_who_promises_a_message_and_does_not_send_it_cannot_make_us_wait(ends: Ends) -> None:
    wire, stranger = ends
    stranger.send((1000).to_bytes(4, "big") + b"the beginning")

    assert wire.receive(0.01) is None


def test_a_promise_of_too_much_is_refused_before_anything_is_stored(ends: Ends) -> None:
    wire, stranger = ends
    stranger.send((LONGEST + 1).to_bytes(4, "big"))

    with pytest.raises(ValueError, match="a message of"):
        wire.receive(0.01)


def test_who_is_gone_is_gone(ends: Ends) -> None:
    wire, stranger = ends
    stranger.close()

    with pytest.raises(EOFError):
        wire.receive(1)


@pytest.mark.parametrize("data", [b"", b"evil", b"\x91" * 5000, messages.pack({"type": "Elevate"}), messages.pack(["Done"])])
def test_what_is_no_message_of_ours_is_an_error_and_nothing_worse(data: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        messages.reply(data)


def test_a_number_that_no_file_could_hold_is_the_files_fault_and_not_ours() -> None:
    with pytest.raises(PermanentError, match=r"damaged: it claims to hold more .* upload it again"):
        messages.packed({"faces": 2**64})
