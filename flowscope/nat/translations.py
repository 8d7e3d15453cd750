"""The translators on each path: the tuple before, the tuple behind, and what was rewritten between them."""

from __future__ import annotations

import polars as pl

from flowscope.nat.numbers import endpoint
from flowscope.nat.outcomes import PROXIED

_ENDS = ("src", "src_port", "dst", "dst_port")


def translations(paths: pl.DataFrame, legs: pl.DataFrame) -> pl.DataFrame:
    """One row per path and translator on it, of paths that are not ambiguous.

    Args:
        paths: columns as in :data:`flowscope.tables.PATHS`.
        legs: columns as in :data:`flowscope.tables.LEGS`.

    Returns:
        ``path``, ``protocol``, ``method``, ``client``, ``backend``, ``outcome``, ``a`` and ``b`` (the legs before and
        behind), their ends as ``src`` ... and ``src_b`` ..., ``src_moved``, ``dst_moved``, and ``proxied`` (the two
        legs are connections of their own).
    """
    several = paths.filter(pl.col("legs").list.len() > 1, ~pl.col("ambiguous"))
    steps = several.select(
        "path",
        "protocol",
        "method",
        "client",
        "backend",
        "outcome",
        a=pl.col("legs").list.slice(0, pl.col("legs").list.len() - 1),
        b=pl.col("legs").list.slice(1),
    ).explode("a", "b")
    ends = legs.select("leg", *_ENDS)
    steps = steps.join(ends, left_on="a", right_on="leg", maintain_order="left").join(
        ends, left_on="b", right_on="leg", suffix="_b", maintain_order="left"
    )
    moved = {
        side: (pl.col(side) != pl.col(f"{side}_b")) | (pl.col(f"{side}_port") != pl.col(f"{side}_port_b"))
        for side in ("src", "dst")
    }
    return steps.with_columns(src_moved=moved["src"], dst_moved=moved["dst"]).with_columns(
        proxied=pl.col("method").is_in(PROXIED) & pl.col("src_moved")
    )


def outbound(paths: pl.DataFrame, steps: pl.DataFrame) -> pl.DataFrame:
    """Paths of one leg that failed although others to the same destination left under another address.

    Args:
        paths: columns as in :data:`flowscope.tables.PATHS`.
        steps: as :func:`translations` returns them.

    Returns:
        The paths, with ``snat`` and ``snat_port`` null as they are, and ``through``: the address the others left under.
    """
    left = steps.filter(pl.col("src_moved"), ~pl.col("dst_moved")).select(
        "protocol", "client", _to=endpoint("dst"), through=pl.col("src_b")
    )
    failed = paths.filter(pl.col("outcome") == "unanswered", pl.col("legs").list.len() == 1).with_columns(
        _to=endpoint("backend")
    )
    return failed.join(left.unique(), ["protocol", "client", "_to"], maintain_order="left").drop("_to")
