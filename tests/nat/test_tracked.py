"""The translator's own table decides which leg continues which; where it is silent or wrong, the packets do."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import Analysis, follow
from flowscope.capture.core import Frames
from flowscope.capture.file import read_captures
from flowscope.given import Given
from flowscope.nat.join_reasons import TRACKED
from flowscope.nat.topology import Topology
from flowscope.nat.tracked import TRANSLATIONS
from flowscope.settings import Settings
from tests.wire import SYN, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")

FRONTEND, MEMBER, OUTSIDE = ("203.0.113.9", 443), ("10.1.0.4", 9443), ("10.1.0.1", 20000)
Ends = tuple[tuple[str, int], tuple[str, int]]


def said(*translations: tuple[Ends, Ends]) -> pl.DataFrame:
    """A table of TCP translations."""
    rows = [(6, *before[0], *before[1], *after[0], *after[1]) for before, after in translations]
    return pl.DataFrame(rows, schema=TRANSLATIONS, orient="row")


def twins(folder: Path, translations: pl.DataFrame | None, gap_ns: int = 0, kept_id: int = 7) -> Analysis:
    """Two clients whose SYNs are alike, and one SYN behind the translator; the second client's comes nearer to it."""
    wire = Wire()
    for at in (1, 2):
        wire.packet(
            [Hop("box", (f"192.0.2.{at}", 5000), FRONTEND, 61, 10_000)], T0 + (at - 1) * gap_ns, SYN, 1000, ip_id=7
        )
    wire.packet([Hop("box", OUTSIDE, MEMBER, 60, 60_000)], T0 + gap_ns, SYN, 1000, ip_id=kept_id)
    settings = Settings()
    tables, captures = read_captures(wire.write(folder), settings)
    return follow(Frames.of(tables), captures, Given(Topology(), translations=translations), settings)


def sources(analysis: Analysis) -> list[str]:
    """Who the joined path begins with."""
    first = {row["leg"]: row["src"] for row in analysis.legs.iter_rows(named=True)}
    texts = analysis.addresses["text"]
    return [texts[first[legs[0]]] for legs in analysis.paths["legs"].to_list() if len(legs) > 1]


@pytest.mark.parametrize("client", ["192.0.2.1", "192.0.2.2"])
@pytest.mark.parametrize(("gap_ns", "kept_id"), [(0, 7), (500_000, 7), (0, 8)])
def test_it_tells_twins_apart_and_is_the_first_reason(tmp_path: Path, client: str, gap_ns: int, kept_id: int) -> None:
    table = said(((((client, 5000)), FRONTEND), (OUTSIDE, MEMBER)), ((("192.0.2.9", 1), FRONTEND), (OUTSIDE, MEMBER)))
    analysis = twins(tmp_path, table, gap_ns, kept_id)
    assert sources(analysis) == [client]
    assert not analysis.paths["ambiguous"].any()
    (reasons,) = [one for one in analysis.paths["reasons"].to_list() if one]
    assert reasons[0] == TRACKED
    assert "same client ISN" in reasons


OTHER_PORT = ((("192.0.2.1", 5001), FRONTEND), (OUTSIDE, MEMBER))
WAY_BACK = ((MEMBER, OUTSIDE), (FRONTEND, ("192.0.2.1", 5000)))
RIGHT = ((("192.0.2.1", 5000), FRONTEND), (OUTSIDE, MEMBER))


@pytest.mark.parametrize(
    "translations",
    [None, said(), said(OTHER_PORT, WAY_BACK), said(RIGHT).with_columns(protocol=pl.lit(17, pl.UInt8))],
)
def test_what_it_does_not_name_stays_ambiguous(tmp_path: Path, translations: pl.DataFrame | None) -> None:
    analysis = twins(tmp_path, translations)
    assert sources(analysis) == []
    assert analysis.paths["ambiguous"].sum() == 1


def test_it_joins_nothing_that_shares_no_packet(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet([Hop("box", ("192.0.2.1", 5000), FRONTEND, 61, 10_000)], T0, SYN, 1000)
    wire.packet([Hop("box", OUTSIDE, MEMBER, 60, 60_000)], T0, SYN, 2000)
    settings = Settings()
    tables, captures = read_captures(wire.write(tmp_path), settings)
    table = said(((("192.0.2.1", 5000), FRONTEND), (OUTSIDE, MEMBER)))
    analysis = follow(Frames.of(tables), captures, Given(Topology(), translations=table), settings)
    assert sources(analysis) == []
