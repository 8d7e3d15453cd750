"""Which request on a proxy's client side is which on its server side, by what crosses in clear HTTP.

A unique value is proof whatever its header is called. The client's address in X-Forwarded-For and its kin, the request
line, Host, agent, status and length of the response are worth less each, and count together with the times: the request
leaves the proxy after it came, the response comes back before it is passed on.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_direction import one_way
from flowscope.nat.proxy_exchanges import ids, marks
from flowscope.nat.proxy_lengths import with_length_bits
from flowscope.nat.proxy_nearest import earlier, earlier_with_key
from flowscope.nat.proxy_one_host import without_own_calls
from flowscope.nat.proxy_presumed import presumed_keys, same_target, with_presumed
from flowscope.nat.proxy_reasons import request_reasons
from flowscope.nat.proxy_sides import NUMBERS, could_be_proxied, from_elsewhere
from flowscope.nat.proxy_ties import tie_keys, with_ties
from flowscope.nat.topology import Topology

#: A value on more legs than a chain of proxies has is none of one request.
_MOST_LEGS = 8
#: Bits of a value that occurs once per leg, of one that marks a connection, of a short one, and of one that recurs.
_UNIQUE, _MARK, _SHORT, _RECURS = 20.0, 16.0, 8.0, 4.0
#: A value of so few bytes is met again by chance.
_SHORT_BYTES = 7
#: Bits of the client's address, where the proxy added it and where an earlier one did.
_NAMED, _NAMED_BEFORE = 10.0, 8.0
#: Bits of a tie that the topology tells, of one that only the times of many requests show, and of one host: the client
#: called it, and it called the server.
_EXPECTED, _PRESUMED, _ONE_HOST = 10.0, 8.0, 4.0
#: Bits of a request and a response that are inside of the client's.
_INSIDE = 2.0
#: What points on one clock may disagree by, and how far order may be violated at all.
_SLACK_NS, _MOST_WRONG_NS = 100_000, 5_000_000
_KNOWN_IDS = r"request|correlation|trace|transaction|unique|azure-ref|amzn"
#: Bits that make an identity: such a pair needs no rivalry between requests to be believed.
PROOF = 16.0


def request_pairs(
    sides: pl.DataFrame,
    fronts: pl.DataFrame,
    backs: pl.DataFrame,
    said: pl.DataFrame,
    ties: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
) -> pl.DataFrame:
    """Pairs of exchanges that may be one request on both sides of a proxy, with ``bits``.

    Args:
        sides: as :func:`flowscope.nat.proxy_sides.sides` returns them.
        fronts: exchanges of legs that may be a client's, as :func:`flowscope.nat.proxy_exchanges.exchanges` returns
            them, with ``slack_ns`` (doubt about their clock).
        backs: the same of legs that may lead to a server.
        said: what those say of their clients, as :func:`flowscope.nat.proxy_exchanges.clients` returns it.
        ties: as :func:`flowscope.nat.proxy_presumed.presumed_ties` returns them.
        addresses: the core's address table.
        topology: what is known of the balancer.

    Returns:
        Columns ``front`` and ``back`` (exchanges), ``front_leg``, ``back_leg``, ``front_turn``, ``back_turn``,
        ``bits``, ``proof`` (true when an identity crossed), ``answered`` (the server did), ``one_host``, ``reasons``
        (texts).
    """
    found = pl.concat(
        [
            id_pairs(fronts, backs),
            _client_pairs(sides, fronts, backs, said),
            _tied_pairs(sides, fronts, backs, ties, addresses, topology),
        ],
        how="diagonal",
    )
    found = found.group_by("front", "back").agg(pl.col("id_bits").max(), pl.col("client_bits").max())
    columns = (
        "leg", "turn", "method", "target", "cut", "host", "agent", "status", "body_bytes", "asked_bytes",
        "answer_bytes", "asked_ns", "answered_ns", "until_ns", "slack_ns",
    )  # fmt: skip
    pairs = found.join(fronts.select(*columns, front="exchange"), "front").join(
        backs.select(*columns, back="exchange"), "back", suffix="_b"
    )
    known = sides.select("leg", "src", "dst", "dst_port", "src_end", "dst_end", NUMBERS)
    pairs = pairs.join(known, "leg").join(known, left_on="leg_b", right_on="leg", suffix="_b")
    pairs = pairs.filter(could_be_proxied(), from_elsewhere(), pl.col("method") == pl.col("method_b"))
    scored = _scored(one_way(with_presumed(with_ties(pairs, addresses, topology), ties)))
    return without_own_calls(scored, sides, fronts, backs).select(
        "front",
        "back",
        "bits",
        front_leg="leg",
        back_leg="leg_b",
        front_turn="turn",
        back_turn="turn_b",
        proof=(pl.col("id_bits") >= PROOF).fill_null(value=False),
        answered=pl.col("answered_ns_b").is_not_null(),
        one_host="one_host",
        reasons=request_reasons(),
    )


def id_pairs(fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """Pairs ``front``, ``back`` of exchanges with a value in common that few have, and its worth: ``id_bits``."""
    named = ids(fronts)
    per_leg = named.group_by("name", "value", "leg").agg(times=pl.len())
    per_value = per_leg.group_by("value").agg(legs=pl.col("leg").n_unique(), times=pl.col("times").max())
    back_ids = ids(backs)
    on_legs = pl.concat([per_leg.select("value", "leg"), back_ids.select("value", "leg")]).unique()
    shared = on_legs.group_by("value").len("legs").filter(pl.col("legs").is_between(2, _MOST_LEGS))
    kinds = per_leg.group_by("name").agg(kinds=pl.col("value").n_unique())
    called_so = pl.col("name").str.contains(_KNOWN_IDS)
    telling = (pl.col("kinds") >= 2) | (pl.col("value").str.len_bytes() >= 16) | called_so
    short = (pl.col("value").str.len_bytes() <= _SHORT_BYTES) & ~called_so
    worth = (
        pl.when(short).then(pl.when(pl.col("kinds") >= 3).then(_SHORT).otherwise(_RECURS))
        .when(pl.col("times") == 1).then(pl.when(telling).then(_UNIQUE).otherwise(_UNIQUE / 2))
        # Different on every connection, the same for all its requests.
        .when(pl.col("kinds") >= 3).then(_MARK)
        .otherwise(_RECURS)
    )  # fmt: skip
    values = (
        named.join(shared.select("value"), "value")
        .join(per_value.select("value", "times"), "value")
        .join(kinds, "name")
        .group_by("value")
        .agg(id_bits=worth.max())
        .with_row_index("key")
    )
    left = named.join(values, "value").join(fronts.select("exchange", at_ns="asked_ns"), "exchange")
    right = back_ids.join(values, "value").join(backs.select("exchange", at_ns="asked_ns"), "exchange")
    pairs = earlier_with_key(left.rename({"exchange": "front"}), right.rename({"exchange": "back"}))
    return pairs.join(values.select("key", "id_bits"), "key").group_by("front", "back").agg(pl.col("id_bits").max())


def _client_pairs(sides: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
    """Requests from a client, and requests that name it, with the same method and end of target."""
    sent, named = by_client(sides, fronts, backs, said)
    pairs = earlier(
        sent.select("key", at_ns="asked_ns", front="exchange"), named.select("key", at_ns="asked_ns", back="exchange")
    )
    bits = pl.when(pl.col("place") == 0).then(_NAMED).otherwise(_NAMED_BEFORE)
    worth = named.select(back="exchange", client="client", client_bits=bits)
    return (
        pairs.join(sent.select(front="exchange", client="client"), "front")
        .join(worth, ["back", "client"])
        .drop("client")
    )


def by_client(
    sides: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame, said: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Requests of clients, and those that name one: ``exchange``, ``asked_ns``, ``client``, and a ``key`` to join by.

    The second also has ``place``, see :func:`flowscope.nat.proxy_exchanges.clients`.
    """
    key = pl.struct("client", "mark")
    asked, passed = marks(fronts, backs)
    named = said.group_by("exchange", "client").agg(pl.col("place").min())
    named = named.join(backs.select("exchange", "asked_ns"), "exchange").join(passed, "exchange")
    sent = fronts.join(sides.select("leg", client="src"), "leg").join(asked, "exchange")
    return (
        sent.select("exchange", "asked_ns", "client", key=key),
        named.select("exchange", "asked_ns", "client", "place", key=key),
    )


