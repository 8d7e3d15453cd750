"""Evaluation: a table of cases, the order of the file, and a second evaluator that knows nothing of the first."""

from __future__ import annotations

import ipaddress
import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.cloud.evaluate import Packet, evaluate, evaluate_answer
from flowscope.cloud.names import Names
from flowscope.cloud.security_rules import Rule, RuleSet, Side
from tests.cloud.rule_lines import group, packet

SEEN = "in tcp 10.0.0.30:4 > 10.0.0.4:80"
CLIENT = "in tcp 198.51.100.7:40000 > 10.0.0.4:80"
INSIDE = "in tcp 10.0.0.9:40000 > 10.0.0.4:80"
PROBE = "in tcp 168.63.129.16:50000 > 10.0.0.4:80"
CALL = "out tcp 10.0.0.4:50000 > 203.0.113.10:443"

CASES = [
    # rules, packet, decision, deciding rule
    ("", CLIENT, "deny", "r65500"),
    ("", INSIDE, "unknown", "r65000"),
    ("", PROBE, "allow", "r65000"),
    ("", CALL, "allow", "r65001"),
    ("", "out tcp 10.0.0.4:50000 > 168.63.129.16:53", "allow", "r65000"),
    ("", "in tcp 10.0.0.4:40000 > 10.0.0.4:80", "allow", "r65000"),
    ("", "out tcp 10.0.0.4:50000 > 10.9.9.9:443", "unknown", "r65001"),
    ("100 in allow tcp * > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp * > * : 443", CLIENT, "deny", "r65500"),
    ("100 in allow tcp * > * : 80", "in udp 198.51.100.7:40000 > 10.0.0.4:80", "deny", "r65500"),
    ("100 in allow * * > * : 80", "in udp 198.51.100.7:40000 > 10.0.0.4:80", "allow", "r100"),
    ("100 in allow udp * > * : 53", "in udp 198.51.100.7:40000 > 10.0.0.4:53", "allow", "r100"),
    ("100 in allow udp * > * : 53", "in tcp 198.51.100.7:40000 > 10.0.0.4:53", "deny", "r65500"),
    ("100 in allow icmp * > * : *", "in icmp 198.51.100.7:0 > 10.0.0.4:0", "allow", "r100"),
    ("100 in allow icmp * > * : *", CLIENT, "deny", "r65500"),
    # First match, whatever comes later.
    ("100 in deny tcp * > * : 80\n200 in allow tcp * > * : 80", CLIENT, "deny", "r100"),
    ("200 in deny tcp * > * : 80\n100 in allow tcp * > * : 80", CLIENT, "allow", "r100"),
    ("4096 in allow * * > * : *", CLIENT, "allow", "r4096"),
    ("100 in deny tcp * > * : 443\n4096 in allow * * > * : *", CLIENT, "allow", "r4096"),
    ("100 in deny * * > * : *\n101 in allow * * > * : *", PROBE, "deny", "r100"),
    # The directions have lists of their own.
    ("100 out deny * * > * : *", CLIENT, "deny", "r65500"),
    ("100 out deny * * > * : *\n100 in allow * * > * : *", CLIENT, "allow", "r100"),
    ("100 out deny * * > * : *\n100 in allow * * > * : *", CALL, "deny", "r100"),
    ("100 in deny * * > * : *", CALL, "allow", "r65001"),
    # Ranges and lists of ports, their edges.
    ("100 in allow tcp * > * : 80-90", CLIENT, "allow", "r100"),
    ("100 in allow tcp * > * : 70-80", CLIENT, "allow", "r100"),
    ("100 in allow tcp * > * : 81-90", CLIENT, "deny", "r65500"),
    ("100 in allow tcp * > * : 70-79", CLIENT, "deny", "r65500"),
    ("100 in allow tcp * > * : 22,443,80", CLIENT, "allow", "r100"),
    ("100 in allow tcp * > * : 22,443,8000-8100", CLIENT, "deny", "r65500"),
    ("100 in allow tcp * > * : 22,79-81", CLIENT, "allow", "r100"),
    ("100 in allow tcp * > * : 0-65535", CLIENT, "allow", "r100"),
    # Source ports.
    ("100 in allow tcp * : 40000 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp * : 1-1023 > * : 80", CLIENT, "deny", "r65500"),
    ("100 in deny tcp * : 40000-40001 > * : 80\n200 in allow tcp * > * : 80", CLIENT, "deny", "r100"),
    ("100 in allow tcp * : 1-1023 > * : 80", "in tcp 198.51.100.7:? > 10.0.0.4:80", "unknown", "r100"),
    ("100 in deny tcp * : 1024-65535 > * : 80\n", "in tcp 168.63.129.16:? > 10.0.0.4:80", "deny", "r100"),
    # Prefixes, their edges, lists of them, both families.
    ("100 in allow tcp 198.51.100.0/24 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp 198.51.100.0/30 > * : 80", CLIENT, "deny", "r65500"),
    ("100 in allow tcp 198.51.100.4/30 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp 198.51.100.7/32 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp 192.0.2.0/24,198.51.100.7 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp 192.0.2.0/24,203.0.113.0/24 > * : 80", CLIENT, "deny", "r65500"),
    ("100 in allow tcp 0.0.0.0/0 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp 0.0.0.0/0 > * : 80", "in tcp 2001:db8::7:40000 > 2001:db8:1::4:80", "deny", "r65500"),
    ("100 in allow tcp ::/0 > * : 80", "in tcp 2001:db8::7:40000 > 2001:db8:1::4:80", "allow", "r100"),
    ("100 in allow tcp 2001:db8::/64 > 2001:db8::4 : 80", "in tcp 2001:db8::7:40000 > 2001:db8::4:80", "allow", "r100"),
    ("100 in allow tcp * > 10.0.0.4 : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp * > 10.0.0.5 : 80", CLIENT, "deny", "r65500"),
    # The frontend's address is not what the rules of a member see.
    ("100 in allow tcp * > 203.0.113.9 : 443", "in tcp 198.51.100.7:40000 > 10.0.0.4:8443", "deny", "r65500"),
    # Tags.
    ("100 in allow tcp Internet > * : 80", CLIENT, "allow", "r100"),
    ("100 in deny tcp Internet > * : 80", INSIDE, "unknown", "r65000"),
    ("100 in allow tcp AzureLoadBalancer > * : 80", CLIENT, "deny", "r65500"),
    ("100 in allow tcp AzureLoadBalancer > * : 80", PROBE, "allow", "r100"),
    ("100 in deny tcp VirtualNetwork > * : 80", PROBE, "deny", "r100"),
    ("100 in deny tcp virtualnetwork > * : 80", PROBE, "deny", "r100"),
    ("100 in deny tcp VirtualNetwork > * : 80\n90 in allow tcp AzureLoadBalancer > * : 80", PROBE, "allow", "r90"),
    ("100 in deny tcp Internet > * : 80", PROBE, "unknown", "r100"),
    ("100 in deny * * > * : *", PROBE, "deny", "r100"),
    ("100 in allow tcp Storage.WestEurope > * : 80", CLIENT, "unknown", "r100"),
    ("100 in deny tcp Storage.WestEurope > * : 80", CLIENT, "deny", "r65500"),
    ("100 in allow tcp Storage > * : 80\n200 in allow tcp * > * : 80", CLIENT, "allow", "r200"),
    ("100 in deny tcp Storage > * : 80\n200 in allow tcp * > * : 80", CLIENT, "unknown", "r100"),
    ("100 in allow tcp Storage,198.51.100.0/24 > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp known > * : 80", CLIENT, "allow", "r100"),
    ("100 in allow tcp elsewhere > * : 80", CLIENT, "deny", "r65500"),
    # Groups of machines consist of private addresses.
    ("100 in allow tcp group_web > * : 80", CLIENT, "deny", "r65500"),
    ("100 in allow tcp group_web > * : 80", "in tcp 10.0.0.20:40000 > 10.0.0.4:80", "allow", "r100"),
    ("100 in deny tcp group_web > * : 80", "in tcp 10.0.0.30:40000 > 10.0.0.4:80", "unknown", "r65000"),
    ("100 in deny tcp group_web > * : 80\n200 in allow tcp * > * : *", SEEN, "allow", "r200"),
    ("100 in deny tcp group_db > * : 80\n200 in allow * * > * : *", INSIDE, "unknown", "r100"),
]  # fmt: skip

