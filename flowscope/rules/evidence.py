"""Frames that prove a finding, and the display filter that selects them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from flowscope.findings import Evidence
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

#: Terms of one display filter, at most (the contract's bound).
_MOST_TERMS = 50

Note = Callable[[dict[str, Any]], str | None]
"""What an event shows, in a few words; None leaves it out. It gets the event with ``kind`` as its name."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Cited frames and how to select them."""

    evidence: tuple[Evidence, ...]
    flows: tuple[int, ...]
    filter: str
    filter_complete: bool


def flows_of(window: Window, paths: pl.DataFrame) -> tuple[int, ...]:
    """Numbers of the flows that these paths consist of."""
    legs = paths["legs"].explode().unique()
    found = window.legs.filter(pl.col("leg").is_in(legs.implode()))["flows"].explode().unique().sort()
    return tuple(found.to_list())


def prove(
    window: Window, paths: pl.DataFrame, kinds: Sequence[str], note: Note, *, examples: int = 4, each: int = 6
) -> Proof:
    """Cites events of the first paths.

    Args:
        window: what is judged.
        paths: those that the finding explains, all of them.
        kinds: names of the kinds of events to cite.
        note: says what an event shows.
        examples: paths to cite, at most.
        each: frames to cite of a path, at most.
    """
    numbers = [EVENT_KINDS.index(kind) for kind in kinds]
    evidence: list[Evidence] = []
    terms: dict[str, None] = {}
    for row in paths.sort("first_ns", "path").head(examples).iter_rows(named=True):
        flows = window.legs.filter(pl.col("leg").is_in(row["legs"]))["flows"].explode().to_list()
        events = window.events.filter(pl.col("flow").is_in(flows), pl.col("kind").is_in(numbers)).sort("at_ns", "flow")
        cited = 0
        for event in events.iter_rows(named=True):
            event["kind"] = EVENT_KINDS[event["kind"]]
            text = note(event)
            if text is None:
                continue
            evidence.append(Evidence(event["capture"], event["frame"], event["time_ns"], text, event["flow"]))
            terms[_term(window, event)] = None
            cited += 1
            if cited == each:
                break
    chosen = list(terms)[:_MOST_TERMS]
    return Proof(tuple(evidence), flows_of(window, paths), " || ".join(chosen), len(chosen) == len(terms))


def _term(window: Window, event: dict[str, Any]) -> str:
    """Selects the event's packet by tuple and raw sequence number; frame numbers differ between files."""
    flow = window.flows.row(event["flow"], named=True)
    ends = [("src", "src_port"), ("dst", "dst_port")]
    (src, src_port), (dst, dst_port) = ((flow[a], flow[b]) for a, b in (ends if event["half"] == 0 else ends[::-1]))
    family = "ipv6" if ":" in window.address(src) else "ip"
    layer = "tcp" if flow["protocol"] == 6 else "udp"
    parts = [f"{layer}.srcport == {src_port}", f"{layer}.dstport == {dst_port}"]
    if event["kind"] == "icmp-error":
        inner = "icmpv6" if family == "ipv6" else "icmp"
        parts = [inner, f"{family}.src == {window.address(event['peer'])}", *parts]
    else:
        parts = [f"{family}.src == {window.address(src)}", f"{family}.dst == {window.address(dst)}", *parts]
    if layer == "tcp":
        parts.append(f"tcp.seq_raw == {event['seq']}")
    return f"({' && '.join(parts)})"


def tcpdump_line(hosts: Iterable[str], port: int | None, file: str) -> str:
    """A capture command that can be pasted."""
    wanted = " or ".join(f"host {host}" for host in hosts)
    wanted = f"({wanted})" if " or " in wanted else wanted
    selection = f"{wanted} and port {port}" if port is not None else wanted
    # ICMP errors say what the silence does not.
    return f"tcpdump -ni any -s 0 -w {file} '{selection} or icmp or icmp6'"
