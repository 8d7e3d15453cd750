"""The two sides of proxies that split TCP (HAProxy, nginx, Application Gateway, Front Door), joined leg to leg.

Nothing of TCP crosses such a proxy, so what it passes on is compared, strongest first: the PROXY header that names the
client's leg; what HTTP requests have in common, request by request, for one server connection may carry those of many
clients; the bytes of streams that cannot be read; order and time. What one step has joined the next leaves alone.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.clocks import Clocks
from flowscope.nat.matching import JOINS
from flowscope.nat.proxy_bytes import hello_joins, stream_joins, timing_joins
from flowscope.nat.proxy_chain import in_a_row, to_the_end
from flowscope.nat.proxy_choice import chosen
from flowscope.nat.proxy_client import address_pairs, endpoint_pairs
from flowscope.nat.proxy_clocks import aligned, crossings, on_one_clock
from flowscope.nat.proxy_cut_header import cut_header_joins, cut_headers, said_by_headers
from flowscope.nat.proxy_exchanges import clients, exchanges
from flowscope.nat.proxy_header import header_joins, header_pairs, named_clients
from flowscope.nat.proxy_kept import without_strangers
from flowscope.nat.proxy_presumed import presumed_ties
from flowscope.nat.proxy_reasons import CUT_HEADER, HEADER, HELLO, NAMED_ADDRESS, NAMED_END, STREAM, TIME
from flowscope.nat.proxy_request import by_client, request_pairs
from flowscope.nat.proxy_sides import TIMES, on_islands, sides
from flowscope.nat.proxy_ties import probed
from flowscope.nat.topology import Topology

PROXIED: dict[str, pl.DataType | type[pl.DataType]] = {
    "leg": pl.UInt64,
    "before": pl.UInt64,
    "bits": pl.Float64,
    "margin": pl.Float64,
    "ambiguous": pl.Boolean,
    "method": pl.String,
    "requests": pl.UInt32,
    "runner_up": pl.UInt64,
    "reasons": pl.List(pl.String),
    "crossed": pl.List(pl.Struct({"front": pl.UInt32, "back": pl.UInt32})),
}
"""Columns of :func:`join_proxied`."""

#: Many requests make a pair surer, but never surer than this.
_MOST_BITS = 40.0
#: A request whose pair is so far ahead of any other tells of the clocks as well.
_ALONE_BITS = 8.0
#: Margin, at most, of what only the proxy's habits decided.
_NARROWED = 3.0
_ASKED_TIMES = ("asked_ns", "answered_ns", "until_ns")


def join_proxied(
    legs: pl.DataFrame,
    flows: pl.DataFrame,
    messages: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
    joined: pl.DataFrame,
    clocks: Clocks,
) -> pl.DataFrame:
    """For each leg that a proxy opened the client legs it served.

    Args:
        legs: as :func:`flowscope.nat.legs.leg_table` returns them.
        flows: with ``leg``; row number = flow number.
        messages: the core's message table.
        addresses: the core's address table.
        topology: what is known of the balancer.
        joined: legs that were joined packet by packet, columns ``leg`` and ``before``. A leg that continues another
            was opened by no proxy, and one that goes on ends at none.
        clocks: of the points.

    Returns:
        Columns as in :data:`PROXIED`, one row per pair of legs; ``requests`` counts what the pair carried, where
        requests were compared, and ``crossed`` lists the exchanges of both sides that nothing else could have been.
        ``before`` is null where several fit as well (``ambiguous``). ``runner_up`` is the leg that fits next best, as
        far as requests tell, and ``reasons`` what a pair rests on.
    """
    # Datagrams cross no such proxy.
    messages = messages.filter(~pl.col("kind").str.contains("^(dns|quic)-"))
    if not messages.height and not any(frontend.mode == "proxy" for frontend in topology.frontends):
        legs, flows = _worth_a_look(legs, flows)
        if not legs.height:
            return pl.DataFrame(schema=PROXIED)
    known = sides(legs, flows, clocks)
    from_clients = on_islands(exchanges(messages, flows, clocks, "last"), clocks)
    # Only where several points saw a leg is there a choice.
    several = flows["leg"].n_unique() < flows.height
    to_servers = on_islands(exchanges(messages, flows, clocks, "first"), clocks) if several else from_clients
    cut = cut_headers(messages, flows, addresses)
    said = pl.concat(
        [clients(to_servers, addresses), said_by_headers(cut, to_servers)], how="vertical_relaxed"
    ).unique()
    headers = named_clients(messages, flows, addresses)
    if known["island"].n_unique() > 1:
        sent, named = by_client(known, from_clients, to_servers, said)
        keyed = pl.concat(
            [one.select("exchange", "key", front=pl.lit(side)) for one, side in ((sent, True), (named, False))]
        )
        crossed = crossings(header_pairs(headers, known), from_clients, to_servers, keyed)
        shifts = aligned(crossed, known["island"].value_counts(sort=True)["island"])
        known = on_one_clock(known, shifts, TIMES)
        from_clients, to_servers = (on_one_clock(one, shifts, _ASKED_TIMES) for one in (from_clients, to_servers))

    fronts = known.join(joined.select(leg="before"), "leg", how="anti")
    backs = known.join(joined.select("leg"), "leg", how="anti")
    found: list[pl.DataFrame] = []

    by_header = header_joins(header_pairs(headers.join(backs, "leg", how="semi"), known))
    by_header = in_a_row(to_the_end(by_header, joined), known, joined)
    found.append(_as_joins(by_header, "proxy-protocol", HEADER))
    fronts, backs = _without(fronts, backs, found[-1])
    by_rest = cut_header_joins(cut, fronts, backs, addresses)
    found.append(_as_joins(to_the_end(by_rest, joined), "proxy-protocol", CUT_HEADER))
    fronts, backs = _without(fronts, backs, found[-1])

    asked_front = from_clients.join(fronts.select("leg"), "leg", how="semi")
    asked_back = to_servers.join(backs.select("leg"), "leg", how="semi")
    settled = pl.concat([pl.concat(found).select("leg", "before"), joined.drop_nulls("before").select("leg", "before")])
    found.append(_by_request(known, fronts, asked_front, asked_back, said, settled, addresses, topology))
    # A client's connection may go on to other servers; what served it by requests is settled.
    backs = backs.join(found[-1], "leg", how="anti")

    found.append(_as_joins(hello_joins(fronts, backs, messages, flows), "payload", HELLO))
    fronts, backs = _without(fronts, backs, found[-1])
    read = pl.concat([from_clients["leg"], to_servers["leg"]]).unique().implode()
    fronts, backs = (one.with_columns(read=pl.col("leg").is_in(read)) for one in (fronts, backs))
    unread = fronts.filter(~pl.col("read")), backs.filter(~pl.col("read"))
    found.append(_as_joins(stream_joins(unread[0], unread[1], addresses, topology), "payload", STREAM))
    fronts, backs = _without(fronts, backs, found[-1])

    fronts = fronts.join(pl.concat(found).select(leg="before"), "leg", how="anti")
    backs = backs.join(probed(backs, addresses, topology), "leg", how="anti")
    by_time = timing_joins(fronts, backs, _names(messages, flows), addresses, topology)
    found.append(_as_joins(by_time, "timing", TIME))
    back_again = joined.select(leg="before", before="leg")
    return pl.concat(found).join(back_again, ["leg", "before"], how="anti").sort("leg", "before", nulls_last=True)


def all_joins(translated: pl.DataFrame, proxied: pl.DataFrame) -> pl.DataFrame:
    """The joins of :func:`join_legs` and those of proxies in one table; a packet's proof goes before a proxy."""
    if not proxied.height:
        return translated
    kept = translated.filter(pl.col("before").is_not_null() | ~pl.col("leg").is_in(proxied["leg"].implode()))
    missing = {name: pl.lit(None, kind) for name, kind in JOINS.items() if name not in proxied.columns}
    return pl.concat([kept, proxied.with_columns(**missing).select(*JOINS)])


