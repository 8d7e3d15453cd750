"""Packets are seen at one point of a path and missing at the next: they get lost between the two.

What it flags
    Two neighbouring points of the same connections, where the first saw a segment and its repeat, and the second the
    repeat only (or neither). Bytes are compared, not packets: offload may have merged or cut them.

Why it matters
    Loss makes every transfer slow and some fail. Between two points it can be acted upon: it is that stretch of cable,
    that host or that queue, not "the network".

Evidence
    The repeats at the first point; how many bytes each of the two points saw in all.

Look-alikes
    A capture that misses packets also shows less at one point, but nobody repeats those: only bytes that were repeated
    count. When the second point's capture is known to have holes (bytes that were acknowledged and not seen) the
    verdict is `likely`. Loss beyond the second point shows the repeats at both. Connections that another rule explains
    (a block, an MTU, a forgotten flow) are not counted here. Fewer than 3 segments are everyday loss.

Check next
    Counters of the interfaces between the two points (`ethtool -S`, `tc -s qdisc`, `nstat`), their duplex and queues.

Example
    $ cd captures/path-loss
    $ flowscope analyze . --topology topology.toml --select path-loss
    F1  WARNING  Packets get lost between lb_in and app1  [path-loss, confirmed]
        In 3 connections at least 5 segments (394 of 1,105 bytes) were seen at lb_in and not at app1; the
        senders had to repeat them.

References
    RFC 9293, section 3.8.1 (retransmission). RFC 7680 (one-way loss between two points).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove
from flowscope.window import Window

SEVERITY = Severity.WARNING

#: Fewer lost segments between two points are what every network does.
_ENOUGH_SEGMENTS = 3
#: From here on it is no chance that hit one connection only.
_MANY_SEGMENTS = 10
_HALVES = (("fwd", "rev", False), ("rev", "fwd", True))


def judge(window: Window) -> Iterator[Finding]:
    """One finding per pair of points, in packet order."""
    lost = _lost(window)
    if not lost.height:
        return
    for (near, far), rows in lost.group_by("point", "far_point", maintain_order=True):
        if int(rows["segments"].sum()) >= _ENOUGH_SEGMENTS:
            yield _finding(window, rows, int(str(near)), int(str(far)))


def _lost(window: Window) -> pl.DataFrame:
    """Paths and halves of which a point saw more, with more repeats, than the next point on the way."""
    if len(window.places) < 2:
        return pl.DataFrame()
    repeats = [
        pl.col(f"{half}_retransmissions").cast(pl.Int64) - pl.col(f"{half}_duplicates").cast(pl.Int64)
        for half, _, _ in _HALVES
    ]
    # Lazily, for the flow table is wide: filtering all of it would copy all of it.
    repeated = window.flows.lazy().filter(pl.col("protocol") == 6, (repeats[0] > 0) | (repeats[1] > 0))
    troubled = repeated.select("leg").unique().collect()["leg"]
    if not troubled.len():
        return pl.DataFrame()
    paths = (
        window.judgeable.filter(~pl.col("method").str.starts_with("proxy"))
        .select("path", leg="legs")
        .with_columns(stage=pl.int_ranges(0, pl.col("leg").list.len()))
        .explode("leg", "stage")
        .filter(pl.col("leg").is_in(troubled.implode()).any().over("path"))
    )
    flows = window.flows.filter(pl.col("leg").is_in(paths["leg"].unique().implode())).join(paths, "leg")
    ends = {point: place.last_ns for point, place in window.places.items()}
    flows = flows.with_columns(
        alive_ns=pl.col("point").replace_strict(ends, default=0, return_dtype=pl.Int64),
        end_ns=pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns"),
    )
    found = [_half(flows, *names) for names in _HALVES]
    return pl.concat(found).sort("path", "point")


def _half(flows: pl.DataFrame, own: str, other: str, backwards: bool) -> pl.DataFrame:
    # In packet order: legs first, then the TTL, which falls from hop to hop.
    order = ["path", "stage", f"{own}_ttl_max"]
    seen = flows.filter(pl.col(f"{own}_packets") > 0, pl.col(f"{own}_duplicates") == 0)
    seen = seen.with_columns(
        pl.col(f"{own}_ttl_max").cast(pl.Int16), stage=-pl.col("stage") if backwards else pl.col("stage")
    ).sort(*order, "at_ns", descending=[False, False, True, False])
    sides = seen.select(
        "path",
        "leg",
        "point",
        "end_ns",
        "alive_ns",
        half=pl.lit(own),
        bytes=pl.col(f"{own}_payload_bytes").cast(pl.Int64),
        covered=pl.col(f"{own}_covered_bytes").cast(pl.Int64),
        base=pl.col(f"{own}_base_seq").cast(pl.Int64),
        next=pl.col(f"{own}_next_seq").cast(pl.Int64),
        repeats=pl.col(f"{own}_retransmissions").cast(pl.Int64),
        largest=pl.col(f"{own}_max_segment").cast(pl.Int64),
        acked=pl.col(f"{other}_last_ack").cast(pl.Int64),
    )
    # Rows stand in path order: the next point is the next row. A window per path would cost memory for each.
    names = ("path", "point", "bytes", "covered", "base", "next", "alive_ns")
    paired = sides.with_columns(pl.col(name).shift(-1).alias(f"far_{name}") for name in names).filter(
        pl.col("far_path") == pl.col("path"), pl.col("far_point") != pl.col("point")
    )
    arrived = (pl.col("far_covered") == pl.col("covered")) & (pl.col("far_base") == pl.col("base"))
    beyond = (pl.col("acked") - pl.col("far_next")) % 2**32
    never = ((beyond == 0) | (beyond >= 2**31)) & (pl.col("far_alive_ns") >= pl.col("end_ns"))
    return paired.with_columns(
        lost=pl.col("bytes") - pl.col("far_bytes"),
        # Each was one packet at most where the largest was; a floor, not a count.
        segments=((pl.col("bytes") - pl.col("far_bytes")) / pl.col("largest").clip(1)).ceil().cast(pl.Int64),
    ).filter(
        pl.col("lost") > 0,
        pl.col("repeats") > 0,
        # Only what the near point really saw twice; a late first copy is marked as a repeat as well.
        pl.col("bytes") - pl.col("covered") >= pl.col("lost"),
        (arrived | never).fill_null(value=False),
    )


def _finding(window: Window, rows: pl.DataFrame, near: int, far: int) -> Finding:
    paths = window.judgeable.filter(pl.col("path").is_in(rows["path"].unique().implode()))
    segments, lost, sent = (int(rows[name].sum()) for name in ("segments", "lost", "bytes"))
    holes = _holes(window, far)
    verdict, caveats = Verdict.CONFIRMED, []
    if holes:
        verdict = Verdict.LIKELY
        caveats.append(
            f"The capture at {window.point_name(far)} has holes of its own: some of these may have passed it unseen."
        )
    if segments < _MANY_SEGMENTS and paths.height < 2:
        verdict = Verdict.LIKELY
        caveats.append("One connection only: its own queue or a short outage fits as well.")
    proof = prove(window, paths, ("retransmission",), lambda event: _note(window, event, near))
    first, second = window.point_name(near), window.point_name(far)
    return Finding(
        rule="path-loss",
        severity=SEVERITY,
        verdict=verdict,
        title=f"Packets get lost between {first} and {second}",
        summary=(
            f"In {paths.height:,} connection{'s' * (paths.height != 1)} at least {segments:,} segments "
            f"({lost:,} of {sent:,} bytes) were seen at {first} and not at {second}; the senders had to repeat them."
        ),
        subject={"points": [first, second]},
        count=paths.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=f"Something between {first} and {second} drops packets: a full queue, a faulty link, a policer.",
        remedy=(
            f"Read the drop counters of every interface and queue between {first} and {second}.",
            "Compare the times of the losses with the load: loss at full load is a queue or a policer, loss at any "
            "time a faulty part.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"tcpdump -ni any -s 128 -B 16384 -w loss.pcap tcp  (at {first} and {second} at once)",
        references=("RFC 9293, section 3.8.1", "RFC 7680"),
    )


def _holes(window: Window, point: int) -> bool:
    """True when the point missed bytes that were acknowledged all the same."""
    here = window.flows.filter(pl.col("point") == point)
    return int(here["fwd_acked_unseen"].sum()) + int(here["rev_acked_unseen"].sum()) > 0


def _note(window: Window, event: dict[str, Any], near: int) -> str | None:
    if event["point"] != near or not event["length"]:
        return None
    return f"{event['length']} bytes sent again, at {window.point_name(near)}"
