"""Only one direction of a flow was seen at a point, while the other had to exist.

What it flags
    Flows of which a point saw one direction (handshake, acknowledgements, data) and not one packet of the other,
    although the same point sees both directions of other flows to the same service, or other points on both sides of
    the translator saw the missing direction.

Why it matters
    The two directions take different ways. Stateful things on one of them (firewalls, translators) drop what they
    cannot match, and a capture at this point shows less than it seems to.

Evidence
    The handshake or the data of the direction that was seen; where another point saw the other direction, that too.

Look-alikes
    Direct server return shows every flow to a service one way: that is how it is built, and it is not flagged; nor is
    a one-way mirror or a capture filter, unless other points prove what it leaves out. A lossy capture hides single
    packets, not a whole direction. Routers that share the load (ECMP) send the directions different ways without harm:
    so nothing here is worse than `likely`, unless another point saw the missing direction and the same client's other
    flows are whole.

Check next
    Capture on the other ways between the two hosts: a second interface, the other router, the member itself.

Example
    $ cd captures/half-flow
    $ flowscope analyze . --topology topology.toml --select half-flow
    F1  WARNING  lb_in sees one direction only of 14 connections  [half-flow, likely]
        The answers of 14 connections do not pass lb_in, although they exist: the other side acknowledges them.

References
    RFC 5103: bidirectional flows and why a half is missing.
    Zeek conn.log: conn_state SHR, OTH; history without one case of letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.window import Window

SEVERITY = Severity.WARNING

_TCP = 6
#: So many packets one way and none the other is no loss of single packets.
_ENOUGH_PACKETS = 4
#: Fewer such flows are an odd one out.
_ENOUGH_FLOWS = 3
_SERVICE = ("point", "dst", "dst_port")


def judge(window: Window) -> Iterator[Finding]:
    """One finding per point."""
    flows = _mixed(window)
    for (point,), halves in flows.filter("half").group_by("point", maintain_order=True):
        whole = flows.filter(pl.col("point") == point, "whole").join(halves, list(_SERVICE), how="semi")
        found = _finding(window, int(str(point)), halves, whole)
        if found is not None:
            yield found


def _mixed(window: Window) -> pl.DataFrame:
    """Flows to services of which a point saw some whole and some ``half`` (with ``answers`` missing or requests)."""
    # Lazily, for the flow table is wide: only the columns that are named below are ever copied.
    tcp = window.flows.lazy().filter(pl.col("protocol") == _TCP)
    bare = pl.any_horizontal(
        (pl.col(f"{one}_payload_bytes") > 0) & (pl.col(f"{other}_packets") == 0)
        for one, other in (("fwd", "rev"), ("rev", "fwd"))
    )
    # A SYN without an answer is no half flow: in a scan or flood no service is left to look at.
    services = tcp.filter(bare).select(_SERVICE).unique().collect()
    if not services.height:
        return window.flows.head(0).select(*_SERVICE, "leg", "src", half=pl.lit(value=False), whole=pl.lit(value=False))
    # A direction may stand in a flow of its own, under another VLAN or tunnel: a leg counts as a whole.
    seen = (
        tcp.join(services.lazy(), on=_SERVICE, how="semi")
        .select(
            *_SERVICE, "leg", "src", *(
                f"{half}_{name}" for half in ("fwd", "rev")
                for name in ("packets", "syns", "payload_bytes", "resets", "last_ack")
            ),
        )
        .group_by(*_SERVICE, "leg", "src", maintain_order=True)
        .agg(pl.col("^(fwd|rev)_(packets|syns|payload_bytes|resets)$").sum(), pl.col("^(fwd|rev)_last_ack$").max())
        .collect()
    )  # fmt: skip
    # The last ACK of a handshake tells of a SYN-ACK; a SYN-ACK, data and acknowledgements tell of a client.
    asked = (pl.col("fwd_syns") > 0) & (pl.col("rev_packets") == 0) & _talks("fwd")
    served = (pl.col("rev_syns") > 0) & (pl.col("fwd_packets") == 0) & _talks("rev")
    whole = (pl.col("fwd_packets") > 1) & (pl.col("rev_packets") > 1)
    marked = seen.select(*_SERVICE, "leg", "src", half=asked | served, whole=whole, answers=asked)
    legs = marked.filter("half")["leg"].unique()
    marked = marked.with_columns(around=pl.col("leg").is_in(_seen_around(window, legs).implode()))
    mixed = pl.col("half").any().over(_SERVICE) & pl.col("whole").any().over(_SERVICE)
    return marked.filter(mixed | (pl.col("half") & pl.col("around")))


def _seen_around(window: Window, legs: pl.Series) -> pl.Series:
    """Those of the legs that other points saw both ways, as they saw the translated side of the same connection."""
    # Only where the numbers are the same on both sides: a proxy's two connections have ways of their own.
    passed_through = (pl.col("legs").list.len() > 1) & pl.col("method").is_in(["isn", "tuple", "payload"])
    several = window.judgeable.filter(passed_through).select("path", leg="legs").explode("leg")
    # Looked up before `over`, which would search all legs anew for each path.
    several = several.with_columns(wanted=pl.col("leg").is_in(legs.implode())).filter(
        pl.col("wanted").any().over("path")
    )
    twofold = window.flows.lazy().filter(pl.col("fwd_packets") > 1, pl.col("rev_packets") > 1)
    both = twofold.select("leg").unique().collect()["leg"]
    several = several.with_columns(twofold=pl.col("leg").is_in(both.implode()))
    return several.filter(pl.col("twofold").all().over("path"))["leg"].unique()


def _talks(half: str) -> pl.Expr:
    return (
        (pl.col(f"{half}_packets") >= _ENOUGH_PACKETS)
        & (pl.col(f"{half}_payload_bytes") > 0)
        & pl.col(f"{half}_last_ack").is_not_null()
    )


def _finding(window: Window, point: int, halves: pl.DataFrame, whole: pl.DataFrame) -> Finding | None:
    legs = halves["leg"]
    paths = window.judgeable.filter(pl.col("legs").list.eval(pl.element().is_in(legs.implode())).list.any())
    if not paths.height:
        return None
    answers = bool(halves["answers"].all())
    elsewhere = window.flows.filter(pl.col("leg").is_in(legs.implode()), pl.col("point") != point)
    missing = "rev_packets" if answers else "fwd_packets"
    other = elsewhere.filter(pl.col(missing) > 0)["leg"].n_unique()
    same_clients = bool(halves["src"].is_in(whole["src"].unique().implode()).any())
    enough = halves.height >= _ENOUGH_FLOWS
    verdict = Verdict.LIKELY if enough else Verdict.UNDECIDED
    caveats = ["Routers that share the load send the two directions different ways without harm."]
    if not whole.height:
        caveats = ["A mirror of one direction, or a capture filter, shows the same: then the capture is at fault."]
    if enough and other == halves.height and same_clients:
        verdict, caveats = Verdict.CONFIRMED, []
    elif not enough:
        caveats.append("Too few flows to tell a different way from a gap in the capture.")
    proof = prove(window, paths, ("syn", "syn-ack", "data", "fin"), lambda event: _note(window, event, point))
    name, way = window.point_name(point), "answers" if answers else "packets of one side"
    hosts = sorted({window.address(int(number)) for number in halves["dst"].unique()})[:4]
    seen = "all" if other == halves.height else f"{other:,}"
    return Finding(
        rule="half-flow",
        severity=SEVERITY,
        verdict=verdict,
        title=f"{name} sees one direction only of {halves.height:,} connection{'s' * (halves.height != 1)}",
        summary=(
            f"The {way} of {halves.height:,} connections do not pass {name}, although they exist: the other side "
            f"acknowledges them."
            + (f" {whole.height:,} connections to the same service were seen there both ways." if whole.height else "")
            + (f" Other points saw the missing direction of {seen} of them." if other else "")
        ),
        subject={"point": name},
        count=halves.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        names=window.names(halves["dst"].unique()),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="The two directions of these connections take different ways.",
        remedy=(
            "Compare the routes on both hosts (`ip route get ADDRESS from ADDRESS`): a second interface, a second "
            "gateway, a route that leads one way through an appliance.",
            "If something stateful stands on one of the ways, send both directions through it, or neither.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"{tcpdump_line(hosts, None, 'other-way.pcap')}  (on every way between the two hosts)",
        references=("RFC 5103",),
    )


def _note(window: Window, event: dict[str, Any], point: int) -> str | None:
    kind = {"syn": "SYN", "syn-ack": "SYN-ACK", "data": "data", "fin": "FIN"}[event["kind"]]
    if event["point"] != point:
        return None
    return f"{kind} at {window.point_name(point)}; no packet of the other side there"
