"""Legs become paths: one client connection followed across every translator, with its outcome."""

from __future__ import annotations

import polars as pl

from flowscope.nat.direct_return import direct_returns
from flowscope.nat.numbers import endpoint, endpoint_numbers
from flowscope.nat.profile import UNTOLD, Profile
from flowscope.nat.topology import Topology

_TCP = 6
_ICMP = (1, 58)
_ICMP_ERROR = 5
#: What is kept of the weakest join of a path.
_EVIDENCE: dict[str, pl.DataType | type[pl.DataType]] = {
    "margin": pl.Float64,
    "runner_up": pl.UInt64,
    "reasons": pl.List(pl.String),
}
#: Longer chains of translators are cut; nobody has them.
_MOST_LEGS = 8


def with_paths(
    flows: pl.DataFrame,
    legs: pl.DataFrame,
    joins: pl.DataFrame,
    events: pl.DataFrame,
    messages: pl.DataFrame,
    addresses: pl.DataFrame,
    topology: Topology,
    profile: Profile = UNTOLD,
) -> pl.DataFrame:
    """The paths: columns as in :data:`flowscope.tables.PATHS`.

    A leg that several later legs continue (a retried SYN under another SNAT port, a flow moved to another member)
    stands in one path with each of them.

    Args:
        flows: with ``leg``.
        legs: as :func:`flowscope.nat.legs.leg_table` returns them, with ``at_ns`` (time on the reference clock).
        joins: as :func:`flowscope.nat.matching.join_legs` returns them.
        events: with ``leg``.
        messages: the core's message table.
        addresses: the core's address table.
        topology: what is known of the balancer.
        profile: what is documented of it.
    """
    chains = _chains(legs, joins)
    signs = _signs(flows, events, messages)
    paths = _ends(chains, legs)
    paths = _outcomes(paths, chains, signs)
    paths = _roles(paths, direct_returns(flows, addresses, topology, profile), addresses, topology)
    return (
        paths.sort("first_ns", "client", "client_port", "chain")
        .drop("chain")
        .with_row_index("path")
        .with_columns(pl.col("path").cast(pl.UInt64))
    )


def _chains(legs: pl.DataFrame, joins: pl.DataFrame) -> pl.DataFrame:
    """One row per path: ``chain`` (its number), ``legs`` (list in packet order), and the joins' sureness."""
    tied = joins.filter(pl.col("before").is_not_null())
    inner = tied["before"].implode()
    chains = legs.filter(~pl.col("leg").is_in(inner)).select(leg_0="leg")
    chains = chains.with_columns(
        bits=pl.lit(None, pl.Float64),
        method=pl.lit("single"),
        requests=pl.lit(None, pl.UInt32),
        **{name: pl.lit(None, kind) for name, kind in _EVIDENCE.items()},
    )
    step = tied.select(
        "leg",
        "before",
        step_bits="bits",
        step_method="method",
        step_requests="requests",
        **{f"step_{name}": name for name in _EVIDENCE},
    )
    depth = 0
    while tied.height and depth < _MOST_LEGS - 1:
        # A leg with several predecessors (a proxy's shared connection) stands in a path with each of them.
        chains = chains.join(step, left_on=f"leg_{depth}", right_on="leg", how="left", maintain_order="left")
        depth += 1
        chains = chains.rename({"before": f"leg_{depth}"})
        # The path is as sure as its weakest join, and named after the join nearest to the client.
        weaker = pl.col("bits").is_null() | (pl.col("step_bits") < pl.col("bits"))
        chains = chains.with_columns(
            *(pl.when(weaker).then(f"step_{name}").otherwise(name).alias(name) for name in _EVIDENCE),
            bits=pl.min_horizontal("bits", "step_bits"),
            method=pl.coalesce("step_method", "method"),
            requests=pl.coalesce("step_requests", "requests"),
        ).drop("^step_.*$")
        if not chains[f"leg_{depth}"].is_not_null().any():
            break
    names = [f"leg_{at}" for at in reversed(range(depth + 1))]
    # Joins in a circle would leave their legs out; every leg stands in a path.
    met = chains.select(pl.concat_list(names).list.drop_nulls().alias("leg")).explode("leg")["leg"].unique()
    lost = legs.filter(~pl.col("leg").is_in(met.implode())).select(leg_0="leg", method=pl.lit("single"))
    chains = pl.concat([chains, lost], how="diagonal")
    unsure = joins.filter("ambiguous").unique("leg", keep="first", maintain_order=True)
    if unsure.height:
        # What was not joined has reasons too, and a rival.
        doubts = unsure.select(leg_0="leg", **{f"doubt_{name}": name for name in _EVIDENCE})
        chains = chains.join(doubts, "leg_0", how="left", maintain_order="left").with_columns(
            pl.coalesce(name, f"doubt_{name}").alias(name) for name in _EVIDENCE
        )
    return chains.with_row_index("chain").select(
        "chain",
        "method",
        "requests",
        last_leg="leg_0",
        legs=pl.concat_list(names).list.drop_nulls() if depth else pl.concat_list("leg_0"),
        confidence=pl.when(pl.col("bits").is_null()).then(1.0).otherwise((1 - (-pl.col("bits") / 4).exp()).round(4)),
        ambiguous=pl.col("leg_0").is_in(unsure["leg"].implode()),
        margin=pl.col("margin").round(1),
        runner_up="runner_up",
        reasons=pl.col("reasons").fill_null(pl.lit([], pl.List(pl.String))),
    )


