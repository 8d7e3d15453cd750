"""The files of ``--topology``: topology files (TOML), and definitions that clouds and balancers print.

What several files say is put together, for one tool prints a balancer in several; a topology file says what the
definitions cannot, and wins where both say something about the same frontend or pool.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flowscope.cloud import aws_elb, azure_front_door, azure_lb, haproxy_config, kubernetes
from flowscope.cloud.definition import Definition, address_of
from flowscope.cloud.given import Given, given_of
from flowscope.cloud.json_tree import flat, objects, parse_json
from flowscope.cloud.text import GivenBytes, decode, read_bytes
from flowscope.cloud.unknown_form import what_it_is
from flowscope.errors import GivenFileError
from flowscope.nat.topology import Topology
from flowscope.nat.topology_file import check_topology, read_topology

_WANTED = (
    "--topology takes a topology file (TOML), the JSON of `az network lb show`, `az network front-door show`, `az afd "
    "origin-group show`, `aws elbv2 describe-...`, `kubectl get svc,endpointslices`, or HAProxy's configuration"
)
_READERS = (
    ("Azure Load Balancer", azure_lb.read_balancers),
    ("Azure Front Door", azure_front_door.read_front_doors),
    ("AWS load balancer", aws_elb.read_balancers),
    ("Kubernetes services", kubernetes.read_services),
)


@dataclass(frozen=True, slots=True)
class Definitions:
    """What all files together say."""

    topology: Topology
    given: tuple[Given, ...] = ()
    unknown: tuple[str, ...] = ()
    """What they cannot say, one sentence each."""
    addresses: tuple[frozenset[str], ...] = ()
    """Addresses that each file names, in the order of ``given``."""


NO_DEFINITIONS = Definitions(Topology())


@dataclass(frozen=True, slots=True)
class _File:
    data: GivenBytes
    toml: Topology | None = None
    tree: Any = None
    haproxy: str | None = None


def read_definitions(paths: Sequence[str]) -> Definitions:
    """The topology of all files.

    Args:
        paths: files, or directories of HAProxy configurations.

    Raises:
        TopologyError: a topology file is wrong.
        GivenFileError: a file cannot be read, or is nothing that is known.
    """
    files = [_read(path) for name in paths for path in _expanded(name)]
    known = Definition()
    # Ids of one file are found in another, so all trees are read as one.
    trees = [one.tree for one in files if one.tree is not None]
    for _, read in _READERS:
        read(trees, known)
    configuration = "\n".join(one.haproxy for one in files if one.haproxy is not None)
    if configuration:
        haproxy_config.read_configuration(configuration, known)
    topology = _joined([one.toml for one in files if one.toml is not None], known, paths)
    given = tuple(_given(one) for one in files)
    unknown = tuple(f"definition: {text}" for text in known.unknown)
    return Definitions(topology, given, unknown, tuple(_addresses(one) for one in files))


def _expanded(name: str) -> list[str]:
    if not os.path.isdir(name):
        return [name]
    found = sorted(one.path for one in os.scandir(name) if one.is_file() and one.name.endswith((".cfg", ".conf")))
    if not found:
        raise GivenFileError(name, "is a directory without *.cfg; a directory is taken for HAProxy's configuration")
    return found


def _read(path: str) -> _File:
    data = read_bytes(path)
    text = decode(data, strict=False)
    if _is_json(text):
        return _checked(_File(data, tree=parse_json(data)))
    if haproxy_config.looks_like_haproxy(text):
        return _File(data, haproxy=text)
    if re.search(r"(?mi)^(- )?(apiVersion|kind|items):(\s|$)", text):
        from flowscope.cloud.yaml_text import parse_yaml

        return _checked(_File(data, tree=parse_yaml(data)))
    if not re.search(r"(?m)^\s*(\[|[\w\"'.-]+\s*=|#)", text):
        raise GivenFileError(path, f"is no topology file and no definition that is known; {_WANTED}")
    return _File(data, toml=read_topology(path))


def _is_json(text: str) -> bool:
    """JSON begins with a brace, or a bracket that no name follows (``[[frontend]]`` is TOML)."""
    return re.match(r"\ufeff?\s*(\{|\[[\s\[]*([{\"\]0-9tfn-]|$)(?![a-z_]+\]))", text) is not None


def _checked(file: _File) -> _File:
    if not any(_counts(file).values()):
        extra = _extra(file.tree)
        if not extra:
            raise GivenFileError(file.data.path, f"{what_it_is(file.tree)}; {_WANTED}")
    return file


def _extra(tree: Any) -> dict[str, int]:
    """What only tells addresses of ids: interfaces, public addresses, instances."""
    keys = ("privateipaddress", "ipaddress")
    count = sum(any(isinstance(flat(one).get(key), str) for key in keys) for one in objects(tree))
    return {"addresses": count} if count else {}


def _counts(file: _File) -> dict[str, int]:
    alone = Definition()
    if file.haproxy is not None:
        haproxy_config.read_configuration(file.haproxy, alone)
    elif file.tree is not None:
        for _, read in _READERS:
            read(file.tree, alone)
    return alone.read


def _given(file: _File) -> Given:
    if file.toml is not None:
        one = file.toml
        counts = {
            "frontends": len(one.frontends),
            "pools": len(one.pools),
            "snats": len(one.snats),
            "points": len(one.points),
        }
        return given_of("topology", file.data, "topology file", **{key: n for key, n in counts.items() if n})
    kinds = ["HAProxy configuration"] if file.haproxy is not None else []
    if file.tree is not None:
        kinds = [name for name, read in _READERS if read(file.tree, Definition())] or ["addresses of ids"]
    return given_of("topology", file.data, ", ".join(kinds), **(_counts(file) or _extra(file.tree)))


def _addresses(file: _File) -> frozenset[str]:
    """Every address that a file names."""
    if file.toml is not None:
        members = (member.address for pool in file.toml.pools for member in pool.members)
        fronts, snats = (one.address for one in file.toml.frontends), (one.address for one in file.toml.snats)
        return frozenset((*members, *fronts, *snats))
    if file.haproxy is not None:
        words = re.findall(r"[0-9A-Fa-f.:]{2,}", file.haproxy)
        ends = [one for word in words for one in (word, word.rsplit(":", 1)[0])]
    else:
        ends = [str(one) for each in objects(file.tree) for value in each.values() for one in _texts(value)]
    return frozenset(one for text in ends if (one := address_of(text)) is not None)


def _texts(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)]


def _joined(tomls: Sequence[Topology], known: Definition, paths: Sequence[str]) -> Topology:
    """Topology files first: what a definition says of the same frontend, pool or SNAT address is left out."""
    frontends = [one for toml in tomls for one in toml.frontends]
    pools = [one for toml in tomls for one in toml.pools]
    snats = [one for toml in tomls for one in toml.snats]
    ends = {(one.protocol, one.address, one.port) for one in frontends}
    names = {one.name for one in pools}
    served = {one.pool for one in frontends}
    for front in known.frontends:
        if (front.protocol, front.address, front.port) not in ends:
            frontends.append(front)
            served.add(front.pool)
    pools += [one for one in known.pools if one.name not in names]
    snats += [one for one in known.snats if one.address not in {each.address for each in snats}]
    file = ", ".join(paths) or None
    topology = Topology(
        file, tuple(frontends), tuple(pools), tuple(snats), tuple(p for toml in tomls for p in toml.points)
    )
    if len(tomls) > 1 or known.frontends or known.pools:
        check_topology(topology)
    return topology
