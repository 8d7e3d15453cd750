"""Packets leave with an address that should have been translated.

What it flags
    A point carries a translated connection, and then, to the same peer, packets of that very connection (sequence and
    acknowledgement numbers continue it) from another address: the member's own, which the translator had hidden so far.

Why it matters
    The translator has lost or bypassed the flow's state and lets its packets out as they are. The peer knows no such
    connection and resets it or says nothing: the answer is lost although the member sent it. An inside address also
    becomes visible outside.

Evidence
    The handshake under the translated address, the packets under the other one with the numbers that continue it, and
    the peer's RST where there is one. None of these bytes came translated at the same point.

Look-alikes
    A balancer on a stick shows both sides of each connection at one point, with both handshakes. A repeated FIN after
    the end of a connection leaks harmlessly and is not counted. A packet that comes from neither the translated nor the
    sender's own address was translated anew, to another address: no leak. Where the sender's own side was not captured,
    or nobody rejected the packets, that or a translator further on may be the case (`likely`). Asymmetric returns never
    had a translated answer.

Check next
    On the translator: its table of flows at that moment (`conntrack -L`), its idle time-outs, and rules that let
    packets without state pass (Linux: drop `ct state invalid` before it is forwarded).

Example
    $ cd captures/idle-leak
    $ flowscope analyze . --topology topology.toml --select untranslated-leak
    F1  WARNING  vm2's packets leave untranslated  [untranslated-leak, confirmed]
        In 5 connections that peers know as 192.0.2.49:88, packets came from 10.162.161.132 itself: the
        translator let them pass without changing the address.

References
    Linux nf_conntrack-sysctl: nf_conntrack_tcp_timeout_*; packets in state INVALID are not translated.
    RFC 3022, section 2.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.snat.allocation import is_inside
from flowscope.window import Window

SEVERITY = Severity.WARNING

_TCP = 6
#: So far from the expected sequence number a packet may lie and still belong to the connection (a scaled window).
_WINDOW_BYTES = 1 << 24


def judge(window: Window) -> Iterator[Finding]:
    """One finding per member whose packets leaked."""
    leaks = _leaks(window)
    if not leaks.height:
        return
    # Members have one port that is called; clients inside have a new one for each connection.
    called = pl.struct("sender", "sender_port").map_elements(
        lambda end: (end["sender"], end["sender_port"]) in window.members, return_dtype=pl.Boolean
    )
    leaks = leaks.with_columns(port=pl.when(pl.col("server") | called).then("sender_port"))
    for (sender, port), rows in leaks.group_by("sender", "port", maintain_order=True):
        found = _finding(window, rows, int(str(sender)), None if port is None else int(str(port)))
        if found is not None:
            yield found


def _leaks(window: Window) -> pl.DataFrame:
    """Translated legs (``leg``) and the bare ones that go on with their numbers at the same point (``bare``)."""
    tcp = window.flows.lazy().filter(pl.col("protocol") == _TCP)
    loose = tcp.filter(pl.col("fwd_isn").is_null(), pl.col("rev_isn").is_null()).collect()
    bare = pl.concat(_oneway(loose, *names) for names in _DIRECTIONS)
    if not bare.height:
        return pl.DataFrame()
    peers = bare.select("point", "peer", "peer_port").unique()
    whole = tcp.filter(pl.col("fwd_isn").is_not_null(), pl.col("rev_isn").is_not_null()).collect()
    known = pl.concat(_half(whole, *names) for names in _DIRECTIONS).join(
        peers, ["point", "peer", "peer_port"], how="semi"
    )
    met = known.join(bare, ["point", "peer", "peer_port"]).filter(
        (pl.col("sender") != pl.col("hidden_by")) | (pl.col("sender_port") != pl.col("hidden_by_port")),
        pl.col("sender") != pl.col("peer"),
    )
    met = _own_address(window, met)
    ahead = (pl.col("next") - pl.col("known_next")) % 2**32
    starts = (pl.col("base") - pl.col("known_next") + _WINDOW_BYTES) % 2**32
    acks = (pl.col("ack") - pl.col("peer_isn")) % 2**32
    sent = (pl.col("peer_next") - pl.col("peer_isn")) % 2**32
    return met.filter(
        (ahead > 0) & (ahead < 2**31),
        starts < 2 * _WINDOW_BYTES,
        (acks > 0) & (acks <= sent),
        pl.col("at_ns") > pl.col("known_ns"),
        # Where nobody objects, only the very next byte is enough.
        pl.col("rejected") | pl.col("repeated") | (pl.col("base") == pl.col("known_next")),
    )


def _own_address(window: Window, met: pl.DataFrame) -> pl.DataFrame:
    """Adds ``own``: the sender is the one that the translated leg stands for; leaves out those that are another."""
    hops = (
        window.judgeable.filter(pl.col("legs").list.len() > 1)
        .select(near="legs", far=pl.col("legs").list.slice(1))
        .with_columns(pl.col("near").list.slice(0, pl.col("near").list.len() - 1))
        .explode("near", "far")
    )
    ends = window.legs.select("leg", "src", "src_port", "dst", "dst_port")
    # Behind the frontend's leg stands the next leg's server, behind the SNAT leg the client of the one before.
    behind = hops.join(ends, left_on="far", right_on="leg").select(
        leg="near", server=pl.lit(value=True), real="dst", real_port="dst_port"
    )
    before = hops.join(ends, left_on="near", right_on="leg").select(
        leg="far", server=pl.lit(value=False), real="src", real_port="src_port"
    )
    known = pl.concat([behind, before]).group_by("leg", "server").agg(real=pl.struct("real", "real_port"))
    sender = pl.struct(pl.col("sender").alias("real"), pl.col("sender_port").alias("real_port"))
    met = met.join(known, ["leg", "server"], how="left", maintain_order="left")
    own = pl.col("real").list.contains(sender)
    return met.filter(own.fill_null(value=True)).with_columns(own=own.fill_null(value=False)).drop("real")


_DIRECTIONS = (("rev", "fwd", "dst", "src"), ("fwd", "rev", "src", "dst"))


def _oneway(flows: pl.DataFrame, own: str, other: str, sender: str, peer: str) -> pl.DataFrame:
    """Flows of which one side was heard only, or answered with nothing but RST."""
    return flows.filter(
        pl.col(f"{own}_packets") > pl.col(f"{own}_resets"), pl.col(f"{other}_packets") == pl.col(f"{other}_resets")
    ).select(
        "point",
        "at_ns",
        bare="leg",
        peer=peer,
        peer_port=f"{peer}_port",
        sender=sender,
        sender_port=f"{sender}_port",
        base=pl.col(f"{own}_base_seq").cast(pl.Int64),
        next=pl.col(f"{own}_next_seq").cast(pl.Int64),
        ack=pl.col(f"{own}_last_ack").cast(pl.Int64),
        rejected=pl.col(f"{other}_resets") > 0,
        repeated=pl.col(f"{own}_retransmissions") > pl.col(f"{own}_duplicates"),
    )


def _half(flows: pl.DataFrame, own: str, other: str, sender: str, peer: str) -> pl.DataFrame:
    return flows.select(
        "point",
        "leg",
        known_ns="at_ns",
        peer=peer,
        peer_port=f"{peer}_port",
        hidden_by=sender,
        hidden_by_port=f"{sender}_port",
        known_next=pl.col(f"{own}_next_seq").cast(pl.Int64),
        peer_isn=pl.col(f"{other}_isn").cast(pl.Int64),
        peer_next=pl.col(f"{other}_next_seq").cast(pl.Int64),
        server=pl.lit(own == "rev"),
    )


def _finding(window: Window, rows: pl.DataFrame, sender: int, port: int | None) -> Finding | None:
    legs = pl.concat([rows["leg"], rows["bare"]]).unique()
    paths = window.judgeable.filter(pl.col("legs").list.eval(pl.element().is_in(legs.implode())).list.any())
    if not paths.height:
        return None
    bare, points = set(rows["bare"]), set(rows["point"])
    kinds = ("syn", "syn-ack", "data", "fin", "rst", "retransmission")
    proof = prove(window, paths, kinds, lambda event: _note(window, event, bare, points), each=4 * len(points))
    count = rows["bare"].n_unique()
    noticed = bool((rows["rejected"] | rows["repeated"]).any())
    own = bool(rows["own"].any()) or _is_own(window, sender, port, rows["peer"])
    confirmed = noticed and own
    caveats = []
    if not noticed:
        caveats.append("Nobody rejected the packets: a translator further on may have changed them.")
    if not own:
        caveats.append(
            f"The sender's side was not captured: {window.address(sender)} may be an address that a second "
            "translation gave to the packets."
        )
    hidden, hidden_port = int(rows["hidden_by"][0]), int(rows["hidden_by_port"][0])
    name, address = window.called(sender, port), window.address(sender)
    shown = window.endpoint(hidden, hidden_port) if port is not None else window.address(hidden)
    rejected = rows.filter("rejected")["bare"].n_unique()
    return Finding(
        rule="untranslated-leak",
        severity=SEVERITY,
        verdict=Verdict.CONFIRMED if confirmed else Verdict.LIKELY,
        title=f"{name}'s packets leave untranslated",
        summary=(
            f"In {count:,} connection{'s' * (count != 1)} that peers know as {shown}, packets came from {address} "
            f"itself: the translator let them pass without changing the address. "
            + (f"The peer reset {rejected:,} of them." if rejected else "Nobody answered them.")
        ),
        subject={"member": window.endpoint(sender, port)} if port is not None else {"host": address},
        count=count,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        names=window.names([sender, hidden]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=(
            "The translator no longer had the connection in its table (it was idle for too long, the table was "
            "flushed or moved), or a rule, a route or an ICMP redirect led the packets around it."
        ),
        remedy=(
            "On the translator: raise the idle time-out above the longest pause of the application, or let one side "
            "send TCP keep-alives more often than that.",
            "Drop what has no state instead of forwarding it (`ct state invalid drop`), so that no inside address "
            "shows; better, answer it with RST, so that both ends learn of it.",
        ),
        caveats=tuple(caveats),
        next_capture=None if confirmed else f"{tcpdump_line([address], port, 'peer.pcap')}  (at the peer)",
        references=("RFC 3022, section 2.6", "Linux nf_conntrack-sysctl"),
    )


def _is_own(window: Window, sender: int, port: int | None, peers: pl.Series) -> bool:
    """True when an address is no translator's: a member's of the topology, or an inside one that a public peer sees."""
    known = window.topology.member_at(window.address(sender)) is not None and (sender, port) in window.members
    return known or (
        is_inside(window.address(sender)) and not any(is_inside(window.address(int(peer))) for peer in peers.unique())
    )


def _note(window: Window, event: dict[str, Any], bare: set[int], points: set[int]) -> str | None:
    flow = window.flows.row(event["flow"], named=True)
    if event["point"] not in points:
        return None
    src = "src" if event["half"] == 0 else "dst"
    sender = window.endpoint(flow[src], flow[f"{src}_port"])
    at = window.point_name(event["point"])
    if event["leg"] in bare and flow["fwd_isn"] is None and flow["rev_isn"] is None:
        if event["kind"] == "rst":
            return f"reset by the peer at {at}"
        return f"untranslated from {sender} at {at}"
    return {"syn": f"SYN at {at}", "syn-ack": f"SYN-ACK from {sender} at {at}"}.get(event["kind"])
