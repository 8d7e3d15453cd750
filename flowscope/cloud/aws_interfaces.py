"""Which address has which security groups, and which prefix a subnet has, as far as AWS files say.

``describe-network-interfaces``, ``describe-instances`` and ``describe-subnets`` tie groups and ACLs to addresses; a
security group alone does not say in front of whom it stands.

Source: Amazon EC2 API, NetworkInterface, Instance, Subnet (2016-11-15).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flowscope.cloud.json_tree import Object, items, objects, texts
from flowscope.cloud.security_rules import Network, network


@dataclass(slots=True)
class Attachments:
    """Addresses by group, and prefixes by subnet."""

    groups: dict[str, dict[Network, None]] = field(default_factory=dict)
    """Addresses of the interfaces that have the group, by its id."""
    subnets: dict[str, Network] = field(default_factory=dict)
    interfaces: int = 0

    def __bool__(self) -> bool:
        return bool(self.groups or self.subnets)

    def add(self, other: Attachments) -> None:
        """Takes over what another file says."""
        for group, addresses in other.groups.items():
            self.groups.setdefault(group, {}).update(addresses)
        self.subnets.update(other.subnets)
        self.interfaces += other.interfaces


def read_attachments(tree: Any) -> Attachments:
    """What a file says of interfaces and subnets; empty when nothing."""
    found = Attachments()
    for one in objects(tree):
        prefix = network(str(one.get("cidrblock") or ""))
        if "subnetid" in one and prefix is not None:
            found.subnets[str(one["subnetid"])] = prefix
        # An instance has the groups and the address of its first interface; its interfaces follow by themselves.
        if "networkinterfaceid" in one and isinstance(one.get("groups"), list) and _addresses(one):
            found.interfaces += 1
            for group in items(one, "groups"):
                for name in texts(group, "groupid") if isinstance(group, dict) else []:
                    found.groups.setdefault(name, {}).update(dict.fromkeys(_addresses(one)))
    return found


def _addresses(interface: Object) -> list[Network]:
    written = texts(interface, "privateipaddress")
    for one in (*items(interface, "privateipaddresses"), *items(interface, "ipv6addresses")):
        written += texts(one, "privateipaddress", "ipv6address") if isinstance(one, dict) else []
    return [one for text in dict.fromkeys(written) if (one := network(text)) is not None]
