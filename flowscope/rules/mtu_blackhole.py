"""Large segments vanish, small ones pass: a link on the way has a smaller MTU than the ends believe.

What it flags
    Connections that open, then stop at a large segment: it is repeated again and again and never acknowledged, while
    small segments of the same direction to the same service are. With ICMP "fragmentation needed" (IPv6: "packet too
    big") at the sender's point the sender was told and goes on with the same size.

Why it matters
    Handshakes, probes and short requests succeed, so the service looks well; uploads and long answers hang until they
    time out. Tunnels (VXLAN, VPN) on the way and firewalls that drop all ICMP are the usual pair of causes.

Evidence
    The large segment and its repeats at the sender's side, the ICMP error where there is one; the largest segment of
    that direction that was acknowledged elsewhere.

Look-alikes
    Segments larger than the MTU in a capture on the sender are made by offload (TSO): only the size of repeats is
    used. Loss hits segments of any size, and one repeat usually gets through. A receiver with a closed window, or one
    that has reset or died, stops everything. When as large a segment got through elsewhere it is not the MTU. Without
    ICMP and without a point behind the loss, a filter that drops by size looks the same (`likely`).

Check next
    `ping -M do -s 1472 HOST` (and smaller) from the sender; `tracepath HOST`; MTU of the tunnels on the way.

Example
    $ cd captures/mtu-blackhole-route
    $ flowscope analyze . --topology topology.toml --select mtu-blackhole
    F1  ERROR  Large segments to web vanish  [mtu-blackhole, confirmed]
        4 connections to web (192.0.2.181:8888) stopped at a segment of 1,448 bytes, which was repeated and
        never acknowledged.

References
    RFC 1191, RFC 8201 (path MTU discovery), RFC 4821 and RFC 2923 (black holes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.rules.evidence import prove
from flowscope.rules.oversized import LARGE_BYTES, oversized
from flowscope.window import Window

SEVERITY = Severity.ERROR

_TOO_BIG = (3 * 256 + 4, 2 * 256)


def judge(window: Window) -> Iterator[Finding]:
    """One finding per service and direction."""
    stuck = oversized(window)
    if not stuck.height:
        return
    owner = window.judgeable.select("path", "first_leg", leg="legs").explode("leg")
    ends = window.legs.select("leg", called="dst", called_port="dst_port")
    stuck = stuck.join(owner, "leg").join(ends, left_on="first_leg", right_on="leg")
    for (half, called, port), rows in stuck.sort("path").group_by("half", "called", "called_port", maintain_order=True):
        found = _finding(window, rows, int(str(half)), int(str(called)), int(str(port)))
        if found is not None:
            yield found


def _finding(window: Window, rows: pl.DataFrame, half: int, called: int, port: int) -> Finding | None:
    size = int(rows["length"].min() or 0)  # type: ignore[arg-type]
    told = window.events.filter(
        pl.col("flow").is_in(rows["flow"].unique().implode()), pl.col("icmp").is_in(list(_TOO_BIG))
    )
    largest = _largest_acknowledged(window, rows, half)
    if largest >= size or (not largest and not told.height):
        return None
    paths = window.judgeable.filter(pl.col("path").is_in(rows["path"].unique().implode()))
    behind = _missing_behind(window, rows, half)
    verdict, caveats = Verdict.CONFIRMED, []
    if not told.height:
        if not behind:
            verdict = Verdict.LIKELY
            caveats.append("No point behind the loss was captured: a filter that drops by size looks the same.")
        if paths.height < 2:
            verdict = Verdict.LIKELY
            caveats.append("Seen in one connection only: a path that failed in mid-transfer looks the same.")
        if not largest:
            verdict = Verdict.UNDECIDED
    proof = prove(
        window, paths, ("syn", "data", "retransmission", "icmp-error"), lambda event: _note(window, event, rows), each=8
    )
    where, name = window.endpoint(called, port), window.called(called, port)
    way = f"to {name}" if half == 0 else f"from {name}"
    facts: dict[str, Fact] = {}
    if told.height:
        code = int(told["icmp"][0])
        facts = {"icmp_type": code // 256, "icmp_code": code % 256}
    summary = (
        f"{paths.height:,} connection{'s' * (paths.height != 1)} {way} ({where}) stopped at a segment of {size:,} "
        f"bytes, which was repeated and never acknowledged. "
    )
    if largest:
        summary += f"Segments of up to {largest:,} bytes got through the same way. "
    if told.height:
        sender = window.address(int(told["peer"][0]))
        summary += f"{sender} said that they are too big (ICMP), and the sender did not listen."
    elif behind:
        summary += f"They were never seen at {', '.join(map(window.point_name, behind))}, where the small ones were."
    return Finding(
        rule="mtu-blackhole",
        severity=SEVERITY,
        verdict=verdict,
        title=f"Large segments {way} vanish",
        summary=summary.strip(),
        subject={"path": str(int(paths["path"][0]))},
        # The number of a path is another one in another run; its service and direction are not.
        lasting={"path": f"{'to' if half == 0 else 'from'}-{where}"},
        count=paths.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        facts=facts,
        names=window.names([called]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="A link or tunnel on the way takes smaller packets than the sender makes, "
        + (
            "and the sender's host drops the ICMP errors."
            if told.height
            else "and the ICMP errors that say so are lost."
        ),
        remedy=(
            "Let ICMP type 3 code 4 (IPv6: type 2) pass every firewall on the way and on the sender.",
            "Or clamp the MSS at the narrow link (nftables: `tcp flags syn tcp option maxseg size set rt mtu`)"
            + (f"; segments of {largest:,} bytes pass." if largest >= LARGE_BYTES else "."),
            "Or lower the MTU of the sender's interface, or raise that of the tunnel's underlay.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"tcpdump -ni any -s 0 -w mtu.pcap 'tcp port {port} or icmp or icmp6'  (on both sides of the narrow link)",
        references=("RFC 1191", "RFC 8201", "RFC 2923, section 2.1"),
    )


def _largest_acknowledged(window: Window, rows: pl.DataFrame, half: int) -> int:
    """Largest segment of that direction to the same services, at the same points, that was acknowledged."""
    way = "fwd" if half == 0 else "rev"
    services = window.flows[rows["flow"].unique().sort()].select("point", "dst", "dst_port").unique()
    same = window.flows.join(services, ["point", "dst", "dst_port"], how="semi")
    return int(same[f"{way}_max_acked_segment"].max() or 0)  # type: ignore[arg-type]


def _missing_behind(window: Window, rows: pl.DataFrame, half: int) -> list[int]:
    """Points that saw these connections, and nothing of the large segment."""
    way, other = ("fwd", "rev") if half == 0 else ("rev", "fwd")
    paths = window.judgeable.filter(pl.col("path").is_in(rows["path"].unique().implode())).select("path", leg="legs")
    starts = rows.group_by("path").agg(pl.col("seq").min().cast(pl.Int64))
    seen = (
        window.flows.filter(pl.col("leg").is_in(paths["leg"].explode().unique().implode()))
        .join(paths.explode("leg"), "leg")
        .join(starts, "path")
        .filter(pl.col(f"{way}_packets") > 0)
    )
    beyond = (pl.col(f"{way}_next_seq").cast(pl.Int64) - pl.col("seq")) % 2**32
    # What comes after it may be small enough to pass: then a hole begins at the last number that is acknowledged.
    hole = (pl.col(f"{other}_last_ack").cast(pl.Int64) == pl.col("seq")) & (pl.col(f"{way}_missing_bytes") > 0)
    lacks = (beyond == 0) | (beyond >= 2**31) | hole.fill_null(value=False)
    short = seen.group_by("point").agg(lacks.all().alias("short"))
    return sorted(short.filter("short")["point"])


def _note(window: Window, event: dict[str, Any], rows: pl.DataFrame) -> str | None:
    at = window.point_name(event["point"])
    if event["kind"] == "icmp-error":
        if event["icmp"] not in _TOO_BIG:
            return None
        return f"ICMP from {window.address(event['peer'])}: too big, fragmentation needed; at {at}"
    if event["point"] not in set(rows["point"]):
        return None
    if event["kind"] == "syn":
        return f"SYN at {at}" if event["half"] == 0 else None
    if event["length"] < LARGE_BYTES:
        return None
    return f"{event['length']} bytes{' again' * (event['kind'] == 'retransmission')}, at {at}"
