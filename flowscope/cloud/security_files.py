"""The files of ``--nsg``: which kind each is, what rules it holds, and in front of whom they stand.

A file is taken for what it holds: groups of Azure or AWS, or what ties groups to addresses (interfaces, instances,
subnets, virtual networks). Where no file says in front of whom a group stands, a single group is taken to stand in
front of every member, and of several nobody knows which is meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flowscope.cloud import aws_interfaces, aws_network_acls, aws_security_groups, azure_interfaces, azure_nsg
from flowscope.cloud.aws_interfaces import Attachments
from flowscope.cloud.given import Given, given_of, split_where
from flowscope.cloud.json_tree import looks_like_json, parse_json
from flowscope.cloud.names import Names
from flowscope.cloud.security_rules import Network, RuleSet, network
from flowscope.cloud.text import GivenBytes, decode, read_bytes
from flowscope.cloud.unknown_form import what_it_is
from flowscope.errors import GivenFileError

_WANTED = (
    "--nsg takes the JSON of `az network nsg show`, `az network nic list-effective-nsg`, Network Watcher's group view, "
    "`aws ec2 describe-security-groups` or `describe-network-acls`"
)


@dataclass(frozen=True, slots=True)
class SecurityFile:
    """One file as read."""

    given: Given
    where: str | None
    """Whom the user says it stands in front of."""
    sets: tuple[RuleSet, ...] = ()
    acl_subnets: tuple[tuple[str, tuple[str, ...]], ...] = ()
    virtual_network: tuple[Network, ...] = ()
    attachments: Attachments = field(default_factory=Attachments)


@dataclass(frozen=True, slots=True)
class Security:
    """All the rules that were given, and what their names stand for."""

    sets: tuple[RuleSet, ...] = ()
    names: Names = field(default_factory=Names)
    files: tuple[SecurityFile, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.sets)

    def before(self, host: str) -> tuple[list[RuleSet], bool]:
        """The sets in front of a host, and whether the files (or the user) say so themselves.

        Args:
            host: its address.
        """
        address = network(host)
        told = [
            one for one in self.sets if one.hosts is not None and address is not None and _holds(one.hosts, address)
        ]
        return [*told, *self._for_anybody(told)], bool(told)

    def _for_anybody(self, told: Sequence[RuleSet]) -> list[RuleSet]:
        """Sets of which nobody says where they stand: those of one interface, or of one group."""
        found: list[RuleSet] = []
        for file in dict.fromkeys(one.file for one in self.sets):
            mine = [one for one in self.sets if one.file == file]
            if all(one.hosts is None and one not in told for one in mine) and len({one.scope for one in mine}) == 1:
                found += mine
        return found

    def unplaced(self) -> list[str]:
        """One sentence for each file of which nobody can tell whom its groups protect."""
        return [
            f"{path} holds rules of several places and does not say which is whose: none of it is used; give "
            f"{path}=WHERE (a member, address or prefix), or the interfaces and subnets with another --nsg"
            for path in self.ambiguous()
        ]

    def ambiguous(self) -> list[str]:
        """Files with rules of several places, and nothing that says which is whose."""
        usable = {id(one) for one in self._for_anybody(())}
        return list(dict.fromkeys(one.file for one in self.sets if one.hosts is None and id(one) not in usable))


def read_security_file(value: str) -> SecurityFile:
    """One file of ``--nsg`` by itself.

    Args:
        value: ``FILE`` or ``FILE=WHERE``.

    Raises:
        GivenFileError: it cannot be read, or holds nothing that is known.
    """
    path, where = split_where(value)
    data = read_bytes(path)
    tree = _tree(data)
    azure = azure_nsg.read_groups(tree, path)
    groups, acls = aws_security_groups.read_groups(tree, path), aws_network_acls.read_groups(tree, path)
    vnet = azure_nsg.read_virtual_network(tree)
    attachments = aws_interfaces.read_attachments(tree)
    attachments.add(azure_interfaces.read_attachments(tree))
    sets = (*azure, *groups, *acls)
    if not sets and not vnet and not attachments:
        raise GivenFileError(path, f"{what_it_is(tree)}; {_WANTED}")
    kinds = [
        ("Azure network security groups", azure), ("AWS security groups", groups), ("AWS network ACLs", acls),
        ("virtual network", vnet), ("interfaces and subnets", attachments),
    ]  # fmt: skip
    counts = {
        "groups": len(sets),
        "rules": sum(len(one.rules) for one in sets),
        "interfaces": attachments.interfaces,
        "subnets": len(attachments.subnets),
    }
    given = given_of(
        "nsg", data, ", ".join(name for name, found in kinds if found), **{key: n for key, n in counts.items() if n}
    )
    subnets = tuple((name, tuple(listed)) for name, listed in aws_network_acls.subnets_of(tree).items())
    return SecurityFile(given, where, sets, subnets, vnet, attachments)


def _tree(data: GivenBytes) -> object:
    text = decode(data, strict=False)
    if not looks_like_json(text):
        raise GivenFileError(data.path, f"is no JSON; {_WANTED} (-o json)")
    return parse_json(data)


def join_security(files: Sequence[SecurityFile], places: dict[str, tuple[Network, ...]]) -> Security:
    """All files together: what one says about interfaces ties the groups of another.

    Args:
        files: as read.
        places: addresses by the names that WHERE may use (members of the topology).

    Raises:
        GivenFileError: a WHERE names nobody.
    """
    ties = Attachments()
    subnets: dict[str, tuple[str, ...]] = {}
    for file in files:
        ties.add(file.attachments)
        subnets.update(dict(file.acl_subnets))
    sets: list[RuleSet] = []
    for file in files:
        told = None if file.where is None else place_of(file.given.path, file.where, places)
        sets += [_tied(one, told, ties, subnets) for one in file.sets]
    partial = {_name_of(group): tuple(addresses) for group, addresses in ties.groups.items()}
    seen = tuple(dict.fromkeys(one for addresses in ties.groups.values() for one in addresses))
    vnet = tuple(dict.fromkeys(one for file in files for one in file.virtual_network))
    return Security(tuple(sets), Names(vnet, {}, partial, seen), tuple(files))


def place_of(path: str, where: str, places: dict[str, tuple[Network, ...]]) -> tuple[Network, ...]:
    """The addresses of WHERE.

    Raises:
        GivenFileError: it is no address, no prefix and no name that the topology knows.
    """
    one = network(where)
    if one is not None:
        return (one,)
    if where not in places:
        known = ", ".join(sorted(places)) or "none: there is no topology"
        raise GivenFileError(path, f"{where!r} is no address, no prefix and no member; members are {known}")
    return places[where]


def _tied(
    given: RuleSet, told: tuple[Network, ...] | None, ties: Attachments, subnets: dict[str, tuple[str, ...]]
) -> RuleSet:
    if told is not None:
        return replace(given, hosts=told)
    own = ties.groups.get(given.scope) or ties.groups.get(given.scope.lower()) or {}
    behind = [ties.subnets[one] for one in subnets.get(given.scope, ()) if one in ties.subnets]
    hosts = (*(given.hosts or ()), *own, *behind)
    return replace(given, hosts=tuple(dict.fromkeys(hosts))) if hosts else given


def _name_of(group: str) -> str:
    return group if group.startswith("group ") else f"group {group}".lower()


def _holds(networks: Sequence[Network], address: Network) -> bool:
    return any(one.version == address.version and address.subnet_of(one) for one in networks)  # type: ignore[arg-type]