def _worth_a_look(legs: pl.DataFrame, flows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Legs that could be a proxy's when nothing was read and no topology speaks, with their flows.

    A proxy is called at an address from which it calls, and passes bytes on: they come on two legs. Most captures hold
    nothing of the kind, and that is cheap to see.
    """
    called, calling = legs["dst"].unique(), legs["src"].unique()
    at_host = legs.filter(pl.col("src").is_in(called.implode()) | pl.col("dst").is_in(calling.implode()))["leg"]
    said = ("fwd_payload_digest", "rev_payload_digest")
    spoken = flows.filter(pl.col("leg").is_in(at_host.implode())).select("leg", *said).drop_nulls().unique("leg")
    twice = spoken.filter(pl.struct(said).is_duplicated())["leg"].implode()
    return legs.filter(pl.col("leg").is_in(twice)), flows.filter(pl.col("leg").is_in(twice))


def _by_request(
    known: pl.DataFrame,
    fronts: pl.DataFrame,
    asked_front: pl.DataFrame,
    asked_back: pl.DataFrame,
    said: pl.DataFrame,
    settled: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
) -> pl.DataFrame:
    """Joins by what the requests say, as pairs of legs with the number of requests they carried."""
    # What crosses a pair that is joined already crosses it the other way round as well.
    turned = settled.select(front_leg="leg", back_leg="before")
    usable = known.join(fronts.select("leg"), "leg", how="semi")
    by_endpoint = endpoint_pairs(usable, known, asked_back, said, addresses, topology)
    rest = asked_back.join(by_endpoint, left_on="exchange", right_on="back", how="anti")
    ties = presumed_ties(known, asked_front, asked_back)
    pairs = request_pairs(known, asked_front, rest, said, ties, addresses, topology)
    believed, unsure = _chosen_twice(
        pairs.join(turned, ["front_leg", "back_leg"], how="anti", maintain_order="left"), known
    )
    rest = rest.join(believed, left_on="exchange", right_on="back", how="anti").filter(
        ~pl.col("leg").is_in(unsure.implode())
    )
    by_address, several = address_pairs(usable, known, asked_front, rest, said, addresses, topology)
    columns = ["back", "back_leg", "front_leg", "bits", "margin", "reasons"]
    by_endpoint, by_address = (
        one.with_columns(reasons=pl.concat_list(pl.lit(text)))
        for one, text in ((by_endpoint, NAMED_END), (by_address, NAMED_ADDRESS))
    )
    pairs = pl.concat(
        [by_endpoint.select(columns), believed.select(*columns, "front", "runner_up"), by_address.select(columns)],
        how="diagonal",
    )
    alone = pl.col("front").is_not_null() & (pl.col("margin") >= _ALONE_BITS)
    joins = pairs.group_by("back_leg", "front_leg", maintain_order=True).agg(
        requests=pl.col("back").n_unique(),
        bits=pl.col("bits").max(),
        margin=pl.col("margin").max(),
        crossed=pl.struct("front", "back").filter(alone),
        **{name: pl.col(name).sort_by("bits", descending=True).first() for name in ("runner_up", "reasons")},
    )
    joins = joins.select(
        "margin",
        "crossed",
        "runner_up",
        "reasons",
        leg="back_leg",
        before="front_leg",
        bits=(pl.col("bits") + 2 * pl.col("requests").log(2)).clip(upper_bound=_MOST_BITS),
        ambiguous=pl.lit(value=False),
        requests="requests",
    )
    doubtful = pl.concat([unsure, several]).unique()
    doubtful = doubtful.filter(~doubtful.is_in(joins["leg"].implode()))
    nothing = pl.DataFrame({"leg": doubtful}).with_columns(
        bits=pl.lit(0.0), margin=pl.lit(0.0), ambiguous=pl.lit(value=True)
    )
    return _as_joins(pl.concat([joins, nothing], how="diagonal_relaxed"), "proxy-request")


def _chosen_twice(pairs: pl.DataFrame, known: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """The pairs that are believed, and the server legs in doubt: what is clear at first decides the rest."""
    believed, unsure = chosen(pairs)
    rest = pairs.join(believed, "back", how="anti", maintain_order="left")
    if not rest.height or not believed.height:
        return believed, unsure
    # A request that was answered is done.
    rest = rest.join(believed.filter("answered"), "front", how="anti", maintain_order="left")
    narrowed = without_strangers(rest, believed, known)
    if narrowed.height == rest.height:
        return believed, unsure
    more, _ = chosen(narrowed)
    # By what it was narrowed is no measure of how well a pair fits.
    believed = pl.concat([believed, more.with_columns(margin=pl.min_horizontal("margin", pl.lit(_NARROWED)))])
    return believed, unsure.filter(~unsure.is_in(believed["back_leg"].implode()))


def _as_joins(found: pl.DataFrame, method: str, reason: str | None = None) -> pl.DataFrame:
    """Brings what a step returned into the form of :data:`PROXIED`."""
    if reason is not None:
        found = found.with_columns(reasons=pl.concat_list(pl.lit(reason)))
    missing = [pl.lit(None, kind).alias(name) for name, kind in PROXIED.items() if name not in found.columns]
    return found.with_columns(*missing).with_columns(method=pl.lit(method)).select(PROXIED.keys()).cast(PROXIED)  # type: ignore[arg-type]


def _without(fronts: pl.DataFrame, backs: pl.DataFrame, done: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Leaves out legs that were joined one to one."""
    return fronts.join(done.select(leg="before"), "leg", how="anti"), backs.join(done, "leg", how="anti")


def _names(messages: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Server names of TLS legs: ``leg`` and ``sni``."""
    hellos = messages.filter(pl.col("kind") == "tls-client-hello", pl.col("sni").is_not_null())
    return hellos.select("sni", leg=flows["leg"].gather(hellos["flow"])).unique(
        "leg", keep="first", maintain_order=True
    )
