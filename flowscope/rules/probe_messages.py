"""Requests and responses of probes on connections that are kept alive: frames that no event keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import polars as pl

from flowscope.findings import Evidence
from flowscope.rules.evidence import Proof
from flowscope.window import Window

#: Two points see one message so far apart at most.
_NEAR_NS = 10_000_000


def with_messages(window: Window, proof: Proof, kept: pl.DataFrame) -> Proof:
    """The proof, with what was asked and answered in these probes at every point that saw it.

    Its filter takes in the whole connections: the numbers of their later segments are not kept.
    """
    cited, terms = list(proof.evidence), dict.fromkeys([proof.filter])
    for row in kept.iter_rows(named=True):
        legs = window.paths.filter(pl.col("path") == row["path"])["legs"].explode()
        for flow in window.flows_of_legs(legs).iter_rows(named=True):
            cited += _said(window, flow, row["sent_ns"], row["decided_ns"])
            terms[_connection(window, flow)] = None
    return replace(proof, evidence=tuple(cited), filter=" || ".join(terms))


def _said(window: Window, flow: dict[str, Any], from_ns: int, to_ns: int) -> Iterator[Evidence]:
    shift, at = flow["at_ns"] - flow["first_ns"], window.point_name(flow["point"])
    then = pl.col("first_ns").is_between(from_ns - shift - _NEAR_NS, to_ns - shift + _NEAR_NS)
    for said in window.messages.filter(pl.col("flow") == flow["flow"], then).sort("first_ns").iter_rows(named=True):
        asked = said["kind"] == "http-request"
        text = "the probe's request" if asked else f"what the member answers (status {said['status']})"
        yield Evidence(said["capture"], said["first_frame"], said["first_ns"], f"{text}, seen at {at}", flow["flow"])


def _connection(window: Window, flow: dict[str, Any]) -> str:
    """Selects both directions of a connection."""
    src, dst = window.address(flow["src"]), window.address(flow["dst"])
    family = "ipv6" if ":" in src else "ip"
    ends = f"{family}.addr == {src} && {family}.addr == {dst}"
    return f"({ends} && tcp.port == {flow['src_port']} && tcp.port == {flow['dst_port']})"