NAMES = Names(
    known={
        "known": (ipaddress.ip_network("198.51.100.0/24"),),
        "elsewhere": (ipaddress.ip_network("192.0.2.0/24"),),
    },
    members={"group web": (ipaddress.ip_network("10.0.0.20/32"),)},
    seen=(ipaddress.ip_network("10.0.0.20/32"), ipaddress.ip_network("10.0.0.30/32")),
)


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 60
    assert len({(rules, sent) for rules, sent, *_ in CASES}) == len(CASES)


@pytest.mark.parametrize(("rules", "sent", "decision", "by"), CASES)
def test_cases(rules: str, sent: str, decision: str, by: str) -> None:
    answer = evaluate([group(rules)], packet(sent), NAMES)
    assert (answer.decision, answer.rule_name) == (decision, by)
    assert bool(answer.reason) == (decision == "unknown")


def test_a_list_without_an_end_says_so_instead_of_denying() -> None:
    cut = group("100 in allow tcp * > * : 443", defaults=False)
    answer = evaluate([cut], packet(CLIENT), Names())
    assert answer.decision == "unknown" and "cut" in answer.reason


@pytest.mark.parametrize("order", [0, 1])
def test_subnet_and_interface_must_both_allow(order: int) -> None:
    subnet = group("100 in allow tcp * > * : 80", "s", level="subnet")
    nic = group("150 in deny tcp * > * : 80", "n", level="interface")
    sets = [subnet, nic][:: 1 - 2 * order]
    answer = evaluate(sets, packet(CLIENT), Names())
    assert (answer.decision, answer.group and answer.group.name, answer.rule_name) == ("deny", "n", "r150")


