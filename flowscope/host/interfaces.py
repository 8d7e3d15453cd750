"""The network interfaces of this machine, and what happens to them while they are captured."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface as it is now."""

    name: str
    index: int
    """Changes when it is deleted and made again."""
    up: bool
    mtu: int
    addresses: tuple[str, ...]


def interfaces() -> dict[str, Interface]:
    """Every interface by name."""
    import psutil

    addresses = psutil.net_if_addrs()
    found = {}
    for name, told in psutil.net_if_stats().items():
        try:
            index = socket.if_nametoindex(name)
        except OSError:
            continue
        internet = (socket.AF_INET, socket.AF_INET6)
        own = tuple(one.address.partition("%")[0] for one in addresses.get(name, ()) if one.family in internet)
        found[name] = Interface(name, index, told.isup, told.mtu, own)
    return found


def changed(before: Interface, now: Interface | None) -> tuple[str, str] | None:
    """Kind and sentence of what happened to an interface, None when nothing did."""
    if now is None:
        return "interface-gone", f"{before.name} was deleted or renamed"
    if now.index != before.index:
        return "interface-changed", f"{before.name} is another interface now (index {before.index} became {now.index})"
    if now.up != before.up:
        return ("interface-up", f"{now.name} is up again") if now.up else ("interface-down", f"{now.name} went down")
    if now.addresses != before.addresses:
        text = f"{now.name} has other addresses: {', '.join(now.addresses) or 'none'}"
        return "interface-changed", text
    if now.mtu != before.mtu:
        return "interface-changed", f"the MTU of {now.name} went from {before.mtu} to {now.mtu}"
    return None
