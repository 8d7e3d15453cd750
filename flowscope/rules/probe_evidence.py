"""What the rules about probes have in common: frames of failed probes, and how far their verdict may go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from flowscope.findings import Severity, Verdict
from flowscope.nat.outcomes import SERVED
from flowscope.probes.asked import pools_probed
from flowscope.probes.held import at_members
from flowscope.probes.replay import Health
from flowscope.report.times import rfc3339_text
from flowscope.rules.evidence import Proof, flows_of, prove
from flowscope.rules.probe_messages import with_messages
from flowscope.rules.probe_subject import Probed
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

#: Fewer probes than this are too short a look at a prober.
ENOUGH_PROBES = 3
LOST = ("unanswered", "rejected", "answer-lost")
"""How probes fail that never got through."""

#: Frames of the beginning of a connection that is kept alive.
_OF_KEPT = 3
_KINDS = ("syn", "syn-ack", "rst", "fin", "data", "icmp-error")


def cite(window: Window, failed: pl.DataFrame, *, examples: int = 3) -> Proof:
    """Frames of failed probes: all that a probe consists of, at each point."""
    begun, kept = failed.filter(~pl.col("kept")), failed.filter("kept")
    paths = window.paths.filter(pl.col("path").is_in(failed["path"].implode()))
    cited = paths.filter(pl.col("path").is_in(begun["path"].implode())) if begun.height else paths
    each = 8 if begun.height else _OF_KEPT
    proof = prove(window, cited, _KINDS, lambda event: _note(window, event), examples=examples, each=each)
    proof = replace(proof, flows=flows_of(window, paths))
    return proof if begun.height >= examples or not kept.height else with_messages(window, proof, kept.head(examples))


def limited(window: Window, verdict: Verdict, healths: Sequence[Health], caveats: list[str]) -> Verdict:
    """The verdict, no surer than what is known of the prober, and how long and from where it was watched, allow."""
    if _one_sided(window, healths):
        caveats.append("The points that saw the probes saw no answer to anything: they may hear one direction only.")
        verdict = Verdict.UNDECIDED
    known = {health.series.by for health in healths}
    if "source" not in known:
        caveats.append(
            "Only its request says that this is a prober: a client can send the same."
            if "request" in known
            else "Only its even pace says that this is a prober: a monitor polls in the same way. A topology with "
            "the probe's source would tell."
        )
        verdict = max(verdict, Verdict.LIKELY, key=lambda one: one.rank)
    elif all(health.series.protocol != "http" and health.series.policy == "front-door" for health in healths):
        caveats.append("Front Door forwards clients from the same addresses: only the pace tells its probes in TLS.")
        verdict = max(verdict, Verdict.LIKELY, key=lambda one: one.rank)
    if any(one.host is not None and not window.places[one.host].sure for one in (health.series for health in healths)):
        caveats.append(
            "That several hosts have this address is told by the probes' even pace at each point only: a topology that "
            "says where the points stand would prove it."
        )
        verdict = max(verdict, Verdict.LIKELY, key=lambda one: one.rank)
    if max(health.sent for health in healths) < ENOUGH_PROBES:
        caveats.append("The capture is shorter than three probe intervals.")
        verdict = Verdict.UNDECIDED
    return verdict


def severity(healths: Sequence[Health]) -> Severity:
    """An error, unless nothing but its pace says that this is a prober: a monitor takes nobody out of a pool."""
    return Severity.WARNING if {health.series.by for health in healths} == {"shape"} else Severity.ERROR


def longest_run(healths: Sequence[Health], hows: Sequence[str]) -> int:
    """Most failures of these kinds in a row, for one prober, or for all together."""
    longest = _run_of_all(healths, hows)
    for health in healths:
        run = 0
        for how, result in health.readings.select("how", "result").iter_rows():
            run = run + 1 if how in hows else run if result == "open" else 0
            longest = max(longest, run)
    return longest


def _run_of_all(healths: Sequence[Health], hows: Sequence[str]) -> int:
    """Most failures in a row of all probers' probes, where these took an interval: less is a moment, not a fault.

    Edges of Front Door ask seldom, and each meets a fault of a minute once or twice.
    """
    told = pl.concat([health.readings.select("sent_ns", "how", "result") for health in healths])
    interval = max(health.series.interval_ns for health in healths)
    longest, run, since = 0, 0, 0
    for at, how, result in told.filter(pl.col("result") != "open").sort("sent_ns").iter_rows():
        bad = result == "bad" and how in hows
        since, run = (since if run else at, run + 1) if bad else (0, 0)
        if run > longest and at - since >= interval:
            longest = run
    return longest


def all_of_them(healths: Sequence[Health], hows: Sequence[str]) -> int:
    """How many probes there were when all of them, of whichever prober, failed in these ways; else 0.

    Edges of Front Door ask seldom: a short capture holds many probers with a probe or two each.
    """
    told = pl.concat([health.readings.select("how", "result") for health in healths]).filter(pl.col("result") != "open")
    return told.height if told["how"].is_in(list(hows)).fill_null(value=False).all() else 0


def scattered(healths: Sequence[Health], hows: Sequence[str]) -> bool:
    """True when failures of these kinds come and go among answered probes as chance would have it.

    A block fails all probes for a time: then there are far fewer changes than of as many failures at random (Wald and
    Wolfowitz's runs).
    """
    for health in healths:
        told = health.readings.filter(pl.col("result") != "open").sort("sent_ns")["how"].is_in(list(hows))
        failed = told.fill_null(value=False)
        bad, count = int(failed.sum()), failed.len()
        both = 2 * bad * (count - bad)
        if not both:
            continue
        runs, expected = int(failed.rle_id().max() or 0) + 1, 1 + both / count  # type: ignore[arg-type]
        spread = math.sqrt(max(both * (both - count), 0) / (count * count * (count - 1)))
        if runs > 3 and runs >= expected - 2 * spread:
            return True
    return False


def down_since(healths: Sequence[Health]) -> str | None:
    """When the member first went down, as RFC 3339 text."""
    times = [change.time_ns for health in healths for change in health.timeline if change.state == "down"]
    return rfc3339_text(min(times)) if times else None


def sources(window: Window, healths: Sequence[Health]) -> str:
    """The probers by address, the first few of them."""
    texts = list(dict.fromkeys(window.address(one.source) for one in (health.series for health in healths)))
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def served_meanwhile(window: Window, probed: Probed, failed: pl.DataFrame) -> int:
    """Clients' connections to the probed service that worked between the member's first and its last failed probe."""
    if probed.point is not None:
        # Which host of this address served them is not known.
        return 0
    member, port = probed.member, probed.port
    came = at_members(window.judgeable, window.held)
    fine = came.filter(pl.col("backend") == member, pl.col("outcome").is_in(SERVED))
    fine = fine.filter(pl.col("backend_port").is_in(_served_ports(window, member, port, fine["backend_port"].unique())))
    return fine.filter(pl.col("first_ns").is_between(failed["sent_ns"].min(), failed["decided_ns"].max())).height


def _served_ports(window: Window, member: int, port: int, called: pl.Series) -> list[int]:
    """Where clients meet the service that is probed there; none where it may be either of several."""
    address = window.address(member)
    told = {one.port for pool in pools_probed(window, member, port) for one in pool.members if one.address == address}
    if told:
        return sorted(told)
    return [port] if port in called else called.to_list() if called.len() == 1 else []


def _one_sided(window: Window, healths: Sequence[Health]) -> bool:
    """True when the points that saw these probes saw no connection in both directions, of whomever."""
    probes = pl.concat([health.readings.select("path") for health in healths])
    legs = window.paths.filter(pl.col("path").is_in(probes["path"].implode()))["legs"].explode().cast(pl.UInt64)
    points = window.flows.filter(pl.col("leg").cast(pl.UInt64).is_in(legs.unique().implode()))["point"].unique()
    both = window.flows.filter(
        pl.col("point").is_in(points.implode()), pl.col("fwd_packets") > 0, pl.col("rev_packets") > 0
    )
    return both.height == 0


def _note(window: Window, event: dict[str, Any]) -> str | None:
    at = window.point_name(event["point"])
    own = event["half"] == 0
    if event["kind"] == "icmp-error":
        return f"ICMP {event['icmp'] // 256}/{event['icmp'] % 256} from {window.address(event['peer'])}"
    words = {
        "syn": "the prober's SYN" if own else None,
        "syn-ack": "the member's SYN-ACK",
        "rst": "the prober's RST" if own else "the member's RST",
        "fin": "the prober closes" if own else "the member closes",
        "data": "the probe's request" if own else "what the member answers",
    }
    text = words[event["kind"]]
    assert event["kind"] in EVENT_KINDS
    return text and f"{text}, seen at {at}"
