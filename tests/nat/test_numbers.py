"""From addresses to numbers."""

from __future__ import annotations

from flowscope.nat.numbers import address_numbers, endpoint_numbers
from tests.traffic import addresses


def test_only_what_occurs_has_a_number() -> None:
    table = addresses("10.0.0.1", "2001:db8::1")
    assert address_numbers(table, ["2001:db8::1", "10.9.9.9", "2001:db8::1"]) == {"2001:db8::1": 1}
    assert address_numbers(table, []) == {}
    assert endpoint_numbers(table, [("2001:db8::1", 443), ("10.9.9.9", 1)]).to_list() == [65536 + 443]
