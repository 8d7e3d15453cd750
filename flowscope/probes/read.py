"""What became of each probe: connected, refused, unanswered, answered how and how fast.

Times are those of the point nearest to the prober, on the reference clock. Latency runs from just before the request
(else the SYN) to the last byte of the answer. A RST after a good answer is a way to close and no failure; an answer
that the prober no longer waits for is one. What a cut frame or TLS hides is ``unknown``, what the end of the capture
hides is ``open``, and a probe whose beginning was not captured is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.probes.apart import hosts_apart
from flowscope.probes.asked import SERIES, Key, Series, series, timeout_at
from flowscope.probes.gaps import missed_answers, with_gaps, wrapped
from flowscope.probes.in_turn import WANTS, wanted
from flowscope.probes.kept import how_kept, later_requests
from flowscope.probes.met import how
from flowscope.probes.reconfigured import intervals
from flowscope.probes.turns import turns
from flowscope.tables import EVENT_KINDS

if TYPE_CHECKING:
    from flowscope.window import Window

READINGS = {
    "path": pl.UInt64,
    "source": pl.UInt32,
    "member": pl.UInt32,
    "port": pl.UInt16,
    "asked": pl.UInt32,
    "host": pl.UInt32,
    "wants": pl.String,
    "sent_ns": pl.Int64,
    "interval_ns": pl.Int64,
    "kept": pl.Boolean,
    "result": pl.String,
    "how": pl.String,
    "status": pl.UInt16,
    "decided_ns": pl.Int64,
    "latency_ns": pl.Int64,
    "late_ns": pl.Int64,
}
"""Columns of :func:`read_probes`, by the time the probes were sent.

