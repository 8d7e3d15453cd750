"""However often the core is drained, the window holds what one drain at the end gives."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowscope.capture.core import Frames, new_engine
from flowscope.live.held import Held
from flowscope.settings import Settings

EVENT = ["flow", "kind", "half", "frame"]


def whole(content: bytes) -> Frames:
    engine = new_engine(Settings())
    capture = engine.open(0)
    engine.feed(capture, content)
    engine.close(capture)
    return Frames.of(engine.finish())


@pytest.mark.parametrize("sample", ["hairpin/be1.pcap", "closed-port/be2.pcap", "blocked-in-member/be2.pcapng"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=12))
def test_any_drains_hold_the_same(core: None, samples: Path, sample: str, sizes: list[int]) -> None:
    content = (samples / sample).read_bytes()
    engine, held, at = new_engine(Settings()), Held(), 0
    capture = engine.open(0)
    for size in [*sizes, len(content)]:
        engine.feed(capture, content[at : at + size])
        at += size
        held.take(Frames.of(engine.drain()))
    engine.close(capture)
    held.take(Frames.of(engine.finish()))
    frames, numbers = held.frames({})
    expected = whole(content)
    assert numbers.to_list() == expected.flows["flow"].to_list()
    assert frames.flows.drop("open").equals(expected.flows.drop("open"))
    assert frames.events.sort(EVENT).equals(expected.events.sort(EVENT))
    assert set(frames.messages["first_frame"]) == set(expected.messages["first_frame"])
    assert frames.points.equals(expected.points)


def test_what_is_put_aside_takes_its_events_along(core: None, samples: Path) -> None:
    content = (samples / "hairpin" / "be1.pcap").read_bytes()
    held = Held()
    held.take(whole(content))
    before = held.count
    gone = held.put_aside(held.flows["flow"].to_list()[:10])
    frames, numbers = held.frames({})
    assert (gone.height, held.count) == (10, before - 10)
    assert frames.flows["flow"].to_list() == list(range(before - 10))
    assert numbers.to_list() == list(range(10, before))
    assert frames.events["flow"].max() < before - 10  # type: ignore[operator]
    joined = frames.events.join(frames.flows.select("flow", "first_ns"), "flow")
    assert joined.height == frames.events.height
    assert joined.select((pl.col("time_ns") >= pl.col("first_ns")).all()).item()


def test_a_point_may_be_known_to_be_captured_for_longer(core: None, samples: Path) -> None:
    held = Held()
    held.take(whole((samples / "hairpin" / "be1.pcap").read_bytes()))
    last = int(held.points["until_ns"][0])
    assert held.frames({0: last + 5})[0].points["until_ns"].to_list() == [last + 5]
    assert held.frames({0: last - 5})[0].points["until_ns"].to_list() == [last]
