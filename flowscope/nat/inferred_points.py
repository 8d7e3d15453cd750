"""Where the points stand, as far as the packets prove it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.inferred import Guess, Part, point_part
from flowscope.nat.topology import Frontend, PointHint, Pool

if TYPE_CHECKING:
    from flowscope.capture.points import Point
    from flowscope.window import Window

#: Paths seen on both sides of a translator that put a point at it.
_BOTH_SIDES = 3


def infer_points(
    window: Window,
    steps: pl.DataFrame,
    pools: tuple[Pool, ...],
    frontends: tuple[Frontend, ...],
    balancers: frozenset[int],
    shared: frozenset[str],
    reasons: dict[Part, str],
    guesses: dict[Part, tuple[Guess, ...]],
) -> tuple[PointHint, ...]:
    """One table for each point, with the node where it is certain; likely ones become guesses.

    Args:
        window: its points and their places.
        steps: as :func:`flowscope.nat.translations.translations` returns them.
        pools: what was inferred of them.
        frontends: what was inferred of them.
        balancers: address numbers that were seen in place of senders.
        shared: addresses that several members hold: who answers in their name is one of these, and nobody knows which.
        reasons: receives one for each node.
        guesses: receives the likely nodes.
    """
    text = window.addresses["text"].to_list()
    members = {member.address for pool in pools for member in pool.members}
    own = {one.address for one in frontends} | {text[number] for number in balancers}
    probers = set(window.probes["client"].to_list())
    together = shared - members
    both = _both_sides(window, steps)
    hints = []
    for point in window.points:
        hint = _hint(point, window)
        if hint is None:
            continue
        place = window.places.get(point.number)
        hosts = sorted({text[host] for host in (place.hosts if place else ()) if host not in probers} - together)
        node, reason = None, ""
        if any(host in members for host in hosts):
            node = next(host for host in hosts if host in members)
            reason = f"everything here goes to {node} or comes from it"
        elif any(host in own for host in hosts):
            node, reason = "lb", f"{next(host for host in hosts if host in own)} is an address of the balancer"
        elif hosts:
            node = "client" if _is_client(window, hosts, text) else hosts[0]
            reason = f"everything here goes to {hosts[0]} or comes from it"
        sure = bool(place and place.sure and node in members)
        if both.get(point.number, 0) >= _BOTH_SIDES and not hosts:
            node, sure = "lb", True
            reason = f"{both[point.number]:,} connections were seen on both sides of the translator"
        if node is not None and sure:
            hint = PointHint(hint.file, hint.name, node, hint.interface)
            reasons[point_part(hint)] = f"{reason[0].upper()}{reason[1:]}."
        elif node is not None:
            doubt = "" if place and place.sure else "; or on the wire next to it"
            guesses[point_part(hint)] = (Guess("node", node, f"{reason}{doubt}"),)
        hints.append(hint)
    return tuple(hints)


def _hint(point: Point, window: Window) -> PointHint | None:
    """The table of a point; None where a topology file could not name its capture or interface."""
    held = [capture for capture in window.captures if capture.id in point.captures]
    if not held:
        return None
    names = [os.path.basename(capture.path) for capture in window.captures]
    file = held[0].path
    if names.count(os.path.basename(file)) == 1:
        file = os.path.basename(file)
    alone = len(held[0].points) == 1
    interface = None if alone else point.interface
    try:
        f"{file}{interface}{point.name}".encode()
    except UnicodeEncodeError:
        return None
    return PointHint(file, point.name, None, interface) if alone or interface else None


def _both_sides(window: Window, steps: pl.DataFrame) -> dict[int, int]:
    """Per point the paths of which it saw the legs before and behind a translator.

    A member that calls itself through the balancer sees both as well, so these do not count.
    """
    others = steps.filter((pl.col("client") != pl.col("backend")).fill_null(value=True))
    if not others.height:
        return {}
    seen = window.flows.select("leg", "point").unique()
    met = others.select("path", "a", "b").join(seen, left_on="a", right_on="leg")
    met = met.join(seen, left_on=["b", "point"], right_on=["leg", "point"], how="semi")
    return dict(met.group_by("point").agg(pl.col("path").n_unique()).iter_rows())


def _is_client(window: Window, hosts: list[str], text: list[str]) -> bool:
    callers = window.paths.filter(pl.col("frontend").is_not_null())["client"].unique()
    return bool({text[number] for number in callers} & set(hosts))
