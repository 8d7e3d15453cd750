"""Which ports of probed hosts are a balancer's, where the captures show no frontend: what a VM's own capture holds.

A documented prober asks members only. The port that such hosts serve is what the balancer sends clients to; where none
of them serves anything, it may be the port on which clients insist, each with several SYNs: scanners move on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.outcomes import SERVED

if TYPE_CHECKING:
    from flowscope.window import Window

#: Clients that insist: so many connections to one port, each with so many SYNs.
_CONNECTIONS, _TRIES = 3, 3


def presumed_members(window: Window) -> dict[tuple[int, int], bool]:
    """Endpoints (address number, port) that are taken for members, and whether hosts of their pool serve that port.

    Empty where the topology lists members, or where translated paths show them.
    """
    if window.members:
        return {}
    probes = window.probes.join(window.recognised.filter(pl.col("by") != "shape").select("path"), "path", how="semi")
    pools = probes.group_by("client", "backend_port", maintain_order=True).agg(pl.col("backend").unique().sort())
    found: dict[tuple[int, int], bool] = {}
    for row in pools.iter_rows(named=True):
        called = window.judgeable.filter(pl.col("backend").is_in(row["backend"]), pl.col("frontend").is_null())
        served = called.filter(pl.col("outcome").is_in(SERVED))["backend_port"].unique()
        found |= {(host, port): True for host in row["backend"] for port in served}
        for end in _insisted(window, called.filter(~pl.col("backend_port").is_in(served.implode()))):
            found.setdefault(end, False)
    return found


def _insisted(window: Window, called: pl.DataFrame) -> list[tuple[int, int]]:
    """Ports on which clients insist in vain."""
    unanswered = called.filter(pl.col("outcome") == "unanswered").select("backend", "backend_port", leg="first_leg")
    tries = window.flows.group_by("leg").agg(pl.col("fwd_syns").max())
    return (
        unanswered.join(tries, "leg")
        .filter(pl.col("fwd_syns") >= _TRIES)
        .group_by("backend", "backend_port")
        .len()
        .filter(pl.col("len") >= _CONNECTIONS)
        .select("backend", "backend_port")
        .sort("backend", "backend_port")
        .rows()
    )
