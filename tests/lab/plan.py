"""The addresses, ports and names of one run, all drawn from its seed."""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass, field

AZURE_PROBER = "168.63.129.16"
OUTSIDE_4 = ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")
STEMS = ("be", "vm", "web", "node", "app")


@dataclass(frozen=True)
class Member:
    """One member of the pool."""

    name: str
    address: str


@dataclass
class Plan:
    """What two runs do not share: every address, port and name of the small world."""

    seed: int
    family: int = 4
    rng: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(f"flowscope-lab-{self.seed}-{self.family}")
        if self.family == 6:
            tail = rng.sample(range(0x1000, 0xFFFF), 3)
            outside, inside, remote = (ipaddress.ip_network(f"2001:db8:{part:x}::/64") for part in tail)
        else:
            nets = [ipaddress.ip_network(net) for net in rng.sample(OUTSIDE_4, 2)]
            outside, remote = nets
            second = rng.randrange(0, 250)
            inside = ipaddress.ip_network(
                rng.choice([f"10.{second}.{rng.randrange(250)}.0/24", f"172.{rng.randrange(16, 32)}.{second}.0/24"])
            )
        hosts = rng.sample(range(20, 240), 24)
        self.outside, self.inside, self.remote = outside, inside, remote
        self.lb_out, self.lb_in = str(outside[1]), str(inside[1])
        self.clients = [str(outside[h]) for h in hosts[:4]]
        self.vip, self.vip2 = str(outside[hosts[4]]), str(outside[hosts[5]])
        self.snat = str(outside[hosts[6]])
        self.ilb, self.hop = str(inside[hosts[7]]), str(inside[hosts[8]])
        stem, inner = rng.choice(STEMS), sorted(hosts[9:12])
        self.members = [Member(f"{stem}{n + 1}", str(inside[h])) for n, h in enumerate(inner)]
        self.servers = [str(remote[h]) for h in hosts[12:20]]
        self.prober = AZURE_PROBER if self.family == 4 else str(inside[hosts[20]])
        self.frontend_port = rng.choice((80, 88, 8888, 7080))
        self.data_port, self.probe_port = rng.sample((8080, 8000, 5000, 3000, 9080, 8181), 2)
        self.remote_port = rng.choice((443, 4443, 8443))
        first = rng.randrange(1024, 50000)
        self.snat_first = first

    @property
    def bits(self) -> int:
        """The prefix length of a single host."""
        return 128 if self.family == 6 else 32

    def snat_range(self, ports: int) -> tuple[int, int]:
        """The first and last port of a translator's range of that many ports."""
        return self.snat_first, self.snat_first + ports - 1


def endpoint(address: str, port: int) -> str:
    """``address:port`` as the contract writes it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
