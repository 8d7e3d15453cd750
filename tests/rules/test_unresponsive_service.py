"""unresponsive-service: acknowledged and never answered; long waits, aborts and one-way protocols are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.rules.scene import MEMBERS, call, findings, probe
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Hop, Wire, accept, ignore, talk

pytestmark = pytest.mark.usefixtures("core")
RULE = "unresponsive-service"
SECOND = 1_000_000_000


def hang(
    wire: Wire, port: int, at: int = T0, isn: int = 1000, wait: int = 5 * SECOND, points: str = "front back host"
) -> None:
    """A request that is acknowledged; the client gives up after ``wait``."""
    hops = call(1, port, points=points)
    wire.packet(hops, at, SYN, isn)
    wire.packet(hops, at + MS, SYN | ACK, 9000, isn + 1, back=True)
    wire.packet(hops, at + 2 * MS, ACK, isn + 1, 9001)
    wire.packet(hops, at + 3 * MS, PSH | ACK, isn + 1, 9001, b"question")
    wire.packet(hops, at + 4 * MS, ACK, 9001, isn + 9, back=True)
    wire.packet(hops, at + wait, FIN | ACK, isn + 9, 9001)
    wire.packet(hops, at + wait + MS, ACK, 9001, isn + 10, back=True)


def others(wire: Wire) -> None:
    for at in range(4):
        accept(wire, call(0, 41000 + at), T0 + at * SECOND, isn=70_000 * at + 5)


@pytest.mark.parametrize("topology", [True, False])
def test_flags_requests_that_are_acknowledged_only(tmp_path: Path, topology: bool) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE, *([] if topology else [None]))
    assert found.verdict is (Verdict.CONFIRMED if topology else Verdict.LIKELY)
    assert (dict(found.subject), found.count) == ({"member": "10.1.0.5:9443"}, 3)
    assert found.facts["how"] == "hung"


@pytest.mark.parametrize("how", [FIN | ACK, RST | ACK])
def test_flags_a_member_that_leaves_only_after_its_client(tmp_path: Path, how: int) -> None:
    """A program that waits for something still closes what its client has closed."""
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        late = T0 + 5 * SECOND + (at + 20) * MS
        wire.packet(call(1, 40000 + at), late, how, 9001, 50_000 * at + 17, back=True)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (Verdict.CONFIRMED, 3)
    assert "waited about 5.0 s" in found.summary


def test_spares_a_service_that_only_listens_and_closes_after_its_clients(tmp_path: Path) -> None:
    """Logs that are sent and never answered."""
    wire = Wire()
    for at in range(4):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        late = T0 + 5 * SECOND + (at + 20) * MS
        wire.packet(call(1, 40000 + at), late, FIN | ACK, 9001, 50_000 * at + 17, back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_member_that_leaves_first(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        wire.packet(call(1, 40000 + at), T0 + 4 * SECOND, FIN | ACK, 9001, 50_000 * at + 16, back=True)
    assert findings(wire, tmp_path, RULE) == []


BEHIND = """
[[frontend]]
name = "shop"
address = "203.0.113.9"
port = 443
pool = "shop"
mode = "proxy"

[[pool]]
name = "shop"
members = [{ name = "vm-a", address = "10.1.0.4", port = 9443 }, { name = "vm-b", address = "10.1.0.5", port = 9443 }]

[[point]]
file = "back.pcap"
node = "vm-b"
"""


def through_proxy(wire: Wire, member: int, at: int, answers: bool) -> None:
    """A request that a proxy passes on, and answers itself after four seconds when the member has not."""
    time, asked = T0 + at * 300 * MS, b"GET /cart?%d HTTP/1.1\r\nHost: shop\r\nX-Request-Id: call-%d\r\n\r\n" % (at, at)
    front = [Hop("front", ("198.51.100.7", 40000 + at), ("203.0.113.9", 443), 61, 100_000)]
    back = [Hop("back", ("10.1.0.1", 50000 + at), MEMBERS[member], 64, 20_000)]
    fine, late = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 504 Late\r\nContent-Length: 0\r\n\r\n"
    talk(wire, front, [(1, False, asked), (7 if answers else 4010, True, fine if answers else late)], time, 90_000 * at)
    added = asked[:-2] + b"X-Forwarded-For: 198.51.100.7\r\n\r\n"
    if answers:
        talk(wire, back, [(1, False, added), (4, True, fine)], time + 2 * MS, 91_000 * at + 5)
    else:
        isn = 91_000 * at + 5
        wire.packet(back, time + 2 * MS, SYN, isn)
        wire.packet(back, time + 3 * MS, SYN | ACK, 9000, isn + 1, back=True)
        wire.packet(back, time + 3 * MS, PSH | ACK, isn + 1, 9001, added)
        wire.packet(back, time + 4 * MS, ACK, 9001, isn + 1 + len(added), back=True)
        wire.packet(back, time + 4005 * MS, RST | ACK, isn + 1 + len(added), 9001)


@pytest.mark.parametrize("topology", [BEHIND, None])
def test_flags_the_member_for_which_a_proxy_answers_that_it_is_late(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    for at in range(12):
        through_proxy(wire, at % 2, at, answers=at % 4 != 1)
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert (dict(found.subject), found.count) == ({"member": "10.1.0.5:9443"}, 3)
    assert found.verdict is (Verdict.LIKELY if topology is None else Verdict.CONFIRMED)


def test_flags_the_full_accept_queue_with_the_hanging_connections(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        ignore(wire, call(1, 42000 + at), T0 + 20 * MS, isn=80_000 * at + 3)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.count, found.facts["how"]) == (6, "accept-queue")
    assert findings(wire, tmp_path, "blocked-traffic") == []


@pytest.mark.parametrize("reaches", [True, False])
def test_a_syn_ack_that_is_sent_again_tells_of_a_full_queue_on_the_member_only(tmp_path: Path, reaches: bool) -> None:
    """Where the client's packets get lost on their way to the member, its SYN-ACK comes again as well."""
    wire = Wire()
    others(wire)
    for at in range(3):
        hops, begun, isn = call(1, 40000 + at), T0 + at * MS, 50_000 * at + 7
        wire.packet(hops, begun, SYN, isn)
        for again in (1, 1001, 3001):
            wire.packet(hops, begun + again * MS, SYN | ACK, 9000, isn + 1, back=True)
        upto = None if reaches else 2
        wire.packet(hops, begun + 2 * MS, ACK, isn + 1, 9001, upto=upto)
        for again in (3, 203, 603, 1403):
            wire.packet(hops, begun + again * MS, PSH | ACK, isn + 1, 9001, b"question", upto=upto)
        wire.packet(hops, begun + 6000 * MS, FIN | ACK, isn + 9, 9001, upto=upto)
    found = findings(wire, tmp_path, RULE)
    assert [one.facts["how"] for one in found] == ["accept-queue"] * reaches
    assert bool(findings(wire, tmp_path, "path-loss")) is not reaches