def _ends(chains: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    ends = legs.select("leg", "protocol", "src", "src_port", "dst", "dst_port", "at_ns")
    firsts = chains.with_columns(first_leg=pl.col("legs").list.first())
    return firsts.join(ends, left_on="first_leg", right_on="leg", maintain_order="left").join(
        ends.drop("protocol"), left_on="last_leg", right_on="leg", suffix="_last", maintain_order="left"
    )


def _signs(flows: pl.DataFrame, events: pl.DataFrame, messages: pl.DataFrame) -> pl.DataFrame:
    """What each leg shows of its handshake and its end, at any of its points."""
    letters = pl.col("history")
    beyond_syns = pl.col("fwd_packets") - pl.col("fwd_syns")
    acknowledged = (pl.col("fwd_last_ack") - pl.col("rev_isn").cast(pl.Int64)) % 2**32 > 0
    # A client that only resets has not taken the offer.
    completed = pl.col("handshake_rtt_ns").is_not_null() | (
        (pl.col("rev_syns") > 0) & acknowledged & (pl.col("fwd_resets") < beyond_syns)
    )
    taken = (pl.col("fwd_payload_bytes") > 0) & pl.col("rev_last_ack").is_not_null() & (pl.col("rev_resets") == 0)
    # Where one direction only passes, that may show that the other was there: an ACK for what was not seen.
    alone = (
        (pl.col("rev_packets") == 0) & pl.col("fwd_last_ack").is_not_null() & (beyond_syns > pl.col("fwd_resets"))
    ) | ((pl.col("fwd_packets") == 0) & (pl.col("rev_syns") > 0) & (pl.col("rev_payload_bytes") > 0))
    both_closed = (pl.col("fwd_fins") > 0) & (pl.col("rev_fins") > 0)
    errors = events.filter(pl.col("kind") == _ICMP_ERROR)
    tcp = pl.col("protocol") == _TCP
    # Of datagrams those that ask for an answer: nobody is obliged to answer the others.
    asking = messages.filter(pl.col("kind").is_in(["dns-query", "quic-initial"]))["flow"].unique()
    flags = flows.select(
        "leg",
        syn=tcp & (pl.col("fwd_syns") > 0),
        # An answer to another SYN gives no number.
        syn_ack=tcp & pl.col("rev_isn").is_not_null(),
        completed=(completed | ((pl.col("fwd_syns") + pl.col("rev_syns") > 0) & alone)).fill_null(value=False),
        refused=letters.str.contains("r") & (pl.col("rev_syns") == 0) & (pl.col("fwd_syns") > 0)
        & (pl.col("rev_payload_bytes") == 0),
        reset=(letters.str.contains("(?i)r") & ~both_closed),
        # An error about a late answer says nothing of the question.
        rejected=pl.when(tcp)
        .then(pl.col("flow").is_in(errors["flow"].unique().implode()))
        .otherwise(pl.col("flow").is_in(errors.filter(pl.col("half") == 0)["flow"].unique().implode())),
        asked=pl.col("flow").is_in(asking.implode()) | pl.col("protocol").is_in(_ICMP),
        answered=pl.col("rev_packets") > 0,
        flowing=(pl.col("rev_payload_bytes") > 0) | taken,
    )  # fmt: skip
    if flags["leg"].is_unique().all():
        return flags
    return flags.group_by("leg").agg(pl.exclude("leg").any())


def _outcomes(paths: pl.DataFrame, chains: pl.DataFrame, signs: pl.DataFrame) -> pl.DataFrame:
    several = chains.filter(pl.col("legs").list.len() > 1)
    direct = paths.join(signs, left_on="last_leg", right_on="leg", how="left", maintain_order="left")
    if several.height:
        # What any leg of a path shows, the path shows.
        shown = (
            several.select("chain", pl.col("legs").alias("leg"))
            .explode("leg")
            .join(signs, "leg")
            .drop("leg")
            .group_by("chain")
            .agg(pl.exclude("chain").any())
        )
        names = [name for name in signs.columns if name != "leg"]
        direct = direct.join(shown, "chain", how="left", suffix="_any", maintain_order="left").with_columns(
            pl.coalesce(f"{name}_any", name).alias(name) for name in names
        )
    tcp = pl.col("protocol") == _TCP
    outcome = (
        pl.when(tcp & pl.col("completed") & pl.col("reset")).then(pl.lit("reset"))
        .when(tcp & pl.col("completed")).then(pl.lit("established"))
        # The SYN-ACK itself may be missing from the capture.
        .when(tcp & pl.col("syn") & pl.col("flowing") & pl.col("reset")).then(pl.lit("reset"))
        .when(tcp & pl.col("syn") & pl.col("flowing")).then(pl.lit("established"))
        .when(tcp & pl.col("syn_ack")).then(pl.lit("half-open"))
        .when(tcp & pl.col("syn") & pl.col("refused")).then(pl.lit("refused"))
        .when(tcp & pl.col("syn") & pl.col("rejected")).then(pl.lit("rejected"))
        .when(tcp & pl.col("syn")).then(pl.lit("unanswered"))
        .when(~tcp & pl.col("answered")).then(pl.lit("established"))
        .when(~tcp & pl.col("rejected")).then(pl.lit("rejected"))
        .when(~tcp & pl.col("asked")).then(pl.lit("unanswered"))
        .otherwise(pl.lit("unknown"))
    )  # fmt: skip
    return direct.with_columns(outcome=outcome)


def _roles(paths: pl.DataFrame, direct: pl.Series, addresses: pl.DataFrame, topology: Topology) -> pl.DataFrame:
    """Names client, frontend, SNAT address and backend of each path."""
    moved = (pl.col("dst") != pl.col("dst_last")) | (pl.col("dst_port") != pl.col("dst_port_last"))
    masked = (pl.col("src") != pl.col("src_last")) | (pl.col("src_port") != pl.col("src_port_last"))
    known = endpoint_numbers(addresses, [(one.address, one.port) for one in topology.frontends])
    # What was translated for one caller is a frontend for the others too, unless it was only guessed.
    proven = moved & ~pl.col("ambiguous") & (pl.col("method") != "timing")
    seen = paths.filter(proven & (pl.col("protocol") == _TCP)).select(end=endpoint("dst"))["end"].unique()
    at_frontend = endpoint("dst").is_in(pl.concat([known, seen]).unique().implode())
    # A call to a known frontend that was seen on its first leg only: whoever served it is not in the captures.
    # Whoever answers directly does it in the frontend's name.
    answered_directly = ~moved & endpoint("dst").is_in(direct.implode())
    unseen = ~moved & at_frontend & ~answered_directly
    named = moved | unseen | answered_directly
    return paths.select(
        "chain",
        "protocol",
        "legs",
        pl.col("src").alias("client"),
        pl.col("src_port").alias("client_port"),
        frontend=pl.when(named).then("dst"),
        frontend_port=pl.when(named).then("dst_port"),
        snat=pl.when(masked).then("src_last"),
        snat_port=pl.when(masked).then("src_port_last"),
        backend=pl.when(~unseen).then("dst_last"),
        backend_port=pl.when(~unseen).then("dst_port_last"),
        outcome="outcome",
        method="method",
        confidence="confidence",
        ambiguous="ambiguous",
        requests="requests",
        margin="margin",
        runner_up="runner_up",
        reasons="reasons",
        first_ns="at_ns",
    )
