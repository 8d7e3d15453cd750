"""Two clients' connections become one 5-tuple at a member, which cannot tell them apart.

What it flags
    Two connections through a balancer, from different clients or to different frontends, that arrive at one member with
    the same addresses and ports while the first is still open.

Why it matters
    The member takes the second SYN for an old packet of the first connection and answers with a bare ACK. The second
    client waits, resets or fails; the first may be torn down with it. It happens at random, more often under load, and
    looks like a slow or unstable member.

Evidence
    Both SYNs before the balancer and the two SYNs of one tuple with different numbers behind it; the ACK that carries
    the numbers of the first connection.

Look-alikes
    A client that uses its own port again for the same frontend is no collision of two clients. A connection that had
    ended before is a port reuse in TIME-WAIT. Neither is flagged. Without the member's bare ACK in the capture a member
    that drops SYNs looks the same (`likely`).

Check next
    Capture before the balancer and on the member at once, and look for two initial sequence numbers on one tuple.

Example
    $ cd captures/collision-two-frontends
    $ flowscope analyze . --topology topology.toml --select client-port-collision
    F1  ERROR  Connections of different callers become one at vm3  [client-port-collision, confirmed]
        6 connections reached 172.27.40.143:3000 under addresses and ports that another open connection had
        there: one client called two frontends (203.0.113.34:88 and 203.0.113.91:88) from one port, and behind
        the balancer both are 203.0.113.56:46951 to 172.27.40.143:3000.

References
    AWS network load balancers: "connections time out ... client address preservation, same source port".
    RFC 5961, section 4.2: challenge ACK.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.nat.outcomes import PROXIED
from flowscope.rules.evidence import flows_of, prove, tcpdump_line
from flowscope.rules.foreign_numbers import challenged, older
from flowscope.window import Window

SEVERITY = Severity.ERROR

_TUPLE = ("src", "src_port", "dst", "dst_port")
_FAILED = ("unanswered", "half-open", "refused")
#: Pairs of connections that the evidence shows.
_SHOWN = 2


def judge(window: Window) -> Iterator[Finding]:
    """One finding per member."""
    moved = window.judgeable.filter(
        pl.col("frontend").is_not_null(), pl.col("legs").list.len() > 1, ~pl.col("method").is_in(PROXIED)
    )
    if not moved.height:
        return
    ends = moved.join(
        window.legs.select("leg", *_TUPLE, "at_ns"), left_on="last_leg", right_on="leg", maintain_order="left"
    )
    # Connections that have their tuple for themselves cannot collide; that is nearly all of them.
    shared = ends.filter(pl.struct(*_TUPLE).is_duplicated())
    if not shared.height:
        return
    collided = _pairs(window, shared)
    for (backend, port), pairs in collided.group_by("backend", "backend_port", maintain_order=True):
        yield _collision(window, int(str(backend)), int(str(port)), pairs)


def _pairs(window: Window, shared: pl.DataFrame) -> pl.DataFrame:
    """Later paths with the older one they met: ``path``, ``old_path``, ``proven``."""
    met = challenged(window).select("leg", "acks")
    later = (
        shared.select(leg="last_leg", at_ns="at_ns")
        .unique("leg", keep="first", maintain_order=True)
        .join(met, "leg", how="left", maintain_order="left")
    )
    pairs = older(window, later).filter(~pl.col("closed")).rename({"leg": "last_leg"})
    caller = ("client", "client_port", "frontend", "frontend_port")
    olds = shared.select(
        *(pl.col(name).alias(f"old_{name}") for name in caller), old_leg="last_leg", old_path="path"
    ).unique("old_leg", keep="first", maintain_order=True)  # fmt: skip
    found = shared.join(pairs, "last_leg", maintain_order="left").join(olds, "old_leg", maintain_order="left")
    other = (pl.col("client") != pl.col("old_client")) | (
        (pl.col("frontend") != pl.col("old_frontend")) | (pl.col("frontend_port") != pl.col("old_frontend_port"))
    )
    # Ports that differ before the balancer were made equal by it: that is a SNAT port used again.
    found = found.filter(other, pl.col("client_port") == pl.col("old_client_port"))
    return (
        found.with_columns(proven=pl.col("fits"))
        .filter(pl.col("proven") | pl.col("outcome").is_in(_FAILED))
        .sort("first_ns", "path", "proven", descending=[False, False, True])
        .unique("path", keep="first", maintain_order=True)
    )


def _collision(window: Window, backend: int, port: int, pairs: pl.DataFrame) -> Finding:
    endpoint, name = window.endpoint(backend, port), window.called(backend, port)
    sure = pairs.filter("proven")
    shown = (sure if sure.height else pairs).head(_SHOWN)
    both = window.paths.filter(pl.col("path").is_in([*shown["path"], *shown["old_path"]]))
    proof = prove(window, both, ("syn", "challenge-ack", "rst"), lambda event: _note(window, event))
    clients = pl.concat([pairs["client"], pairs["old_client"]]).n_unique()
    one_client = bool((pairs["client"] == pairs["old_client"]).all())
    # The first connection suffers too: its packets meet the state of the second, or end with it.
    explained = tuple(sorted({*pairs["path"], *pairs["old_path"]}))
    caveats = []
    if not sure.height:
        caveats.append(
            "The member's answer to the second SYN was not captured: a member that drops SYNs looks the same."
        )
    first = shown.row(0, named=True)
    line = f"{tcpdump_line([window.address(backend)], port, 'member.pcap')}  (on {name})"
    whom = (
        f"one client called two frontends ({window.endpoint(first['old_frontend'], first['old_frontend_port'])} and "
        f"{window.endpoint(first['frontend'], first['frontend_port'])}) from one port"
        if one_client
        else f"two clients ({window.called(first['old_client'])} and {window.called(first['client'])}) called from the "
        "same port"
    )
    return Finding(
        rule="client-port-collision",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if caveats else Verdict.CONFIRMED,
        title=f"Connections of different callers become one at {name}",
        summary=(
            f"{len(pairs):,} connection{'s' * (len(pairs) != 1)} reached {endpoint} under addresses and ports that "
            f"another open connection had there: {whom}, and behind the balancer both are "
            f"{window.endpoint(first['src'], first['src_port'])} to {endpoint}. "
            + ("The member answered the second SYN with an ACK of the first connection's numbers." if sure.height else
               "The second SYN got no SYN-ACK.")
        ),
        subject={"member": endpoint},
        count=len(explained),
        evidence=proof.evidence,
        flows=flows_of(window, window.paths.filter(pl.col("path").is_in(explained))),
        paths=explained,
        facts={"clients": clients},
        names=window.names([backend, *pairs["client"].unique()]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=(
            "The balancer keeps the client's port and makes the rest of the tuple equal: two clients behind one source "
            "address, or two frontends that lead to one member and port. To the member this is one connection."
        ),
        remedy=(
            "Let the balancer choose a free source port where it changes the source address, not keep the client's."
            if not one_client
            else "Give each frontend its own member port, or its own pool.",
            "Or turn client address preservation off, and carry the client's address in the PROXY protocol.",
        ),
        caveats=tuple(caveats),
        next_capture=line if caveats else None,
        references=("RFC 5961, section 4.2", "AWS: troubleshoot your Network Load Balancer (client IP preservation)"),
    )  # fmt: skip


def _note(window: Window, event: dict[str, Any]) -> str | None:
    at = window.point_name(event["point"])
    if event["kind"] == "challenge-ack":
        return f"bare ACK of {event['ack']} at {at}: a number of the first connection"
    if event["kind"] == "rst":
        return f"RST at {at}"
    return f"SYN {event['seq']} at {at}" if event["half"] == 0 else None
