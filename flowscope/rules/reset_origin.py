"""Who sent a RST: one whose TTL is not that of its sender's other packets comes from something in between."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from flowscope.findings import Finding, Verdict
from flowscope.rules.evidence import tcpdump_line
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

_RST = EVENT_KINDS.index("rst")
#: Packets that only an end of the connection sends.
_ORDINARY = [EVENT_KINDS.index(kind) for kind in ("syn", "syn-ack", "data", "fin")]
#: Services that are told one by one; the others are counted.
_TOLD = 5


def strange_resets(window: Window, legs: pl.Series) -> pl.DataFrame:
    """RSTs of these legs (columns of the events) whose TTL none of their sender's packets in that flow has.

    ``low`` and ``high`` are the TTLs that those packets have at that point.
    """
    seen = window.events.lazy().filter(pl.col("leg").is_in(legs.implode()))
    usual = (
        seen.filter(pl.col("kind").is_in(_ORDINARY))
        .group_by("flow", "half")
        .agg(low=pl.col("ttl").min(), high=pl.col("ttl").max())
    )
    resets = seen.filter(pl.col("kind") == _RST).join(usual, ["flow", "half"])
    return resets.filter(~pl.col("ttl").is_between("low", "high")).sort("at_ns", "flow").collect()


def not_of_the_host(window: Window, refusals: pl.DataFrame) -> str:
    """One sentence when RSTs that refused connections have a TTL that nothing else of that host has; else empty.

    Args:
        window: what is judged.
        refusals: paths to one endpoint, with ``last_leg`` and ``end``.
    """
    flows = window.flows_of_legs(refusals["last_leg"]).select("flow", "point", "dst")
    # Lazily, for there are many events and few that matter here.
    answers = window.events.lazy().filter(pl.col("half") == 1)
    resets = answers.filter(pl.col("kind") == _RST, pl.col("flow").is_in(flows["flow"].implode())).collect()
    hosts = window.flows.select("flow", "point", "dst").join(flows, ["point", "dst"], how="semi")
    usual = (
        answers.filter(pl.col("kind").is_in(_ORDINARY))
        .filter(pl.col("flow").is_in(hosts["flow"].implode()))
        .group_by("point")
        .agg(low=pl.col("ttl").min(), high=pl.col("ttl").max())
        .collect()
    )
    met = resets.join(usual, "point").sort("at_ns", "flow")
    if not met.height or met["ttl"].is_between(met["low"], met["high"]).any():
        return ""
    first = met.row(0, named=True)
    return (
        f"The RST has TTL {first['ttl']} at {window.point_name(first['point'])}, where the host's other packets have "
        f"{_range(first['low'], first['high'])}: something nearer sent it in its name."
    )


def told_resets(window: Window, findings: Iterable[Finding]) -> list[str]:
    """Sentences about connections that no finding explains and that something between the two ends reset."""
    explained = {path for one in findings if one.verdict is not Verdict.UNDECIDED for path in one.paths}
    cut = window.judgeable.filter(pl.col("outcome") == "reset", ~pl.col("path").is_in(sorted(explained)))
    owner = cut.select("path", leg="legs").explode("leg")
    strange = strange_resets(window, owner["leg"].unique()).join(owner, "leg", maintain_order="left")
    ends = window.legs.select("leg", "dst", "dst_port")
    strange = strange.join(ends, "leg", maintain_order="left").unique(
        ["path", "half"], keep="first", maintain_order=True
    )
    services = [
        (rows.height, _told(window, rows, int(str(dst)), int(str(port)), int(str(half))))
        for (dst, port, half), rows in strange.group_by("dst", "dst_port", "half", maintain_order=True)
    ]
    services.sort(key=lambda one: -one[0])
    rest = [count for count, _ in services[_TOLD:]]
    more = [f"{sum(rest):,} connections to {len(rest):,} other services were reset in the same way."] if rest else []
    return [text for _, text in services[:_TOLD]] + more


def _told(window: Window, rows: pl.DataFrame, dst: int, port: int, half: int) -> str:
    first = rows.row(0, named=True)
    whose, host = ("the server", window.endpoint(dst, port)) if half else ("the client", "")
    file = next((one.path for one in window.captures if one.id == first["capture"]), "?").rsplit("/", 1)[-1]
    called = host or window.endpoint(dst, port)
    return (
        f"{rows.height:,} connection{'s' * (rows.height != 1)} to {called} met a RST in the name of {whose} that "
        f"something on the way sent, as it seems: TTL {first['ttl']} at {window.point_name(first['point'])} (first: "
        f"frame {first['frame']} of {file}), where {whose}'s own packets of that connection have "
        f"{_range(first['low'], first['high'])}. A firewall, an intrusion prevention system or a balancer resets like "
        f"this; which one, the captures do not show. Capture on both sides of each of them: "
        f"{tcpdump_line([window.address(dst)], port, 'reset.pcap')}"
    )


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
