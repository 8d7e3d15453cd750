"""Whose connections are blocked: one client's at every member, or those of some while a member answers others."""

from __future__ import annotations

import polars as pl

from flowscope.nat.outcomes import SERVED
from flowscope.rules.silence import DEADLINE_NS, endpoints
from flowscope.window import Window

#: So many calls of one client to the only member are more than a queue that was full for a moment.
_ENOUGH_AT_ONE = 3
#: Of so many clients each is told by itself; more of them share a range of addresses, or are a flood.
_EACH = 10
_MEMBER = ["backend", "backend_port"]


def with_source(window: Window, paths: pl.DataFrame) -> pl.DataFrame:
    """Adds ``source``: the client's address as members see it."""
    sources = window.legs.select(last_leg="leg", source="src")
    return paths.join(sources, "last_leg", how="left", maintain_order="left")


def lone(window: Window, silent: pl.DataFrame, whose: str) -> list[int]:
    """Clients whose connections to every member fail, while others' pass; none where they are too many to be named.

    Args:
        window: what is judged.
        silent: paths without an answer, with ``source``.
        whose: ``client``, or ``source`` for the addresses that members see.
    """
    to_members = with_source(window, window.judgeable.join(endpoints(window), _MEMBER, how="semi"))
    # A refusal is an answer too: nothing was dropped on the way.
    answered = to_members.filter(pl.col("outcome").is_in([*SERVED, "refused"]))
    failed = silent.filter(~pl.col(whose).is_in(answered[whose].unique().implode()))
    members = silent.group_by(_MEMBER).agg(all_calls=pl.len())
    answers = answered.select(_MEMBER).unique().with_columns(answers=pl.lit(value=True))
    met = (
        failed.group_by(whose, *_MEMBER, maintain_order=True)
        .agg(own_calls=pl.len())
        .join(members, _MEMBER, how="left", maintain_order="left")
        .join(answers, _MEMBER, how="left", maintain_order="left")
        .with_columns(pl.col("answers").fill_null(value=False), shared=pl.col("all_calls") > pl.col("own_calls"))
    )
    # At one member only, a few calls without an answer are as well that member's, above all beside others'.
    at_one = (pl.lit(members.height) == 1) & (pl.col("calls") >= _ENOUGH_AT_ONE) & ~pl.col("shared")
    found = (
        met.group_by(whose, maintain_order=True)
        .agg(
            pl.col("answers", "shared").any(),
            hit=pl.len(),
            calls=pl.col("own_calls").sum(),
            # A member that answers nobody is a fault of its own, and no sign against this client.
            dead=(~pl.col("answers") & pl.col("shared")).any(),
        )
        .filter("answers", ~pl.col("dead"), (pl.col("hit") > 1) | at_one)[whose]
        .to_list()
    )
    return found if len(found) <= _EACH else []


def only_some(window: Window, paths: pl.DataFrame, member: tuple[int, int]) -> list[int]:
    """The clients that were blocked, when the member answered others meanwhile; empty when it answered nobody."""
    begun, last = int(paths["first_ns"].min() or 0), int(paths["first_ns"].max() or 0)  # type: ignore[arg-type]
    to_it = window.judgeable.filter(pl.col("backend") == member[0], pl.col("backend_port") == member[1])
    blocked = paths["client"].unique().sort()
    to_it = to_it.filter(pl.col("first_ns").is_between(begun, last + DEADLINE_NS))
    others = to_it.filter(pl.col("outcome").is_in([*SERVED, "refused"]), ~pl.col("client").is_in(blocked.implode()))
    return blocked.to_list() if others.height else []


def whose_connections(window: Window, clients: list[int]) -> str:
    """The beginning of a title: whose connections, as far as they are only some clients'."""
    if not clients:
        return "Connections"
    return f"{window.called(clients[0])}'s connections" if len(clients) == 1 else "Some clients' connections"


def stands_for(window: Window, paths: pl.DataFrame, client: int) -> str:
    """The clients behind an address that a translator gave them; rules name that address."""
    hidden = [number for number in paths["client"].unique().sort() if number != client]
    return f" A translator gives this address to {named(window, hidden)}." if hidden else ""


def named(window: Window, clients: list[int]) -> str:
    """The first of these clients, and how many more."""
    return ", ".join(map(window.called, clients[:3])) + f" and {len(clients) - 3:,} others" * (len(clients) > 3)
