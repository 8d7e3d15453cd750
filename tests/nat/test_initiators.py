"""Who opened a connection that is older than the capture: what is said and what others call tells, else nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import Analysis, analyze
from tests.wire import ACK, MS, PSH, T0, Hop, Wire, accept

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