@pytest.mark.parametrize(("sent", "first"), [(CLIENT, "s"), (CALL, "n")])
def test_who_is_asked_first_is_named_and_the_other_too(sent: str, first: str) -> None:
    rules = "100 in deny * * > * : *\n100 out deny * * > * : *"
    answer = evaluate([group(rules, "n", level="interface"), group(rules, "s", level="subnet")], packet(sent), Names())
    assert answer.group is not None and answer.group.name == first
    assert answer.also == (f"{'ns'['ns'.index(first) - 1]}/r100",)


def test_an_administrators_rules_come_before_all() -> None:
    admin = group(
        "1 in always tcp * > * : 80\n2 in deny tcp * > * : 22", "avnm", defaults=False, level="network-manager"
    )
    nic = group("100 in deny * * > * : *\n110 in allow tcp * > * : *", "n", level="interface")
    assert evaluate([nic, admin], packet(CLIENT), Names()).decision == "allow"
    assert evaluate([nic, admin], packet("in tcp 198.51.100.7:4 > 10.0.0.4:443"), Names()).rule_name == "r100"
    passing = group("100 in allow * * > * : *", "n", level="interface")
    answer = evaluate([passing, admin], packet("in tcp 198.51.100.7:4 > 10.0.0.4:22"), Names())
    assert (answer.decision, answer.rule_name) == ("deny", "r2")


