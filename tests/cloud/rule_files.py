"""Files of security rules and flow logs for tests, written as the clouds' tools write them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_FIELDS = ("name", "priority", "direction", "access", "protocol", "sourceAddressPrefix", "destinationAddressPrefix",
           "destinationPortRange")  # fmt: skip
_DEFAULTS = (
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "*", "VirtualNetwork", "VirtualNetwork", "*"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "*", "AzureLoadBalancer", "*", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "*", "VirtualNetwork", "VirtualNetwork", "*"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "*", "Internet", "*"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*", "*", "*"),
)


def _rule(values: tuple[Any, ...]) -> dict[str, Any]:
    return {**dict(zip(_FIELDS, values, strict=True)), "sourcePortRange": "*"}


def allow(name: str, priority: int, port: object, source: str = "*") -> tuple[Any, ...]:
    return name, priority, "Inbound", "Allow", "Tcp", source, "*", str(port)


def deny(name: str, priority: int, port: object, source: str = "*") -> tuple[Any, ...]:
    return name, priority, "Inbound", "Deny", "*", source, "*", str(port)


def nsg(path: Path, *rules: tuple[Any, ...], name: str = "shop-nsg") -> str:
    """An Azure group with these custom rules, as ``az network nsg show`` prints it."""
    shown = {"name": name, "securityRules": [*map(_rule, rules)], "defaultSecurityRules": [*map(_rule, _DEFAULTS)]}
    path.write_text(json.dumps(shown, indent=2))
    return str(path)


Tuple = tuple[float, str, int, str, int, str]
"""Seconds since the epoch, source, its port, destination, its port, ``A`` or ``D``."""


def nsg_flow_log(path: Path, tuples: Iterable[Tuple], rule: str = "UserRule_deny-shop", group: str = "SHOP-NSG") -> str:
    """An NSG flow log of version 2: seconds, empty counters at the beginning of a flow."""
    listed = [f"{int(at)},{a},{b},{sp},{dp},T,I,{verdict},B,,,," for at, a, sp, b, dp, verdict in tuples]
    record = {
        "time": "2026-01-01T00:01:00Z", "category": "NetworkSecurityGroupFlowEvent",
        "resourceId": f"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/{group}",
        "properties": {"Version": 2, "flows": [{"rule": rule, "flows": [{"mac": "000D3A00", "flowTuples": listed}]}]},
    }  # fmt: skip
    path.write_text(json.dumps({"records": [record]}))
    return str(path)


def vnet_flow_log(path: Path, tuples: Iterable[Tuple], rule: str = "deny-shop") -> str:
    """A VNet flow log of version 4: milliseconds, protocol numbers, the decision in the state."""
    listed = [
        f"{int(at * 1000)},{a},{b},{sp},{dp},6,I,{'D' if verdict == 'D' else 'B'},NX,0,0,0,0"
        for at, a, sp, b, dp, verdict in tuples
    ]
    acl = "/subscriptions/s/resourceGroups/r/providers/Microsoft.Network/networkSecurityGroups/shop-nsg"
    groups = [{"rule": rule, "flowTuples": listed}]
    record = {"flowLogVersion": 4, "flowRecords": {"flows": [{"aclID": acl, "flowGroups": groups}]}}
    path.write_text(json.dumps({"records": [record]}))
    return str(path)


_VPC_FIELDS = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"
)


def vpc_flow_log(path: Path, tuples: Iterable[Tuple]) -> str:
    """An AWS flow log of version 2 with its header; intervals of a minute."""
    lines = [_VPC_FIELDS]
    for at, a, sp, b, dp, verdict in tuples:
        start = int(at) // 60 * 60
        word = {"A": "ACCEPT", "D": "REJECT"}[verdict]
        lines.append(f"2 111122223333 eni-0a {a} {b} {sp} {dp} 6 1 60 {start} {start + 59} {word} OK")
    path.write_text("\n".join(lines) + "\n")
    return str(path)
