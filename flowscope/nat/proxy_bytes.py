"""Proxies whose streams cannot be read: joined by the same bytes, else by time alone.

A proxy that does not look into a stream passes its bytes on under its own sequence numbers. A TLS ClientHello has 28
random bytes and more (RFC 8446, section 4.1.2) and is proof; other first bytes recur, and count only between legs that
the topology or one host ties. Where the proxy encrypts or decrypts, order and time are all that is left.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_nearest import earlier
from flowscope.nat.proxy_sides import could_be_proxied, from_elsewhere
from flowscope.nat.proxy_ties import pool_keys, with_ties
from flowscope.nat.topology import Topology

#: Bits of a ClientHello, of the first bytes of both directions, and of time alone (confidence below 0.8).
_HELLO, _DIGESTS, _TIME = 24.0, 10.0, 6.0
_ENOUGH = 12.0
#: A proxy opens its own connection so soon after the client's, or after the client's first bytes.
_PROMPT_NS, _PROXY_NS = 2_000_000_000, 1_000_000_000
_SLACK_NS = 1_000_000


def hello_joins(fronts: pl.DataFrame, backs: pl.DataFrame, messages: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Legs with the same TLS ClientHello: ``leg``, ``before``, ``bits``, ``margin``, ``ambiguous``.

    Args:
        fronts: sides of legs that may be a client's.
        backs: sides of legs that may lead to a server.
        messages: the core's message table.
        flows: with ``leg``; row number = flow number.
    """
    hellos = messages.filter(pl.col("kind") == "tls-client-hello", pl.col("token").is_not_null())
    hellos = hellos.select("token", leg=flows["leg"].gather(hellos["flow"])).unique()
    pairs = earlier(
        fronts.join(hellos, "leg").select(key="token", at_ns="start_ns", front="leg"),
        backs.join(hellos, "leg").select(key="token", at_ns="start_ns", back="leg"),
    )
    pairs = _nested(_compared(pairs, fronts, backs)).filter(from_elsewhere())
    # In a chain of proxies the nearest.
    best = pairs.sort("leg_b", "start_ns", "leg", descending=[False, True, False]).unique("leg_b", keep="first")
    bits = pl.lit(_HELLO)
    return best.select(leg="leg_b", before="leg", bits=bits, margin=bits, ambiguous=pl.lit(value=False))


