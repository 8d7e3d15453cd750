"""Frames that prove a finding, and the display filter that selects them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from flowscope.findings import Evidence
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

#: Packets that one display filter selects, at most (the contract's bound).
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
    terms: dict[_Packet, None] = {}
    shown = paths.sort("first_ns", "path").head(examples)
    legs = window.legs.filter(pl.col("leg").is_in(shown["legs"].explode().implode())).select("leg", "flows")
    # All events are searched once for a finding, not once for each path: there are many of both.
    found = window.events.filter(
        pl.col("flow").is_in(legs["flows"].explode().implode()), pl.col("kind").is_in(numbers)
    ).sort("at_ns", "flow", maintain_order=True)
    for row in shown.iter_rows(named=True):
        flows = legs.filter(pl.col("leg").is_in(row["legs"]))["flows"].explode().implode()
        cited = 0
        for event in found.filter(pl.col("flow").is_in(flows)).iter_rows(named=True):
            event["kind"] = EVENT_KINDS[event["kind"]]
            text = note(event)
            if text is None:
                continue
            evidence.append(Evidence(event["capture"], event["frame"], event["time_ns"], text, event["flow"]))
            terms[_packet(window, event)] = None
            cited += 1
            if cited == each:
                break
    chosen = list(terms)[:_MOST_TERMS]
    return Proof(tuple(evidence), flows_of(window, paths), _filter(chosen), len(chosen) == len(terms))


@dataclass(frozen=True, slots=True)
class _Packet:
    """What tells a cited packet apart in any capture: tuple and raw sequence number, for frame numbers differ."""

    stretch: tuple[str, ...]
    """Conditions that packets of one direction between two hosts and one service share."""
    client_port: str
    """The other port, as ``field value``."""
    seq: int | None


def _packet(window: Window, event: dict[str, Any]) -> _Packet:
    flow = window.flows.row(event["flow"], named=True)
    src, dst = (window.address(flow[side]) for side in (("src", "dst") if event["half"] == 0 else ("dst", "src")))
    family = "ipv6" if ":" in src else "ip"
    layer = "tcp" if flow["protocol"] == 6 else "udp"
    own, other = ("srcport", "dstport") if event["half"] == 0 else ("dstport", "srcport")
    addresses = [f"{family}.src == {src}", f"{family}.dst == {dst}"]
    seq = event["seq"] if layer == "tcp" else None
    if event["kind"] == "icmp-error":
        # It goes to who sent the packet that it quotes; Wireshark shows the quoted ports, and no raw sequence number.
        inner = "icmpv6" if family == "ipv6" else "icmp"
        addresses = [inner, f"{family}.src == {window.address(event['peer'])}", f"{family}.dst == {src}"]
        seq = None
    return _Packet(
        (*addresses, f"{layer}.{other} == {flow['dst_port']}"),
        f"{layer}.{own} {flow['src_port']}",
        seq,
    )


def _filter(packets: Sequence[_Packet]) -> str:
    """Selects these packets: a term per stretch; in it each port goes with its own sequence numbers."""
    stretches: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for packet in packets:
        numbers = stretches.setdefault(packet.stretch, {}).setdefault(packet.client_port, [])
        if packet.seq is not None:
            numbers.append(packet.seq)
    terms = []
    for stretch, ports in stretches.items():
        # A SYN that is tried again may leave under another port: port and number are not free to be mixed.
        ends = [_end(end, numbers) for end, numbers in ports.items()]
        found = ends[0] if len(ends) == 1 else f"({' || '.join(f'({end})' for end in ends)})"
        terms.append(f"({' && '.join([*stretch, found])})")
    return " || ".join(terms)


def _end(end: str, numbers: Sequence[int]) -> str:
    return " && ".join([end.replace(" ", " == "), *([_among("tcp.seq_raw", numbers)] if numbers else [])])


def _among(field: str, values: Iterable[int]) -> str:
    listed = sorted(set(values))
    return f"{field} == {listed[0]}" if len(listed) == 1 else f"{field} in {{{', '.join(map(str, listed))}}}"


def tcpdump_line(hosts: Iterable[str], port: int | None, file: str) -> str:
    """A capture command that can be pasted."""
    wanted = " or ".join(f"host {host}" for host in hosts)
    wanted = f"({wanted})" if " or " in wanted else wanted
    selection = f"{wanted} and port {port}" if port is not None else wanted
    # ICMP errors say what the silence does not.
    return f"tcpdump -ni any -s 0 -w {file} '{selection} or icmp or icmp6'"
