"""Members that call a frontend of their own pool."""

from __future__ import annotations

from dataclasses import replace

from tests.lab.check import RST, SYN, SYN_ACK, Witness
from tests.lab.nat import snat
from tests.lab.plan import endpoint
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def callers(stage: Stage, count: int = 2) -> list[str]:
    """The names of the members that call."""
    names = sorted(member.name for member in stage.rng.sample(stage.members, count))
    stage.extra["callers"] = names
    return names


def call_inner(stage: Stage, names: list[str], count: int = 30) -> None:
    """Calls of members to the internal frontend."""
    address = {member.name: member.address for member in stage.members}
    stage.call({name: [stage.to(stage.inner, address[name], count=count, gap=0.06)] for name in names})


def expect(stage: Stage, names: list[str], intermittent: bool = True) -> None:
    """The finding for each caller, and the verdict of each looped call."""
    front = endpoint(stage.plan.ilb, stage.plan.frontend_port)
    for member in stage.members:
        if member.name in names:
            stage.expect(
                "hairpin-mismatch", member.address, backend=member.name, intermittent=intermittent, frontend=front
            )
    stage.judge(
        lambda c: "hairpin_mismatch" if c["server_leg"] and c["server_leg"]["src"] == c["server_leg"]["dst"] else None
    )


def looped(stage: Stage, see: Witness) -> None:
    """The SYN comes back to its sender with the same initial sequence number and its own address twice."""
    address = {member.name: member.address for member in stage.members}
    for name in stage.extra["callers"]:
        own = address[name]
        out = {row[0] for row in see.rows(name, f"{SYN} && ip.src=={own} && ip.dst=={stage.plan.ilb}", "tcp.seq_raw")}
        back = {row[0] for row in see.rows("lb_in", f"{SYN} && ip.src=={own} && ip.dst=={own}", "tcp.seq_raw")}
        lost = [c for c in stage.connections if c["verdict"] == "hairpin_mismatch" and c["client_leg"]["src"] == own]
        see.that(f"{name}: looped SYNs carry numbers that it sent", back and back <= out)
        see.that(f"{name}: one looped number per failed call", len(back) == len(lost))
        see.that(
            f"{name}: no answer to a looped SYN",
            see.count("lb_in", f"{SYN_ACK} && ip.src=={own} && ip.dst=={own}") == 0,
        )
    see.that(
        "only looped calls fail", all((c["client_result"] == "ok") == (c["verdict"] == "ok") for c in stage.connections)
    )


def any_points(stage: Stage, only: str = "") -> None:
    """Members capture on all interfaces, in one file."""
    stage.drop_taps("client", "lb_out")
    for member in stage.members:
        tap = stage.tap(member.name)
        tap.interface, tap.only = "any", only


@scenario("hairpin", looped, world={"routed": True})
def hairpin(stage: Stage) -> None:
    """Two members call the internal frontend; calls mapped to their caller come back with its own address and die."""
    any_points(stage)
    stage.balance(stage.inner)
    stage.serve_pool()
    stage.start()
    names = callers(stage)
    call_inner(stage, names)
    stage.stop()
    expect(stage, names)


@scenario("hairpin-always", looped, world={"routed": True})
def hairpin_always(stage: Stage) -> None:
    """A pool of one: every call of the member itself fails, every call from another host works."""
    names = callers(stage, 1)
    alone = next(member for member in stage.members if member.name == names[0])
    target = replace(stage.inner, members=(alone.address,))
    stage.balance(target)
    stage.serve_pool()
    stage.start()
    others = [member for member in stage.members if member is not alone]
    calls = {m.name: [stage.to(target, m.address, count=15, gap=0.08)] for m in (alone, others[0])}
    stage.call(calls)
    stage.stop()
    expect(stage, names, intermittent=False)


def half_seen(stage: Stage, see: Witness) -> None:
    """Callers' SYNs repeat; neither an answer nor a looped SYN was captured, and still calls of the same kind work."""
    for name in stage.extra["callers"]:
        numbers = [row[0] for row in see.rows(name, f"{SYN} && ip.dst=={stage.plan.ilb}", "tcp.seq_raw")]
        see.that(
            f"{name}: some SYNs repeat, others do not", len(set(numbers)) < len(numbers) and see.verdicts("ok") > 0
        )
        see.that(
            f"{name}: no frame with the looped address", see.count(name, f"tcp.dstport=={stage.plan.data_port}") == 0
        )


@scenario("hairpin-one-half", half_seen, world={"routed": True})
def hairpin_one_half(stage: Stage) -> None:
    """Only what members send to the frontend was captured: the looped half is missing, so nothing is certain."""
    stage.drop_taps("client", "lb_out", "lb_in")
    for member in stage.members:
        stage.tap(member.name).only = f"host {stage.plan.ilb}"
    stage.balance(stage.inner)
    stage.serve_pool()
    stage.start()
    names = callers(stage)
    call_inner(stage, names, 24)
    stage.stop()
    expect(stage, names)
    for item in stage.expected:
        item["optional"] = True
    stage.allow("frontend-unanswered")


def all_half_seen(stage: Stage, see: Witness) -> None:
    """One member's SYNs are never answered, another's always; no looped frame was captured."""
    name = stage.extra["callers"][0]
    own = next(member.address for member in stage.members if member.name == name)
    see.that("each SYN is repeated and none answered", see.count(name, SYN) >= 2 * 15 and see.count(name, SYN_ACK) == 0)
    see.that(
        "the other host's calls work",
        all((c["client_leg"]["src"] == own) != (c["verdict"] == "ok") for c in stage.connections),
    )
    see.that("no frame with the looped address", see.count(name, f"tcp.dstport=={stage.plan.data_port}") == 0)


