"""Proxies whose streams cannot be read: joined by the same bytes, else by time alone.

A proxy that does not look into a stream passes its bytes on under its own sequence numbers. A TLS ClientHello has 28
random bytes and more (RFC 8446, section 4.1.2) and is proof; other first bytes recur, and count only between legs that
the topology or one host ties. Where the proxy encrypts or decrypts, order and time are all that is left.
"""

from __future__ import annotations

import polars as pl

from flowscope.nat.proxy_nearest import earlier
from flowscope.nat.proxy_sides import could_be_proxied, from_elsewhere
from flowscope.nat.proxy_ties import tie_keys, with_ties
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


def digest_joins(
    fronts: pl.DataFrame, backs: pl.DataFrame, addresses: pl.DataFrame, topology: Topology
) -> pl.DataFrame:
    """Tied legs with the same first bytes in both directions: columns as :func:`hello_joins`."""
    left, right = tie_keys(fronts, addresses, topology)
    key = pl.struct("tie", "fwd_payload_digest", "rev_payload_digest")
    told = pl.col("fwd_payload_digest").is_not_null() & pl.col("rev_payload_digest").is_not_null()
    _, right = tie_keys(backs, addresses, topology) if backs is not fronts else (left, right)
    pairs = earlier(
        left.filter(told).select(key=key, at_ns="start_ns", front="leg"),
        right.filter(told).select(key=key, at_ns="start_ns", back="leg"),
    )
    pairs = with_ties(_nested(_compared(pairs, fronts, backs)), addresses, topology).filter(~pl.col("contradicted"))
    whole = pl.sum_horizontal("^(fwd|rev)_missing_bytes(_b)?$") == 0
    same = (pl.col("fwd_covered_bytes") == pl.col("fwd_covered_bytes_b")) & (
        pl.col("rev_covered_bytes") == pl.col("rev_covered_bytes_b")
    )
    bits = (
        _DIGESTS
        + pl.when("expected").then(4.0).otherwise(2.0)
        + pl.when(same).then(4.0).when(whole).then(-6.0).otherwise(0.0)
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
    left, _ = tie_keys(fronts, addresses, topology)
    _, right = tie_keys(backs, addresses, topology)
    pairs = earlier(
        left.select(key="tie", at_ns="start_ns", front="leg"), right.select(key="tie", at_ns="start_ns", back="leg")
    )
    pairs = with_ties(_compared(pairs, fronts, backs), addresses, topology)
    pairs = pairs.join(names, "leg", how="left").join(names, left_on="leg_b", right_on="leg", how="left", suffix="_b")
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
        & ~pl.col("contradicted")
        & (pl.col("expected") | (pl.col("one_host") & (pl.col("sni") == pl.col("sni_b"))))
    )
    bits = pl.when("expected").then(_TIME).otherwise(_TIME - 1)
    return _singles(pairs.filter(could_be_proxied(), from_elsewhere(), fits).with_columns(bits=bits))


def _compared(pairs: pl.DataFrame, fronts: pl.DataFrame, backs: pl.DataFrame) -> pl.DataFrame:
    left = pairs.join(fronts, left_on="front", right_on="leg", coalesce=False).drop("front")
    return left.join(backs.select(pl.all().name.suffix("_b")), left_on="back", right_on="leg_b", coalesce=False).drop(
        "back"
    )


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
