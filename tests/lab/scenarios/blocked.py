"""Data that a firewall blocks: before the member, in it, on the way back, with ICMP, for one client only."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.lab.check import SYN, SYN_ACK, Witness
from tests.lab.nat import drop
from tests.lab.plan import Member
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def play(
    stage: Stage, where: str, block: str, node: str, family: str, hook: str, linear: int = 4,
    known: Callable[[Member], None] | None = None, **details: object,
) -> Member:  # fmt: skip
    """Calls to a pool of which one member's data port is blocked by a rule with MEMBER and PORT in it.

    ``known`` writes what people know of that before the first packet.
    """
    victim, port = stage.rng.choice(stage.members), stage.plan.data_port
    stage.extra["blocked"] = victim.name
    if known is not None:
        known(victim)
    stage.balance()
    stage.serve_pool()
    rule = block.replace("MEMBER", victim.address).replace("PORT", str(port))
    stage.world.nft(node or victim.name, drop(family, hook, rule))
    stage.world.sysctl("cli", net__ipv4__tcp_syn_linear_timeouts=linear)
    stage.start()
    stage.probe()
    stage.call({"cli": [stage.to(stage.web, count=45, gap=0.04)]})
    stage.stop()
    stage.expect(
        "blocked-traffic", stage.member_at(victim), backend=victim.name, where=where, note="probes succeed", **details
    )
    return victim


def counts(stage: Stage, see: Witness) -> tuple[int, int, int, int]:
    """SYNs on the wire to the blocked member and at it, its SYN-ACKs there, and those that came back."""
    name, port = stage.extra["blocked"], stage.plan.data_port
    address = next(m.address for m in stage.members if m.name == name)
    to, back = (
        f"{SYN} && ip.dst=={address} && tcp.dstport=={port}",
        f"{SYN_ACK} && ip.src=={address} && tcp.srcport=={port}",
    )
    see.that(
        "probes of the member are answered", see.count(name, f"{SYN_ACK} && tcp.srcport=={stage.plan.probe_port}") > 0
    )
    see.that("blocked calls exist", see.verdicts("blocked") + see.verdicts("icmp_rejected") > 3)
    see.that("other calls succeed", see.verdicts("ok") > 3)
    return see.count("lb_in", to), see.count(name, to), see.count(name, back), see.count("lb_in", back)


def before(stage: Stage, see: Witness) -> None:
    """SYNs leave the balancer and never arrive."""
    sent, come, _, _ = counts(stage, see)
    see.that(
        "SYNs leave the balancer, repeated, and none is at the member", sent > see.verdicts("blocked") and come == 0
    )


def inside(stage: Stage, see: Witness) -> None:
    """SYNs arrive, and the member's kernel says nothing."""
    sent, come, answered, _ = counts(stage, see)
    see.that("every SYN arrives and none is answered", sent == come > 0 and answered == 0)


def way_back(stage: Stage, see: Witness) -> None:
    """The member answers, and the answer is lost."""
    sent, come, answered, returned = counts(stage, see)
    see.that(
        "SYNs arrive and are answered, and no answer comes back",
        sent == come > 0 and answered >= come and returned == 0,
    )


def rejected(stage: Stage, see: Witness) -> None:
    """ICMP says no, at the member and, translated, at the client."""
    sent, come, answered, _ = counts(stage, see)
    see.that("SYNs arrive and none is answered with TCP", sent >= come > 0 and answered == 0)
    here = see.rows(stage.extra["blocked"], "icmp.type==3", "ip.src")
    there = {row[0].split(",")[0] for row in see.rows("client", "icmp.type==3", "ip.src")}
    see.that("ICMP leaves the member and reaches the client as from the frontend", here and there == {stage.plan.vip})


@scenario("blocked-before-member", before)
def blocked_before_member(stage: Stage) -> None:
    """The switch drops data for one member; its probes pass."""
    play(stage, "upstream_of_vm", "ip daddr MEMBER tcp dport PORT counter drop", "sw", "bridge", "forward")


@scenario("blocked-in-member", inside)
def blocked_in_member(stage: Stage) -> None:
    """One member's own firewall drops the data port: its capture sees SYNs, before netfilter, and never an answer."""
    play(stage, "in_vm", "tcp dport PORT counter drop", "", "inet", "input", linear=0)


