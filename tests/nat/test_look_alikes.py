"""Connections of tools that repeat their numbers are no translated copies of one another; real translators stay."""

from __future__ import annotations

import ipaddress
import random
import struct
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from tests.capture_bytes import pcap
from tests.wire import ACK, MS, RST, SYN, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

HOST, SERVER = "10.0.0.4", ("10.0.0.9", 20000)


def lengths(wire: Wire, folder: Path) -> list[int]:
    """How many legs each path has."""
    return analyze(wire.write(folder)).paths["legs"].list.len().to_list()


def told(wire: Wire, hop: Hop, at_ns: int, *, answer_after_ns: int = 60_000, ip_id: int = 256, tsval: int = 0) -> None:
    """A tool's connection: sequence numbers from 1 on both sides, one IP identification."""
    wire.packet([hop], at_ns, SYN, 1, ip_id=ip_id, tsval=tsval)
    wire.packet([hop], at_ns + answer_after_ns, SYN | ACK, 1, 2, back=True, ip_id=ip_id, tsval=tsval)
    wire.packet([hop], at_ns + answer_after_ns + MS, RST, 2, ip_id=ip_id, tsval=tsval)


@pytest.mark.parametrize("host", [HOST, "127.0.0.1"])
@pytest.mark.parametrize("every_ns", [100_000, 10 * MS, 234 * MS])
@pytest.mark.parametrize("count", [2, 3, 12])
def test_spares_a_tool_that_calls_from_port_after_port(tmp_path: Path, host: str, every_ns: int, count: int) -> None:
    wire, server = Wire(), SERVER if host == HOST else (host, 20000)
    for at in range(count):
        told(wire, Hop("lo", (host, 40000 + 7 * at), server), T0 + at * every_ns)
    assert lengths(wire, tmp_path) == [1] * count


@pytest.mark.parametrize(("every_ns", "nearer"), [(200_000, 0), (10 * MS, 1)])
def test_spares_clients_of_a_simulator_that_share_their_numbers(tmp_path: Path, every_ns: int, nearer: int) -> None:
    wire = Wire()
    for at in range(4):
        told(wire, Hop("sim", (f"10.0.0.{20 + at}", 40000 + at), SERVER, 64 - nearer * at), T0 + at * every_ns)
    assert lengths(wire, tmp_path) == [1] * 4


@pytest.mark.parametrize(("first", "second"), [((0, 90), (20, 50)), ((0, 60), (20, 70))])
def test_spares_calls_of_a_tool_that_overlap(tmp_path: Path, first: tuple[int, int], second: tuple[int, int]) -> None:
    wire = Wire()
    for at, (start, end) in enumerate((first, second, (200, 260))):
        told(wire, Hop("lo", (HOST, 40000 + at), SERVER), T0 + start * MS, answer_after_ns=(end - start) * MS)
    assert lengths(wire, tmp_path) == [1] * 3


@pytest.mark.parametrize("host", [HOST, "10.0.0.9"])
@pytest.mark.parametrize("ttls", [(64, 64, 64), (50, 49, 48)])
def test_spares_a_scan_with_one_number_from_several_ports(tmp_path: Path, host: str, ttls: tuple[int, ...]) -> None:
    wire = Wire()
    for at, ttl in enumerate(ttls):
        # Its own address and another's; ways of unlike length to one server.
        wire.packet([Hop("edge", (host, 40000 + at), SERVER, ttl)], T0 + at * MS, SYN, 7, ip_id=54321, tsval=0)
    assert lengths(wire, tmp_path) == [1] * 3


@pytest.mark.parametrize("target", [HOST, "10.0.0.9"])
@pytest.mark.parametrize("every_ns", [30_000, 300_000, 2 * MS])
@pytest.mark.parametrize("refused", [False, True])
def test_spares_a_scan_of_many_ports_with_ttls_by_chance(
    tmp_path: Path, target: str, every_ns: int, refused: bool
) -> None:
    wire, chance = Wire(), random.Random(1)
    for at in range(80):
        hop = Hop("vm", (HOST, 40000), (target, 100 + at), chance.randrange(37, 60), 0)
        wire.packet([hop], T0 + at * every_ns, SYN, 123456, ip_id=chance.getrandbits(16), tsval=0, window=1024)
        if refused:
            wire.packet([hop], T0 + at * every_ns + 20_000, RST | ACK, 0, 123457, back=True, ip_id=0, tsval=0)
    analysis = analyze(wire.write(tmp_path))
    assert analysis.paths["legs"].list.len().to_list() == [1] * 80 and not analysis.paths["ambiguous"].any()
    assert "hairpin-mismatch" not in {one.rule for one in analysis.findings}


