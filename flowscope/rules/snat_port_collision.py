"""A SNAT port is used again while the destination still holds the old connection.

What it flags
    An outbound SYN under a SNAT port that the destination answers with a bare ACK instead of SYN-ACK: the number it
    acknowledges belongs to an older connection of another client, which had the port before.

Why it matters
    The client resets, waits and repeats its SYN. At best the connection is late, by some milliseconds up to seconds; at
    worst it fails, or ends the old connection of somebody else. It gets mistaken for SNAT exhaustion, and for a slow
    server.

Evidence
    SYN, ACK whose number is not the SYN's plus one, RST with just that number, and the SYN again. The old connection on
    the same port, of another client, when the capture holds it.

Look-alikes
    A client that uses its own port again too early meets the same answer without any translator: the old connection is
    then of the same client and port, and nothing is flagged. When the old connection is not in the capture the two
    cannot be told apart by the frames (`likely`).

Check next
    Capture outside of the translator for longer than the server holds a connection (TIME-WAIT: 60 s on Linux, 120 s on
    Windows), so that the old connection is in it.

Example
    $ cd captures/snat-early-reuse
    $ flowscope analyze . --topology topology.toml --select snat-port-collision
    F1  ERROR  SNAT ports of 203.0.113.236 are reused while 198.51.100.111:443 still holds the old connections
        [snat-port-collision, confirmed]
        18 connections to 198.51.100.111:443 got one of 6 SNAT ports under which the destination still knew an
        older connection: it answered the SYN with an ACK of old numbers, the client reset and tried again.

References
    RFC 5961, section 4.2: challenge ACK; RFC 6191: port reuse and TIME-WAIT.
    Azure: outbound connections of Azure Load Balancer (port reuse timers).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import flows_of, prove
from flowscope.rules.foreign_numbers import challenged, delay_ns, older
from flowscope.rules.snat_words import both_sides_line, destination, paths_of, snat_address
from flowscope.snat.uses import KEY
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: Collisions that the evidence shows, each with the older connection.
_SHOWN = 2


def judge(window: Window) -> Iterator[Finding]:
    """One finding per SNAT address and destination."""
    met = challenged(window)
    users = window.port_use.users
    if not met.height or not users.height:
        return
    hit = users.filter("outbound").join(met, "leg", maintain_order="left")
    if not hit.height:
        return
    hit = _judged(window, hit)
    for _, collided in hit.group_by(*KEY, maintain_order=True):
        yield _collision(window, collided)


def _judged(window: Window, hit: pl.DataFrame) -> pl.DataFrame:
    """Adds ``proven`` and ``old_leg``; leaves out clients that used their own port again."""
    pairs = older(window, hit.select("leg", "at_ns", "acks").unique("leg"))
    callers = window.paths.select(
        "client", "client_port", "path", old_leg=pl.col("legs").list.last()
    ).unique("old_leg", keep="first", maintain_order=True)  # fmt: skip
    own = window.paths.select("path", pl.col("client").alias("own"), pl.col("client_port").alias("own_port"))
    pairs = pairs.filter("fits").join(callers.rename({"path": "old_path"}), "old_leg")
    hit = hit.join(own, "path").join(pairs, "leg", how="left", maintain_order="left")
    same = (pl.col("own") == pl.col("client")) & (pl.col("own_port") == pl.col("client_port"))
    hit = hit.filter(~same.fill_null(value=False)).unique("path", keep="first", maintain_order=True)
    proven = pl.col("old_path").is_not_null() & pl.col("both")
    # Without the old connection only the client's own reset shows that the ACK was of no use to it.
    return hit.with_columns(proven=proven).filter(pl.col("proven") | pl.col("reset"))


def _collision(window: Window, collided: pl.DataFrame) -> Finding:
    pool = collided.row(0, named=True)
    where, address = destination(window, pool), snat_address(window, pool)
    paths = paths_of(window, collided["path"])
    sure = collided.filter("proven")
    # Each beside the connection that had its port before, so that the two can be compared.
    pairs = (sure if sure.height else collided).head(_SHOWN)
    shown = paths_of(window, pl.concat([pairs["path"], pairs["old_path"].drop_nulls()]))
    proof = prove(window, shown, ("syn", "challenge-ack", "rst", "syn-ack"), lambda event: _note(window, event))
    ports = collided["snat_port"].drop_nulls().n_unique()
    caveats = []
    if not sure.height:
        caveats.append(
            "The old connection is not in the capture: a client that used its own port again too early looks the same."
            if pool["both"]
            else "Only the inside of the translator was captured: a client that used its own port again looks the same."
        )
    late = _latest_ms(window, paths)
    waited = "" if late is None else f" The slowest of these connections was accepted after {late:,.0f} ms."
    return Finding(
        rule="snat-port-collision",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if caveats else Verdict.CONFIRMED,
        title=f"SNAT ports of {address} are reused while {where} still holds the old connections",
        summary=(
            f"{len(paths):,} connection{'s' * (len(paths) != 1)} to {where} got "
            + (f"one of {ports:,} SNAT ports" if ports else "a SNAT port")
            + " under which the destination still knew an older connection: it answered the SYN with an ACK of old "
            f"numbers, the client reset and tried again.{waited}"
        ),
        subject={"snat": address, "destination": where},
        count=len(paths),
        evidence=proof.evidence,
        flows=flows_of(window, pl.concat([paths, shown]).unique("path")),
        paths=tuple(sorted(paths["path"])),
        facts={"ports_reused": ports, "delay_ms": None if late is None else round(late, 3)},
        names=window.names(paths["client"].unique().to_list()),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=(
            "The translator gives a port away before the destination has forgotten the connection that used it last: "
            "its hold time is shorter than the destination's TIME-WAIT, it forgot an idle connection that the "
            "destination still holds, or so few ports are left that they return within seconds."
        ),
        remedy=(
            "Give the translator more ports or addresses, so that a port comes back later.",
            f"Keep connections to {where} alive below the translator's idle timeout, and reuse them.",
            "Hold ports after a close at least as long as the destination's TIME-WAIT (60 s on Linux, 120 s on "
            "Windows), where that can be set.",
        ),
        caveats=tuple(caveats),
        next_capture=both_sides_line(window, pool) if caveats else None,
        references=("RFC 5961, section 4.2", "RFC 6191", "Azure: outbound connections (port reuse timers)"),
    )


def _latest_ms(window: Window, paths: pl.DataFrame) -> float | None:
    """The longest wait for a SYN-ACK, at the client's side, in milliseconds."""
    waits = [delay_ns(window, leg) for leg in paths["legs"].list.first().unique().head(200)]
    known = [wait for wait in waits if wait is not None]
    return max(known) / 1e6 if known else None


def _note(window: Window, event: dict[str, Any]) -> str | None:
    at = window.point_name(event["point"])
    if event["kind"] == "challenge-ack":
        return f"bare ACK of {event['ack']} at {at}: a number of the older connection"
    if event["kind"] == "rst":
        return f"RST at {at}" if event["half"] == 0 else None
    return f"SYN at {at}" if event["kind"] == "syn" else f"SYN-ACK at {at}"
