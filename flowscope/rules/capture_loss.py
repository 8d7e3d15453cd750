"""The capture itself missed packets: bytes were acknowledged that it never saw.

What it flags
    Points with holes in the sequence numbers of their flows, although the receiver acknowledged these bytes: they
    were on the wire, and the capture does not hold them.

Why it matters
    What a capture with holes does not show proves little: an answer may have been there. Rules that rest on something
    missing at this point are weaker, and counts (retransmissions, requests, probes) are too low.

Evidence
    The segment after each hole, and the acknowledgement beyond it; another point that saw the missing bytes, where
    there is one.

Look-alikes
    Loss on the way leaves a hole too, but it is filled by a repeat or never acknowledged. Where packets of one flow
    take several ways (ECMP, bonded links) a point sees part of them by design (`likely`). A capture that starts or
    ends in mid-connection has no holes. One hole alone is `undecided`.

Check next
    What tcpdump said at its end ("packets dropped by kernel"); capture again with a larger buffer (`-B 16384`), a
    shorter snap length or a filter, and not through an overloaded mirror port.

Example
    $ cd captures/capture-loss
    $ flowscope analyze . --topology topology.toml --select capture-loss
    F1  INFO  The capture at lb_in missed packets  [capture-loss, confirmed]
        3 flows at lb_in have 4 holes (1,821 bytes, 5.25% of what it should hold) that the receivers
        acknowledged: the packets were there and are not in the capture.

References
    Wireshark: "TCP ACKed unseen segment", "TCP Previous segment not captured".
    pcapng, Interface Statistics Block: isb_ifdrop, isb_osdrop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove
from flowscope.window import Window

SEVERITY = Severity.INFO

#: Larger holes are two connections on one tuple, or an answer with a new ISN.
_WINDOW_BYTES = 1 << 24
#: Fewer holes are an odd one out.
_ENOUGH_HOLES = 2


def judge(window: Window) -> Iterator[Finding]:
    """One finding per point."""
    holes = pl.concat([_holes(window, "fwd", "rev"), _holes(window, "rev", "fwd")])
    for (point,), rows in holes.sort("point", "flow").group_by("point", maintain_order=True):
        found = _finding(window, int(str(point)), rows)
        if found is not None:
            yield found


def _holes(window: Window, half: str, other: str) -> pl.DataFrame:
    """Flows of which one direction has holes that its receiver acknowledged."""
    beyond = (pl.col(f"{other}_last_ack").cast(pl.Int64) - pl.col(f"{half}_next_seq").cast(pl.Int64)) % 2**32
    return window.flows.filter(
        pl.col("protocol") == 6,
        pl.col(f"{half}_missing_bytes").is_between(1, _WINDOW_BYTES),
        # Far more missing than seen is another connection's numbers on the same tuple, not a hole.
        pl.col(f"{half}_missing_bytes") <= 16 * pl.col(f"{half}_covered_bytes") + 65536,
        pl.col(f"{half}_gaps") > 0,
        pl.col(f"{half}_payload_bytes") > 0,
        pl.col(f"{half}_syns") <= 1,
        (beyond < 2**31).fill_null(value=False),
    ).select(
        "flow",
        "leg",
        "point",
        half=pl.lit(half),
        missing=f"{half}_missing_bytes",
        covered=f"{half}_covered_bytes",
        gaps=f"{half}_gaps",
    )


def _finding(window: Window, point: int, rows: pl.DataFrame) -> Finding | None:
    paths = window.judgeable.filter(pl.col("legs").list.eval(pl.element().is_in(rows["leg"].implode())).list.any())
    if not paths.height:
        return None
    flows, gaps, missing = rows["flow"].n_unique(), int(rows["gaps"].sum()), int(rows["missing"].sum())
    total = missing + int(
        window.flows.filter(pl.col("point") == point, pl.col("protocol") == 6)
        .select(pl.col("fwd_covered_bytes").sum() + pl.col("rev_covered_bytes").sum())
        .item()
    )
    elsewhere = _seen_elsewhere(window, point, rows, paths)
    verdict, caveats = Verdict.CONFIRMED, []
    if gaps < _ENOUGH_HOLES:
        verdict = Verdict.UNDECIDED
        caveats.append("A single hole.")
    elif not elsewhere:
        verdict = Verdict.LIKELY
        caveats.append("No other point shows these bytes: they may have taken another way past this point (ECMP).")
    wanted = set(rows["flow"])
    proof = prove(window, paths, ("gap",), lambda event: _note(window, event, wanted), each=2)
    if not proof.evidence:
        return None
    name = window.point_name(point)
    return Finding(
        rule="capture-loss",
        severity=SEVERITY,
        verdict=verdict,
        title=f"The capture at {name} missed packets",
        summary=(
            f"{flows:,} flow{'s' * (flows != 1)} at {name} ha{'s' if flows == 1 else 've'} {gaps:,} holes "
            f"({missing:,} bytes, {missing / max(total, 1):.2%} of what it should hold) that the receivers "
            f"acknowledged: the packets were there and are not in the capture."
            + (f" Other points saw the missing bytes of {elsewhere:,} of these flows." if elsewhere else "")
        ),
        subject={"point": name},
        count=flows,
        evidence=proof.evidence,
        flows=proof.flows,
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="The capturing host was too slow, its buffer too small, or the mirror port overloaded.",
        remedy=(
            "Capture again with a larger buffer (`tcpdump -B 16384`), a filter or a short `-s`.",
            "Do not take what is missing at this point for silence: compare with another point first.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"tcpdump -ni any -s 128 -B 16384 -w again.pcap tcp  (at {name})",
        references=("Wireshark: TCP ACKed unseen segment", "draft-ietf-opsawg-pcapng: isb_ifdrop"),
    )


def _seen_elsewhere(window: Window, point: int, rows: pl.DataFrame, paths: pl.DataFrame) -> int:
    """Flows whose missing bytes another point of the same connection has."""
    of_leg = paths.select("path", leg="legs").explode("leg")
    here = rows.join(of_leg, "leg")
    count = 0
    for half in ("fwd", "rev"):
        own = here.filter(pl.col("half") == half)
        legs = of_leg.filter(pl.col("path").is_in(own["path"].unique().implode()))
        others = (
            window.flows.filter(pl.col("leg").is_in(legs["leg"].unique().implode()), pl.col("point") != point)
            .join(legs, "leg")
            .group_by("path")
            .agg(pl.col(f"{half}_covered_bytes").max().alias("most"))
        )
        count += own.join(others, "path").filter(pl.col("most") > pl.col("covered"))["flow"].n_unique()
    return count


def _note(window: Window, event: dict[str, Any], wanted: set[int]) -> str | None:
    if event["flow"] not in wanted:
        return None
    return f"bytes before this segment are missing at {window.point_name(event['point'])}, and were acknowledged"
