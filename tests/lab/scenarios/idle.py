"""A translator that forgets idle flows."""

from __future__ import annotations

from typing import Any

from tests.lab.check import RST, Witness
from tests.lab.plan import endpoint
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage

STRICT = "chain strict { type filter hook prerouting priority -130; policy accept; ct state invalid counter drop; }"
FORGET_S = 2


def forgetful(stage: Stage, how: str, *, loose: int = 0, extra: str = "", wait: float = 0) -> None:
    """Connections that rest longer than the translator remembers, and others that never do."""
    stage.balance(extra=extra)
    stage.world.sysctl(
        "lb",
        net__netfilter__nf_conntrack_tcp_timeout_established=FORGET_S,
        net__netfilter__nf_conntrack_tcp_loose=loose,
    )
    stage.serve_pool()
    stage.start()
    rest = FORGET_S + 1.2
    idle = [["get", 30, rest]] if wait else [["get", 30], ["sleep", rest], ["get", 30]]
    busy = [step for _ in range(7) for step in (["get", 12], ["sleep", 0.6])]
    stage.call({"cli": [
        stage.to(stage.web, count=16, gap=0.05, steps=idle, tag="idle", read_timeout=wait or 3.5),
        stage.to(stage.web, stage.plan.clients[1], count=8, gap=0.1, steps=busy),
    ]})  # fmt: skip
    stage.stop()
    if not wait:
        front = endpoint(stage.plan.vip, stage.plan.frontend_port)
        stage.expect("idle-timeout", front, how=how, idle_s=rest)
    stage.judge(lambda c: "idle_forgotten" if c["tag"] == "idle" and c["client_result"] != "ok" else None)


def forgotten(stage: Stage, see: Witness) -> list[dict[str, Any]]:
    """The calls that rested and failed."""
    rested = [c for c in stage.connections if c["verdict"] == "idle_forgotten"]
    see.that("calls that rested fail", len(rested) > 1)
    see.that(
        "calls that did not rest succeed", all(c["client_result"] == "ok" for c in stage.connections if not c["tag"])
    )
    return rested


def silence(stage: Stage, see: Witness) -> None:
    """The client repeats a segment of which nothing is to be seen inside."""
    for call in forgotten(stage, see):
        see.that(
            f"{call['id']}: repeats stay outside",
            call["seen"]["client"]["client_leg"][0] > call["seen"]["lb_in"]["server_leg"][0] + 1,
        )
    see.that("repeats at the client", see.count("client", "tcp.analysis.retransmission") > 10)
    see.that("no RST from the frontend", see.count("client", f"{RST} && ip.src=={stage.plan.vip}") == 0)


@scenario("idle-silent", silence)
def idle_silent(stage: Stage) -> None:
    """The translator forgets after two seconds and drops what comes later without a word."""
    forgetful(stage, "silent", extra=STRICT)


def own_reset(stage: Stage, see: Witness) -> None:
    """Resets with the balancer's own time to live, none of them inside."""
    rested = forgotten(stage, see)
    ttl = {row[0] for row in see.rows("client", f"{RST} && ip.src=={stage.plan.vip}", "ip.ttl")}
    see.that("resets of the balancer's own", ttl == {"64"})
    see.that("none came from inside", see.count("lb_in", f"{RST} && ip.src!={stage.plan.clients[0]}") == 0)
    see.that("one for each call that rested", see.count("client", f"{RST} && ip.src=={stage.plan.vip}") >= len(rested))


@scenario("idle-reset", own_reset)
def idle_reset(stage: Stage) -> None:
    """The translator forgets and resets what comes later itself."""
    forgetful(stage, "reset")


def elsewhere(stage: Stage, see: Witness) -> None:
    """The rest of a connection reaches a member that knows nothing of it."""
    rested = forgotten(stage, see)
    see.that("those calls have two server legs", all(c.get("more_server_legs") for c in rested))
    first = {m.name: {row[0] for row in see.rows(m.name, RST, "tcp.dstport")} for m in stage.members}
    other = {leg["dst"]: leg for c in rested for leg in c.get("more_server_legs", [])}
    names = {m.address: m.name for m in stage.members}
    see.that("the second member resets", all(str(leg["sport"]) in first[names[a]] for a, leg in other.items()))


@scenario("idle-rebalanced", elsewhere)
def idle_rebalanced(stage: Stage) -> None:
    """The translator forgets and takes what comes later for new flows: some reach another member, which resets them."""
    forgetful(stage, "rebalanced", loose=1)


def untranslated(stage: Stage, see: Witness) -> None:
    """Answers leave the balancer with the member's own address."""
    forgotten(stage, see)
    port = stage.plan.data_port
    see.that("members' own addresses outside", see.count("lb_out", f"tcp.srcport=={port} && tcp.len>0") > 0)


@scenario("idle-leak", untranslated)
def idle_leak(stage: Stage) -> None:
    """The translator forgets while members still think: their answers leave with the members' own addresses."""
    forgetful(stage, "silent", wait=4.5)
    leaking = {m.address: m for m in stage.members}
    stage.allow("idle-timeout")
    for member in leaking.values():
        stage.expect("untranslated-leak", stage.member_at(member), backend=member.name)
