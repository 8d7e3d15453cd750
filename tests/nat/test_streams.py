"""Connections older than the captures behind full NAT: their numbers alone join them, where chance would not."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import analyze
from flowscope.nat.streams import same_streams
from tests.wire import ACK, MS, PSH, T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

SECOND = 1_000_000_000


def stream(wire: Wire, number: int, isn: int, seen: tuple[range, range], *, http: bool = False) -> None:
    """A connection of twenty seconds; each side of the translator captured a part of it."""
    client, own = ("198.51.100.7", 40000 + number), ("10.1.0.1", 20000 + number)
    front = Hop("front", client, ("203.0.113.9", 443), 61, 100_000, 63)
    back = Hop("back", own, ("10.1.0.4", 9443), 60, 160_000, 64)
    answer = (isn * 7 + 99) % 2**32
    line = b"GET /%03d HTTP/1.1\r\nX-Id: %08d\r\n\r\n" if http else b"question %03d of %06d and some more"
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    for at in range(40):
        hops = [hop for hop, part in zip((front, back), seen, strict=True) if at in part]
        question = (line % (at, number)).ljust(50)
        seq, ack = (isn + len(question) * at) % 2**32, (answer + len(reply) * at) % 2**32
        if hops:
            time = T0 + at * SECOND // 2 + number * 7 * MS
            wire.packet(hops, time, PSH | ACK, seq, ack, question)
            wire.packet(hops, time + MS, PSH | ACK, ack, (seq + len(question)) % 2**32, reply, back=True)


@pytest.mark.parametrize(
    "seen",
    [(range(40), range(16, 40)), (range(16, 40), range(40)), (range(30), range(16, 40)), (range(40), range(12, 24))],
    ids=["late", "late-outside", "ends-early", "window"],
)
@pytest.mark.parametrize("http", [False, True])
def test_what_each_side_saw_of_the_numbers_joins_them(tmp_path: Path, seen: tuple[range, range], http: bool) -> None:
    wire = Wire()
    for number in range(5):
        stream(wire, number, 2**32 - 700 + 90_000_000 * number, seen, http=http)
    paths = analyze(wire.write(tmp_path)).paths
    assert [len(legs) for legs in paths["legs"]] == [2] * 5
    assert set(paths["method"]) == {"payload"}
    assert [port - 40000 for port in paths["client_port"]] == [port - 20000 for port in paths["snat_port"]]


def test_spares_what_is_far_apart(tmp_path: Path) -> None:
    wire = Wire()
    stream(wire, 0, 5_000, (range(40), range(0)))
    stream(wire, 1, 700_000_000, (range(0), range(40)))
    assert [len(legs) for legs in analyze(wire.write(tmp_path)).paths["legs"]] == [1, 1]


@pytest.mark.parametrize(("later_s", "paths"), [(0, 1), (300, 2)])
def test_spares_a_replay_minutes_later(tmp_path: Path, later_s: int, paths: int) -> None:
    wire = Wire()
    stream(wire, 0, 5_000, (range(40), range(16, 30)))
    wire.frames["back"] = [(at + later_s * SECOND, data, length) for at, data, length in wire.frames["back"]]
    # What ties the clocks of the two points.
    accept(wire, [Hop("front", ("192.0.2.1", 5), ("192.0.2.9", 80)), Hop("back", ("192.0.2.1", 5), ("192.0.2.9", 80))])
    found = analyze(wire.write(tmp_path)).paths
    assert found.height == paths + 1


def legs(dice: random.Random, count: int, longest: int, *, outside: bool) -> list[dict[str, int]]:
    rows = []
    for _ in range(count):
        row = {"point": int(outside), "one": dice.randrange(2**40), "other": dice.randrange(2**40)}
        row |= {"begin_ns": 0, "end_ns": SECOND}
        for half, ttl in (("fwd", 64 - (not outside)), ("rev", 63 + (not outside))):
            base = dice.randrange(2**32)
            end = (base + dice.randrange(longest)) % 2**32
            row |= {f"{half}_base_seq": base, f"{half}_next_seq": end, f"{half}_ttl_max": ttl}
        rows.append(row)
    return rows


@pytest.mark.parametrize("longest", [20_000, 2**22, 2**29])
def test_chance_joins_nothing_among_many(longest: int) -> None:
    dice = random.Random(longest)
    rows = [row for outside in (True, False) for row in legs(dice, 1500, longest, outside=outside)]
    table = pl.DataFrame(rows).with_row_index("leg").with_columns(pl.col("leg").cast(pl.UInt64))
    table = table.with_columns(pl.col("^.*_seq$").cast(pl.UInt32), pl.col("^.*_ttl_max$").cast(pl.UInt8))
    assert same_streams(table, table["leg"]).height == 0


def test_a_long_stream_joins_where_both_saw_its_end() -> None:
    dice = random.Random(3)
    (row,) = legs(dice, 1, 2**29, outside=True)
    later = {half: (row[f"{half}_base_seq"] + 1000) % 2**32 for half in ("fwd", "rev")}
    behind = row | {"point": 0, "one": 5, "other": 6, "fwd_ttl_max": 63, "rev_ttl_max": 64}
    behind |= {f"{half}_base_seq": base for half, base in later.items()}
    rows = [row, behind, *legs(dice, 300, 2**29, outside=False)]
    table = pl.DataFrame(rows).with_row_index("leg").with_columns(pl.col("leg").cast(pl.UInt64))
    table = table.with_columns(pl.col("^.*_seq$").cast(pl.UInt32), pl.col("^.*_ttl_max$").cast(pl.UInt8))
    found = same_streams(table, table["leg"])
    assert {frozenset(pair) for pair in found.select("a", "b").rows()} == {frozenset((0, 1))}
