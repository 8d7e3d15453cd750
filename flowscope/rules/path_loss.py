"""Packets are seen at one point of a path and missing at the next: they get lost between the two.

What it flags
    Two neighbouring points of the same connections, where the first saw a segment and its repeat, and the second the
    repeat only (or neither). Bytes are compared, not packets: offload may have merged or cut them. Three such segments
    are told, whatever their share; two only where they are a far larger share than everyday loss.

Why it matters
    Loss makes every transfer slow and some fail. Between two points it can be acted upon: it is that stretch of cable,
    that host or that queue, not "the network".

Evidence
    The repeats at the first point; how many bytes each of the two points saw in all.

Look-alikes
    A capture that misses packets also shows less at one point, but nobody repeats those: only bytes that were repeated
    count. A second point whose capture has holes (bytes that it never saw and that were acknowledged) may have missed
    one of two copies that both passed: the verdict is `likely` when its holes do not explain the number of losses, else
    `undecided`. Loss beyond the second point shows the repeats at both. Connections that another rule explains (a
    block, an MTU, a forgotten flow) are not counted here. One lost segment is everyday loss.

Check next
    Counters of the interfaces between the two points (`ethtool -S`, `tc -s qdisc`, `nstat`), their duplex and queues.

Example
    $ cd captures/path-loss
    $ flowscope analyze . --topology topology.toml --select path-loss
    F1  WARNING  Packets get lost between lb_in and app3  [path-loss, confirmed]
        In 5 connections at least 5 segments (399 of 1,584 bytes) were seen at lb_in and not at app3; the
        senders had to repeat them.

References
    RFC 9293, section 3.8.1 (retransmission). RFC 7680 (one-way loss between two points).
    ITU-T Y.1541: an IP packet loss ratio of at most 1e-3 in its classes 0 to 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove
from flowscope.rules.neighbours import neighbours
from flowscope.window import Window

SEVERITY = Severity.WARNING

#: From here on loss is told whatever its share.
_ENOUGH_SEGMENTS = 3
#: From here on it is told where everyday loss does not explain it.
_FEWEST_SEGMENTS = 2
#: From here on it is no chance that hit one connection only.
_MANY_SEGMENTS = 10
#: Share of packets that networks in good order lose (ITU-T Y.1541, classes 0 to 4).
_EVERYDAY_SHARE = 1e-3
#: What chance does less often is not chance.
_SELDOM = 0.01


def judge(window: Window) -> Iterator[Finding]:
    """One finding per pair of points, in packet order."""
    compared = neighbours(window)
    if not compared.height:
        return
    for (near, far), rows in compared.group_by("point", "far_point", maintain_order=True):
        lost = rows.filter("repeated", pl.col("lost") > 0)
        segments = int(lost["segments"].sum())
        if segments < _FEWEST_SEGMENTS:
            continue
        points = int(str(near)), int(str(far))
        if segments < _ENOUGH_SEGMENTS and seldom(segments, _sent(window, *points) * _EVERYDAY_SHARE) > _SELDOM:
            continue
        yield _finding(window, lost, _Capture.of(window, points[1], rows), *points)


@dataclass(frozen=True, slots=True)
class _Capture:
    """How far the second point's capture can be trusted to hold what passed it."""

    holes: bool
    explains: bool
    """True when its holes are many enough to have made all these losses up."""

    @classmethod
    def of(cls, window: Window, far: int, rows: pl.DataFrame) -> _Capture:
        """From what the capture lacks of connections that lost nothing for good."""
        unseen, covered = (int(rows[name].sum()) for name in ("unseen", "covered"))
        again = rows.filter("repeated")
        repeats, lost = (int(again[name].sum()) for name in ("repeats", "segments"))
        # Of two copies that both passed it would have missed one, or the other.
        explained = 2 * repeats * unseen / max(covered, 1)
        return cls(unseen > 0 or _acknowledged_unseen(window, far), seldom(lost, explained) > _SELDOM)


def _sent(window: Window, near: int, far: int) -> int:
    """Packets seen at the near point, of the connections that were seen at both."""
    legs = window.judgeable.select("path", leg="legs").explode("leg")
    seen = (
        window.flows.lazy()
        .filter(pl.col("protocol") == 6, pl.col("point").is_in([near, far]))
        .select("leg", "point", packets=pl.col("fwd_packets") + pl.col("rev_packets"))
        .join(legs.lazy(), "leg")
        .filter((pl.col("point") == far).any().over("path"), pl.col("point") == near)
    )
    return int(seen.select(pl.col("packets").sum()).collect().item())


def seldom(count: int, expected: float) -> float:
    """How often chance gives at least ``count`` where so many are expected (Poisson's upper tail)."""
    if count <= expected:
        return 1.0
    if expected <= 0:
        return 0.0
    term = math.exp(count * math.log(expected) - expected - math.lgamma(count + 1))
    total, at = 0.0, count
    while term > total * 1e-9:
        total, at = total + term, at + 1
        term *= expected / at
    return total


def _finding(window: Window, rows: pl.DataFrame, capture: _Capture, near: int, far: int) -> Finding:
    paths = window.judgeable.filter(pl.col("path").is_in(rows["path"].unique().implode()))
    segments, lost, sent = (int(rows[name].sum()) for name in ("segments", "lost", "bytes"))
    verdict, caveats = Verdict.CONFIRMED, []
    if segments < _ENOUGH_SEGMENTS:
        verdict = Verdict.LIKELY
        caveats.append("Few segments: one short outage fits as well as loss that goes on.")
    elif segments < _MANY_SEGMENTS and paths.height < 2:
        verdict = Verdict.LIKELY
        caveats.append("One connection only: its own queue or a short outage fits as well.")
    if capture.holes:
        verdict = Verdict.UNDECIDED if capture.explains else Verdict.LIKELY
        caveats.append(
            f"The capture at {window.point_name(far)} has holes of its own: some of these may have passed it unseen."
        )
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


def _acknowledged_unseen(window: Window, point: int) -> bool:
    """True when the point missed bytes that were acknowledged all the same."""
    here = window.flows.filter(pl.col("point") == point)
    return int(here["fwd_acked_unseen"].sum()) + int(here["rev_acked_unseen"].sum()) > 0


def _note(window: Window, event: dict[str, Any], near: int) -> str | None:
    if event["point"] != near or not event["length"]:
        return None
    return f"{event['length']} bytes sent again, at {window.point_name(near)}"
