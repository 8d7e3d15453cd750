"""Frontends, pools and SNAT addresses are read from translated paths, each with its reason."""

from __future__ import annotations

import pytest

from flowscope.nat.inference import infer_topology
from tests.nat.balancers import Seen

CLIENT = "198.51.100.7"
FRONT = ("203.0.113.9", 443)
MEMBERS = ("10.1.0.4", "10.1.0.10", "10.1.0.5")


def served(seen: Seen, mode: str = "dnat", count: int = 6, front: tuple[str, int] = FRONT, **row: object) -> None:
    for at in range(count):
        client, member = (CLIENT, 40000 + at), (MEMBERS[at % 3], 9443)
        behind = client if mode == "dnat" else ("10.1.0.1", 20000 + 7 * at)
        seen.path((client, front), (behind, member), at_s=at, **row)  # type: ignore[arg-type]


def test_destination_rewritten() -> None:
    seen = Seen()
    served(seen)
    found = infer_topology(seen.window())
    (front,) = found.topology.frontends
    assert (front.name, front.address, front.port, front.mode, front.pool) == (
        "203.0.113.9:443",
        *FRONT,
        "dnat",
        front.name,
    )
    (pool,) = found.topology.pools
    assert [(member.name, member.port) for member in pool.members] == [
        ("10.1.0.4", 9443), ("10.1.0.5", 9443), ("10.1.0.10", 9443),
    ]  # fmt: skip
    assert found.topology.snats == ()
    assert found.reasons["frontend", front.name] == (
        "6 calls to it went on to 3 members; in each, the client's address and port were kept."
    )
    assert found.reasons["member", "203.0.113.9:443 10.1.0.4:9443"] == "2 calls ended there."


def test_source_rewritten_too() -> None:
    seen = Seen()
    served(seen, "dnat+snat")
    found = infer_topology(seen.window())
    assert found.topology.frontends[0].mode == "dnat+snat"
    (snat,) = found.topology.snats
    assert (snat.address, snat.ports, snat.inside) == ("10.1.0.1", (1024, 65535), ())
    (guess,) = found.guesses["snat", "10.1.0.1"]
    assert (guess.key, guess.value) == ("ports", "20000-20035")


@pytest.mark.parametrize(("kind", "version"), [("proxy-v2", "v2"), ("proxy-v1", "v1"), ("http-request", "none")])
def test_a_proxy_is_no_snat_address(kind: str, version: str) -> None:
    seen = Seen()
    for at in range(3):
        seen.path(
            ((CLIENT, 40000 + at), FRONT), (("10.1.0.1", 30000 + at), (MEMBERS[at], 9000)), method="proxy-protocol"
        )
        seen.says(kind)
    found = infer_topology(seen.window())
    assert (found.topology.frontends[0].mode, found.topology.frontends[0].proxy_protocol) == ("proxy", version)
    assert found.topology.snats == ()


def test_a_balancer_before_a_proxy_keeps_its_own_mode() -> None:
    seen = Seen()
    client, proxy = (CLIENT, 40000), ("10.1.0.2", 8080)
    seen.path((client, FRONT), (client, proxy), (("10.1.0.2", 50000), ("10.1.0.4", 9000)), method="proxy-request")
    modes = {one.address: one.mode for one in infer_topology(seen.window()).topology.frontends}
    assert modes == {"203.0.113.9": "dnat", "10.1.0.2": "proxy"}


def test_members_that_answer_directly() -> None:
    seen = Seen()
    for at in range(3):
        seen.path(((CLIENT, 40000 + at), FRONT), frontend=1, frontend_port=443)
    found = infer_topology(seen.window())
    (front,) = found.topology.frontends
    assert (front.mode, front.pool) == ("dsr", None)
    reason = found.reasons["frontend", front.name]
    assert reason == "3 calls to it reached a member as they were, and got an answer."
    served(seen)
    assert [one.mode for one in infer_topology(seen.window()).topology.frontends] == ["dnat"]


def test_outbound_translation_is_no_frontend() -> None:
    seen = Seen()
    for at in range(4):
        inside, away = (MEMBERS[at % 2], 50000 + at), ("192.0.2.80", 443)
        seen.path((inside, away), (("203.0.113.1", 700 + at), away))
    found = infer_topology(seen.window())
    assert found.topology.frontends == found.topology.pools == ()
    (snat,) = found.topology.snats
    assert [str(one.network_address) for one in snat.inside] == ["10.1.0.4", "10.1.0.10"]
    assert snat.ports == (700, 65535)


@pytest.mark.parametrize(("refused", "ports"), [(3, (1024, 1033)), (0, (1024, 65535))])
def test_a_full_range_is_the_range(refused: int, ports: tuple[int, int]) -> None:
    seen = Seen()
    away = ("192.0.2.80", 443)
    for at in range(10):
        seen.path((("10.1.0.4", 50000 + at), away), (("203.0.113.1", 1024 + at), away))
    for at in range(refused):
        seen.path((("10.1.0.4", 60000 + at), away), outcome="unanswered")
    assert infer_topology(seen.window()).topology.snats[0].ports == ports


def test_what_is_ambiguous_or_rests_on_little_is_left_out() -> None:
    seen = Seen()
    served(seen, count=3, ambiguous=True)
    served(seen, "dnat+snat", count=2, front=("203.0.113.10", 80), method="timing")
    found = infer_topology(seen.window())
    assert found.topology.frontends == ()
    served(seen, "dnat+snat", count=3, front=("203.0.113.10", 80), method="timing")
    assert [one.address for one in infer_topology(seen.window()).topology.frontends] == ["203.0.113.10"]


def test_protocols_and_addresses_sort() -> None:
    seen = Seen()
    for front, protocol in ((("2001:db8::9", 53), 6), (("203.0.113.10", 53), 17), (("203.0.113.9", 53), 6)):
        member = "2001:db8::4" if ":" in front[0] else "10.1.0.4"
        client = ("2001:db8::7" if ":" in front[0] else CLIENT, 40000)
        seen.path((client, front), (client, (member, 5353)), protocol=protocol)
    found = infer_topology(seen.window()).topology
    assert [one.name for one in found.frontends] == ["203.0.113.9:53", "203.0.113.10:53/udp", "[2001:db8::9]:53"]
    assert [pool.name for pool in found.pools] == [one.pool for one in found.frontends]


def test_nothing_translated_is_an_empty_topology() -> None:
    seen = Seen()
    seen.path(((CLIENT, 1), FRONT))
    assert not infer_topology(seen.window()).topology
    assert not infer_topology(Seen().window()).topology
