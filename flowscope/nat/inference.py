"""What a load balancer is, read from the paths: frontends, pools, SNAT addresses.

A *frontend* is the destination of a leg that was translated, a *member* what stood in its place, a *SNAT address* what
stood in the place of the sender. Each comes with its reason. What the captures only suggest is a guess: it is shown to
be confirmed, and never used.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import polars as pl

from flowscope.nat.direct_return import shared_addresses
from flowscope.nat.inferred import Guess, Inferred, Part, endpoint_text, member_part
from flowscope.nat.inferred_points import infer_points
from flowscope.nat.inferred_probes import Target, infer_probes, likely_probers, probed_alike
from flowscope.nat.topology import Frontend, Member, Mode, Network, Pool, Snat, Topology
from flowscope.nat.translations import outbound, translations

if TYPE_CHECKING:
    from flowscope.window import Window

_PROTOCOLS: dict[int, Literal["tcp", "udp"]] = {6: "tcp", 17: "udp"}
#: Joins that rest on time alone must agree so many times before they name a frontend.
_TIMED_ENOUGH = 3
#: Longer lists of senders are left out: a prefix says it better, and only the user knows it.
_MOST_INSIDE = 32
#: The range of a translator is believed to be full when so many ports of it served one destination at least,
_FULL_PORTS = 8
#: and so many more calls got none.
_REFUSED = 3
_USUAL_PORTS = (1024, 65535)


def infer_topology(window: Window) -> Inferred:
    """The topology that the paths of a window show, as far as they show it.

    Args:
        window: its topology, when one was given, has named the paths' roles; nothing else of it is read.
    """
    text = window.addresses["text"].to_list()
    steps = translations(window.paths, window.legs)
    reasons: dict[Part, str] = {}
    guesses: dict[Part, tuple[Guess, ...]] = {}
    frontends = _frontends(steps, window, text, reasons)
    pools = _pools(frontends, steps, text, reasons)
    snats = _snats(steps, window, text, reasons, guesses)
    balancers = frozenset(steps.filter(pl.col("src_moved"))["src_b"].to_list())
    shared = frozenset(text[one] for one in shared_addresses(window.paths, window.flows, window.places))
    probes = infer_probes(window, balancers)
    pools = tuple(_probed(pool, pools, probes, shared, reasons) for pool in pools)
    hints = infer_points(window, steps, pools, frontends, balancers, shared, reasons, guesses)
    remarks = _likely_probers(window, pools) if frontends else _unseen_pools(probes, shared, text)
    return Inferred(Topology(None, frontends, pools, snats, hints), reasons, guesses, remarks)


def by_address(text: str) -> tuple[int, int]:
    """Sorts addresses as numbers, IPv4 first."""
    parsed = ipaddress.ip_address(text)
    return parsed.version, int(parsed)


def _frontends(steps: pl.DataFrame, window: Window, text: list[str], reasons: dict[Part, str]) -> tuple[Frontend, ...]:
    counts = (
        steps.filter(pl.col("dst_moved"), pl.col("protocol").is_in(list(_PROTOCOLS)))
        .group_by("protocol", "dst", "dst_port")
        .agg(
            pl.len().alias("paths"),
            (pl.col("method") == "timing").sum().alias("timed"),
            pl.col("proxied").sum().alias("proxy"),
            (pl.col("src_moved") & ~pl.col("proxied")).sum().alias("dnat+snat"),
            (~pl.col("src_moved")).sum().alias("dnat"),
            pl.struct("dst_b", "dst_port_b").n_unique().alias("members"),
            pl.col("b").alias("legs"),
        )
        .filter((pl.col("timed") < pl.col("paths")) | (pl.col("paths") >= _TIMED_ENOUGH))
    )
    found = []
    for row in counts.iter_rows(named=True):
        modes: tuple[Mode, ...] = ("dnat", "dnat+snat", "proxy")
        mode = max(modes, key=lambda one: int(row[one]))
        name = _name(text[row["dst"]], row["dst_port"], row["protocol"])
        version = _proxy_protocol(window, row["legs"]) if mode == "proxy" else "none"
        found.append(
            Frontend(
                name, text[row["dst"]], row["dst_port"], _PROTOCOLS[row["protocol"]], name, mode, proxy_protocol=version
            )
        )
        reasons["frontend", name] = _frontend_reason(mode, row["paths"], row[mode], row["members"])
    found += [one for one in _direct_returns(window, text, reasons) if one.name not in {other.name for other in found}]
    return tuple(sorted(found, key=lambda one: (by_address(one.address), one.port, one.protocol)))


def _frontend_reason(mode: Mode, paths: int, alike: int, members: int) -> str:
    kept = {
        "dnat": "the client's address and port were kept",
        "dnat+snat": "the source was rewritten as well, the sequence numbers were kept",
        "proxy": "each call was continued on a connection of the proxy's own",
    }[mode]
    share = "in each" if alike == paths else f"in {alike:,} of them"
    return f"{_counted(paths, 'call')} to it went on to {_counted(members, 'member')}; {share}, {kept}."


def _direct_returns(window: Window, text: list[str], reasons: dict[Part, str]) -> list[Frontend]:
    """Frontends whose members answer with the frontend's own address."""
    same = (pl.col("frontend") == pl.col("backend")) & (pl.col("frontend_port") == pl.col("backend_port"))
    direct = window.paths.filter(same, pl.col("protocol").is_in(list(_PROTOCOLS)))
    found = []
    for protocol, address, port, count in (
        direct.group_by("protocol", "frontend", "frontend_port").agg(pl.len()).iter_rows()
    ):
        name = _name(text[address], port, protocol)
        reason = f"{_counted(count, 'call')} to it reached a member as they were, and got an answer."
        reasons.setdefault(("frontend", name), reason)
        found.append(Frontend(name, text[address], port, _PROTOCOLS[protocol], None, "dsr"))
    return found


