"""Several faults in one capture set, each to be told from the others."""

from __future__ import annotations

from tests.lab.capture import Tap
from tests.lab.check import RST, SYN, SYN_ACK, Witness
from tests.lab.nat import drop
from tests.lab.scenarios import hairpin
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def each_is_real(stage: Stage, see: Witness) -> None:
    """The looped SYNs, the refusals and the lost SYNs are all there, and other calls succeed."""
    port, shut, outcast = stage.plan.data_port, stage.extra["closed"], stage.extra["outcast"]
    own = next(member.address for member in stage.members if member.name in stage.extra["callers"])
    see.that("looped SYNs", see.count("lb_in", f"{SYN} && ip.src=={own} && ip.dst=={own}") > 3)
    see.that("refusals at the member", see.count(shut, f"{RST} && tcp.srcport=={port} && tcp.seq_raw==0") > 3)
    sent = see.count("lb_in", f"{SYN} && ip.src=={outcast} && tcp.dstport=={port}")
    come = sum(see.count(member.name, f"{SYN} && ip.src=={outcast}") for member in stage.members)
    see.that("the blocked client's SYNs leave the balancer and arrive nowhere", sent > come == 0)
    see.that("it gets no SYN-ACK", see.count("lb_out", f"{SYN_ACK} && ip.dst=={outcast}") == 0)
    see.that("other calls succeed", see.verdicts("ok") > 10)


@scenario("several-faults", each_is_real, world={"routed": True})
def several_faults(stage: Stage) -> None:
    """At once: a member calls itself through the frontend, another does not listen, one client is blocked."""
    plan = stage.plan
    caller, shut, _ = stage.rng.sample(stage.members, 3)
    outcast = plan.clients[2]
    stage.extra |= {"callers": [caller.name], "closed": shut.name, "outcast": outcast}
    hairpin.any_points(stage)
    stage.taps.insert(0, Tap("lb_out", "lb", "out0", stage.taps[0].form))
    stage.balance(stage.web, stage.inner)
    stage.serve_pool({shut.name: None})
    stage.world.nft("sw", drop("bridge", "forward", f"ip saddr {outcast} tcp dport {plan.data_port} counter drop"))
    stage.start()
    stage.probe(targets=[stage.web, stage.inner])
    clients = [stage.to(stage.web, client, count=40, gap=0.05) for client in plan.clients[:2]]
    blocked = stage.to(stage.web, outcast, count=15, gap=0.1)
    own = stage.to(stage.inner, caller.address, count=40, gap=0.06)
    stage.call({"cli": [*clients, blocked], caller.name: [own]})
    stage.stop()
    hairpin.expect(stage, [caller.name])
    stage.expect("closed-port", stage.member_at(shut), backend=shut.name)
    stage.expect("blocked-traffic", outcast, where="upstream_of_vm")


def answers_itself(stage: Stage, see: Witness) -> None:
    """The looped SYN is answered over loopback, and the answer reset; the frontend never answers."""
    name = stage.extra["callers"][0]
    own = next(member.address for member in stage.members if member.name == name)
    loop = f"ipv6.src=={own} && ipv6.dst=={own}"
    see.that("looped SYNs come back in", see.count("lb_in", f"{SYN} && {loop}") > 3)
    see.that("none of their answers passes the balancer", see.count("lb_in", f"{SYN_ACK} && {loop}") == 0)
    see.that("the host answers itself", see.count(name, f"{SYN_ACK} && {loop}") > 3)
    see.that("and resets that", see.count(name, f"{RST} && {loop}") > 3)


@scenario("hairpin-ipv6", answers_itself, family=6, world={"routed": True})
def hairpin_ipv6(stage: Stage) -> None:
    """The hairpin with IPv6: Linux takes the looped SYN, answers it over loopback and rejects its own answer."""
    hairpin.hairpin(stage)
    # The balancer's ICMPv6 redirects teach members a way past it, for as long as they believe them.
    stage.allow("asymmetric-return", "untranslated-leak")
