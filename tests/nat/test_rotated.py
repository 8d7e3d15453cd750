"""Files of one ring are one point: flows go on across their borders, whatever the order in which they are given."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import Analysis, analyze
from tests.lab import files
from tests.wire import T0, Hop, Wire, accept

pytestmark = pytest.mark.usefixtures("core")

SECOND = 1_000_000_000
NAMES = {
    "dumpcap": [
        "trace_00001_20260101000000.pcap",
        "trace_00002_20260101000100.pcap",
        "trace_00003_20260101000200.pcap",
    ],
    "dumpcap around": [
        "trace_00009_20260101000000.pcap",
        "trace_00010_20260101000100.pcap",
        "trace_00001_20260101000200.pcap",
    ],
    "tcpdump": ["trace.pcap0", "trace.pcap1", "trace.pcap2"],
    # The ring came round: the file with the lowest number is the newest.
    "tcpdump around": ["trace.pcap1", "trace.pcap2", "trace.pcap0"],
}
PLACES = ("src", "src_port", "dst", "dst_port")


def captured(folder: Path) -> tuple[Path, Path]:
    """The two points of a translated service; calls last long enough to lie in three files."""
    wire = Wire()
    for at in range(9):
        client = ("198.51.100.7", 40000 + at)
        hops = [
            Hop("front", client, ("203.0.113.9", 443), 61, 2 * SECOND, 63),
            Hop("back", client, ("10.1.0.4", 9443), 60, 2 * SECOND + 90_000, 64),
        ]
        accept(wire, hops, T0 + at * 7 * SECOND, 1000 + at, 9000 + at)
    front, back = wire.write(folder)
    return Path(front), Path(back)


def split(whole: Path, folder: Path, names: list[str]) -> list[Path]:
    """The frames of a file, dealt to three files in order."""
    kept = files.read(whole)
    size = -(-len(kept.frames) // len(names))
    parts = []
    for number, name in enumerate(names):
        part = files.Capture(kept.links, kept.names, kept.snap, kept.frames[number * size : (number + 1) * size])
        files.write(folder / name, part, "ns")
        parts.append(folder / name)
    return parts


def facts(analysis: Analysis) -> pl.DataFrame:
    """The flows, with addresses as text and without what tells files apart."""
    text = analysis.addresses.select("address", "text")
    flows = analysis.flows.drop("^(first|last)_(capture|frame|offset)$", "flow", "leg", "point")
    for side in ("src", "dst"):
        flows = flows.with_columns(pl.col(side).replace_strict(text["address"], text["text"]))
    return flows.sort(*PLACES)


@pytest.mark.parametrize("style", NAMES)
def test_rings_in_any_order_are_as_one_file(tmp_path: Path, style: str) -> None:
    front, back = captured(tmp_path)
    (tmp_path / "ring").mkdir()
    parts = split(front, tmp_path / "ring", NAMES[style])
    whole = analyze([front, back])
    spanning = whole.flows.filter(pl.col("last_ns") - pl.col("first_ns") > 30 * SECOND)
    assert spanning.height == whole.flows.height == 18
    for seed in range(3):
        order = [*parts, back]
        random.Random(seed).shuffle(order)
        ring = analyze(order)
        assert len(ring.points) == 2
        assert facts(ring).equals(facts(whole))
        assert [len(legs) for legs in ring.paths["legs"]] == [2] * 9
        assert set(ring.paths["outcome"]) == {"established"}


def test_a_directory_holds_the_ring(tmp_path: Path) -> None:
    front, back = captured(tmp_path)
    whole = analyze([front, back])
    (tmp_path / "ring").mkdir()
    split(front, tmp_path / "ring", NAMES["dumpcap around"])
    back.rename(tmp_path / "ring" / back.name)
    assert facts(analyze([tmp_path / "ring"])).equals(facts(whole))
