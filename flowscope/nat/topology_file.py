"""Reads a topology file (TOML) and checks every key of it, so that a slip is said at once.

The keys are those of the contract's topology file. Everything is optional, but what stands there must be right: an
unknown key, a value of the wrong kind, a bad address, a name that is not defined or is defined twice each raise one
:class:`~flowscope.errors.TopologyError` that says where and what was expected.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from typing import Any

from flowscope.errors import TopologyError
from flowscope.nat.topology import Frontend, Member, PointHint, Pool, Probe, Snat, Topology
from flowscope.nat.topology_table import TableReader


def read_topology(file: str | os.PathLike[str]) -> Topology:
    """The topology that a TOML file describes.

    Raises:
        TopologyError: the file cannot be read, is no TOML, or a key of it is wrong.
    """
    name = os.fspath(file)
    try:
        with open(name, "rb") as opened:
            text = opened.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TopologyError(name, "", f"not UTF-8 text (byte {error.start}); a topology file is TOML") from None
    except OSError as error:
        raise TopologyError(name, "", f"cannot be read: {error.strerror or error}") from None
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TopologyError(name, "", f"not valid TOML: {error}") from None
    return parse_topology(content, name)


def parse_topology(content: dict[str, Any], file: str) -> Topology:
    """The topology in a parsed TOML document.

    Args:
        content: the document's tables.
        file: the name to use in errors.

    Raises:
        TopologyError: a key of it is wrong.
    """
    root = TableReader(file, "", content)
    root.only("frontend", "pool", "snat", "point")
    pools = tuple(_pool(table) for table in root.tables("pool"))
    frontends = tuple(_frontend(table) for table in root.tables("frontend"))
    snats = tuple(_snat(table) for table in root.tables("snat"))
    points = tuple(_point(table) for table in root.tables("point"))
    topology = Topology(file, frontends, pools, snats, points)
    check_topology(topology)
    return topology


def _frontend(table: TableReader) -> Frontend:
    _only(table, Frontend)
    address, port = table.address("address"), table.port("port")
    host = f"[{address}]" if ":" in address else address
    return Frontend(
        name=table.text("name", f"{host}:{port}"),
        address=address,
        port=port,
        protocol=table.choice("protocol", ("tcp", "udp"), "tcp"),
        pool=table.text("pool", None),
        mode=table.choice("mode", ("dnat", "dnat+snat", "dsr", "proxy"), "dnat"),
        idle_timeout_s=table.seconds("idle_timeout_s", None),
        proxy_protocol=table.choice("proxy_protocol", ("none", "v1", "v2"), "none"),
    )


def _pool(table: TableReader) -> Pool:
    _only(table, Pool)
    return Pool(
        name=table.text("name"),
        members=tuple(_member(member) for member in table.tables("members")),
        probe=_probe(probe) if (probe := table.table("probe")) else None,
    )


def _member(table: TableReader) -> Member:
    _only(table, Member)
    address = table.address("address")
    return Member(table.text("name", address), address, table.port("port"), table.flag("enabled", True))


def _probe(table: TableReader) -> Probe:
    _only(table, Probe)
    probe = Probe(
        source=table.networks("source"),
        protocol=table.choice("protocol", ("tcp", "http", "https"), "tcp"),
        port=table.port("port", None),
        path=table.text("path", "/"),
        interval_s=table.seconds("interval_s", 5.0),
        timeout_s=table.seconds("timeout_s", None),
        policy=table.choice("policy", ("azure-lb", "front-door", "aws-nlb", "gcp", "generic"), "generic"),
        unhealthy_threshold=table.count("unhealthy_threshold", None),
        healthy_threshold=table.count("healthy_threshold", None),
        sample_size=table.count("sample_size", None),
        successful_samples=table.count("successful_samples", None),
    )
    if probe.sample_size and probe.successful_samples and probe.successful_samples > probe.sample_size:
        table.wrong("successful_samples", f"a number up to sample_size ({probe.sample_size})", probe.successful_samples)
    return probe


def _snat(table: TableReader) -> Snat:
    _only(table, Snat)
    return Snat(
        address=table.address("address"),
        ports=table.port_range("ports", (1024, 65535)),
        ports_per_member=table.count("ports_per_member", None),
        members=table.texts("members"),
        inside=table.networks("inside"),
        fin_hold_s=table.hold("fin_hold_s"),
        rst_hold_s=table.hold("rst_hold_s"),
    )


def _point(table: TableReader) -> PointHint:
    _only(table, PointHint)
    return PointHint(
        table.text("file"), table.text("name", None), table.text("node", None), table.text("interface", None)
    )


def _only(table: TableReader, kind: type[Frontend | Pool | Member | Probe | Snat | PointHint]) -> None:
    """Refuses keys that this kind of table does not have, before a missing one is complained of: a slip is both."""
    table.only(*(one.name for one in fields(kind)))


def check_topology(topology: Topology) -> None:
    """Checks what one table says of another: what is named must be defined, and only once.

    Raises:
        TopologyError: a name is not defined, or something stands there twice.
    """
    file = topology.file or ""
    _check_once(file, "pool[{}].name", [pool.name for pool in topology.pools], "pool")
    _check_once(
        file,
        "frontend[{}]",
        [(front.protocol, front.address, front.port) for front in topology.frontends],
        "frontend of that protocol, address and port",
    )
    _check_once(file, "snat[{}].address", [snat.address for snat in topology.snats], "snat address")
    _check_once(
        file, "point[{}]", [(hint.file, hint.interface) for hint in topology.points], "point of that file and interface"
    )
    addresses: dict[str, str] = {}
    for at, pool in enumerate(topology.pools):
        endpoints = [(member.address, member.port) for member in pool.members]
        _check_once(file, f"pool[{at}].members[{{}}]", endpoints, "member of this pool at that address and port")
        for number, member in enumerate(pool.members):
            if addresses.setdefault(member.name, member.address) != member.address:
                raise TopologyError(
                    file,
                    f"pool[{at}].members[{number}].name",
                    f"{member.name!r} already names {addresses[member.name]}; give each member its own name",
                )
    pools = [pool.name for pool in topology.pools]
    for at, frontend in enumerate(topology.frontends):
        if frontend.pool is not None and frontend.pool not in pools:
            raise TopologyError(file, f"frontend[{at}].pool", _undefined("pool", frontend.pool, pools))
    for at, snat in enumerate(topology.snats):
        for number, name in enumerate(snat.members):
            if name not in addresses:
                raise TopologyError(file, f"snat[{at}].members[{number}]", _undefined("member", name, list(addresses)))


def _check_once(file: str, key: str, values: list[Any], what: str) -> None:
    seen: dict[Any, int] = {}
    for at, value in enumerate(values):
        first = seen.setdefault(value, at)
        if first != at:
            raise TopologyError(file, key.format(at), f"a second {what}; the first is {key.format(first)}")


def _undefined(what: str, name: str, defined: list[str]) -> str:
    known = ", ".join(repr(one) for one in defined) or "none"
    return f"no {what} {name!r} is defined; defined are: {known}"
