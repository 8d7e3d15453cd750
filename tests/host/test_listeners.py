"""What listens here: real sockets, and words about them."""

from __future__ import annotations

import os
import socket

import pytest

from flowscope.cloud.listening import Socket
from flowscope.host.listeners import listeners, on_port


def test_own_sockets_are_found_with_their_program() -> None:
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        mine = [one for one in listeners() if one.pid == os.getpid()]
        found = {(one.protocol, one.address, one.port) for one in mine}
        assert ("tcp", *tcp.getsockname()) in found
        assert ("udp", *udp.getsockname()) in found
        assert all(one.process for one in mine)
        port = tcp.getsockname()[1]
        assert on_port(mine, "127.0.0.1", port) == f"{mine[0].process} listens on 127.0.0.1:{port}"
        said = on_port(mine, "10.0.0.4", port)
        assert said.startswith(f"nothing listens on {port} at 10.0.0.4; {mine[0].process} listens on 127.0.0.1:{port}")
    assert not [one for one in listeners() if one.pid == os.getpid() and one.port == port]


@pytest.mark.parametrize(
    ("bound", "called", "answers"),
    [
        ("0.0.0.0", "10.0.0.4", True),
        ("0.0.0.0", "fd00::4", False),
        ("::", "fd00::4", True),
        ("::", "10.0.0.4", True),
        ("127.0.0.1", "10.0.0.4", False),
        ("10.0.0.4", "10.0.0.4", True),
    ],
)
def test_who_answers(bound: str, called: str, answers: bool) -> None:
    address = None if bound in ("0.0.0.0", "::") else bound
    one = Socket("tcp", address, 6 if ":" in bound else 4, 80, listens=True)
    assert one.answers(called, 80) is answers
    assert not one.answers(called, 81)
    assert one.text == (f"[{bound}]:80" if ":" in bound else f"{bound}:80")


def test_words_for_what_may_not_be_seen() -> None:
    assert on_port([], "10.0.0.4", 8080) == "nothing listens on 8080"
    hidden = [Socket("tcp", "::1", 6, 8080, listens=True), Socket("udp", None, 4, 8080, listens=True)]
    said = on_port(hidden, "10.0.0.4", 8080)
    assert said == "nothing listens on 8080 at 10.0.0.4; a process of another user listens on [::1]:8080 only"
