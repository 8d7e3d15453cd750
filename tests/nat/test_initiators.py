"""Who opened a connection that is older than the capture: what is said and what others call tells, else nothing."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import Analysis, analyze
from tests.capture_bytes import pcap
from tests.wire import ACK, MS, PSH, T0, End, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

CLIENT, SERVER = ("198.51.100.7", 50000), ("10.1.0.4", 40)
HOPS = [Hop("box", CLIENT, SERVER)]


def answer_first(wire: Wire, question: bytes, answer: bytes) -> None:
    """A connection whose capture begins with an answer."""
    wire.packet(HOPS, T0, PSH | ACK, 900, 5000, answer, back=True)
    wire.packet(HOPS, T0 + MS, PSH | ACK, 5000, 900 + len(answer), question)
    wire.packet(HOPS, T0 + 2 * MS, PSH | ACK, 900 + len(answer), 5000 + len(question), answer, back=True)


def clients(analysis: Analysis) -> set[int]:
    return set(analysis.paths["client_port"])


def test_who_asks_opened_it(tmp_path: Path) -> None:
    wire = Wire()
    answer_first(wire, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    analysis = analyze(wire.write(tmp_path))
    assert clients(analysis) == {50000}
    halves = analysis.messages.group_by("kind").agg(pl.col("half").unique()).sort("kind")
    assert halves.rows() == [("http-request", [0]), ("http-response", [1])]


def test_what_others_call_is_a_service(tmp_path: Path) -> None:
    wire = Wire()
    answer_first(wire, b"question", b"answer")
    accept(wire, [Hop("box", ("198.51.100.9", 33333), SERVER)])
    assert clients(analyze(wire.write(tmp_path))) == {50000, 33333}


def test_spares_an_end_that_calls_others_itself(tmp_path: Path) -> None:
    wire = Wire()
    answer_first(wire, b"question", b"answer")
    accept(wire, [Hop("box", ("198.51.100.9", 33333), SERVER)])
    accept(wire, [Hop("box", SERVER, ("10.1.0.5", 40))], T0 + 50 * MS, isn=7000)
    assert clients(analyze(wire.write(tmp_path))) == {40, 33333}


def test_doubts_what_nothing_tells(tmp_path: Path) -> None:
    wire = Wire()
    answer_first(wire, b"question", b"answer")
    assert clients(analyze(wire.write(tmp_path))) == {40}


def test_an_end_with_several_peers_is_likelier_the_service(tmp_path: Path) -> None:
    wire = Wire()
    answer_first(wire, b"question", b"answer")
    other = [Hop("box", ("198.51.100.9", 33333), SERVER)]
    wire.packet(other, T0 + 5 * MS, PSH | ACK, 100, 7000, b"answer", back=True)
    wire.packet(other, T0 + 6 * MS, PSH | ACK, 7000, 106, b"question")
    assert clients(analyze(wire.write(tmp_path))) == {50000, 33333}


def datagram(src: End, dst: End, payload: bytes) -> bytes:
    """An Ethernet frame with UDP over IPv4; checksums are not needed here."""
    a, b = (ipaddress.ip_address(end[0]).packed for end in (src, dst))
    body = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0) + payload
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, 64, 17, 0) + a + b
    return bytes(12) + b"\x08\0" + head + body


def asked(folder: Path, server: End, sizes: tuple[int, ...], *more: bytes) -> set[int]:
    """The ports of the clients; of the last one's question only the answer was captured."""
    frames = []
    for at in sizes:
        client = (f"198.51.100.{at}", 50000 + at)
        frames += [datagram(client, server, b"question %d" % at), datagram(server, client, b"answer %d" % at)]
    path = folder / "box.pcap"
    path.write_bytes(pcap([*frames[:-2], frames[-1], *more]))
    return clients(analyze([str(path)]))


def test_of_datagrams_the_end_that_others_speak_to_is_called(tmp_path: Path) -> None:
    assert asked(tmp_path, ("10.1.0.4", 40), (1, 2, 3, 4, 5)) == {50001, 50002, 50003, 50004, 50005}


def test_spares_an_end_that_speaks_first_as_often(tmp_path: Path) -> None:
    own = [datagram(("10.1.0.4", 40), (f"10.9.0.{at}", 41), b"hello") for at in range(3)]
    assert 40 in asked(tmp_path, ("10.1.0.4", 40), (1, 2, 3, 4, 5), *own)


def test_doubts_who_was_called_where_few_called(tmp_path: Path) -> None:
    assert 40 in asked(tmp_path, ("10.1.0.4", 40), (1, 2, 3))


@pytest.mark.parametrize(("number", "client"), [(77, 50000), (0, 40)])
def test_an_answer_to_a_question_names_who_asked_but_multicast_asks_nobody(
    tmp_path: Path, number: int, client: int
) -> None:
    name = b"\x04host\x07example\x03net\0" + struct.pack("!HH", 1, 1)
    answer = struct.pack("!6H", number, 0x8180, 1, 0, 0, 0) + name
    path = tmp_path / "box.pcap"
    path.write_bytes(pcap([datagram(SERVER, CLIENT, answer)]))
    assert clients(analyze([str(path)])) == {client}