@scenario("hairpin-always-one-half", all_half_seen, world={"routed": True})
def hairpin_always_one_half(stage: Stage) -> None:
    """A pool of one whose member calls itself, captured without the looped half: nothing is certain."""
    stage.drop_taps("client", "lb_out", "lb_in")
    for member in stage.members:
        stage.tap(member.name).only = f"host {stage.plan.ilb}"
    names = callers(stage, 1)
    alone = next(member for member in stage.members if member.name == names[0])
    target = replace(stage.inner, members=(alone.address,))
    stage.balance(target)
    stage.serve_pool()
    stage.start()
    other = next(member for member in stage.members if member is not alone)
    stage.call({m.name: [stage.to(target, m.address, count=15, gap=0.08)] for m in (alone, other)})
    stage.stop()
    expect(stage, names, intermittent=False)
    for item in stage.expected:
        item["optional"] = True
    stage.allow("frontend-unanswered")


def healed(stage: Stage, see: Witness) -> None:
    """Looped calls come back with the balancer's address, and work."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)
    own = [c for c in stage.connections if c["server_leg"]["dst"] == c["client_leg"]["src"]]
    see.that("some were mapped to their caller", own)
    see.that("and came from the balancer's address", all(c["server_leg"]["src"] == stage.plan.lb_in for c in own))


@scenario("hairpin-healed", healed, world={"routed": True})
def hairpin_healed(stage: Stage) -> None:
    """The same calls with source translation on the way back in: all work."""
    plan = stage.plan
    any_points(stage)
    ports = (20000, 39999)
    stage.balance(
        stage.inner,
        mode="dnat+snat",
        post=snat(f"ip saddr {plan.inside} ip daddr {plan.inside} ct status dnat", plan.lb_in, ports),
    )
    stage.tables.snat(plan.lb_in, ports)
    stage.serve_pool()
    stage.start()
    call_inner(stage, callers(stage))
    stage.stop()


def on_loopback(stage: Stage, see: Witness) -> None:
    """Both addresses are the member's own, on lo, and the calls work."""
    name = stage.extra["callers"][0]
    own = next(m.address for m in stage.members if m.name == name)
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))
    see.that(
        "SYNs from its address to itself were seen", see.count(name, f"{SYN} && ip.src=={own} && ip.dst=={own}") >= 10
    )


@scenario("hairpin-loopback", on_loopback)
def hairpin_loopback(stage: Stage) -> None:
    """A member calls its own address and 127.0.0.1: loopback traffic, no fault; clients use the frontend meanwhile."""
    stage.drop_taps("client")
    for member in stage.members:
        stage.tap(member.name).interface = "any"
    stage.balance()
    stage.serve_pool()
    stage.start()
    name = callers(stage, 1)[0]
    own = next(member.address for member in stage.members if member.name == name)
    direct, local = (
        replace(stage.web, address=own, port=stage.plan.data_port),
        replace(stage.web, address="127.0.0.1", port=stage.plan.data_port),
    )
    stage.call({
        name: [stage.to(direct, own, count=12, gap=0.1), stage.to(local, "127.0.0.1", count=8, gap=0.1)],
        "cli": [stage.to(stage.web, count=20, gap=0.05)],
    })  # fmt: skip
    stage.stop()


def direct_answer(stage: Stage, see: Witness) -> None:
    """The SYN-ACK comes from the member, and the caller resets it."""
    port, bad = stage.plan.data_port, see.verdicts("asymmetric_return")
    address = {member.name: member.address for member in stage.members}
    see.that("calls failed that way", bad > 3)
    for name in stage.extra["callers"]:
        own = address[name]
        numbers = {row[0] for row in see.rows(name, f"{SYN} && ip.dst=={stage.plan.ilb}", "tcp.seq_raw")}
        answers = see.rows(name, f"{SYN_ACK} && tcp.srcport=={port} && ip.dst=={own}", "tcp.ack_raw")
        resets = see.count(name, f"{RST} && tcp.flags.ack==0 && tcp.dstport=={port} && ip.src=={own}")
        see.that(
            f"{name}: answers straight from members fit its own SYNs",
            answers and {str(int(a[0]) - 1) for a in answers} <= numbers,
        )
        see.that(f"{name}: each is reset", resets == len(answers))
    see.that("no answer passes the balancer", see.count("lb_in", f"{SYN_ACK} && tcp.srcport=={port}") == 0)


@scenario("asymmetric-return", direct_answer)
def asymmetric_return(stage: Stage) -> None:
    """Members on one wire call the internal frontend: the member answers straight, from an address nobody called."""
    stage.drop_taps("client", "lb_out")
    stage.balance(stage.inner)
    stage.serve_pool()
    stage.start()
    names = callers(stage)
    call_inner(stage, names, 24)
    stage.stop()
    expect(stage, names)
    front = endpoint(stage.plan.ilb, stage.plan.frontend_port)
    for member in stage.members:
        if member.name in names:
            stage.expect("asymmetric-return", member.address, backend=member.name, frontend=front)
    stage.judge(lambda c: "asymmetric_return" if c["verdict"] == "blocked" else None)
