"""What one probe met, in one word: an answer that is good, a kind of failure, or what hides both."""

from __future__ import annotations

import polars as pl

from flowscope.probes.kept import SURELY_IN_TIME_NS, WANTED_AUTH


def how() -> pl.Expr:
    """The kind of failure, ``good``, ``unknown`` or ``open``.

    A frame that the capture missed is no answer that never came: silence counts when the prober's own numbers show that
    it had nothing, and what comes after an unseen stretch proves nothing of it: it may be a line of what was lost.
    """
    waited = pl.col("waited").fill_null(value=False)
    gappy, cut = pl.col("gappy").fill_null(value=True), pl.col("cut").fill_null(value=False)
    slow = (pl.col("rejected").fill_null(value=False) & ~gappy) | pl.col("too_late")
    silent = pl.col("first_data_ns").is_null()
    heard_out, said_all = (pl.col(name).fill_null(value=False) & ~gappy for name in ("heard_out", "said_all"))
    # A check that leaves the connection half open; of one that had given up by then the kernel says the same.
    in_time = pl.col("synack_at") - pl.col("sent_ns") <= pl.coalesce("timeout", pl.lit(SURELY_IN_TIME_NS))
    half_open = (pl.col("half_open") & in_time).fill_null(value=False)
    connected_late = (pl.col("synack_at") - pl.col("sent_ns") > pl.col("timeout")).fill_null(value=False)

    def word(text: str) -> pl.Expr:
        return pl.lit(text)

    def after(patience: pl.Expr, text: str) -> pl.Expr:
        return pl.when(patience).then(word(text)).otherwise(word("open"))

    # Behind a cut frame a line of a body may look like a response.
    doubtful = (cut & (pl.col("response_at") + pl.col("shift") > pl.col("first_data_ns"))).fill_null(value=False)
    # Who waits on until its time is over wanted the rest; who leaves before had enough of the head.
    left_early = (pl.col("prober_closed") < pl.col("given_up")).fill_null(value=False)
    unfinished = ~pl.col("whole").fill_null(value=True) & ~left_early
    # Nobody closed it: the capture missed that, or ended before.
    unclosed = after(waited, "unknown")
    answer = (
        # What ends with its connection is whole only when both sides have closed it.
        pl.when(unfinished & cut)
        .then(word("unknown"))
        .when(unfinished & pl.col("left") & said_all & pl.col("prober_closed").is_not_null())
        .then(word("invalid"))
        .when(unfinished & ~pl.col("left") & heard_out)
        .then(word("timeout"))
        .when(unfinished)
        .then(unclosed)
        .when(pl.col("status").is_between(pl.col("least"), pl.col("most")))
        .then(word("good"))
        .when(pl.col("status").is_between(300, 399))
        .then(word("redirect"))
        .when(pl.col("status").is_in(WANTED_AUTH))
        .then(word("auth"))
        .otherwise(word("status"))
    )
    nothing = (
        pl.when(pl.col("asked_ns").is_null() | gappy)
        .then(word("unknown"))
        .when(pl.col("left"))
        .then(pl.when(said_all).then(word("invalid")).otherwise(word("unknown")))
        .when(heard_out)
        .then(word("timeout"))
        .otherwise(unclosed)
    )
    tls = (pl.col("speaks") == "https") & (pl.col("greeted").fill_null(value=True) | cut)
    opaque = (
        pl.when(gappy)
        .then(word("unknown"))
        # Its answer is hidden, not that it came; nor that the member left without one.
        .when(tls & pl.col("conversed").fill_null(value=False) & heard_out & ~pl.col("left") & left_early)
        .then(word("good"))
        .when(tls & pl.col("unheard").fill_null(value=False) & said_all & pl.col("left"))
        .then(word("invalid"))
        .when(tls | cut | pl.col("overwritten"))
        .then(word("unknown"))
        # A server that answers a TLS hello with no hello of its own speaks no TLS.
        .when(heard_out | said_all)
        .then(word("invalid"))
        .otherwise(unclosed)
    )
    return (
        pl.when(pl.col("outcome").is_in(["refused", "rejected"]) & pl.col("went_on"))
        .then(word("unknown"))
        .when(pl.col("outcome") == "refused")
        .then(pl.when(pl.col("denied").fill_null(value=False)).then(word("refused")).otherwise(word("unknown")))
        .when(pl.col("outcome") == "rejected")
        .then(word("rejected"))
        .when(~pl.col("answered"))
        .then(after(waited, "unanswered"))
        .when(~pl.col("went_on") & (pl.col("speaks") == "tcp") & half_open)
        .then(word("good"))
        .when(~pl.col("went_on"))
        .then(pl.when(pl.col("again")).then(after(waited, "answer-lost")).otherwise(unclosed))
        .when(pl.col("speaks") == "tcp")
        .then(pl.when(connected_late).then(word("slow")).otherwise(word("good")))
        .when(pl.col("speaks") == "hidden")
        .then(word("unknown"))
        .when(silent)
        .then(nothing)
        .when(slow)
        .then(word("slow"))
        .when(pl.col("status").is_not_null() & doubtful)
        .then(word("unknown"))
        .when(pl.col("status").is_not_null() & (pl.col("begun").fill_null(value=False) | ~gappy))
        .then(answer)
        .otherwise(opaque)
    )
