"""Outcomes and roles of paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import Analysis, analyze
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Hop, Wire, accept, ignore, refuse

pytestmark = pytest.mark.usefixtures("core")

HOPS = [
    Hop("front", ("198.51.100.7", 40000), ("203.0.113.9", 443), 61, 100_000, 63),
    Hop("back", ("10.1.0.1", 20000), ("10.1.0.4", 9443), 60, 160_000, 64),
]


def outcome(wire: Wire, folder: Path) -> str:
    analysis = analyze(wire.write(folder))
    assert analysis.paths.height == 1
    return str(analysis.paths["outcome"][0])


def role(analysis: Analysis, name: str) -> str | None:
    number = analysis.paths[name][0]
    return None if number is None else f"{analysis.addresses['text'][number]}:{analysis.paths[name + '_port'][0]}"


def test_roles_through_full_nat(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, HOPS)
    analysis = analyze(wire.write(tmp_path))
    assert [role(analysis, name) for name in ("client", "frontend", "snat", "backend")] == [
        "198.51.100.7:40000",
        "203.0.113.9:443",
        "10.1.0.1:20000",
        "10.1.0.4:9443",
    ]


def test_roles_without_translation(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, HOPS[:1])
    analysis = analyze(wire.write(tmp_path))
    assert [role(analysis, name) for name in ("frontend", "snat", "backend")] == [None, None, "203.0.113.9:443"]


def test_a_known_frontend_seen_on_its_first_leg_only_has_no_backend(tmp_path: Path) -> None:
    topology = tmp_path / "t.toml"
    topology.write_text('[[frontend]]\naddress = "203.0.113.9"\nport = 443\n')
    wire = Wire()
    accept(wire, HOPS[:1])
    analysis = analyze(wire.write(tmp_path), topology=str(topology))
    assert [role(analysis, name) for name in ("frontend", "backend")] == ["203.0.113.9:443", None]


def test_refused(tmp_path: Path) -> None:
    wire = Wire()
    refuse(wire, HOPS)
    assert outcome(wire, tmp_path) == "refused"


def test_unanswered(tmp_path: Path) -> None:
    wire = Wire()
    ignore(wire, HOPS)
    assert outcome(wire, tmp_path) == "unanswered"


def test_rejected_by_icmp(tmp_path: Path) -> None:
    wire = Wire()
    ignore(wire, HOPS, tries=1)
    wire.icmp_error(HOPS, T0 + MS, "10.1.0.4", 3, 13, 1000)
    assert outcome(wire, tmp_path) == "rejected"


def test_half_open(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(HOPS, T0, SYN, 1000)
    wire.packet(HOPS, T0 + MS, SYN | ACK, 9000, 1001, back=True)
    assert outcome(wire, tmp_path) == "half-open"


def test_a_client_that_resets_the_offer_has_not_taken_it(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(HOPS, T0, SYN, 1000)
    wire.packet(HOPS, T0 + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet(HOPS, T0 + 2 * MS, RST, 1001)
    assert outcome(wire, tmp_path) == "half-open"


def test_reset_before_both_ends_closed(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(HOPS, T0, SYN, 1000)
    wire.packet(HOPS, T0 + MS, SYN | ACK, 9000, 1001, back=True)
    wire.packet(HOPS, T0 + 2 * MS, PSH | ACK, 1001, 9001, b"x")
    wire.packet(HOPS, T0 + 3 * MS, RST | ACK, 9001, 1002, back=True)
    assert outcome(wire, tmp_path) == "reset"


def test_reset_after_both_ends_closed_is_a_way_to_close(tmp_path: Path) -> None:
    wire = Wire()
    accept(wire, HOPS)
    wire.packet(HOPS, T0 + 50 * MS, RST, 1015)
    assert outcome(wire, tmp_path) == "established"


def test_a_syn_ack_missing_from_the_capture_is_no_silence(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(HOPS, T0, SYN, 1000)
    wire.packet(HOPS, T0 + 2 * MS, PSH | ACK, 1001, 9001, b"question")
    wire.packet(HOPS, T0 + 3 * MS, PSH | ACK, 9001, 1009, b"answer", back=True)
    assert outcome(wire, tmp_path) == "established"


def test_no_handshake_is_unknown(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(HOPS[:1], T0, FIN | ACK, 1000, 5)
    assert outcome(wire, tmp_path) == "unknown"
