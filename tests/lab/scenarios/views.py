"""Healthy traffic seen badly, lost on the way, or spread unevenly."""

from __future__ import annotations

import re
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
    stage.extra["skew_ppm"] = 40
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
    """As many segments as the switch dropped left the balancer, did not arrive and were sent again; calls succeed."""
    fine(stage, see)
    for member in stage.members:
        to = f"ip.dst=={member.address} && tcp.len>0"
        left = [(row, int(size)) for *row, size in see.rows("lb_in", to, "tcp.srcport", "tcp.seq_raw", "tcp.len")]
        come = [int(size) for (size,) in see.rows(member.name, to, "tcp.len")]
        again = len(left) - len({tuple(row) for row, _ in left})
        lost = stage.extra["lost"][member.name]
        see.that(f"{member.name}: every fifth was dropped", len(left) // 5 == lost["segments"])
        see.that(f"{member.name}: the balancer sent again what was dropped", again == lost["segments"])
        see.that(f"{member.name}: as many segments are missing", len(left) - len(come) == lost["segments"])
        see.that(f"{member.name}: and their bytes", sum(size for _, size in left) - sum(come) == lost["bytes"])
    see.that("enough were dropped", sum(lost["segments"] for lost in stage.extra["lost"].values()) > 9)


@scenario("path-loss", lossy)
def path_loss(stage: Stage) -> None:
    """The switch loses every fifth request on its way to each member: calls are slow, and succeed."""
    plan = stage.plan
    to = [f"ip daddr {one.address} tcp dport {plan.data_port} tcp flags & psh == psh" for one in stage.members]
    rules = "\n ".join(f"{one} numgen inc mod 5 4 counter drop" for one in to)
    stage.world.nft("sw", drop("bridge", "forward", rules))
    small(stage, 24)
    listed = stage.world.run("sw", ["nft", "list", "ruleset"])
    dropped = {row[0]: row[1:] for row in re.findall(r"daddr (\S+) .*counter packets (\d+) bytes (\d+)", listed)}
    stage.extra["lost"] = {}
    for member in stage.members:
        segments, size = map(int, dropped[member.address])
        # Each had an IP header of 20 bytes and a TCP header with timestamps.
        stage.extra["lost"][member.name] = {"segments": segments, "bytes": size - segments * (20 + 32)}
        # Two are told only when they are a large share; a member that got few calls lost few.
        stage.expect("path-loss", member.name, lost=segments, optional=segments < 3)


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