@scenario("blocked-return-path", way_back)
def blocked_return_path(stage: Stage) -> None:
    """The switch drops what one member's data port answers."""
    play(stage, "return_path", "ip saddr MEMBER tcp sport PORT counter drop", "sw", "bridge", "forward")


@scenario("blocked-icmp", rejected)
def blocked_icmp(stage: Stage) -> None:
    """One member's firewall rejects data with ICMP; the kernel's rate limit leaves some SYNs without an answer."""
    kind = stage.rng.choice(("port-unreachable", "admin-prohibited", "host-unreachable"))
    play(stage, "in_vm", f"tcp dport PORT counter reject with icmp type {kind}", "", "inet", "input", kind=kind)
    # A socket cannot tell ICMP port unreachable from a reset.
    stage.judge(lambda c: "icmp_rejected" if c["client_result"] in ("refused", "unreachable") else None)


def one_client(stage: Stage, see: Witness) -> None:
    """Only that client's SYNs stay without an answer."""
    bad = stage.extra["blocked"]
    see.that("all its calls fail and no other", all(
        (c["verdict"] == "blocked") == (c["client_leg"]["src"] == bad) for c in stage.connections
    ))  # fmt: skip
    see.that("no SYN-ACK for it", see.count("client", f"{SYN_ACK} && ip.dst=={bad}") == 0)
    where = sum(see.count(m.name, f"{SYN} && ip.src=={bad}") for m in stage.members)
    see.that(
        "its SYNs leave the balancer and arrive nowhere", see.count("lb_in", f"{SYN} && ip.src=={bad}") > where == 0
    )


@scenario("blocked-one-client", one_client)
def blocked_one_client(stage: Stage) -> None:
    """The switch drops one client's address to every member; other clients are served."""
    bad = stage.plan.clients[3]
    stage.extra["blocked"] = bad
    stage.balance()
    stage.serve_pool()
    stage.world.nft("sw", drop("bridge", "forward", f"ip saddr {bad} tcp dport {stage.plan.data_port} counter drop"))
    stage.start()
    stage.probe()
    groups = [stage.to(stage.web, source, count=15, gap=0.08) for source in (*stage.plan.clients[:3], bad)]
    stage.call({"cli": groups})
    stage.stop()
    stage.expect("blocked-traffic", bad, where="upstream_of_vm")


def group(*rules: tuple[str, int, str, str, str]) -> str:
    """An Azure group as its tools print it: (name, priority, access, destination, port), inbound, and the defaults."""
    fields = ("name", "priority", "access", "destinationAddressPrefix", "destinationPortRange")
    every = {"direction": "Inbound", "protocol": "*", "sourceAddressPrefix": "*", "sourcePortRange": "*"}
    probes = ("AllowAzureLoadBalancerInBound", 65001, "Allow", "*", "*")
    defaults = [
        {**every, **dict(zip(fields, ("AllowVnetInBound", 65000, "Allow", "VirtualNetwork", "*"), strict=True)),
         "sourceAddressPrefix": "VirtualNetwork"},
        {**every, **dict(zip(fields, probes, strict=True)), "sourceAddressPrefix": "AzureLoadBalancer"},
        {**every, **dict(zip(fields, ("DenyAllInBound", 65500, "Deny", "*", "*"), strict=True))},
    ]  # fmt: skip
    custom = [{**every, **dict(zip(fields, rule, strict=True))} for rule in rules]
    return json.dumps({"name": "pool-nsg", "securityRules": custom, "defaultSecurityRules": defaults}, indent=1)


@scenario("nsg-deny", before)
def nsg_deny(stage: Stage) -> None:
    """A security group denies data to one member before the rule that allows it; the group's file is given."""

    def known(victim: Member) -> None:
        denied = ("deny-one", 200, "Deny", f"{victim.address}/32", str(stage.plan.data_port))
        (stage.folder / "nsg.json").write_text(group(denied, ("allow-all", 300, "Allow", "*", "*")))

    rule = "ip daddr MEMBER tcp dport PORT counter drop"
    victim = play(stage, "upstream_of_vm", rule, "sw", "bridge", "forward", known=known)
    stage.expected.clear()
    stage.expect("nsg-deny", stage.member_at(victim), backend=victim.name, note="given with --nsg nsg.json")