def _proxy_protocol(window: Window, legs: list[int]) -> Literal["none", "v1", "v2"]:
    """The PROXY header that the connections of these legs begin with."""
    headers = window.messages.filter(pl.col("kind").is_in(["proxy-v1", "proxy-v2"]), pl.col("half") == 0)
    if not headers.height:
        return "none"
    flows = window.flows.filter(pl.col("leg").is_in(legs))["flow"].implode()
    kinds = headers.filter(pl.col("flow").is_in(flows))["kind"].to_list()
    return "none" if not kinds else "v2" if kinds.count("proxy-v2") * 2 >= len(kinds) else "v1"


def _pools(
    frontends: Iterable[Frontend], steps: pl.DataFrame, text: list[str], reasons: dict[Part, str]
) -> tuple[Pool, ...]:
    served = (
        steps.filter(pl.col("dst_moved"), pl.col("protocol").is_in(list(_PROTOCOLS)))
        .group_by("protocol", "dst", "dst_port", "dst_b", "dst_port_b")
        .agg(pl.len())
    )
    members: dict[str, list[tuple[str, int, int]]] = {}
    for protocol, dst, dst_port, behind, port, count in served.iter_rows():
        members.setdefault(_name(text[dst], dst_port, protocol), []).append((text[behind], port, count))
    pools = []
    for name in (one.pool for one in frontends if one.pool is not None):
        listed = sorted(members[name], key=lambda one: (by_address(one[0]), one[1]))
        for address, port, count in listed:
            reasons[member_part(name, address, port)] = f"{_counted(count, 'call')} ended there."
        pools.append(Pool(name, tuple(Member(address, address, port) for address, port, _ in listed)))
    return tuple(pools)


def _probed(
    pool: Pool, pools: tuple[Pool, ...], probes: list[Target], shared: frozenset[str], reasons: dict[Part, str]
) -> Pool:
    """The pool with its probe, and with members that are probed like the others but were never called."""
    found = probed_alike(pool, probes)
    if found is None:
        return pool
    rivals = [
        one for one in pools if one is not pool and (other := probed_alike(one, probes)) and other.key == found.key
    ]
    probe, reasons["probe", pool.name] = found.shared(len(rivals) + 1)
    ports = {member.port for member in pool.members}
    if not rivals and len(ports) == 1:
        (port,) = ports
        known = {member.address for one in pools for member in one.members}
        extra = sorted(found.addresses - known - shared, key=by_address)
        for address in extra:
            reasons[member_part(pool.name, address, port)] = "Probed like the others; no call was seen to reach it."
        members = (*pool.members, *(Member(address, address, port) for address in extra))
        pool = replace(pool, members=tuple(sorted(members, key=lambda one: (by_address(one.address), one.port))))
    return replace(pool, probe=probe)