def test_spares_a_long_wait_that_ends_in_an_answer(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
        wire.packet(call(1, 40000 + at), T0 + 6 * SECOND, PSH | ACK, 9001, 50_000 * at + 17, b"answer", back=True)
    assert findings(wire, tmp_path, RULE) == []


def test_spares_an_answer_that_was_lost_before_it_was_captured(tmp_path: Path) -> None:
    """The member's last number is beyond what was seen of it: it did answer."""
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, points="front back")
        wire.packet(
            call(1, 40000 + at, points="front back"), T0 + 5 * SECOND + 9 * MS, ACK, 16_001, 50_000 * at + 17, back=True
        )
    assert findings(wire, tmp_path, RULE) == []


def test_spares_a_client_that_aborts_early(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, wait=800 * MS)
    assert findings(wire, tmp_path, RULE) == []


@pytest.mark.parametrize(("waiting", "verdict"), [(1, Verdict.UNDECIDED), (2, Verdict.UNDECIDED), (3, Verdict.LIKELY)])
def test_doubts_clients_that_still_wait_when_the_capture_ends(tmp_path: Path, waiting: int, verdict: Verdict) -> None:
    wire = Wire()
    others(wire)
    for at in range(waiting):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, wait=100 * SECOND)
    for name, frames in wire.frames.items():
        wire.frames[name] = [frame for frame in frames if frame[0] < T0 + 50 * SECOND]
    accept(wire, call(0, 41900), T0 + 8 * SECOND, isn=5)
    (found,) = findings(wire, tmp_path, RULE)
    assert (found.verdict, found.count) == (verdict, waiting)


def test_spares_a_service_of_which_one_request_is_as_slow(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    hang(wire, 40000, wait=20 * SECOND)
    wire.packet(call(1, 40000), T0 + 19 * SECOND, PSH | ACK, 9001, 1009, b"answer", back=True)
    for at in range(3):
        hang(wire, 42000 + at, T0 + at * MS, 50_000 * at + 7)
    assert findings(wire, tmp_path, RULE) == []


def test_doubts_what_the_member_s_interface_did_not_show(tmp_path: Path) -> None:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, points="front back")
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.LIKELY
    assert found.next_capture is not None and "tcpdump" in found.next_capture


def test_doubts_a_service_that_never_answers_anybody(tmp_path: Path) -> None:
    wire = Wire()
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
    (found,) = findings(wire, tmp_path, RULE)
    assert found.verdict is Verdict.UNDECIDED


def at_members(wire: Wire, *, probes: bool = True) -> None:
    """What the members' own captures hold: probes of the platform, requests that one of them leaves unanswered."""
    for at in range(6):
        for member in (0, 1) if probes else ():
            accept(wire, probe(member, 50000 + 2 * at + member)[1:], T0 + at * SECOND, isn=900_000 * at + member)
        accept(wire, call(0, 41000 + at, points="host"), T0 + at * SECOND, isn=70_000 * at + 5)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7, points="host")


def test_members_alone_show_a_service_that_hangs_beside_one_that_answers(tmp_path: Path) -> None:
    """No frontend was captured: whom the platform probes is a member."""
    wire = Wire()
    at_members(wire)
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (dict(found.subject), found.verdict, found.count) == ({"member": "10.1.0.5:9443"}, Verdict.LIKELY, 3)
    assert any("taken from its probes" in caveat for caveat in found.caveats)


def test_spares_hosts_that_nothing_shows_to_be_members(tmp_path: Path) -> None:
    wire = Wire()
    at_members(wire, probes=False)
    assert findings(wire, tmp_path, RULE, None) == []


def test_doubts_a_lone_member_of_which_no_answer_was_seen(tmp_path: Path) -> None:
    wire = Wire()
    at_members(wire)
    del wire.frames["a"]
    (found,) = findings(wire, tmp_path, RULE, None)
    assert (found.verdict, found.count) == (Verdict.UNDECIDED, 3)