def _tied_pairs(
    sides: pl.DataFrame,
    fronts: pl.DataFrame,
    backs: pl.DataFrame,
    ties: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
) -> pl.DataFrame:
    """Requests of the same method and target on legs that the topology, a host or their times tie."""
    left, right = tie_keys(sides.select("leg", "src", "dst", "dst_end"), addresses, topology)
    by_time = presumed_keys(sides, ties)
    key = pl.struct("tie", "mark")
    asked, passed = marks(fronts, backs)
    left, right = (pl.concat([one.select("leg", "tie"), two]) for one, two in zip((left, right), by_time, strict=True))
    return earlier(
        fronts.join(left, "leg").join(asked, "exchange").select(key=key, at_ns="asked_ns", front="exchange"),
        backs.join(right, "leg").join(passed, "exchange").select(key=key, at_ns="asked_ns", back="exchange"),
    )


def _scored(pairs: pl.DataFrame) -> pl.DataFrame:
    """Adds ``bits``; leaves out what the order of things forbids."""
    slack = _SLACK_NS + pl.col("slack_ns") + pl.col("slack_ns_b")
    both_answered = pl.col("answered_ns").is_not_null() & pl.col("answered_ns_b").is_not_null()
    ahead = pl.col("asked_ns_b") - pl.col("asked_ns")
    behind = pl.when(both_answered).then(pl.col("answered_ns") - pl.col("answered_ns_b")).otherwise(0)
    late = pl.col("asked_ns_b") - pl.col("until_ns").fill_null(pl.col("asked_ns_b"))
    wrong = pl.max_horizontal(-ahead, -behind, late, pl.lit(0)).cast(pl.Float64)
    passing = (ahead.clip(0) + behind.clip(0)).cast(pl.Float64) / 1e6
    # Proxies add prefixes to paths and take them away.
    prefixed = pl.col("target").str.ends_with(pl.col("target_b").str.strip_chars_start("/")) | pl.col(
        "target_b"
    ).str.ends_with(pl.col("target").str.strip_chars_start("/"))

    def agree(name: str, right: float, wrong: float) -> pl.Expr:
        equal = pl.col(name) == pl.col(f"{name}_b")
        return pl.when(equal).then(right).when(~equal).then(wrong).otherwise(0.0)

    # Short values recur by chance: they only tell apart what something else ties.
    tied = pl.col("client_bits").is_not_null() | pl.col("expected") | pl.col("presumed") | pl.col("one_host")
    bits = (
        pl.when((pl.col("id_bits") != _SHORT) | tied).then("id_bits").otherwise(None).fill_null(0.0)
        + pl.col("client_bits").fill_null(0.0)
        + pl.when("expected")
        .then(_EXPECTED)
        .otherwise(pl.col("presumed").cast(pl.Float64) * _PRESUMED + pl.col("one_host").cast(pl.Float64) * _ONE_HOST)
        - pl.when("contradicted").then(12.0).otherwise(0.0)
        + pl.when(same_target()).then(4.0).when(prefixed).then(2.0).otherwise(-10.0)
        + agree("host", 2.0, 0.0)
        + agree("agent", 2.0, -3.0)
        + agree("status", 1.0, -3.0)
        + agree("body_bytes", 2.0, 0.0)
        + pl.when(both_answered & (wrong <= slack)).then(_INSIDE).otherwise(0.0)
        - (1 + passing).log(2)
        - 4 * (1 + wrong / slack).log(2)
    )
    possible = pairs.with_columns(bits=bits).filter(wrong <= _MOST_WRONG_NS + 4 * slack)
    # What crossed beyond doubt needs no lengths.
    lengths = pl.when(pl.col("id_bits").fill_null(0.0) < PROOF).then("length_bits").otherwise(0.0)
    return with_length_bits(possible, wrong > slack, passing).with_columns(bits=pl.col("bits") + lengths)