def _snats(
    steps: pl.DataFrame,
    window: Window,
    text: list[str],
    reasons: dict[Part, str],
    guesses: dict[Part, tuple[Guess, ...]],
) -> tuple[Snat, ...]:
    """Addresses put in place of senders; a proxy's own address is none, its ports are those of its host."""
    rewritten = steps.filter(pl.col("src_moved"), ~pl.col("proxied"), pl.col("src") != pl.col("src_b"))
    counts = rewritten.group_by("src_b").agg(
        pl.len().alias("paths"),
        pl.col("src_port_b").min().alias("low"),
        pl.col("src_port_b").max().alias("high"),
        pl.col("src_port_b").n_unique().alias("ports"),
        pl.col("src").filter(~pl.col("dst_moved")).unique().alias("inside"),
    )
    refused = outbound(window.paths, steps)
    found = []
    for row in counts.iter_rows(named=True):
        address = text[row["src_b"]]
        low, high, ports = row["low"], row["high"], row["ports"]
        inside = sorted((text[one] for one in row["inside"]), key=by_address)
        seen = (
            f"{_counted(row['paths'], 'connection')} left under it, "
            f"from {_counted(ports, 'port')} between {low} and {high}"
        )
        span = (min(low, _USUAL_PORTS[0]), max(high, _USUAL_PORTS[1]))
        if _full(rewritten, refused, row["src_b"], ports, high - low + 1):
            span = (low, high)
            seen += "; each of these was in use towards one destination while others got none"
        else:
            reason = "the range that was seen; the real one may be wider"
            guesses["snat", address] = (Guess("ports", f"{low}-{high}", reason),)
        reasons["snat", address] = f"{seen}."
        networks: tuple[Network, ...] = tuple(map(ipaddress.ip_network, inside)) if len(inside) <= _MOST_INSIDE else ()
        found.append(Snat(address, span, inside=networks))
    return tuple(sorted(found, key=lambda one: by_address(one.address)))


def _full(rewritten: pl.DataFrame, refused: pl.DataFrame, address: int, ports: int, span: int) -> bool:
    """True when every port of the range served one destination, and further calls to it never left."""
    if ports != span or ports < _FULL_PORTS:
        return False
    busiest = (
        rewritten.filter(pl.col("src_b") == address)
        .group_by("dst_b", "dst_port_b")
        .agg(pl.col("src_port_b").n_unique().alias("ports"))
        .filter(pl.col("ports") == ports)
    )
    mine = refused.filter(pl.col("through") == address)
    ends = {"backend": "dst_b", "backend_port": "dst_port_b"}
    return mine.join(busiest, left_on=list(ends), right_on=list(ends.values()), how="semi").height >= _REFUSED


def _likely_probers(window: Window, pools: tuple[Pool, ...]) -> tuple[str, ...]:
    """Who may be the prober of pools that nobody was seen to probe."""
    members = sorted({member.address for pool in pools if pool.probe is None for member in pool.members})
    return tuple(
        f"{source} calls members on port {port} every {pause_s:g} s, as a prober or a monitor would; if it is the "
        "balancer's, add a [pool.probe] with this source and port."
        for source, port, pause_s in likely_probers(window, members)
    )


def _unseen_pools(probes: list[Target], shared: frozenset[str], text: list[str]) -> tuple[str, ...]:
    """Probed hosts without a frontend in sight."""
    hosts: dict[tuple[str, int, bool, str], set[str]] = {}
    for one in probes:
        hosts.setdefault((text[one.source], one.port, one.address in shared, one.policy), set()).add(one.address)
    said = []
    for (source, port, together, policy), members in sorted(hosts.items()):
        what = "so members of a pool; no frontend of it was seen."
        if together:
            what = (
                "and answered at several points that share no connection: the address of a frontend that the members "
                "hold together (direct return), or of one host with several interfaces."
            )
        elif policy == "gcp":
            what = (
                "so members of a pool of which no frontend was seen; or frontends, for Google's passthrough balancers "
                "probe each member at the frontend's address."
            )
        said.append(f"{', '.join(sorted(members, key=by_address))}: probed from {source} on port {port}, {what}")
    return tuple(said)


def _name(address: str, port: int, protocol: int) -> str:
    name = endpoint_text(address, port)
    return name if protocol == 6 else f"{name}/udp"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