def test_spares_a_host_that_tries_two_of_its_own_ports(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(6):
        for number, port in enumerate((80, 8080)):
            hop = Hop("vm", (HOST, 40000 + at), (HOST, port))
            wire.packet([hop], T0 + at * 50 * MS + number * 300_000, SYN, 7 + at, ip_id=5, tsval=0)
    analysis = analyze(wire.write(tmp_path))
    assert analysis.paths["legs"].list.len().to_list() == [1] * 12 and not analysis.findings


@pytest.mark.parametrize("clock_ns", [0, 3_000_000_000])
def test_spares_two_files_of_one_tool(tmp_path: Path, clock_ns: int) -> None:
    wire = Wire(clock_ns={"two": clock_ns})
    for at, point in enumerate(("one", "two")):
        told(wire, Hop(point, (HOST, 40000 + at), SERVER), T0 + at * 20 * MS)
    assert lengths(wire, tmp_path) == [1, 1]


@pytest.mark.parametrize(("ttl", "stamp"), [(63, 1000), (63, 0), (64, 1000)])
def test_a_translator_of_ports_alone_is_told(tmp_path: Path, ttl: int, stamp: int) -> None:
    wire = Wire()
    for at in range(6):
        inside = Hop("box", (HOST, 40000 + at), SERVER, 64, 100_000, 63)
        outside = Hop("box", (HOST, 20000 + 7 * at), SERVER, ttl, 140_000, 63 + 64 - ttl)
        isn, answer, start = 10_000 * at + 5, 77_000 * at + 9, T0 + at * 10 * MS
        wire.packet([inside, outside], start, SYN, isn, tsval=stamp)
        wire.packet([inside, outside], start + MS, SYN | ACK, answer, isn + 1, back=True, tsval=stamp)
        wire.packet([inside, outside], start + 2 * MS, ACK, isn + 1, answer + 1, tsval=stamp)
    assert lengths(wire, tmp_path) == [2] * 6


def test_translators_of_ports_alone_in_a_row_are_one_path(tmp_path: Path) -> None:
    wire = Wire()
    ports = (40000, 20001, 30002)
    ways = [Hop("box", (HOST, port), SERVER, 64 - at, 100_000 + 40_000 * at, 62 + at) for at, port in enumerate(ports)]
    accept(wire, ways)
    assert lengths(wire, tmp_path) == [3]


def test_a_call_that_comes_back_to_its_caller_under_another_port_is_told(tmp_path: Path) -> None:
    wire = Wire()
    out = Hop("vm", (HOST, 40000), ("10.0.0.100", 80), 64, 0)
    back = Hop("vm", (HOST, 20001), (HOST, 8080), 63, 70_000)
    wire.packet([out, back], T0, SYN, 1000)
    wire.packet([out, back], T0 + 1_000 * MS, SYN, 1000)
    assert lengths(wire, tmp_path) == [2]


@pytest.mark.parametrize("stamp", [0, 1000])
def test_a_port_that_is_redirected_is_told(tmp_path: Path, stamp: int) -> None:
    wire = Wire()
    for at in range(3):
        client, isn = (HOST, 40000 + at), 9_000 * at + 5
        called, behind = Hop("lb", client, SERVER, 64, 10_000), Hop("lb", client, (SERVER[0], 8080), 63, 60_000)
        # The answers go another way.
        wire.packet([called, behind], T0 + at * 50 * MS, SYN, isn, tsval=stamp)
        wire.packet([called, behind], T0 + at * 50 * MS + 2 * MS, ACK, isn + 1, 77, tsval=stamp)
    assert lengths(wire, tmp_path) == [2] * 3


@pytest.mark.parametrize(("ttls", "legs"), [((255, 1), [1, 1]), ((255, 64), [1, 1]), ((64, 63), [2])])
def test_spares_a_host_that_says_the_same_out_of_two_interfaces(
    tmp_path: Path, ttls: tuple[int, int], legs: list[int]
) -> None:
    frames = []
    for source, ttl in zip(("169.254.162.244", "192.168.2.1"), ttls, strict=True):
        body = b"NOTIFY * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n"
        ends = ipaddress.ip_address(source).packed + ipaddress.ip_address("239.255.255.250").packed
        udp = struct.pack("!HHHH", 50384, 1900, 8 + len(body), 0) + body
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 7, 0, ttl, 17, 0) + ends
        frames.append(bytes(12) + b"\x08\0" + head + udp)
    path = tmp_path / "hosts.pcap"
    path.write_bytes(pcap(frames))
    assert analyze([str(path)]).paths["legs"].list.len().to_list() == legs
