"""Connections are refused: a SYN is answered by RST.

What it flags
    Paths whose SYN met a RST (acknowledging exactly that SYN) and no SYN-ACK at any point. `where` says who refused:
    `member` (a server of the pool), `frontend` (the balancer has no rule for the port), `host` (no balancer was seen).

Why it matters
    Nothing listens on that address and port, while the probe, on another port or path, may well succeed: the balancer
    keeps sending clients to a member that refuses them. This is cause 1 of the Azure Load Balancer guide.

Evidence
    The SYN and the RST that answers it, at every point that saw them.

Look-alikes
    A firewall that rejects with a reset sends the same packet. Seen at the endpoint's own interface the RST comes
    from that host (`confirmed`); anywhere else something in between may have sent it (`likely`; `undecided` where
    its TTL is not that of the host's other packets). A service that listens on 127.0.0.1 only, or one that was
    being restarted, refuses in the same way. Scans meet closed ports by design: ten closed ports of a host, or ten
    hosts that refuse one client, are one finding (`undecided`), and of more than twenty hosts that refuse, without
    a balancer, those that seldom did are one, named after the first of them. Where a frontend that serves the port
    refuses, a member behind it may have done so (`undecided`), unless points behind the balancer saw nothing of
    these calls.

Check next
    On the host: `ss -ltn` (Linux) or `netstat -an` (Windows): does anything listen on the port, and on which address?
    Given with `--listening`, the list says so here.

Example
    $ cd captures/closed-port
    $ flowscope analyze . --topology topology.toml --select closed-port
    F1  ERROR  be2 refuses connections on port 8080  [closed-port, confirmed]
        22 connections to 10.0.0.12:8080 met a RST at once; none got an answer.

References
    RFC 9293, section 3.5.2: reset when no connection exists.
    Azure Load Balancer troubleshooting (2020-01-28): not listening on the data port.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.behind import points_behind
from flowscope.rules.evidence import prove
from flowscope.rules.listeners import Heard, heard
from flowscope.rules.probe_contrast import healthy_probes
from flowscope.rules.reset_origin import not_of_the_host
from flowscope.rules.scans import REFUSED, by_design, note
from flowscope.window import Window

SEVERITY = Severity.ERROR


def judge(window: Window) -> Iterator[Finding]:
    """One finding per endpoint that refused, or per scanned host."""
    refused = window.judgeable.filter(pl.col("outcome") == "refused")
    if not refused.height:
        return
    found, rest = by_design(window, _called(refused, window))
    yield from found
    for (end, port), paths in rest.group_by("end", "end_port", maintain_order=True):
        yield _refusal(window, int(str(end)), int(str(port)), paths)


def _called(paths: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Adds ``end`` and ``end_port``: who answered the last leg that was seen."""
    ends = window.legs.select("leg", pl.col("dst").alias("end"), pl.col("dst_port").alias("end_port"))
    return paths.join(ends, left_on="last_leg", right_on="leg", maintain_order="left")


def _where(window: Window, end: int, port: int, translated: bool) -> str:
    if translated or (end, port) in window.members:
        return "member"
    return "frontend" if end in window.frontend_addresses else "host"