def test_of_groups_without_order_any_allow_is_enough() -> None:
    one, two = (
        group(f"- in allow tcp {source} > * : 80", source[:3], defaults=False, order="any-allow")
        for source in ("192.0.2.0/24", "198.51.100.0/24")
    )
    assert evaluate([one, two], packet(CLIENT), Names()).decision == "allow"
    answer = evaluate([one], packet(CLIENT), Names())
    assert (answer.decision, answer.rule_name) == ("deny", "implicit deny")


def test_answers_need_a_rule_only_where_nothing_is_remembered() -> None:
    acl = group("100 in allow tcp * > * : 80\n100 out allow tcp * > * : 80\n32767 in deny * * > * : *\n"
                "32767 out deny * * > * : *", defaults=False, stateful=False, level="subnet")  # fmt: skip
    nsg = group("100 in allow tcp * > * : 80\n100 out deny * * > * : *")
    assert evaluate([acl, nsg], packet(CLIENT), Names()).decision == "allow"
    back = evaluate_answer([acl, nsg], packet(CLIENT), Names())
    assert (back.decision, back.group and back.group.name, back.rule and back.rule.direction) == (
        "deny",
        "g",
        "outbound",
    )
    assert evaluate_answer([nsg], packet(CLIENT), Names()).decision == "allow"


def test_expanded_prefixes_of_a_file_say_what_its_tags_are() -> None:
    own = replace(
        group("100 in allow tcp Storage > * : 80"), tags=(("storage", (ipaddress.ip_network("192.0.2.0/24"),)),)
    )
    assert evaluate([own], packet(CLIENT), Names()).decision == "deny"


def test_given_prefixes_of_the_network_decide_about_its_tag() -> None:
    names = Names(virtual_network=(ipaddress.ip_network("10.0.0.0/16"),))
    assert evaluate([group("")], packet(INSIDE), names).decision == "allow"
    # A site behind a gateway is in the tag, too, and in no list.
    assert evaluate([group("")], packet("in tcp 10.7.0.9:4 > 10.0.0.4:80"), names).decision == "unknown"


# A second evaluator: sets of numbers, the smallest priority among those that match, nothing shared with the first.

ADDRESSES = [f"198.51.100.{last}" for last in range(8)]
PREFIXES = [f"198.51.100.{first}/{length}" for length in (29, 30, 31, 32) for first in range(0, 8, 2 ** (32 - length))]
PORTS = list(range(78, 84))

prefix_lists = st.lists(st.sampled_from(PREFIXES), min_size=1, max_size=3)
port_lists = st.lists(st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS)).map(sorted), min_size=1, max_size=2)


Raw = list[dict[str, object]]


@st.composite
def rule_sets(draw: st.DrawFn) -> Raw:
    priorities = draw(st.lists(st.integers(100, 4096), max_size=7, unique=True))
    return [
        {
            "priority": priority,
            "allow": draw(st.booleans()),
            "protocol": draw(st.sampled_from([None, 6, 17])),
            "source": draw(st.none() | prefix_lists),
            "destination": draw(st.none() | prefix_lists),
            "ports": draw(st.none() | port_lists),
            "source_ports": draw(st.none() | port_lists),
            "direction": draw(st.sampled_from(["inbound", "outbound"])),
        }
        for priority in priorities
    ]


def built(raw: Raw, name: str = "g") -> RuleSet:
    def end(value: object) -> Side:
        if value is None:
            return Side(anything=True)
        assert isinstance(value, list)
        return Side(tuple(ipaddress.ip_network(one) for one in value))

    def ranges(value: object) -> tuple[tuple[int, int], ...]:
        return ((0, 65535),) if value is None else tuple((low, high) for low, high in value)

    rules = tuple(
        Rule(
            f"r{one['priority']}", one["direction"], bool(one["allow"]), one["priority"], one["protocol"],
            end(one["source"]), ranges(one["source_ports"]), end(one["destination"]), ranges(one["ports"]),
        )
        for one in raw
    )  # fmt: skip
    ends = tuple(Rule(f"end-{way}", way, False, 65500, default=True) for way in ("inbound", "outbound"))
    return RuleSet(name, "f", (*rules, *ends))


