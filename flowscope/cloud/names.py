"""What the names in security rules stand for: service tags, groups of machines, prefix lists.

Three answers: an address is among them, is not, or nobody can tell from what was given. A guess would turn into an
accusation, so what is not known stays unknown.

Source: Azure, service-tags-overview (2021-04) and network-security-groups-overview (2025-07): AzureLoadBalancer is
168.63.129.16 and stands for probes only; VirtualNetwork holds the network's own prefixes, peered and connected ones and
168.63.129.16; Internet is all outside of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flowscope.cloud.security_rules import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

PLATFORM = ipaddress.ip_address("168.63.129.16")
"""Where Azure's health probes come from."""

#: Ranges that a virtual network, its peers or a site behind a gateway may use: nobody can tell which from outside.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """What was given about names.

    Args:
        virtual_network: prefixes of the virtual network and its peers, as far as given.
        known: prefixes by name, in lower case; complete for that name.
        members: addresses by group (``group NAME``, in lower case), as far as given.
        seen: addresses all of whose groups were given.
    """

    virtual_network: tuple[Network, ...] = ()
    known: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    members: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    seen: tuple[Network, ...] = ()

    def holds(self, name: str, address: Address, host: Address | None) -> bool | None:
        """Whether a name stands for an address; None when that is not known.

        Args:
            name: as the rule has it.
            address: one end of the flow.
            host: whom the rule protects: it is a part of its own virtual network.
        """
        key = name.lower()
        if key in self.known:
            return among(address, self.known[key])
        if key == "azureloadbalancer":
            return address == PLATFORM
        inside = self._inside(address, host)
        if key == "virtualnetwork":
            return inside
        if key == "internet":
            # Whether it includes the platform's own address is not documented.
            return None if inside is None or address == PLATFORM else not inside
        if key.startswith("group "):
            # Groups consist of interfaces of the network, by their private addresses.
            if among(address, self.members.get(key, ())):
                return True
            return False if inside is False or among(address, self.seen) else None
        return None

    def _inside(self, address: Address, host: Address | None) -> bool | None:
        if address in (host, PLATFORM) or among(address, self.virtual_network):
            return True
        return None if among(address, _PRIVATE) else False


def among(address: Address, networks: Iterable[Network]) -> bool:
    """True when any of the networks holds the address."""
    return any(address.version == one.version and address in one for one in networks)
