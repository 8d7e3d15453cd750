"""What is offered works, and takes as little as possible."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from flowscope.cloud.evaluate import Packet, evaluate
from flowscope.cloud.names import Names
from flowscope.cloud.smallest_change import smallest_changes
from tests.cloud.rule_lines import group, packet
from tests.cloud.test_evaluate import Raw, built, packets, rule_sets

CLIENT = "in tcp 198.51.100.7:40000 > 10.0.0.4:8080"


def test_a_rule_that_is_tried_too_late_is_moved() -> None:
    one = group("200 in deny tcp * > * : *\n300 in allow tcp * > * : 8080")
    (change,) = smallest_changes([one], [packet(CLIENT)], Names())
    assert "'r300' priority 199 instead of 300" in change.text and "'r200' (200)" in change.text


def test_else_one_rule_for_just_this_is_added_before_the_denying_one() -> None:
    one = group("200 in deny tcp * > * : *\n199 in allow tcp * > * : 22")
    (change,) = smallest_changes([one], [packet(CLIENT)], Names())
    assert change.text == "g: add an inbound rule with priority 198: allow TCP from 198.51.100.7/32, port 8080."


def test_before_the_default_rules_the_last_free_priority_is_taken() -> None:
    (change,) = smallest_changes([group("4096 in allow tcp * > * : 22")], [packet(CLIENT)], Names())
    assert "priority 4095" in change.text


def test_probes_are_let_in_by_their_tag() -> None:
    one = group("100 in allow tcp * > * : 22\n200 in deny * * > * : *")
    (change,) = smallest_changes([one], [packet("in tcp 168.63.129.16:? > 10.0.0.4:8080")], Names())
    assert "from AzureLoadBalancer, port 8080" in change.text


def test_groups_of_allows_get_one_more() -> None:
    one = group("- in allow tcp * > * : 22", defaults=False, order="any-allow")
    (change,) = smallest_changes([one], [packet(CLIENT)], Names())
    assert change.text == "g: allow inbound TCP from 198.51.100.7/32, port 8080."


def test_each_group_that_denies_is_changed() -> None:
    sets = [group("", "s", level="subnet"), group("100 in deny * * > * : *\n", "n", level="interface")]
    changes = smallest_changes(sets, [packet(CLIENT)], Names())
    # There is no room before the first priority there is.
    assert changes == []
    sets[1] = group("101 in deny * * > * : *", "n", level="interface")
    assert [one.group.name for one in smallest_changes(sets, [packet(CLIENT)], Names())] == ["s", "n"]


@pytest.mark.parametrize(("count", "expected"), [(3, "198.51.100.2/32"), (9, "198.51.100.0/28")])
def test_many_clients_become_a_prefix(count: int, expected: str) -> None:
    sent = [packet(f"in tcp 198.51.100.{last}:4 > 10.0.0.4:8080") for last in range(count)]
    (change,) = smallest_changes([group("")], sent, Names())
    assert expected in change.text


@settings(max_examples=60, deadline=None)
@given(rule_sets(), packets)
def test_what_is_offered_works_and_is_offered_only_where_needed(raw: Raw, sent: Packet) -> None:
    one = built(raw)
    for change in smallest_changes([one], [sent], Names()):
        assert evaluate([change.group], sent, Names()).decision == "allow"
    if evaluate([one], sent, Names()).decision == "allow":
        assert smallest_changes([one], [sent], Names()) == []
