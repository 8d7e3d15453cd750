"""Hours of traffic in fixed memory: what no flow carries any more is given back, and findings have a limit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flowscope.analysis import Analysis
from flowscope.findings import Finding, Severity, Verdict
from flowscope.given import Given
from flowscope.live.aging import Limits, limits_for
from flowscope.live.merging import Merging
from flowscope.live.sources import Source
from flowscope.live.watch import Watch
from flowscope.nat.topology import Topology
from flowscope.settings import Settings
from tests.capture_bytes import RST, pcap, segment
from tests.traffic import T0

SECOND = 1_000_000_000
BATCH = 1_500


def client(number: int) -> str:
    return f"172.{16 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"


def refused(batch: int) -> bytes:
    """Connections of clients that were never seen before, each refused at once."""
    frames = []
    for number in range(batch * BATCH, (batch + 1) * BATCH):
        frames.append(segment(src=client(number), seq=number))
        frames.append(
            segment(src="10.0.0.4", sport=80, dst=client(number), dport=50001, flags=RST | 16, ack=number + 1)
        )
    return pcap(frames, T0 + batch * SECOND, step_ns=100_000)


def looked(watch: Watch, patience_s: float = 30) -> Analysis:
    """The next look, once all was read."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        turn = watch.turn()
        if turn.analysis is not None and not watch.status.behind_bytes:
            return turn.analysis
        time.sleep(0.05)
    raise AssertionError("the window was not judged")


def test_addresses_that_no_flow_has_are_given_back(core: None, tmp_path: Path) -> None:
    path = tmp_path / "growing.pcap"
    path.write_bytes(pcap([]))
    watch = Watch([Source(str(path))], Settings(), Given(Topology()), Limits(flows=1_000, few=100, probes=100))
    watch.begin()
    sizes = []
    with path.open("ab", buffering=0) as file:
        for batch in range(14):
            file.write(refused(batch)[24:])
            analysis = looked(watch)
            sizes.append(analysis.addresses.height)
            texts = analysis.addresses["text"]
            assert texts.n_unique() == texts.len()
            rows = analysis.flows.select("src", "dst", "dst_port").rows()
            assert {(texts[dst], port) for _, dst, port in rows} == {("10.0.0.4", 80)}
            newest = {client(number) for number in range(batch * BATCH, (batch + 1) * BATCH)}
            assert newest <= {texts[src] for src, _, _ in rows}
    assert watch.flows_seen == 14 * BATCH
    # What the window holds, twice, with some to spare: not one for each client that ever was.
    assert max(sizes) < 2 * (1_000 + BATCH) + 4_096 + BATCH < 14 * BATCH
    (found,) = [one for one in watch.merging.findings if one.rule == "closed-port"]
    assert found.count == 14 * BATCH


def finding(name: str, severity: Severity, flow: int) -> Finding:
    return Finding(
        rule="r",
        severity=severity,
        verdict=Verdict.LIKELY,
        title=name,
        summary="",
        subject={"host": name},
        count=1,
        evidence=(),
        flows=(flow,),
    )


def test_of_too_many_findings_the_mildest_and_oldest_that_have_aged_go() -> None:
    merging = Merging(most=10)
    for at in range(14):
        severity = Severity.ERROR if at % 2 else Severity.INFO
        one = finding(f"h{at}", severity, at)
        for _ in range(2):
            merging.update([one], at)
        merging.put_aside([at], {})
    held = {one.title for one in merging.findings}
    assert merging.dropped == 4
    assert held == {"h1", "h3", "h5", "h7", "h8", "h9", "h10", "h11", "h12", "h13"}
    # What is still seen is never dropped.
    crowd = [finding(f"c{at}", Severity.INFO, 100 + at) for at in range(20)]
    for _ in range(3):
        merging.update(crowd, 99)
    assert {one.title for one in crowd} <= {one.title for one in merging.findings}


@pytest.mark.parametrize(("flows", "findings"), [(100, 100), (50_000, 5_000)])
def test_one_option_sets_both(flows: int, findings: int) -> None:
    assert limits_for(flows).findings == findings
