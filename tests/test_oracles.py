"""Against tshark: frames, TCP flows and repeats of real captures, and display filters of findings.

The manifest beside the captures holds what tshark 4.0 says of each file. Where its ways of counting flows disagree
(a TCP header quoted in ICMP opens a stream there) they are no oracle.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.errors import CaptureError
from flowscope.rules.evidence import prove
from tests.wire import MS, SYN, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")

CAPTURES = Path(__file__).resolve().parent.parent / "captures"

DIFFERENT = {
    # file: what differs, who is right
    "pcapng/pcap-parser__assets-test017-le.pcapng": "tshark counts custom blocks as frames; they hold none",
    "linktypes/libpcap__http_PPI.pcap": "802.11 in PPI is not decoded (no balancer speaks it); tshark does",
    "vlan_mpls/PcapFlowLab__18_mpls_pw_outer_legacy_vlan_ipv4_tcp_cw.pcap": "tshark stops at the tag 9100; we go on",
}


def rows(truth: Path) -> list[dict[str, Any]]:
    manifest = truth / "real" / "MANIFEST.tsv"
    if not manifest.exists():
        pytest.skip(f"no {manifest.name} beside the captures with truth")
    with manifest.open() as opened:
        return list(csv.DictReader(opened, delimiter="\t"))


def test_real_captures_agree_with_tshark(truth: Path) -> None:
    wrong, judged, repeats_off = {}, 0, 0
    for row in rows(truth):
        try:
            analysis = analyze([truth / "real" / row["file"]])
        except CaptureError:
            if row["tshark_rc"] == "0" or int(row["o_packets"] or 0):
                wrong[row["file"]] = "refused"
            continue
        if row["tshark_rc"] != "0":
            continue
        frames = sum(capture.frames for capture in analysis.captures)
        if frames != int(row["o_packets"]):
            wrong[row["file"]] = f"{frames} frames, tshark {row['o_packets']}"
        if row["o_tcp_streams"] == row["o_tcp_conv"] == row["o_tcp_streams_nonicmp"] and len(analysis.points) <= 1:
            tcp = analysis.flows.filter(pl.col("protocol") == 6)
            if tcp.height != int(row["o_tcp_streams"] or 0):
                wrong[row["file"]] = f"{tcp.height} TCP flows, tshark {row['o_tcp_streams']}"
            judged += 1
            ours = tcp["fwd_retransmissions"].sum() + tcp["rev_retransmissions"].sum()
            theirs = int(row["o_retrans_any"] or 0)
            repeats_off += abs(ours - theirs) > max(2, 0.05 * theirs)
    assert set(wrong) == set(DIFFERENT), wrong
    assert repeats_off <= 0.05 * judged


def fields(tshark: str, capture: Path, *names: str, where: str = "tcp") -> list[list[str]]:
    """Fields of packets as tshark prints them."""
    command = [tshark, "-r", str(capture), "-Y", where, "-T", "fields", "-o", "tcp.relative_sequence_numbers:FALSE"]
    printed = subprocess.run(
        [*command, *(part for name in names for part in ("-e", name))], capture_output=True, text=True, check=True
    )
    return [line.split("\t") for line in printed.stdout.splitlines()]


@pytest.mark.parametrize("name", ["hairpin/be1.pcap", "closed-port/be2.pcap", "blocked-in-member/lb_in.pcap"])
def test_flows_agree_with_tshark_field_by_field(tshark: str, name: str) -> None:
    capture = CAPTURES / name
    analysis = analyze([capture])
    ends = ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport"]
    wanted = ["tcp.stream", "frame.number", *ends, "tcp.flags.syn", "tcp.flags.ack", "tcp.seq"]
    streams: dict[str, dict[str, Any]] = {}
    for stream, number, src, sport, dst, dport, syn, ack, seq in fields(tshark, capture, *wanted):
        known = streams.setdefault(stream, {"first": int(number), "packets": 0, "isn": None})
        known["packets"] += 1
        known["last"] = int(number)
        if syn == "1" and ack == "0" and known["isn"] is None:
            known |= {"isn": int(seq), "src": f"{src}:{sport}", "dst": f"{dst}:{dport}"}
    texts = analysis.addresses["text"]
    ours = [
        {
            "first": row["first_frame"],
            "packets": row["fwd_packets"] + row["rev_packets"],
            "isn": row["fwd_isn"],
            "last": row["last_frame"],
            "src": f"{texts[row['src']]}:{row['src_port']}",
            "dst": f"{texts[row['dst']]}:{row['dst_port']}",
        }
        for row in analysis.flows.filter(pl.col("protocol") == 6).iter_rows(named=True)
    ]
    assert ours == list(streams.values())


def test_the_handshake_s_rtt_is_tshark_s_initial_rtt(tshark: str) -> None:
    capture = CAPTURES / "closed-port" / "be1.pcap"
    theirs = {}
    for stream, rtt in fields(tshark, capture, "tcp.stream", "tcp.analysis.initial_rtt"):
        if rtt:
            theirs[int(stream)] = round(float(rtt) * 1e9)
    ours = analyze([capture]).flows.filter(pl.col("protocol") == 6)["handshake_rtt_ns"].to_list()
    assert {at: rtt for at, rtt in enumerate(ours) if rtt is not None} == theirs


CASES = sorted(path.parent.name for path in CAPTURES.glob("*/truth.json"))


def selected(tshark: str, analysis: Analysis, where: str, work: Path) -> dict[int, set[int]]:
    """Frames that a display filter selects, by capture: one run of tshark over all of them, end to end."""
    together = work / "together.pcapng"
    if not together.exists():
        paths = [capture.path for capture in analysis.captures]
        mergecap = shutil.which("mergecap")
        if mergecap is None:
            pytest.skip("mergecap is not installed")
        subprocess.run([mergecap, "-a", "-w", str(together), *paths], check=True, capture_output=True)
    found: dict[int, set[int]] = {capture.id: set() for capture in analysis.captures}
    starts = list(accumulate([capture.frames for capture in analysis.captures], initial=0))
    for (number,) in fields(tshark, together, "frame.number", where=where):
        at = bisect_left(starts, int(number)) - 1
        found[analysis.captures[at].id].add(int(number) - starts[at])
    return found


def check_filters(tshark: str, folder: Path, work: Path, *, blind: bool) -> None:
    """Every filter is accepted, selects the cited frames, and no frame of another flow in any of the captures."""
    known = json.loads((folder / "truth.json").read_text())["captures"]
    captures = [folder / name for name in dict.fromkeys(row["file"] for row in known) if (folder / name).exists()]
    analysis = analyze(captures, topology=None if blind else str(folder / "topology.toml"))
    assert analysis.findings or "healthy" in folder.name or folder.name in QUIET
    for finding in analysis.findings:
        assert finding.filter.count("||") < 50
        for number, frames in selected(tshark, analysis, finding.filter, work).items():
            cited = {item.frame for item in finding.evidence if item.capture == number}
            assert cited <= frames or not finding.filter_complete, finding.key
            if finding.rule == "truncated-packets":
                continue  # It is about all frames of a point.
            events = analysis.events.filter(pl.col("capture") == number, pl.col("frame").is_in(sorted(frames)))
            assert set(events["flow"]) <= set(finding.flows), finding.key


#: Samples and cases in which nothing is wrong.
QUIET = {"proxy-http", "haproxy", "snat-busy-but-fine"}


@pytest.mark.parametrize("case", CASES)
def test_filters_select_the_cited_frames_and_no_other_flow(tshark: str, case: str, tmp_path: Path) -> None:
    check_filters(tshark, CAPTURES / case, tmp_path, blind=False)


@pytest.mark.parametrize(("prefix", "kind", "code"), [("10.1.0.", 3, 13), ("2001:db8::", 1, 1)], ids=["ipv4", "ipv6"])
def test_filters_select_icmp_errors(tshark: str, prefix: str, kind: int, code: int, tmp_path: Path) -> None:
    wire = Wire()
    for at, port in enumerate((40000, 40001, 40002)):
        hops = [Hop("m", (f"{prefix}7", port), (f"{prefix}9", 443), 64)]
        wire.packet(hops, T0 + at * MS, SYN, 1000 * at)
        wire.icmp_error(hops, T0 + at * MS + MS // 2, f"{prefix}1", kind, code, 1000 * at)
    analysis = analyze(wire.write(tmp_path))
    first = analysis.paths.head(2)
    window = SimpleNamespace(**{name: getattr(analysis, name) for name in ("flows", "events", "legs")})
    window.address = lambda number: analysis.addresses["text"][number]
    proof = prove(window, first, ("syn", "icmp-error"), lambda event: event["kind"])  # type: ignore[arg-type]
    assert [item.frame for item in proof.evidence] == [1, 2, 3, 4]
    assert selected(tshark, analysis, proof.filter, tmp_path) == {0: {1, 2, 3, 4}}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_filters_of_blind_reports_do_too(tshark: str, case: str, tmp_path: Path) -> None:
    check_filters(tshark, CAPTURES / case, tmp_path, blind=True)


@pytest.mark.slow
@pytest.mark.parametrize("blind", [False, True], ids=["topology", "blind"])
def test_filters_of_captures_with_truth_do_too(tshark: str, truth: Path, blind: bool, tmp_path: Path) -> None:
    for folder in sorted(path.parent for path in (truth / "lab").glob("*/truth.json")):
        work = tmp_path / folder.name
        work.mkdir()
        check_filters(tshark, folder, work, blind=blind)
