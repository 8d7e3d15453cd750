"""The translator forgot an idle connection: what comes after the pause no longer gets through.

What it flags
    Connections that were translated, paused, and then went on at one side of the translator only. `how` says what
    became of the packets after the pause: `silent` (repeated and never answered), `reset` (a RST that the member never
    sent), `rebalanced` (sent on to another member, which does not know them). `idle_s` is the shortest such pause.

Why it matters
    Applications that keep connections open (pools, long polls, database clients) meet it as time-outs or resets on the
    first request after a quiet time. Both ends still hold the connection; neither was told.

Evidence
    The last packets that crossed, the first one after the pause at the near side, its repeats or the RST, and nothing
    of it at the points behind the translator, which went on capturing other traffic.

Look-alikes
    A RST that the far end sent crosses the translator and is seen on both sides. Loss without a pause before it is
    `path-loss`. A pool change during the pause also moves a connection to another member: when the old member got
    no new connections afterwards, `rebalanced` is `likely` only. One single case may be loss (`likely`); so is one
    where other connections through the same frontend went on after a pause as long. A link that is too small
    swallows a large segment after a pause as it does before one: where nothing smaller was lost as well the finding
    is `undecided`, and there is none where large segments to the same service vanish without a pause. A capture of
    one side only shows no more than an unanswered request, and is not judged here.

Check next
    The idle time-out of the balancer's rule against the longest pause of the application; its keep-alive settings.

Example
    $ cd captures/idle-silent
    $ flowscope analyze . --topology topology.toml --select idle-timeout
    F1  WARNING  Connections through web are forgotten when idle  [idle-timeout, confirmed]
        12 connections through 203.0.113.129:88 went on after 3.2 s of silence, and the first packet after it
        was repeated and never answered.

References
    Azure Load Balancer: TCP idle timeout (4 minutes unless set) and TCP reset on idle.
    Linux nf_conntrack-sysctl: nf_conntrack_tcp_timeout_established. RFC 5382, section 5 (REQ-5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove
from flowscope.rules.forgotten import SENT, forgotten, held_longer
from flowscope.rules.oversized import oversized
from flowscope.rules.reset_origin import strange_resets
from flowscope.window import Window

SEVERITY = Severity.WARNING

#: So many repeats of one segment, all lost while other traffic passes, are no accident.
_ENOUGH_REPEATS = 2


def judge(window: Window) -> Iterator[Finding]:
    """One finding per frontend."""
    lost = forgotten(window)
    lost = lost.filter((pl.col("how") != "silent") | (pl.col("repeats") >= _ENOUGH_REPEATS))
    lost = lost.with_columns(
        # An outbound connection has no frontend; there the server that was called stands for it.
        to=pl.coalesce("frontend", "backend"),
        to_port=pl.coalesce("frontend_port", "backend_port"),
    )
    large = oversized(window)
    for (frontend, port), paths in lost.group_by("to", "to_port", maintain_order=True):
        sized = _large_only(window, paths, large)
        if sized.len() == paths["first_leg"].n_unique():
            if _vanish_unpaused(window, paths, large):
                continue
            yield _finding(window, paths, int(str(frontend)), int(str(port)), sized=True)
        else:
            yield _finding(window, paths, int(str(frontend)), int(str(port)))


def _large_only(window: Window, paths: pl.DataFrame, large: pl.DataFrame) -> pl.Series:
    """First legs of which nothing was lost after the pause but segments larger than all that had got through."""
    silent = paths.filter(pl.col("how") == "silent").select(leg="first_leg", again_ns="again_ns").unique("leg")
    if not large.height or not silent.height:
        return silent["leg"].head(0)
    passed = window.flows.group_by("leg").agg(largest=pl.col("fwd_max_acked_segment").max())
    lost = (
        window.events.filter(pl.col("half") == 0, pl.col("kind").is_in(SENT))
        .join(silent, "leg")
        .filter(pl.col("at_ns") >= pl.col("again_ns"))
        .group_by("leg")
        .agg(smallest=pl.col("length").min())
        .join(passed, "leg")
    )
    own = large.filter(pl.col("half") == 0)["leg"].implode()
    return lost.filter(pl.col("smallest") > pl.col("largest"), pl.col("leg").is_in(own))["leg"]


def _vanish_unpaused(window: Window, paths: pl.DataFrame, large: pl.DataFrame) -> bool:
    """True when large segments to the same service vanish in connections that had not paused."""
    others = large.filter(pl.col("half") == 0, ~pl.col("leg").is_in(paths["first_leg"].implode()))["leg"].unique()
    ends = ["dst", "dst_port"]
    called = window.legs.filter(pl.col("leg").is_in(paths["first_leg"].implode())).select(ends).unique()
    return bool(window.legs.filter(pl.col("leg").is_in(others.implode())).join(called, ends, how="semi").height)


def _finding(window: Window, paths: pl.DataFrame, frontend: int, port: int, *, sized: bool = False) -> Finding:
    counts = (
        paths.group_by("how").agg(pl.col("first_leg").n_unique().alias("n")).sort("n", "how", descending=[True, False])
    )
    how = str(counts["how"][0])
    connections = paths["first_leg"].n_unique()
    idle = paths.filter(pl.col("how") == how)["idle_ns"]
    shortest, longest = int(idle.min() or 0) / 1e9, int(idle.max() or 0) / 1e9  # type: ignore[arg-type]
    verdict, caveats = Verdict.CONFIRMED, []
    if connections < 2:
        verdict = Verdict.LIKELY
        caveats.append("Seen once only: loss on the way, or a restart of the translator, fits as well.")
    if how == "rebalanced" and not bool(paths["pool_kept"].any()):
        verdict = Verdict.LIKELY
        caveats.append("The old member got no new connections afterwards: it may have left the pool in the pause.")
    if sized:
        verdict = Verdict.UNDECIDED
        caveats.append(
            "Only segments larger than all before were lost: a link that is too small for them does the same."
        )
    longer = held_longer(window, paths, frontend, port)
    if longer and how != "rebalanced":
        verdict = max(verdict, Verdict.LIKELY, key=lambda one: one.rank)
        caveats.append(
            f"{longer:,} other connections through it went on after a pause as long: unless keep-alives went in "
            "between, something else than a time-out cuts these: a firewall, or a translator that lost its table."
        )
    strange = strange_resets(window, paths["first_leg"].unique()) if how == "reset" else paths.head(0)
    proof = prove(window, paths, ("data", "retransmission", "rst", "fin"), lambda event: _note(window, event, paths))
    where, name = window.endpoint(frontend, port), window.called(frontend, port)
    after = f"{shortest:,.1f} s" if longest - shortest < 0.05 else f"{shortest:,.1f} to {longest:,.1f} s"
    end = {
        "silent": "repeated and never answered",
        "reset": "answered by a RST that no member sent",
        "rebalanced": "sent to another member, which does not know the connection",
    }[how]
    configured = window.topology.frontend_of(window.address(frontend), port)
    given = configured.idle_timeout_s if configured is not None else None
    return Finding(
        rule="idle-timeout",
        severity=SEVERITY,
        verdict=verdict,
        title=f"Connections through {name} are forgotten when idle",
        summary=(
            f"{connections:,} connection{'s' * (connections != 1)} through {where} went on after {after} of silence, "
            f"and the first packet after it was {end}. The points behind the translator saw none of it on the old "
            f"connection, while they saw other traffic."
            + (_nearer(window, strange) if strange.height else "")
            + (f" The topology gives an idle time-out of {given:g} s." if given is not None else "")
        ),
        subject={"frontend": where},
        count=connections,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"].unique().sort()),
        facts={"how": how, "idle_s": round(shortest, 1)},
        names=window.names([frontend]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="The translator drops a connection from its table after a time without packets, and tells nobody.",
        remedy=(
            f"Let one end send TCP keep-alives more often than every {max(shortest / 2, 0.5):,.0f} s (or half of the "
            f"balancer's idle time-out), or close idle connections earlier in the application's pool.",
            "Raise the idle time-out of the balancer's rule.",
            "Where it exists, turn on TCP reset on idle, so that both ends learn of it at once.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"tcpdump -ni any -s 0 -w idle.pcap 'tcp port {port}'  (on both sides of the translator)",
        references=("Azure Load Balancer: TCP idle timeout", "RFC 5382, REQ-5", "Linux nf_conntrack-sysctl"),
    )


def _nearer(window: Window, strange: pl.DataFrame) -> str:
    """What the TTL of the RST tells."""
    first = strange.row(0, named=True)
    return (
        f" The RST has TTL {first['ttl']} at {window.point_name(first['point'])}, the member's packets have "
        f"{first['high']} there: something nearer sent it."
    )


def _note(window: Window, event: dict[str, Any], paths: pl.DataFrame) -> str | None:
    row = paths.filter(pl.col("legs").list.contains(event["leg"])).sort("first_ns").row(0, named=True)
    at = window.point_name(event["point"])
    pause = f"{row['idle_ns'] / 1e9:,.1f} s"
    if event["at_ns"] < row["again_ns"]:
        return None
    return {
        "data": f"first packet after {pause}, at {at}",
        "fin": f"first packet after {pause}, at {at}",
        "retransmission": f"sent again, at {at}",
        "rst": f"RST at {at}, TTL {event['ttl']}",
    }[event["kind"]]