def stream_joins(
    fronts: pl.DataFrame, backs: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Tied legs with the same first bytes in both directions: columns as :func:`hello_joins`.

    Hosts that talk the same protocol to one another begin alike. Where only one host ties two legs, no third may have
    these first bytes and this length in both directions.
    """
    streams = ["fwd_payload_digest", "rev_payload_digest", "fwd_covered_bytes", "rev_covered_bytes"]
    whole = (pl.col("fwd_missing_bytes") == 0) & (pl.col("rev_missing_bytes") == 0)
    told = pl.col("fwd_payload_digest").is_not_null() & pl.col("rev_payload_digest").is_not_null()
    narrow = ("leg", "src", "dst", "dst_end", "start_ns", *streams)
    left, right = fronts.filter(told).select(*narrow, whole=whole), backs.filter(told).select(*narrow, whole=whole)
    every = pl.concat([left, right]).unique("leg")
    single = every.group_by(streams).agg(pl.len(), pl.col("whole").all()).filter(pl.col("len") == 2, "whole")
    on_host = left.join(single.select(streams), streams, how="semi").join(right, streams, suffix="_b")
    on_host = on_host.filter(pl.col("dst") == pl.col("src_b")).select(front="leg", back="leg_b")

    to_frontend, to_member = (
        keys.select(key=pl.struct("pool", *streams[:2]), at_ns="start_ns", leg="leg")
        for keys in pool_keys(left, right, addresses, topology)
    )
    in_pool = earlier(to_frontend.rename({"leg": "front"}), to_member.rename({"leg": "back"}))
    pairs = pl.concat([on_host, in_pool]).unique()
    pairs = with_ties(_nested(_compared(pairs, fronts, backs)), addresses, topology).filter(~pl.col("contradicted"))
    both_whole = pl.sum_horizontal("^(fwd|rev)_missing_bytes(_b)?$") == 0
    same = (pl.col("fwd_covered_bytes") == pl.col("fwd_covered_bytes_b")) & (
        pl.col("rev_covered_bytes") == pl.col("rev_covered_bytes_b")
    )
    bits = (
        _DIGESTS
        + pl.when("expected").then(4.0).otherwise(2.0)
        + pl.when(same).then(4.0).when(both_whole).then(-6.0).otherwise(0.0)
    )
    return _singles(pairs.with_columns(bits=bits).filter(pl.col("bits") >= _ENOUGH))


def timing_joins(
    fronts: pl.DataFrame, backs: pl.DataFrame, names: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Tied legs that were opened one for the other, by time alone: columns as :func:`hello_joins`.

    Args:
        fronts: sides of legs that may be a client's, with ``read`` (true when its requests could be read).
        backs: the same of legs that may lead to a server.
        names: ``leg`` and ``sni`` of TLS legs. Where only one host ties two legs they must name the same server: a
            server that calls another does so at the same moments.
        addresses: the core's address table.
        topology: what is known of the balancer.
    """
    to_frontend, to_member = pool_keys(fronts, backs, addresses, topology)
    in_pool = earlier(
        to_frontend.select(key="pool", at_ns="start_ns", front="leg"),
        to_member.select(key="pool", at_ns="start_ns", back="leg"),
    )
    on_host = earlier(
        fronts.join(names, "leg").select(key=pl.struct("sni", host="dst"), at_ns="start_ns", front="leg"),
        backs.join(names, "leg").select(key=pl.struct("sni", host="src"), at_ns="start_ns", back="leg"),
    )
    pairs = _compared(pl.concat([in_pool, on_host]).unique(), fronts, backs)
    slack = _slack()
    since = pl.when(pl.col("fwd_data_ns") <= pl.col("start_ns_b") + slack).then("fwd_data_ns").otherwise("start_ns")
    fits = (
        (pl.col("start_ns") <= pl.col("start_ns_b") + slack)
        & (pl.col("start_ns_b") - since <= _PROXY_NS)
        & (pl.col("end_ns") + slack >= pl.col("start_ns_b"))
        & (pl.col("rev_data_ns_b") <= pl.col("rev_data_end_ns") + slack)
        & pl.col("fwd_data_ns").is_not_null()
        & pl.col("fwd_data_ns_b").is_not_null()
        & ~(pl.col("read") & pl.col("read_b"))
    )
    pairs = with_ties(pairs.filter(could_be_proxied(), from_elsewhere(), fits), addresses, topology)
    bits = pl.when("expected").then(_TIME).otherwise(_TIME - 1)
    return _singles(pairs.filter(~pl.col("contradicted")).with_columns(bits=bits))


def _compared(pairs: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    """Both sides of pairs that were opened soon after one another; few of a crowd of candidates are."""
    times = pairs.join(fronts.select(front="leg", start_ns="start_ns", data_ns="fwd_data_ns"), "front").join(
        backs.select(back="leg", start_ns_b="start_ns", slack_ns_b="slack_ns"), "back"
    )
    opened = pl.max_horizontal("start_ns", "data_ns") + pl.col("slack_ns_b") + _PROMPT_NS + _SLACK_NS
    soon = times.filter(pl.col("start_ns_b") <= opened).select(leg="front", leg_b="back")
    return soon.join(fronts, "leg").join(backs.select(pl.all().name.suffix("_b")), "leg_b")


def _nested(pairs: pl.DataFrame) -> pl.DataFrame:
    """Pairs in which the server's side opens after the client's, gets its bytes after, and answers before it."""
    slack = _slack()
    nested = pairs.filter(
        could_be_proxied(),
        (pl.col("start_ns_b") - pl.col("start_ns")).is_between(-slack, _PROMPT_NS),
        (pl.col("fwd_data_ns") <= pl.col("fwd_data_ns_b") + slack).fill_null(value=True),
        (pl.col("rev_data_ns_b") <= pl.col("rev_data_ns") + slack).fill_null(value=True),
    )
    # Within the slack both ways round may do: the earlier leg is the client's.
    turned = nested.select(leg="leg_b", leg_b="leg", turned=pl.lit(value=True))
    both = nested.join(turned, ["leg", "leg_b"], how="left", maintain_order="left")
    return both.filter((pl.col("start_ns") < pl.col("start_ns_b")) | pl.col("turned").is_null()).drop("turned")


def _singles(pairs: pl.DataFrame) -> pl.DataFrame:
    """Joins of the legs that fit each other and nothing else; the rest is ambiguous."""
    pairs = pairs.unique(["leg", "leg_b"], keep="first", maintain_order=True)
    alone = (pl.len().over("leg_b") == 1) & (pl.len().over("leg") == 1)
    return (
        pairs.with_columns(alone=alone)
        .sort("leg_b", "leg")
        .group_by("leg_b", maintain_order=True)
        .agg(pl.col("leg", "bits").first(), pl.col("alone").all())
        .select(
            leg="leg_b",
            before=pl.when("alone").then("leg"),
            bits="bits",
            margin=pl.when("alone").then("bits").otherwise(0.0),
            ambiguous=~pl.col("alone"),
        )
    )


def _slack() -> pl.Expr:
    return _SLACK_NS + pl.col("slack_ns") + pl.col("slack_ns_b")
