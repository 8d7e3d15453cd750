"""Rule sets written as lines, so that a table of cases can be read: ``100 in deny tcp 10.0.0.0/8 > * : 80-90,443``."""

from __future__ import annotations

import ipaddress

from flowscope.cloud.evaluate import Packet
from flowscope.cloud.security_rules import Direction, Level, Ports, Rule, RuleSet, Side

PROTOCOLS = {"*": None, "tcp": 6, "udp": 17, "icmp": 1}
DEFAULTS = """
65000 in allow * VirtualNetwork > VirtualNetwork : *
65001 in allow * AzureLoadBalancer > * : *
65500 in deny * * > * : *
65000 out allow * VirtualNetwork > VirtualNetwork : *
65001 out allow * * > Internet : *
65500 out deny * * > * : *
"""
"""The six rules of every Azure group (network-security-groups-overview, 2025-07)."""


def ports(text: str) -> Ports:
    if text == "*":
        return ((0, 65535),)
    pairs = (part.split("-") for part in text.split(","))
    return tuple((int(pair[0]), int(pair[-1])) for pair in pairs)


def side(text: str) -> Side:
    if text == "*":
        return Side(anything=True)
    networks, names = [], []
    for part in text.split(","):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            names.append(part)
    return Side(tuple(networks), tuple(names))


def rule(line: str) -> Rule:
    head, to = line.split(" > ")
    words = head.split()
    destination, served = to.split(" : ")
    number, way, verb, protocol, source = words[:5]
    direction: Direction = "inbound" if way == "in" else "outbound"
    return Rule(
        name=f"r{number}",
        direction=direction,
        allow=verb != "deny",
        priority=None if number == "-" else int(number),
        protocol=PROTOCOLS[protocol],
        source=side(source.replace("_", " ")),
        source_ports=ports(words[6]) if len(words) > 6 else ((0, 65535),),
        destination=side(destination.replace("_", " ")),
        destination_ports=ports(served),
        default=number.startswith("65"),
        final=verb == "always",
    )


def group(lines: str, name: str = "g", *, defaults: bool = True, level: Level = "unknown", **more: object) -> RuleSet:
    listed = [*lines.strip().splitlines(), *(DEFAULTS.strip().splitlines() if defaults else [])]
    return RuleSet(name, f"{name}.json", tuple(rule(line) for line in listed), level=level, **more)


def packet(text: str) -> Packet:
    """``in tcp 198.51.100.7:40000 > 10.0.0.4:80``."""
    way, protocol, src, _, dst = text.split()
    (source, source_port), (target, port) = (one.rsplit(":", 1) for one in (src, dst))
    direction: Direction = "inbound" if way == "in" else "outbound"
    number = PROTOCOLS[protocol]
    assert number is not None
    return Packet(direction, number, source, int(source_port) if source_port != "?" else None, target, int(port))
