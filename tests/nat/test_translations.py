"""A path's translators, one by one."""

from __future__ import annotations

import polars as pl

from flowscope.nat.translations import outbound, translations
from tests.nat.balancers import Seen

CLIENT, FRONT, MEMBER = ("198.51.100.7", 40000), ("203.0.113.9", 443), ("10.1.0.4", 9443)
OWN = ("10.1.0.1", 30000)


def steps(seen: Seen) -> pl.DataFrame:
    window = seen.window()
    return translations(window.paths, window.legs)


def test_each_translator_is_a_row() -> None:
    seen = Seen()
    seen.path((CLIENT, FRONT), (CLIENT, MEMBER), (OWN, MEMBER))
    rows = steps(seen)
    assert rows.select("a", "b", "src_moved", "dst_moved").rows() == [(0, 1, False, True), (1, 2, True, False)]


def test_a_port_alone_is_a_translation() -> None:
    seen = Seen()
    seen.path((CLIENT, FRONT), (CLIENT, (FRONT[0], 8443)))
    assert steps(seen)["dst_moved"].to_list() == [True]


def test_only_a_proxy_makes_connections_of_its_own() -> None:
    seen = Seen()
    seen.path((CLIENT, FRONT), (OWN, MEMBER), method="isn")
    seen.path((CLIENT, FRONT), (CLIENT, MEMBER), (OWN, MEMBER), method="proxy-request")
    assert steps(seen)["proxied"].to_list() == [False, False, True]


def test_ambiguous_paths_and_single_legs_have_none() -> None:
    seen = Seen()
    seen.path((CLIENT, FRONT), (CLIENT, MEMBER), ambiguous=True)
    seen.path((CLIENT, FRONT))
    assert steps(seen).height == 0


def test_who_got_no_port() -> None:
    seen = Seen()
    away = ("192.0.2.80", 443)
    seen.path((("10.1.0.4", 1), away), (OWN, away))
    for client, to in (("10.1.0.4", away), ("10.1.0.5", away), ("10.1.0.4", ("192.0.2.80", 80))):
        seen.path(((client, 2), to), outcome="unanswered")
    window = seen.window()
    failed = outbound(window.paths, translations(window.paths, window.legs))
    assert failed["path"].to_list() == [1]
    assert window.addresses["text"][failed["through"][0]] == OWN[0]