def numbers(prefixes: object) -> set[int]:
    """Last octets of the addresses that some prefixes hold."""
    found = set()
    for text in prefixes if isinstance(prefixes, list) else ["198.51.100.0/24"]:
        base, length = text.split("/")
        start = int(base.rsplit(".", 1)[1])
        found |= set(range(start, start + 2 ** (32 - int(length))))
    return found


def brute(raw: Raw, sent: Packet) -> tuple[str, str]:
    fits = []
    for one in raw:
        served = (
            set(itertools.chain(*(range(low, high + 1) for low, high in one["ports"])))
            if one["ports"]
            else {sent.dst_port}
        )
        used = (
            set(itertools.chain(*(range(low, high + 1) for low, high in one["source_ports"])))
            if one["source_ports"]
            else {sent.src_port}
        )
        if (
            one["direction"] == sent.direction
            and one["protocol"] in (None, sent.protocol)
            and int(sent.src.split(".")[3]) in numbers(one["source"])
            and int(sent.dst.split(".")[3]) in numbers(one["destination"])
            and sent.dst_port in served
            and sent.src_port in used
        ):
            fits.append((one["priority"], "allow" if one["allow"] else "deny"))
    if not fits:
        return "deny", f"end-{sent.direction}"
    priority, decision = min(fits)
    return decision, f"r{priority}"


packets = st.builds(
    Packet,
    st.sampled_from(["inbound", "outbound"]),
    st.sampled_from([6, 17]),
    st.sampled_from(ADDRESSES),
    st.sampled_from(PORTS),
    st.sampled_from(ADDRESSES),
    st.sampled_from(PORTS),
)


@settings(max_examples=150, deadline=None)
@given(rule_sets(), st.lists(packets, min_size=1, max_size=8))
def test_a_brute_force_evaluator_agrees(raw: Raw, sent: list[Packet]) -> None:
    for one in sent:
        answer = evaluate([built(raw)], one, Names())
        assert (answer.decision, answer.rule_name) == brute(raw, one)


@settings(max_examples=50, deadline=None)
@given(rule_sets(), rule_sets(), packets)
def test_of_two_groups_the_stricter_wins(first: Raw, second: Raw, sent: Packet) -> None:
    both = evaluate([built(first, "a"), built(second, "b")], sent, Names()).decision
    assert (both == "allow") == (brute(first, sent)[0] == brute(second, sent)[0] == "allow")


@settings(max_examples=60, deadline=None)
@given(rule_sets(), packets, st.randoms(use_true_random=False))
def test_the_order_of_the_file_does_not_matter(raw: Raw, sent: Packet, rng: random.Random) -> None:
    one = built(raw)
    rules = list(one.rules)
    rng.shuffle(rules)
    shuffled = evaluate([replace(one, rules=tuple(rules))], sent, Names())
    assert evaluate([one], sent, Names()) == replace(shuffled, group=shuffled.group and one)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["10.0.0.9/32", "tag-a", "tag-b", "*"])), max_size=5))
def test_what_is_not_known_is_told_only_when_every_world_agrees(written: list[tuple[bool, str]]) -> None:
    lines = "\n".join(
        f"{100 + n} in {'allow' if allow else 'deny'} tcp {end} > * : *" for n, (allow, end) in enumerate(written)
    )
    found = evaluate([group(f"{lines}\n4000 in deny * * > * : *")], packet(INSIDE), Names()).decision
    worlds = set()
    for a, b in itertools.product([True, False], repeat=2):
        holds = {"10.0.0.9/32": True, "*": True, "tag-a": a, "tag-b": b}
        worlds.add(next((allow for allow, end in written if holds[end]), False))
    if found != "unknown":
        assert worlds == {found == "allow"}
    if len(worlds) == 2:
        assert found == "unknown"
