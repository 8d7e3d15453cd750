"""Refusals that scans and peers that are gone meet by design: one finding per host or client, or for many hosts."""

from __future__ import annotations

from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove
from flowscope.window import Window

#: Closed ports of one host, or hosts that refused one client, from which on it looks like a scan.
_SCAN_PORTS = 10
#: Of so many hosts without a balancer each is told by itself; of more, only those that refused something so often.
_EACH_HOST, _OFTEN = 20, 3


def by_design(window: Window, refused: pl.DataFrame) -> tuple[list[Finding], pl.DataFrame]:
    """Findings about refusals that are no fault by themselves, and the refusals that are left.

    Args:
        window: what is judged.
        refused: paths that were refused, with ``end`` and ``end_port``.
    """
    found: list[Finding] = []
    scans = refused.filter(_scanned(window, refused))
    for (end,), paths in scans.group_by("end", maintain_order=True):
        found.append(_scan(window, int(str(end)), paths))
    rest = refused.join(scans.select("path"), "path", how="anti", maintain_order="left")
    searching = _searching(window, rest)
    for (client,), paths in searching.group_by("client", maintain_order=True):
        found.append(_search(window, int(str(client)), paths))
    rest = rest.join(searching.select("path"), "path", how="anti", maintain_order="left")
    stray = _stray(window, rest)
    if stray.height:
        found.append(_strays(window, stray))
    return found, rest.join(stray.select("path"), "path", how="anti", maintain_order="left")


def _scanned(window: Window, refused: pl.DataFrame) -> pl.Series:
    """Whether one client, or several between them, met many closed ports of the host; ports of a balancer apart."""
    own = pl.DataFrame(sorted({*window.members, *window.served}), schema=["end", "end_port"], orient="row")
    own = own.cast({"end": pl.UInt32, "end_port": pl.UInt16})
    strange = refused["path"].is_in(refused.join(own, ["end", "end_port"], how="anti")["path"].implode())
    # As a column, for inside of `over` each host would search all paths anew.
    marked = refused.with_columns(strange=strange)
    ports = pl.col("end_port").filter("strange").n_unique().over("end")
    alone = pl.col("end_port").n_unique().over("client", "end") >= _SCAN_PORTS
    return marked.select(alone | (pl.col("strange") & (ports >= _SCAN_PORTS))).to_series()


def _stray(window: Window, refused: pl.DataFrame) -> pl.DataFrame:
    """What many hosts that belong to no balancer refused now and then."""
    own = [*window.member_addresses, *window.frontend_addresses]
    hosts = (
        refused.filter(pl.col("frontend").is_null(), ~pl.col("end").is_in(own))
        .with_columns(often=pl.len().over("end", "end_port"))
        .with_columns(pl.col("often").max().over("end"))
        .sort("often", "end", descending=[True, False], maintain_order=True)
    )
    if hosts["end"].n_unique() <= _EACH_HOST:
        return hosts.head(0)
    each = hosts.filter(pl.col("often") >= _OFTEN)["end"].unique(maintain_order=True).head(_EACH_HOST)
    return hosts.filter(~pl.col("end").is_in(each.implode()))


def _searching(window: Window, refused: pl.DataFrame) -> pl.DataFrame:
    """Refusals of clients that met them at many hosts, none of which belongs to a balancer."""
    own = [*window.member_addresses, *window.frontend_addresses]
    strange = refused.filter(pl.col("frontend").is_null(), ~pl.col("end").is_in(own))
    return strange.filter(pl.col("end").n_unique().over("client") >= _SCAN_PORTS)


def _scan(window: Window, end: int, paths: pl.DataFrame) -> Finding:
    host, ports, clients = window.address(end), paths["end_port"].n_unique(), paths["client"].n_unique()
    who = "One client" if clients == 1 else f"{clients:,} clients"
    return _expected(
        window,
        end,
        paths,
        title=f"{window.called(end)} refused connections on {ports:,} ports",
        summary=f"{len(paths):,} connections to {ports:,} different ports of {host} were refused. {who} "
        "tried many ports: this looks like a port scan, which meets closed ports by design.",
        cause="A scan, or a client that looks for its service.",
        remedy="If a service should answer on one of these ports, check that it listens: `ss -ltn`.",
        caveat="Closed ports that a scan meets are no fault.",
        wanted=f"host.pcap 'host {host} and tcp'  (on {host})",
    )


def _search(window: Window, client: int, paths: pl.DataFrame) -> Finding:
    host, hosts = window.address(client), paths["end"].n_unique()
    return _expected(
        window,
        client,
        paths,
        title=f"{window.called(client)} was refused by {hosts:,} hosts",
        summary=f"{len(paths):,} connections of {host} to {hosts:,} different hosts were refused, and no balancer was "
        "seen on the way. A client that looks for peers, or scans, meets closed ports by design.",
        cause="A scan, or a client that tries a list of peers of which many are gone.",
        remedy="If these hosts should answer, check that their service listens: `ss -ltn`.",
        caveat="Closed ports that a scan or a peer-to-peer client meets are no fault.",
        wanted=f"client.pcap 'host {host} and tcp'  (on {host})",
    )


def _strays(window: Window, paths: pl.DataFrame) -> Finding:
    # A finding is about one endpoint: the one that refused most often, or first, stands for all.
    counts = paths.group_by("end", maintain_order=True).len().sort("len", descending=True, maintain_order=True)
    hosts, clients = counts.height, paths["client"].n_unique()
    return _expected(
        window,
        int(counts["end"][0]),
        paths,
        title=f"{hosts:,} hosts refused single connections",
        summary=f"{len(paths):,} connections of {clients:,} clients to {hosts:,} hosts were refused, none of them "
        "often, and no balancer was seen on the way: scans of a network, and peers that are gone, look like this.",
        cause="Scans from many sources, or clients that try lists of peers.",
        remedy="If one of these hosts should answer, check that its service listens: `ss -ltn`.",
        caveat="Closed ports that scans meet are no fault; `flowscope paths` lists the hosts.",
        wanted="refused.pcap 'tcp[tcpflags] & (tcp-syn|tcp-rst) != 0'  (on these hosts)",
    )


def _expected(
    window: Window, number: int, paths: pl.DataFrame, *, title: str, summary: str, cause: str, remedy: str,
    caveat: str, wanted: str,
) -> Finding:  # fmt: skip
    """Refusals that come with what one host does, or has done to it, and so are no fault by themselves."""
    proof = prove(window, paths, ("syn", "rst"), note)
    host = window.address(number)
    return Finding(
        rule="closed-port",
        severity=Severity.ERROR,
        verdict=Verdict.UNDECIDED,
        title=title,
        summary=summary,
        subject={"host": host},
        count=len(paths),
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        facts={"where": "host"},
        names=window.names([number]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=cause,
        remedy=(remedy,),
        caveats=(caveat,),
        next_capture=f"tcpdump -ni any -s 0 -w {wanted}",
        references=("RFC 9293, section 3.5.2",),
    )


REFUSED = "refused: RST that acknowledges the SYN"


def note(event: dict[str, Any]) -> str | None:
    """What a packet of a refused connection shows."""
    if event["kind"] == "syn":
        return "SYN" if event["half"] == 0 else None
    return REFUSED if event["half"] == 1 else None
