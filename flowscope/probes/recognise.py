"""Which paths are a balancer's probes, and how that is known.

By source: the topology's (towards the members and the port it says are probed), the addresses that clouds document and
the ranges that were given (they reach a member from nowhere else). By what the probe says of itself: Front Door's
header, a prober's user agent, a PROXY header without a client. By shape (:mod:`flowscope.probes.shape`), which is the
weakest. A member's own calls to a prober's address (DNS, WireServer on 168.63.129.16) go the other way and are no
probes; proxies of a cloud may call from their probers' addresses, so what carries a client's request is none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from flowscope.nat.numbers import address_numbers
from flowscope.nat.profile import UNTOLD, Policy, Probing, Profile
from flowscope.nat.profile_file import load_profiles
from flowscope.nat.topology import Network, Pool, Probe, Topology
from flowscope.probes.continued import continued
from flowscope.probes.shape import paced, shaped

PROBES = {"path": pl.UInt64, "policy": pl.String, "by": pl.String}
"""Columns of :func:`recognised`; ``by`` is one of :data:`By`."""

By = Literal["source", "request", "shape"]
"""How a prober is known: where it calls from, what it says, or only how it goes about it."""
Ranges = tuple[tuple[Network, Policy], ...]
"""Prefixes that probes come from, and the policy of who sends them."""

_TCP = 6
_ASKING = ["client", "backend_port"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of probers before a packet was read."""

    topology: Topology = field(default_factory=Topology)
    profile: Profile = UNTOLD
    ranges: Ranges = ()
    """Given as service tags."""

    def profiles(self) -> tuple[Profile, ...]:
        """All that is documented, of the kind of balancer that was named first."""
        return (self.profile, *load_profiles())

    def networks(self, probe: Probing) -> list[Network]:
        """Where these probes come from."""
        given = [network for network, policy in self.ranges if probe.service_tag and policy == probe.policy]
        return [*(probe.source.value if probe.source else ()), *given]


def probe_sources(addresses: pl.DataFrame, known: Known) -> pl.Series:
    """Numbers of the addresses that probes come from: by the topology, by given ranges, or by a documentation."""
    given = [network for pool in known.topology.pools if pool.probe for network in pool.probe.source]
    documented = [network for profile in known.profiles() for network in known.networks(profile.probe)]
    return _among(addresses, [*given, *documented])


def recognised(
    paths: pl.DataFrame, addresses: pl.DataFrame, messages: pl.DataFrame, flows: pl.DataFrame, known: Known
) -> pl.DataFrame:
    """The paths that are probes, each with the policy of who sends them: columns as in :data:`PROBES`.

    What the topology says of a source comes first, then its address, then what the probe says of itself, and its shape
    last. Where the two in the middle name different balancers, the probe's own words count.
    """
    paths = paths.filter(pl.col("protocol") == _TCP, pl.col("backend").is_not_null())
    requests = messages.filter(pl.col("kind") == "http-request")
    found = [pl.DataFrame(schema=PROBES)]
    headers = requests.select("flow", header=pl.col("headers")).explode("header")
    headers = headers.with_columns(pl.col("header").str.to_lowercase())
    marked = _marked(paths, flows, messages, headers, known)
    saying = pl.concat([paths.clear(), *marked.values()])
    says = pl.col("header").str.starts_with("user-agent:") | pl.col("header").str.starts_with("via:")
    clients = _without(_through(paths, flows, headers.filter(says)["flow"]), saying)
    quiet = _without(paths, _through(paths, flows, requests["flow"])) if requests.height else paths
    for pool in known.topology.pools:
        if pool.probe and pool.probe.source:
            asking = _asking(pool, pool.probe, paths, addresses, requests, flows)
            if pool.probe.policy == "front-door":
                # It forwards clients from where it probes, and to the same port.
                asking = _without(asking, clients)
                silent = asking.join(quiet.select("path"), "path", how="semi", maintain_order="left")
                told = _without(asking, silent)
                asking = pl.concat([told, _beside(told, silent, clients)])
            found.append(_of(asking, pool.probe.policy, "source"))
    for profile in known.profiles():
        numbers = _among(addresses, known.networks(profile.probe))
        if not numbers.len():
            continue
        there = pl.col("client").is_in(numbers.implode())
        # Proxies of that cloud forward clients from the same addresses: their requests say something else.
        asking = _without(paths.filter(there), clients) if profile.probe.header else paths.filter(there)
        # Who says it is another balancer's is that one's; generic names none.
        others = [own for policy, own in marked.items() if policy not in (profile.probe.policy, "generic")]
        asking = _without(asking, pl.concat([saying.clear(), *others]))
        if profile.mode and profile.mode.value == "proxy":
            # What says nothing may as well be a client's, in TLS: only its pace tells.
            own = marked.get(profile.probe.policy, saying.clear()).filter(there)
            asking = pl.concat([own, _beside(own, quiet.filter(there), clients)])
        found.append(_of(asking, profile.probe.policy, "source"))
    for policy, own in marked.items():
        found.append(_of(own, policy, "request"))
        near = quiet.join(own.select(_ASKING).unique(), _ASKING, how="semi", maintain_order="left")
        found.append(_of(_beside(own, near, clients), policy, "request"))
    sure = pl.concat(found).unique("path", keep="first", maintain_order=True)
    guessed = shaped(
        _unprobed(_without(_without(paths, sure), clients), sure, paths, addresses, known.topology),
        paths,
        addresses,
        known.topology,
    )
    return pl.concat([sure, _of(guessed, known.profile.probe.policy, "shape")])


