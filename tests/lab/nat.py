"""nftables rulesets of the balancer: each way to translate, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Without a nat rule left the kernel stops tracking, and with it the chain itself: this table holds tracking on.
KEEP = """table inet keep {
  chain watch { type filter hook prerouting priority -150; policy accept; ct state new counter; }
}
"""


@dataclass(frozen=True)
class Target:
    """A frontend and the members behind it."""

    address: str
    port: int
    members: tuple[str, ...]
    member_port: int

    @property
    def ip(self) -> str:
        """The nft word of this address family."""
        return "ip6" if ":" in self.address else "ip"

    @property
    def match(self) -> str:
        """What a packet to this frontend looks like."""
        return f"{self.ip} daddr {self.address} tcp dport {self.port}"

    def choice(self, by: str = "numgen random") -> str:
        """A map from chance (or a hash) to a member."""
        pairs = ", ".join(f"{n} : {address}" for n, address in enumerate(self.members))
        return f"{by} mod {len(self.members)} map {{ {pairs} }}"


def pool_rules(targets: Sequence[Target]) -> str:
    """The rules of the ``pool`` chain; a frontend without members drops new flows in silence."""
    lines = ["flush chain inet balancer pool", "flush chain inet balancer closed"]
    for target in targets:
        if not target.members:
            lines.append(f"add rule inet balancer closed {target.match} ct state new counter drop")
        elif target.ip == "ip6":
            rule = f"{target.match} dnat ip6 to [{target.members[0]}]:{target.member_port}"
            for n, address in enumerate(target.members):
                mark = f"numgen random mod {len(target.members) - n} 0 " if n < len(target.members) - 1 else ""
                rule = f"{target.match} {mark}dnat ip6 to [{address}]:{target.member_port}"
                lines.append(f"add rule inet balancer pool {rule}")
        else:
            lines.append(
                f"add rule inet balancer pool {target.match} dnat ip to {target.choice()}:{target.member_port}"
            )
    return "\n".join(lines) + "\n"


def dnat(targets: Sequence[Target], post: str = "", extra: str = "") -> str:
    """Destination translation; ``post`` holds the rules of postrouting."""
    return (
        KEEP
        + f"""table inet balancer {{
  chain closed {{ type filter hook prerouting priority -140; policy accept; }}
  chain pool {{ type nat hook prerouting priority -100; policy accept; }}
  chain post {{ type nat hook postrouting priority 100; policy accept; {post}
  }}
  {extra}
}}
"""
        + pool_rules(targets)
    )


def snat(match: str, address: str, ports: tuple[int, int], random: bool = False) -> str:
    """A rule for postrouting that gives flows a source address and a port out of a range."""
    first, last = ports
    shown = f"[{address}]" if ":" in address else address
    return f"\n    {match} meta l4proto tcp snat to {shown}:{first}-{last}{' fully-random' if random else ''};"


def stateless(target: Target) -> str:
    """Translation by a hash and without memory; replies are rewritten in postrouting, or they would be martians."""
    ip, back = target.ip, ", ".join(target.members)
    key = f"jhash {ip} saddr . tcp sport"
    return f"""table {ip} plain {{
  chain in {{ type filter hook prerouting priority -300; policy accept;
    {target.match} {ip} daddr set {target.choice(key)} tcp dport set {target.member_port} notrack
    {ip} saddr {{ {back} }} tcp sport {target.member_port} notrack
  }}
  chain out {{ type filter hook postrouting priority 200; policy accept;
    {ip} saddr {{ {back} }} tcp sport {target.member_port} {ip} saddr set {target.address} tcp sport set {target.port}
  }}
}}
"""


def shared_port(targets: Sequence[Target]) -> str:
    """Several frontends before one member, client address and port kept, replies sent as the frontend last called.

    Nothing keeps two flows of one client port apart: they become one tuple at the member. (``update`` alone would
    leave the first frontend in the map.)
    """
    member, port = targets[0].members[0], targets[0].member_port
    entry = "ip saddr . tcp sport : ip daddr"
    into = "\n".join(
        f"    {t.match} delete @last {{ {entry} }} add @last {{ {entry} }}"
        f" ip daddr set {member} tcp dport set {port} notrack"
        for t in targets
    )
    return f"""table ip plain {{
  map last {{ type ipv4_addr . inet_service : ipv4_addr; size 65535; flags dynamic,timeout; timeout 5m; }}
  chain in {{ type filter hook prerouting priority -300; policy accept;
{into}
    ip saddr {member} tcp sport {port} notrack
  }}
  chain out {{ type filter hook postrouting priority 200; policy accept;
    ip saddr {member} tcp sport {port} ip saddr set ip daddr . tcp dport map @last tcp sport set {targets[0].port}
  }}
}}
"""


def shared_source(target: Target, source: str) -> str:
    """Full translation that keeps the source port: two clients on one port become one tuple at the member."""
    member, port = target.members[0], target.member_port
    return f"""table ip plain {{
  map last {{ type inet_service : ipv4_addr; size 65535; flags dynamic,timeout; timeout 5m; }}
  chain in {{ type filter hook prerouting priority -300; policy accept;
    {target.match} update @last {{ tcp sport : ip saddr }} ip daddr set {member} tcp dport set {port} notrack
    ip saddr {member} tcp sport {port} ip daddr {source} ip daddr set tcp dport map @last notrack
  }}
  chain out {{ type filter hook postrouting priority 200; policy accept;
    ip daddr {member} tcp dport {port} ip saddr set {source}
    ip saddr {member} tcp sport {port} ip saddr set {target.address} tcp sport set {target.port}
  }}
}}
"""


def marks(target: Target) -> str:
    """Direct server return: choose a member by hash and mark the packet for a routing table of its own."""
    pairs = ", ".join(f"{n} : {n + 1}" for n in range(len(target.members)))
    key = f"jhash {target.ip} saddr . tcp sport mod {len(target.members)}"
    return f"""table {target.ip} direct {{
  chain in {{ type filter hook prerouting priority -150; policy accept;
    {target.match} meta mark set {key} map {{ {pairs} }}
  }}
}}
"""


def drop(family: str, hook: str, rule: str, name: str = "fault") -> str:
    """A table with one rule of a firewall, for a bridge or a host."""
    chain = f"type filter hook {hook} priority 0; policy accept;\n {rule}\n"
    return f"table {family} {name} {{ chain {hook} {{ {chain} }}\n}}\n"
