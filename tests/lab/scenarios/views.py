"""Healthy traffic seen badly, lost on the way, or spread unevenly."""

from __future__ import annotations

from dataclasses import replace

from tests.lab import degrade
from tests.lab.check import SYN, Witness
from tests.lab.nat import drop
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def small(stage: Stage, count: int = 14) -> None:
    """A healthy run of short calls."""
    stage.balance()
    stage.serve_pool()
    stage.start()
    steps = [["get", 700], ["get", 1200], ["get", 90]]
    stage.call({"cli": [stage.to(stage.web, count=count, gap=0.04, steps=steps, timeout=8, read_timeout=8)]})
    stage.stop()


def fine(stage: Stage, see: Witness) -> None:
    """Every call succeeded: whatever looks wrong is in the capture."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)


def holes(stage: Stage, see: Witness) -> None:
    """Data that nobody saw was acknowledged, at one point only."""
    fine(stage, see)
    see.that(
        "acknowledged but never seen",
        see.count("lb_in", "tcp.analysis.ack_lost_segment || tcp.analysis.lost_segment") > 3,
    )
    see.that(
        "seen by the client", see.count("client", "tcp.analysis.ack_lost_segment || tcp.analysis.lost_segment") == 0
    )


@scenario("capture-loss", holes)
def capture_loss(stage: Stage) -> None:
    """One point's capture lost a share of its frames; the connections themselves lost nothing."""
    small(stage)
    stage.spoil("lb_in", degrade.drop_share(0.05, stage.plan.seed))
    stage.expect("capture-loss", "lb_in")
    stage.allow("path-loss", "half-flow")


def late(stage: Stage, see: Witness) -> None:
    """The same SYNs, seconds later by the second clock."""
    fine(stage, see)
    here = dict(see.rows("lb_in", SYN, "tcp.seq_raw", "frame.time_epoch"))
    name = stage.extra["point"]
    there = {
        row[0]: float(row[1]) - float(here[row[0]]) for row in see.rows(name, SYN, "tcp.seq_raw", "frame.time_epoch")
    }
    see.that(
        "the offset is as it was made",
        there and all(abs(gap - stage.extra["offset_s"]) < 0.01 for gap in there.values()),
    )


@scenario("clock-offset", late)
def clock_offset(stage: Stage) -> None:
    """One member's clock is seconds ahead and drifts."""
    stage.extra["point"] = name = stage.rng.choice(stage.members).name
    stage.extra["offset_s"] = seconds = round(stage.rng.uniform(1, 4), 3)
    small(stage)
    stage.spoil(name, degrade.shift_clock(seconds, 40))
    stage.expect("clock-offset", name, offset_ns=round(seconds * 1e9))


def short(stage: Stage, see: Witness) -> None:
    """Frames at one point are shorter than they were on the wire."""
    fine(stage, see)
    see.that("cut frames at one point", see.count("lb_in", "frame.cap_len < frame.len") > 10)
    see.that("whole ones at the others", see.count("client", "frame.cap_len < frame.len") == 0)


@scenario("truncated-packets", short)
def truncated_packets(stage: Stage) -> None:
    """One point was captured with a small snap length."""
    stage.tap("lb_in").snap = stage.rng.choice((68, 80, 96))
    small(stage)
    stage.expect("truncated-packets", "lb_in")


def one_way(stage: Stage, see: Witness) -> None:
    """One direction at one point, both at the next."""
    fine(stage, see)
    port = stage.plan.data_port
    see.that(
        "requests only", see.count("lb_in", f"tcp.dstport=={port}") > 0 == see.count("lb_in", f"tcp.srcport=={port}")
    )


@scenario("half-flow", one_way)
def half_flow(stage: Stage) -> None:
    """A mirror port of one direction: one point saw what goes to the members and not what comes back."""
    stage.tap("lb_in").only = f"dst port {stage.plan.data_port}"
    small(stage)
    stage.expect("half-flow", "lb_in")
    stage.allow("capture-loss")


def lossy(stage: Stage, see: Witness) -> None:
    """Segments that left the balancer do not arrive; they are repeated, and calls succeed."""
    fine(stage, see)
    sent = see.count("lb_in", "tcp.analysis.retransmission")
    come = sum(see.count(member.name, f"tcp && ip.dst=={member.address}") for member in stage.members)
    left = see.count("lb_in", f"tcp && ip.dst=={stage.plan.inside}")
    see.that("repeats on the wire", sent > 1)
    see.that("fewer arrive than left", come < left)


@scenario("path-loss", lossy)
def path_loss(stage: Stage) -> None:
    """The switch loses one data segment in seven towards the members: calls are slow, and succeed."""
    rule = f"tcp dport {stage.plan.data_port} tcp flags & (syn|fin|rst) == 0 numgen random mod 7 0 counter drop"
    stage.world.nft("sw", drop("bridge", "forward", rule))
    small(stage, 18)
    stage.expect("path-loss", "lb_in", also=[member.name for member in stage.members])


def lopsided(stage: Stage, see: Witness) -> None:
    """One member gets most of the new flows."""
    fine(stage, see)
    port = stage.plan.data_port
    shares = sorted(see.count(member.name, f"{SYN} && tcp.dstport=={port}") for member in stage.members)
    see.that("one has more than the others together", shares[2] > shares[0] + shares[1])


@scenario("uneven-pool", lopsided)
def uneven_pool(stage: Stage) -> None:
    """One member gets eight of ten new flows, whatever the topology says of three equal ones."""
    a, b, c = (member.address for member in stage.rng.sample(stage.members, 3))
    stage.balance(replace(stage.web, members=(a,) * 8 + (b, c)), listed=False)
    stage.tables.frontend("web", stage.web, "dnat")
    stage.serve_pool()
    stage.start()
    stage.call({"cli": [stage.to(stage.web, count=90, gap=0.02)]})
    stage.stop()
    stage.expect("uneven-pool", "web", also=[f"{stage.plan.vip}:{stage.plan.frontend_port}"])
