"""Which address has which Azure groups, as ``az network nic show`` and ``az network vnet show`` say.

Source: Microsoft.Network REST API, NetworkInterfaces - Get, VirtualNetworks - Get (2020-11-01).
"""

from __future__ import annotations

from typing import Any

from flowscope.cloud.aws_interfaces import Attachments
from flowscope.cloud.json_tree import Object, flat, items, last_part, objects, texts
from flowscope.cloud.security_rules import Network, network


def read_attachments(tree: Any) -> Attachments:
    """Addresses by id of the security group and by name of the application group; empty when nothing is said."""
    found = Attachments()
    for one in objects(tree):
        value = flat(one)
        group = value.get("networksecuritygroup")
        name = str(group.get("id") or "").lower() if isinstance(group, dict) else ""
        addresses = [*_addresses(value), *_prefixes(value)]
        if not addresses:
            continue
        if name:
            found.groups.setdefault(name, {}).update(dict.fromkeys(addresses))
        configs = [flat(config) for config in items(value, "ipconfigurations") if isinstance(config, dict)]
        found.interfaces += bool(configs)
        for config in configs:
            address = network(str(config.get("privateipaddress") or ""))
            for group in items(config, "applicationsecuritygroups"):
                if isinstance(group, dict) and address is not None:
                    label = f"group {last_part(group.get('id'))}".lower()
                    found.groups.setdefault(label, {})[address] = None
    return found


def _addresses(interface: Object) -> list[Network]:
    configs = [flat(config) for config in items(interface, "ipconfigurations") if isinstance(config, dict)]
    found = [network(str(config.get("privateipaddress") or "")) for config in configs]
    return [one for one in found if one is not None]


def _prefixes(subnet: Object) -> list[Network]:
    if "networksecuritygroup" not in subnet:
        return []
    return [one for text in texts(subnet, "addressprefix", "addressprefixes") if (one := network(text)) is not None]
