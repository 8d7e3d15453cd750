"""Probes that share one connection: a prober that keeps it alive asks again and again on it.

Each request is a probe. Of the first one the whole handshake tells (:mod:`flowscope.probes.read`); of the others, and
of all where the connection is older than the capture, a request and what answers it before the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from flowscope.window import Window

#: Statuses with which a prober is asked to log in.
WANTED_AUTH = (401, 403, 407)
_OF_CONNECTION = ("path", "outcome", "source", "member", "port", "asked", "host", "main", "shift", "gappy", "cut",
                  "lossy", "alive_ns", "prober_closed", "member_closed", "heard_out")  # fmt: skip
#: No prober gives up sooner.
SURELY_IN_TIME_NS = 200_000_000
_FINAL = 200


def later_requests(window: Window, told: pl.DataFrame) -> pl.DataFrame:
    """The probes that no SYN began, with columns as of the others as far as they have them.

    Args:
        window: what is judged.
        told: the probes' connections, with ``main`` (the flow that tells most) and ``sent_ns`` (null without its SYN).
    """
    own = told.select(*_OF_CONNECTION, begun_ns="sent_ns")
    said = window.messages.filter(pl.col("flow").is_in(own["main"].implode())).rename({"flow": "main"})
    asked = said.filter(pl.col("kind") == "http-request").sort("first_ns").select("main", "target", at="first_ns")
    asked = asked.with_columns(number=pl.int_range(pl.len()).over("main"), next_ns=pl.col("at").shift(-1).over("main"))
    # A single request without its SYN is a probe of which the beginning is missing.
    several = pl.len().over("main") > 1
    found = asked.filter(several).join(own, "main").sort("at")
    found = found.filter((pl.col("number") > 0) | pl.col("begun_ns").is_null())
    final = said.filter(pl.col("kind") == "http-response", pl.col("status") >= _FINAL).sort("first_ns")
    answers = final.select("main", "status", answer="first_ns", response_end="last_ns", whole="complete")
    found = found.join_asof(
        answers, left_on="at", right_on="answer", by="main", strategy="forward", check_sortedness=False
    )
    mine = pl.col("next_ns").is_null() | (pl.col("answer") <= pl.col("next_ns"))
    found = found.with_columns(
        pl.when(mine).then(name).alias(name) for name in ("answer", "status", "response_end", "whole")
    )
    return found.with_columns(
        sent_ns=pl.col("at") + pl.col("shift"),
        first_data_ns=pl.col("answer") + pl.col("shift"),
        # Who asks on had its answer.
        whole=pl.col("whole") | pl.col("next_ns").is_not_null(),
        asks=pl.lit("http"),
        kept=pl.lit(value=True),
    ).drop("at", "number", "next_ns", "answer", "begun_ns")


def how_kept() -> pl.Expr:
    """What such a probe met, in the words of :func:`flowscope.probes.met.how`."""
    status, held = pl.col("status"), pl.col("prober_closed") - pl.col("sent_ns")
    gave_up, left = held >= SURELY_IN_TIME_NS, pl.col("left") & (pl.col("member_closed") > pl.col("sent_ns"))
    # Who leaves at once has something else in mind than the answer.
    went = held.is_between(0, SURELY_IN_TIME_NS, closed="none")
    unread = (pl.col("gappy") | pl.col("cut")).fill_null(value=True)
    waited = pl.col("waited").fill_null(value=False)
    # Only who closes, and has acknowledged no more than was captured, shows that it had no answer.
    had_none = (gave_up & pl.col("heard_out")).fill_null(value=False)
    unclosed = pl.when(waited).then(pl.lit("unknown")).otherwise(pl.lit("open"))
    silent = pl.when(had_none).then(pl.lit("timeout")).otherwise(unclosed)
    return (
        pl.when(status.is_not_null() & pl.col("too_late").fill_null(value=False))
        .then(pl.lit("slow"))
        .when(status.is_not_null() & ~pl.col("whole").fill_null(value=False))
        .then(pl.when(waited).then(pl.lit("unknown")).otherwise(pl.lit("open")))
        .when(status.is_between(pl.col("least"), pl.col("most")))
        .then(pl.lit("good"))
        .when(status.is_between(300, 399))
        .then(pl.lit("redirect"))
        .when(status.is_in(WANTED_AUTH))
        .then(pl.lit("auth"))
        .when(status.is_not_null())
        .then(pl.lit("status"))
        # A member may close a connection that was kept for long just as it is asked: the prober asks anew then.
        .when(unread | left.fill_null(value=False) | went.fill_null(value=False))
        .then(pl.lit("unknown"))
        .otherwise(silent)
    )