def _refusal(window: Window, end: int, port: int, paths: pl.DataFrame) -> Finding:
    endpoint = window.endpoint(end, port)
    where = _where(
        window, end, port, bool(paths["frontend"].is_not_null().any() and paths["backend"].is_not_null().any())
    )
    proof = prove(window, paths, ("syn", "rst"), note)
    own = _seen_at_home(window, end, [item.flow for item in proof.evidence if item.note == REFUSED])
    accepted = _accepted(window, end, port)
    caveats = []
    if not own:
        caveats.append(
            "The RST was not seen at the endpoint's own interface: a firewall that rejects with a reset looks the same."
        )
    # What a frontend's other packets come from are its members: the balancer's own RST need not be like them.
    strange = "" if own or where == "frontend" else not_of_the_host(window, paths)
    caveats += [strange] if strange else []
    if accepted:
        caveats.append(
            f"{accepted:,} other connections to the same port were accepted: it was closed for a time only, "
            "or the service refuses when its queue is full (tcp_abort_on_overflow)."
        )
    served = where == "frontend" and (end, port) in window.served
    stopped = _stopped(window, end, port, paths) if served else ""
    if served and not stopped:
        caveats.append(
            "The frontend serves this port: a member behind it may have refused, on a leg that was not captured."
        )
    told = heard(window, end, port)
    if told is not None and told.listens:
        caveats.append(f"{told.sentence} So the list was taken at another time, or a firewall rejects with a reset.")
    caveats += [told.caveat] if told is not None and told.caveat else []
    doubtful = (served and not stopped) or (strange and where == "member")
    proven = own and not accepted and not (told is not None and told.listens)
    called = window.called(end, port)
    summary = (
        f"{len(paths):,} connection{'s' * (len(paths) != 1)} to {endpoint} met a RST at once; none got an answer. "
    )
    contrast = healthy_probes(window, end, paths)
    if where == "member" and contrast:
        summary += f"{contrast} so the balancer keeps sending clients there. "
    summary += (
        strange
        or {
            "member": "Something in front of the member may have refused them."
            if strange
            else "Nothing listens on the member's data port, or its own firewall resets what comes there."
            if not accepted
            else "Nothing listened on the member's data port at these times.",
            "frontend": stopped or "One of its members refused them, or the balancer did: which one was not captured."
            if served
            else "The balancer's address answers, but it has no rule for this port.",
            "host": f"{accepted:,} others were accepted: several servers may stand behind this address."
            if accepted
            else "Nothing listens there; no balancer was seen on the way.",
        }[where]
    )
    if told is not None and not told.listens:
        summary += f" {told.sentence}"
    return Finding(
        rule="closed-port",
        severity=SEVERITY,
        verdict=Verdict.UNDECIDED if doubtful else Verdict.CONFIRMED if proven else Verdict.LIKELY,
        title=f"{called} refuses connections on port {port}",
        summary=summary,
        subject={where: endpoint},
        count=len(paths),
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        facts={"where": where, **({"listening": told.short} if told is not None else {})},
        names=window.names([end]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="A rule of the balancer, or of a firewall before or in it, rejects these with a reset."
        if stopped
        else "A firewall, or whatever answers in front of the service, rejects these with a reset."
        if strange
        else "The service was away for a time, its queue was full, or one of several servers at the address refuses."
        if accepted
        else _cause(told),
        remedy=(
            f"Look for a rule that rejects with a reset on the way to {called}'s members and on the balancer itself."
            if stopped
            else f"On {called}: start the service, or make it listen on {endpoint}; check with `ss -ltn` or "
            "`netstat -an`.",
            "Let the health probe ask the port and the service that clients use, so that a member that "
            "refuses leaves the pool.",
        ),
        caveats=tuple(caveats),
        next_capture=None if own else f"tcpdump -ni any -s 0 -w refused.pcap 'tcp port {port}'  (on {called})",
        references=("RFC 9293, section 3.5.2", "Azure Load Balancer troubleshooting, 2020-01-28: cause 1"),
    )


def _stopped(window: Window, end: int, port: int, paths: pl.DataFrame) -> str:
    """One sentence when points behind the balancer show that no member can have refused these; else empty."""
    first, last = int(paths["first_ns"].min() or 0), int(paths["first_ns"].max() or 0)  # type: ignore[arg-type]
    behind = points_behind(window, end, port, first, last).points
    if not behind:
        return ""
    seen = ", ".join(map(window.point_name, behind))
    return f"None of them was seen behind the balancer, at {seen}: no member refused them."


def _cause(told: Heard | None) -> str:
    if told is None or told.listens is None:
        return (
            "No process listens on this address and port (or on 127.0.0.1 only), or the host's own firewall resets it."
        )
    if told.listens:
        return "Something in front of the service, or a time at which it did not run: the list says that it listens."
    if told.short == "nothing":
        return "No process listens on this port."
    return f"The service listens on another address: {told.short}."


def _seen_at_home(window: Window, end: int, flows: list[int | None]) -> bool:
    """True when a point on the endpoint's own host, beyond doubt, saw the RST."""
    home = {place.point for place in window.points_on(end) if place.sure}
    return any(flow is not None and window.flows["point"][flow] in home for flow in flows)


def _accepted(window: Window, end: int, port: int) -> int:
    """Connections to the same endpoint that got a SYN-ACK."""
    legs = window.flows.filter(
        pl.col("dst") == end, pl.col("dst_port") == port, pl.col("protocol") == 6, pl.col("rev_syns") > 0
    )
    return legs["leg"].n_unique()