``result`` is ``good``, ``bad``, ``unknown`` (what the prober got cannot be read) or ``open`` (the capture ended before
anybody knew). ``how`` of a bad one: ``refused``, ``status``, ``redirect``, ``auth``,
``timeout`` (connected, no answer), ``slow`` (an answer too late), ``invalid`` (an answer that is none), ``unanswered``
(no answer to the SYN), ``rejected`` (ICMP), ``answer-lost`` (the SYN-ACK never came back). ``decided_ns`` is when the
prober knew; ``late_ns`` when an answer came that it no longer waited for. ``kept`` is true of a probe that no SYN
began, as its connection was kept alive; ``interval_ns`` is the prober's at that time.
"""

#: How late a prober may be, in intervals.
_A_MOMENT = 0.25
_ACK = 1 << 4
_AIMED = [name for name in SERIES if name != "wants"]


def read_probes(window: Window) -> tuple[pl.DataFrame, dict[Key, Series]]:
    """The probes of a window, one row each, and the series they form."""
    probes = window.probes.filter(pl.col("protocol") == 6, pl.col("backend").is_not_null())
    if not probes.height:
        return pl.DataFrame(schema=READINGS), {}
    seen = _observed(window, probes)
    told = seen
    for more in (_said(window, seen), _closed(window, seen), turns(window, seen["main"])):
        told = told.join(more, "main", how="left")
    told = pl.concat([told, later_requests(window, told)], how="diagonal_relaxed")
    told = told.filter(pl.col("sent_ns").is_not_null())
    parts = [wanted(part) for part in told.partition_by(_AIMED)]
    told = told.join(pl.concat([pl.DataFrame(schema=WANTS), *parts]), ["path", "sent_ns"], how="left")
    known = series(window, told)
    rules = pl.DataFrame(
        [
            (*key, one.protocol, one.interval_ns, one.patience_ns, one.timeout_ns, *one.healthy)
            for key, one in known.items()
        ],
        schema={
            **{name: READINGS[name] for name in SERIES},
            "speaks": pl.String,
            "interval": pl.Int64,
            "patience": pl.Int64,
            "timeout": pl.Int64,
            "least": pl.UInt16,
            "most": pl.UInt16,
        },
        orient="row",
    )
    told = told.join(rules, SERIES, how="left", nulls_equal=True)
    told = _paced(told, known)
    # Whoever said something that was cut before it could be read may have asked for anything.
    readable = pl.col("asks").is_not_null().any().over(SERIES)
    hidden = (pl.col("speaks") == "tcp") & pl.col("asked_cut") & ~readable
    # Where not even the questions can be read, the payload was overwritten (or nobody speaks what the topology says).
    overwritten = (pl.col("speaks") == "http") & ~readable & pl.col("asked_ns").is_not_null()
    speaks = pl.when(hidden).then(pl.lit("hidden")).otherwise("speaks")
    judged = _judged(told.with_columns(speaks=speaks, overwritten=overwritten))
    return judged.select(pl.col(name).cast(kind) for name, kind in READINGS.items()).sort("sent_ns", "path"), known


def _paced(told: pl.DataFrame, known: dict[Key, Series]) -> pl.DataFrame:
    """Adds what the prober waited at each probe, where its interval changed meanwhile."""
    rows = []
    for part in told.partition_by(SERIES):
        own = part.sort("sent_ns", "path")
        one = known[own.select(SERIES).row(0)]
        times = own["sent_ns"].to_list()
        for path, at, interval in zip(own["path"], times, intervals(times) or (), strict=False):
            timeout = timeout_at(one.probe, one.policy, interval)
            rows.append((path, at, interval, timeout, timeout or interval))
    names = ("interval", "timeout", "patience")
    schema = pl.Schema({"path": pl.UInt64, "sent_ns": pl.Int64, **{f"{name}_then": pl.Int64 for name in names}})
    told = told.join(pl.DataFrame(rows, schema=schema, orient="row"), ["path", "sent_ns"], how="left")
    return told.with_columns(pl.coalesce(f"{name}_then", name).alias(name) for name in names).with_columns(
        interval_ns="interval", kept=pl.col("kept").fill_null(value=False)
    )


def _observed(window: Window, probes: pl.DataFrame) -> pl.DataFrame:
    """Per probe: what the point nearest to the prober saw (``main``), and what any point saw."""
    apart = hosts_apart(probes.join(window.held, "path", how="anti"), window.flows, window.places)
    asked = pl.when(pl.col("path").is_in(window.held["path"].implode())).then("frontend").otherwise("backend")
    legs = probes.join(apart, "path", how="left", maintain_order="left").select(
        "path",
        "outcome",
        source="client",
        member=pl.coalesce("member", "backend"),
        port="backend_port",
        asked=asked,
        host="host",
        leg=pl.col("legs").list.last().cast(pl.UInt64),
    )
    flows = with_gaps(window.flows.with_columns(pl.col("leg").cast(pl.UInt64)).join(legs, "leg"))
    alive = pl.DataFrame(
        [(place.point, place.last_ns) for place in window.places.values()],
        schema={"point": pl.UInt32, "alive_ns": pl.Int64},
        orient="row",
    )
    flows = flows.join(alive, "point", how="left").sort("at_ns", "flow")
    shift = pl.col("at_ns") - pl.col("first_ns")
    # The nearest point that saw both directions whole, up to the prober's end of it; else the nearest that saw both.
    both = pl.col("rev_packets") > 0
    best = (
        both.cast(pl.UInt8) * 2
        + (both & ~pl.col("gappy") & ((pl.col("fwd_fins") + pl.col("fwd_resets")) > 0)) * 2
        + ~pl.col("cut")
    ).arg_max()
    main = {
        "main": pl.col("flow"),
        "shift": shift,
        "synack_at": pl.col("at_ns") + pl.col("synack_ns"),
        "answer_ns": pl.coalesce(pl.col("at_ns") + pl.col("synack_ns"), pl.col("rev_first_ns") + shift),
        "asked_ns": pl.col("fwd_first_data_ns") + shift,
        "first_data_ns": pl.col("rev_first_data_ns") + shift,
        "last_data_ns": pl.col("rev_last_data_ns") + shift,
        "gappy": pl.col("gappy"),
        "cut": pl.col("cut"),
        "asked_cut": pl.col("asked_cut") & (pl.col("fwd_payload_bytes") > 0),
        "fwd_isn": pl.col("fwd_isn"),
        "rev_isn": pl.col("rev_isn"),
        "rev_end": pl.col("rev_end"),
    }
    return flows.group_by("path", maintain_order=True).agg(
        *(pl.col(name).first() for name in ("outcome", *_AIMED)),
        *(expression.get(best).alias(name) for name, expression in main.items()),
        sent_ns=pl.col("at_ns").filter(pl.col("fwd_syns") > 0).min(),
        went_on=pl.col("went_on").any(),
        lossy=pl.col("lossy").any(),
        syn_copies=pl.col("fwd_syns").sum(),
        # Who hears nothing asks again, and who is not heard answers again; or a point before that did not see it.
        again=(
            (pl.max_horizontal("fwd_syns", "rev_syns") > 1).any()
            | ((pl.col("fwd_syns") > 0) & (pl.col("rev_packets") == 0)).any()
        ),
        answered=((pl.col("rev_syns") > 0) | pl.col("went_on")).any(),
        alive_ns=pl.col("alive_ns").max(),
    )


def _said(window: Window, seen: pl.DataFrame) -> pl.DataFrame:
    """Per main flow: which protocol the prober speaks, the first final response, and its end."""
    messages = window.messages.filter(pl.col("flow").is_in(seen["main"].implode()))
    final = (pl.col("kind") == "http-response") & (pl.col("status") >= 200)
    return (
        messages.sort("first_ns")
        .group_by(main="flow")
        .agg(
            pl.when((pl.col("kind") == "tls-client-hello").any())
            .then(pl.lit("https"))
            # A cut request shows in its answer.
            .when(pl.col("kind").is_in(["http-request", "http-response"]).any())
            .then(pl.lit("http"))
            .alias("asks"),
            (pl.col("kind") == "tls-server-hello").any().alias("greeted"),
            pl.col("target").filter(pl.col("kind") == "http-request").first(),
            pl.col("status").filter(final).first(),
            pl.col("first_ns").filter(final).first().alias("response_at"),
            pl.col("last_ns").filter(final).first().alias("response_end"),
            pl.col("complete").filter(final).first().alias("whole"),
        )
    )


def _closed(window: Window, seen: pl.DataFrame) -> pl.DataFrame:
    """Per main flow: when the prober and the member closed it (FIN or RST), and what that proves of the answer.

    ``begun``: the first that was captured of the member's words is the first it said.
    ``heard_out``: the prober acknowledged no more than was captured as it closed. ``said_all``: the member's close
    follows what was captured of it. ``denied``: the member's RST is about the SYN. ``half_open``: the prober's is about
    the SYN-ACK.
    """
    fin, rst, data = (EVENT_KINDS.index(kind) for kind in ("fin", "rst", "data"))
    main = seen.select("path", "rev_end", "rev_isn", "fwd_isn", flow="main")
    told = window.events.join(main, "flow")
    first = told.filter(pl.col("kind") == data, pl.col("half") == 1).group_by(main="flow")
    opens = wrapped(pl.col("seq").cast(pl.Int64) - pl.col("rev_isn")) == 1
    begun = first.agg(begun=(opens | pl.col("rev_isn").is_null()).any())
    ends = told.filter(pl.col("kind").is_in([fin, rst])).sort("at_ns")
    by = {"prober": pl.col("half") == 0, "member": pl.col("half") == 1}
    acks = (pl.col("flags") & _ACK) > 0
    # The member's FIN may have been acknowledged with the rest.
    heard = wrapped(pl.col("ack").cast(pl.Int64) - pl.col("rev_end")).is_between(0, 1) & acks
    follows = pl.col("seq").cast(pl.Int64) == pl.col("rev_end")
    denies = (pl.col("kind") == rst) & (~acks | (wrapped(pl.col("ack").cast(pl.Int64) - pl.col("fwd_isn")) == 1))
    # What a kernel, or who only wants to know whether the port is open, sends to a SYN-ACK that it does not want.
    half = (pl.col("kind") == rst) & ~acks & (wrapped(pl.col("seq").cast(pl.Int64) - pl.col("fwd_isn")) == 1)
    closed = ends.group_by(main="flow").agg(
        *(pl.col("at_ns").filter(own).min().alias(f"{name}_closed") for name, own in by.items()),
        prober_rst=pl.col("at_ns").filter(by["prober"], pl.col("kind") == rst).max(),
        heard_out=heard.filter(by["prober"]).first(),
        said_all=follows.filter(by["member"]).first(),
        denied=denies.filter(by["member"]).any(),
        half_open=half.filter(by["prober"]).any(),
    )
    return closed.join(begun, "main", how="full", coalesce=True)


def _judged(told: pl.DataFrame) -> pl.DataFrame:
    """Adds ``result``, ``how``, ``decided_ns``, ``latency_ns`` and ``late_ns``."""
    told = told.with_columns(
        given_up=pl.col("sent_ns") + pl.col("patience"),
        end=pl.coalesce(pl.col("response_end") + pl.col("shift"), "last_data_ns"),
    ).with_columns(
        waited=pl.col("alive_ns") >= pl.col("given_up"),
        # Some probers close their half right after the request: only a RST to the answer says that it came too late.
        rejected=(pl.col("prober_closed") < pl.col("first_data_ns"))
        & (pl.col("prober_rst") >= pl.col("first_data_ns")),
        too_late=(pl.col("end") - pl.col("sent_ns") > pl.col("timeout")).fill_null(value=False),
        left=(pl.col("member_closed") < pl.col("prober_closed")).fill_null(pl.col("member_closed").is_not_null()),
    )
    told = missed_answers(told.with_columns(how=pl.when("kept").then(how_kept()).otherwise(how()))).with_columns(
        result=pl.when(pl.col("how") == "good")
        .then(pl.lit("good"))
        .when(pl.col("how").is_in(["unknown", "open"]))
        .then("how")
        .otherwise(pl.lit("bad"))
    )
    # Whose time is over as the next is due has failed by then, though a timer fires a moment late.
    due = pl.col("sent_ns").shift(-1).over(SERIES, order_by=["sent_ns", "path"])
    late = pl.col("given_up") - due
    given_up = pl.when(late.is_between(0, pl.col("interval") * _A_MOMENT)).then(due).otherwise("given_up")
    told = told.with_columns(given_up=given_up)
    gave_up = pl.min_horizontal("prober_closed", "given_up")
    return told.with_columns(
        decided_ns=pl.when(pl.col("how").is_in(["unanswered", "rejected", "answer-lost"]))
        .then("given_up")
        .when(pl.col("how").is_in(["timeout", "slow"]))
        .then(gave_up)
        .when(pl.col("how") == "refused")
        .then("answer_ns")
        .otherwise(pl.coalesce("end", "member_closed", "answer_ns", "sent_ns")),
        latency_ns=pl.col("end") - pl.coalesce("asked_ns", "sent_ns"),
        late_ns=pl.when(pl.col("how") == "slow").then(pl.coalesce("end", "answer_ns")),
        how=pl.when(pl.col("result") == "bad").then("how"),
    )