def _unprobed(
    calls: pl.DataFrame, sure: pl.DataFrame, paths: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Calls of members whose prober is not known: where it is, who else polls them is a monitor."""
    named = [one.address for pool in topology.pools if pool.probe and pool.probe.source for one in pool.members]
    seen = paths.join(sure.select(pl.col("path").cast(paths.schema["path"])), "path", how="semi")["backend"].to_list()
    return calls.filter(~pl.col("backend").is_in({*seen, *address_numbers(addresses, named).values()}))


def _marked(
    paths: pl.DataFrame, flows: pl.DataFrame, messages: pl.DataFrame, headers: pl.DataFrame, known: Known
) -> dict[Policy, pl.DataFrame]:
    """Paths that say they are probes, by policy."""
    found: dict[Policy, list[pl.DataFrame]] = {}
    for profile in known.profiles():
        words = profile.probe.header.value if profile.probe.header else ()
        said = pl.any_horizontal(pl.lit(value=False), *(pl.col("header").str.starts_with(word) for word in words))
        found.setdefault(profile.probe.policy, []).append(_through(paths, flows, headers.filter(said)["flow"]))
    # PROXY protocol, sections 2.1 and 2.2: with UNKNOWN or LOCAL the proxy speaks for itself. Clients name themselves.
    # A header that was cut before its address names nobody either, and says nothing.
    proxied = pl.col("kind").is_in(["proxy-v1", "proxy-v2"])
    itself = messages.filter(proxied, pl.col("src").is_null(), pl.col("complete"))
    named = headers.filter(pl.col("header").str.starts_with("user-agent:"))["flow"]
    itself = itself.filter(~pl.col("flow").is_in(named.implode()))
    found.setdefault("generic", []).append(_through(paths, flows, itself["flow"]))
    told = {policy: pl.concat(parts).unique("path", maintain_order=True) for policy, parts in found.items()}
    return {policy: own for policy, own in told.items() if own.height}


def _beside(marked: pl.DataFrame, quiet: pl.DataFrame, clients: pl.DataFrame) -> pl.DataFrame:
    """Of paths without a request, those that go with a prober's: refused, unanswered, or in TLS.

    Where clients call from the same address at the same port, only the pace tells theirs from the prober's.
    """
    alone = _with_none(quiet.join(marked.select(_ASKING).unique(), _ASKING, how="semi", maintain_order="left"), clients)
    rest = _without(quiet, alone)
    even = paced(pl.concat([_without(rest, marked), marked]))
    return pl.concat([alone, rest.join(even.select("path"), "path", how="semi", maintain_order="left")])


def _with_none(paths: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Paths from whom, at their port, none of the others come."""
    return paths.join(others.select(_ASKING).unique(), _ASKING, how="anti", maintain_order="left")


def _without(paths: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    taken = others.select(pl.col("path").cast(paths.schema["path"]))
    return paths.join(taken, "path", how="anti", maintain_order="left")


def _asking(
    pool: Pool, probe: Probe, paths: pl.DataFrame, addresses: pl.DataFrame, requests: pl.DataFrame, flows: pl.DataFrame
) -> pl.DataFrame:
    """Paths from a pool's probe source to what the topology says it probes.

    A proxy probes from the address that it forwards from: another port, or a request for another path, is no probe,
    unless the probes turn into such calls (:mod:`flowscope.probes.continued`).
    """
    numbers = address_numbers(addresses, (member.address for member in pool.members))
    asked = [(numbers[one.address], probe.port or one.port) for one in pool.members if one.address in numbers]
    ends = pl.DataFrame(asked, schema={"backend": pl.UInt32, "backend_port": pl.UInt16}, orient="row").unique()
    calls = paths.filter(pl.col("client").is_in(_among(addresses, probe.source).implode()))
    found = calls.join(ends, ["backend", "backend_port"], how="semi", maintain_order="left")
    if found.height and probe.protocol == "http":
        other = requests.filter(pl.col("target").str.split("?").list.first() != probe.path.split("?")[0])
        found = found.join(_through(found, flows, other["flow"]).select("path"), "path", how="anti")
    there = calls.filter(pl.col("backend").is_in(ends["backend"].implode()))
    return pl.concat([found, continued(found, _without(there, found), _targets(there, requests, flows))])


def _targets(paths: pl.DataFrame, requests: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """What these paths asked for: ``path`` and ``target``."""
    legs = flows.select("flow", leg=pl.col("leg").cast(pl.UInt64)).join(requests.select("flow", "target"), "flow")
    own = paths.select("path", leg=pl.col("legs")).explode("leg").with_columns(pl.col("leg").cast(pl.UInt64))
    return own.join(legs, "leg").unique("path", keep="first", maintain_order=True).select("path", "target")


def _through(paths: pl.DataFrame, flows: pl.DataFrame, through: pl.Series) -> pl.DataFrame:
    """Paths that have one of these flows."""
    if not through.len():
        return paths.clear()
    legs = flows.filter(pl.col("flow").is_in(through.implode())).select(pl.col("leg").cast(pl.UInt64)).unique()
    own = paths.select("path", leg=pl.col("legs")).explode("leg").with_columns(pl.col("leg").cast(pl.UInt64))
    return paths.join(own.join(legs, "leg", how="semi").select("path").unique(), "path", how="semi")


def _of(paths: pl.DataFrame, policy: Policy, by: By) -> pl.DataFrame:
    return paths.select(pl.col("path").cast(pl.UInt64), policy=pl.lit(policy), by=pl.lit(by))


def _among(addresses: pl.DataFrame, networks: Iterable[Network]) -> pl.Series:
    return addresses.filter(pl.any_horizontal(pl.lit(value=False), *map(_within, networks)))["address"]


def _within(network: Network) -> pl.Expr:
    """True for rows of the address table that lie in a prefix."""
    mapped = network.version == 4
    first = int(network.network_address) + (0xFFFF << 32 if mapped else 0)
    bits = network.prefixlen + (96 if mapped else 0)
    mask = (2**128 - 1) ^ (2 ** (128 - bits) - 1)
    halves = (("high", mask >> 64, first >> 64), ("low", mask & (2**64 - 1), first & (2**64 - 1)))
    return pl.all_horizontal(
        (pl.col(name) & pl.lit(part, pl.UInt64)) == pl.lit(value, pl.UInt64) for name, part, value in halves
    )
