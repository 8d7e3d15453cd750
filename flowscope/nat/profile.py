"""What is documented of a kind of load balancer: what it keeps of a packet, and for how long it remembers a flow.

A profile is data: every value is a :class:`Fact` with the page it was read from. What is not known is absent (None),
and what could not be confirmed says so; nothing here is a constant of the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from flowscope.nat.topology import Mode, Network

Value = TypeVar("Value", covariant=True)

Fate = Literal["same", "lowered", "shifted", "new"]
"""What becomes of a field: kept, kept or made smaller, moved by one constant for the whole flow, or unrelated."""

FIELDS = (
    "client_address", "client_port", "client_isn", "server_isn", "payload", "mss", "window_scale", "sack_permitted",
    "timestamps", "ip_id", "ttl",
)  # fmt: skip
"""Fields of which a profile may say whether they survive the translator."""

Forgetting = Literal["silent", "rst-both", "rst-sender"]
"""What a translator does about a forgotten flow: nothing, RST to both ends at the timeout, or RST to who sends next."""

Selection = Literal["lowest-free", "random", "keep-or-scan"]
"""How a source port is picked: the lowest free one, any, or the sender's own and else the next free one."""

Policy = Literal["azure-lb", "front-door", "aws-nlb", "gcp", "generic"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was read."""

    page: str
    date: str
    """Of the page itself; where it has none, when it was read."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[Value]):
    """One documented value."""

    value: Value
    source: Source
    confirmed: bool = True
    """False when it was inferred, or stands in no page that is still published."""


@dataclass(frozen=True, slots=True)
class Idle:
    """When a flow without packets is forgotten."""

    tcp_s: Fact[float] | None = None
    udp_s: Fact[float] | None = None
    tcp_shortest_s: Fact[float] | None = None
    """Shortest and longest time that can be configured."""
    tcp_longest_s: Fact[float] | None = None
    then: Fact[Forgetting] | None = None
    """By default."""
    then_on_request: Fact[Forgetting] | None = None
    """When configured so."""


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a source port stays taken after the flow's end."""

    fin_s: Fact[float] | None = None
    rst_s: Fact[float] | None = None
    half_open_s: Fact[float] | None = None
    """After a SYN that nobody answered."""
    udp_s: Fact[float] | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """Source ports of a translator that rewrites the sender."""

    range: Fact[tuple[int, int]] | None = None
    """First and last port."""
    per_address: Fact[int] | None = None
    """How many ports one address offers."""
    per_destination: Fact[int] | None = None
    """How many flows one address can hold to one destination."""
    block: Fact[int] | None = None
    """Ports are reserved in blocks of this size."""
    selection: Fact[Selection] | None = None
    allocation: Fact[tuple[tuple[int, int], ...]] | None = None
    """Pairs of (members up to, ports for each of them), by members."""

    def ports_per_member(self, members: int) -> int | None:
        """Ports each member of a pool of this size gets by default; None when the profile does not say."""
        table = self.allocation.value if self.allocation else ()
        return next((ports for up_to, ports in table if members <= up_to), None)


@dataclass(frozen=True, slots=True)
class Probing:
    """How the balancer asks its members whether they are well."""

    policy: Policy = "generic"
    source: Fact[tuple[Network, ...]] | None = None
    """Where probes come from; no client has such an address."""
    service_tag: Fact[str] | None = None
    """Name of the service tag that lists where probes come from, where the list changes too often to stand here."""
    header: Fact[tuple[str, ...]] | None = None
    """Beginnings of request headers, in small letters, that only probes carry."""
    interval_s: Fact[float] | None = None
    timeout_s: Fact[float] | None = None
    longest_timeout_s: Fact[float] | None = None
    """Where the timeout follows the interval: at most this."""
    unhealthy_threshold: Fact[int] | None = None
    healthy_threshold: Fact[int] | None = None
    healthy_status: Fact[str] | None = None
    """HTTP status codes that count as healthy: ``200`` or ``200-399``."""


Outcome = Literal["mismatch", "local", "works"]


@dataclass(frozen=True, slots=True)
class Hairpin:
    """What happens when a member calls the frontend of its own pool and is mapped to itself."""

    outcome: Fact[Outcome] | None = None
    """The halves do not match; the call never leaves the host; or the source is rewritten and it works."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of load balancer or translator."""

    name: str
    title: str
    """As people call it."""
    file: str | None = None
    """The file as the user named it; None for one that comes with flowscope."""
    aliases: tuple[str, ...] = ()
    """Other names that ``--profile`` takes."""
    mode: Fact[Mode] | None = None
    """How a frontend of it forwards, unless told otherwise."""
    survives: Mapping[str, Fact[Fate]] = field(default_factory=dict)
    """By field (:data:`FIELDS`)."""
    idle: Idle = Idle()
    hold: Hold = Hold()
    ports: Ports = Ports()
    probe: Probing = Probing()
    hairpin: Hairpin = Hairpin()


UNTOLD = Profile(name="untold", title="A translator of unknown kind")
"""What is documented of a balancer that nobody named: nothing."""
