"""The model of port use against a translator that keeps sets of ports, second by second."""

from __future__ import annotations

import random
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from flowscope.nat.topology import Snat, Topology
from flowscope.snat.usage import PortUse, port_use
from flowscope.tables import EVENT_KINDS

SECOND = 1_000_000_000
SNAT, HOSTS, SERVERS = 0, (1, 2), (3, 4)
ADDRESSES = ["203.0.113.77", "10.9.0.4", "10.9.0.5", "198.51.100.10", "198.51.100.20"]
TCP, UDP = 6, 17
FIN_HOLD, RST_HOLD, IDLE, UDP_IDLE = 20, 4, 240, 30
RST, FIN, SYN = (EVENT_KINDS.index(kind) for kind in ("rst", "fin", "syn"))


@dataclass(frozen=True)
class Wish:
    """A connection that a host wants."""

    start: int
    lasts: int
    host: int
    server: int
    port: int
    protocol: int
    end: str


@dataclass(frozen=True)
class Given:
    """What became of it: the port it got, None when there was none, and when the port is free again."""

    wish: Wish
    snat_port: int | None
    free_at: int


WISHES = st.lists(
    st.builds(
        Wish, st.integers(0, 60), st.integers(1, 25), st.sampled_from(HOSTS), st.sampled_from(SERVERS),
        st.sampled_from((443, 8443)), st.sampled_from((TCP, TCP, TCP, UDP)),
        st.sampled_from(("fin", "rst", "open", "half-open")),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip


def translate(wishes: list[Wish], ports: int, seed: int) -> list[Given]:
    """A translator: for each destination (UDP: host) the set of ports that are taken, each with its release."""
    dice, taken, done = random.Random(seed), {}, []
    for wish in sorted(wishes, key=lambda one: one.start):
        key = (wish.protocol, wish.server, wish.port if wish.protocol == TCP else None)
        held: dict[int, int] = taken.setdefault(key, {})
        free = [port for port in range(1024, 1024 + ports) if held.get(port, 0) <= wish.start]
        if not free:
            done.append(Given(wish, None, 0))
            continue
        close = wish.start + wish.lasts
        after = {"fin": FIN_HOLD, "rst": RST_HOLD, "open": IDLE, "half-open": 0}[wish.end]
        free_at = close + (after if wish.protocol == TCP else UDP_IDLE)
        port = dice.choice(free)
        held[port] = free_at
        done.append(Given(wish, port, free_at))
    return done


def tables(given: list[Given], ports: int) -> Any:
    """What a capture on both sides of that translator leads to."""
    paths, legs, flows, events = [], [], [], []
    for number, one in enumerate(given):
        wish, crossed = one.wish, one.snat_port is not None
        own = [len(legs), len(legs) + 1][: 1 + crossed]
        silent = not crossed or wish.end == "half-open"
        start, close = wish.start * SECOND, (wish.start + wish.lasts) * SECOND
        for at, leg in enumerate(own):
            source = (wish.host, 40000 + number) if at == 0 else (SNAT, one.snat_port)
            legs.append((leg, [leg], *source, wish.server, wish.port))
            flows.append((leg, at, start, start, close, 0 if silent else 5))
            if wish.protocol == TCP:
                events.append((leg, SYN, 0, at, start))
            if wish.protocol == TCP and wish.end in ("fin", "rst") and not silent:
                events.append((leg, FIN if wish.end == "fin" else RST, 0, at, close))
        outcome = "unanswered" if silent else "established"
        paths.append((number, wish.protocol, own, wish.host, 40000 + number, SNAT if crossed else None, one.snat_port,
                      wish.server, wish.port, outcome, "isn" if crossed else "single"))  # fmt: skip
    return SimpleNamespace(
        paths=pl.DataFrame(
            paths,
            schema={
                "path": pl.UInt64, "protocol": pl.UInt8, "legs": pl.List(pl.UInt64), "client": pl.UInt32,
                "client_port": pl.UInt16, "snat": pl.UInt32, "snat_port": pl.UInt16, "backend": pl.UInt32,
                "backend_port": pl.UInt16, "outcome": pl.String, "method": pl.String,
            },
            orient="row",
        ).with_columns(frontend=pl.lit(None, pl.UInt32), frontend_port=pl.lit(None, pl.UInt16)),
        legs=pl.DataFrame(
            legs,
            schema={
                "leg": pl.UInt64, "flows": pl.List(pl.UInt64), "src": pl.UInt32, "src_port": pl.UInt16,
                "dst": pl.UInt32, "dst_port": pl.UInt16,
            },
            orient="row",
        ),
        flows=pl.DataFrame(
            flows,
            schema={
                "leg": pl.UInt64, "point": pl.UInt32, "at_ns": pl.Int64, "first_ns": pl.Int64, "last_ns": pl.Int64,
                "rev_packets": pl.UInt64,
            },
            orient="row",
        ),
        events=pl.DataFrame(
            events,
            schema={
                "leg": pl.UInt64, "kind": pl.UInt8, "half": pl.UInt8, "point": pl.UInt32, "at_ns": pl.Int64,
            },
            orient="row",
        ),
        addresses=pl.DataFrame({"address": range(len(ADDRESSES)), "text": ADDRESSES}),
        topology=Topology(
            snats=(Snat(ADDRESSES[SNAT], (1024, 1023 + ports), fin_hold_s=FIN_HOLD, rst_hold_s=RST_HOLD),)
        ),
        profile=None,
    )  # fmt: skip


@given(WISHES, st.integers(1, 6), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_the_model_counts_as_the_translator_does(wishes: list[Wish], ports: int, seed: int) -> None:
    given = translate(wishes, ports, seed)
    use: PortUse = port_use(tables(given, ports))
    last = max(one.wish.start + one.wish.lasts for one in given)
    pools = {
        (row["protocol"], row["destination"], row["destination_port"]): row for row in use.pools.iter_rows(named=True)
    }
    for key, row in pools.items():
        own = [
            one for one in given
            if (one.wish.protocol, one.wish.server, one.wish.port if one.wish.protocol == TCP else None) == key
        ]  # fmt: skip
        taken = [one for one in own if one.snat_port is not None]
        levels = [
            len({one.snat_port for one in taken if one.wish.start <= second < one.free_at}) for second in range(last)
        ]
        assert row["peak"] == max(levels, default=0) <= ports
        assert row["connections"] == len(taken)
        for mark in (50, 75, 90, 100):
            assert round(row[f"above_{mark}_s"], 6) == sum(level * 100 >= mark * ports for level in levels)
    assert {key for key, row in pools.items() if row["connections"]} == {
        (one.wish.protocol, one.wish.server, one.wish.port if one.wish.protocol == TCP else None)
        for one in given
        if one.snat_port is not None
    }


@given(WISHES, st.integers(1, 3), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_who_got_no_port_is_refused_while_all_are_in_use(wishes: list[Wish], ports: int, seed: int) -> None:
    given = translate([one for one in wishes if one.protocol == TCP], ports, seed)
    reached = {(one.wish.server, one.wish.port) for one in given if one.snat_port is not None}
    none = [at for at, one in enumerate(given) if one.snat_port is None]
    if not reached:
        return
    use = port_use(tables(given, ports))
    assert sorted(use.users.filter("refused")["path"]) == none
    # A port that comes free at the instant of a SYN is free for it; the reference grants it then, so none is refused.
    assert use.refusals["level"].to_list() == [ports] * len(none)
