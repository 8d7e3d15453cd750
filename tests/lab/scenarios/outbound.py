"""Members that call servers outside through a few SNAT ports."""

from __future__ import annotations

from typing import Any

from tests.lab import nat
from tests.lab.check import SYN, Witness
from tests.lab.plan import endpoint
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def outside(stage: Stage, ports: int, servers: int = 1) -> list[str]:
    """Servers outside, and a translator with that many ports; returns the servers' addresses."""
    plan = stage.plan
    stage.extra["ports"] = span = plan.snat_range(ports)
    stage.balance(nat.Target(plan.vip, plan.frontend_port, (), 0), listed=False)
    stage.world.nft("lb", nat.dnat((), nat.snat(f'oifname "out0" ip saddr {plan.inside}', plan.snat, span)))
    stage.tables.snat(plan.snat, span)
    stage.tap("client").name = "internet"
    chosen = plan.servers[:servers]
    stage.serve("cli", [{"address": address, "port": plan.remote_port} for address in chosen])
    return chosen


def subject(stage: Stage, server: str) -> str:
    """The SNAT range and the destination, as truth.json names them."""
    first, last = stage.extra["ports"]
    return f"{stage.plan.snat}:{first}-{last} -> {endpoint(server, stage.plan.remote_port)}"


def groups(stage: Stage, servers: list[str], count: int, **more: Any) -> dict[str, list[dict[str, Any]]]:
    """``count`` calls of each member to each server."""
    target = [[server, stage.plan.remote_port] for server in servers]
    return {m.name: [{"source": m.address, "target": t, "count": count, **more} for t in target] for m in stage.members}


def used_ports(see: Witness, *more: str) -> set[str]:
    """The SNAT ports of the SYNs that left."""
    where = " && ".join((f"{SYN} && ip.src=={see.stage.plan.snat}", *more))
    return {row[0] for row in see.rows("lb_out", where, "tcp.srcport")}


def no_port_left(stage: Stage, see: Witness) -> None:
    """All ports in use, each once; every other SYN is dropped and counted."""
    ports = used_ports(see)
    first, last = stage.extra["ports"]
    see.that("every port was used and no other", ports == {str(port) for port in range(first, last + 1)})
    numbers = see.rows("lb_in", SYN, "tcp.seq_raw", "tcp.srcport", "ip.src")
    gone = {row[0] for row in see.rows("lb_out", SYN, "tcp.seq_raw")}
    lost = [row for row in numbers if row[0] not in gone]
    see.that("the others' SYNs never leave", len({row[0] for row in lost}) == see.verdicts("snat_exhausted") > 10)
    dropped = see.counter("lb", "drop")
    see.that(f"the kernel counted each lost SYN ({len(lost)}) as a drop ({dropped})", abs(dropped - len(lost)) <= 3)
    see.that("no ICMP and no RST told the callers", see.count("lb_in", "icmp || tcp.flags.reset==1") == 0)


@scenario("snat-exhaustion", no_port_left)
def snat_exhaustion(stage: Stage) -> None:
    """Many calls to one destination are held open until all ports towards it are in use; another stays reachable."""
    servers = outside(stage, stage.rng.choice((24, 32, 40)), 2)
    stage.start()
    calls = groups(stage, servers[:1], 32, gap=0.01, steps=[["get", 3], ["sleep", 5.5]])
    for member in stage.members:
        calls[member.name].append(groups(stage, servers[1:], 4, gap=0.3, at=1.5)[member.name][0])
    stage.call(calls)
    stage.stop()
    stage.judge(lambda c: "snat_exhausted" if c["server_leg"] is None else None)
    stage.expect("snat-exhaustion", subject(stage, servers[0]), snat_ip=stage.plan.snat, also=[stage.plan.snat])
    stage.allow("snat-pressure")


def nearly_full(stage: Stage, see: Witness) -> None:
    """More than three quarters of the ports at once, and nothing fails."""
    first, last = stage.extra["ports"]
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))
    see.that(
        "more than 75 % of the ports were in use", 0.75 * (last - first + 1) < len(used_ports(see)) <= last - first + 1
    )


@scenario("snat-pressure", nearly_full)
def snat_pressure(stage: Stage) -> None:
    """Seven eighths of the ports towards one destination are in use at once; no call fails yet."""
    servers = outside(stage, 48)
    stage.start()
    stage.call(groups(stage, servers, 14, gap=0.02, steps=[["get", 3], ["sleep", 2.5], ["get", 10]]))
    stage.stop()
    stage.expect("snat-pressure", subject(stage, servers[0]), snat_ip=stage.plan.snat, also=[stage.plan.snat])


def shared(stage: Stage, see: Witness) -> None:
    """More connections at once than there are ports, since each destination has them all."""
    first, last = stage.extra["ports"]
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))
    see.that("more calls than ports", len(stage.connections) > last - first + 1)
    busiest = max(len(used_ports(see, f"ip.dst=={server}")) for server in stage.plan.servers)
    see.that("no destination uses more than 75 % of them", busiest <= 0.75 * (last - first + 1))


@scenario("snat-many-destinations", shared)
def snat_many_destinations(stage: Stage) -> None:
    """The same few ports serve eight destinations at once: more connections than ports, no exhaustion."""
    servers = outside(stage, 32, 8)
    stage.start()
    stage.call(groups(stage, servers, 5, gap=0.02, steps=[["get", 3], ["sleep", 2]]))
    stage.stop()


def reused(stage: Stage) -> Any:
    """The verdict of calls whose SYN met the old connection of its port."""

    def verdict(record: dict[str, Any]) -> str | None:
        one = record["client_leg"]
        sent = stage.points["lb_in"].segments[one["src"], one["sport"], one["dst"], one["dport"]]
        syns = [s for s in sent if s.flags & 0x12 == 2 and s.seq == record["isn_client"]]
        if len(syns) < 2 or record["client_result"] != "ok":
            return None
        reset = any(s.flags & 4 and syns[0].t < s.t < syns[-1].t for s in sent)
        return "ok_after_reuse" if reset else "ok_after_snat_drop"

    return verdict


def challenged(stage: Stage, see: Witness) -> None:
    """A SYN is answered by a bare ACK that does not fit it, then comes RST, then the same SYN again."""
    late = [c for c in stage.connections if c["verdict"] == "ok_after_reuse"]
    see.that("calls met an old connection", late)
    bare = see.rows(
        "lb_out", f"tcp.flags==0x010 && tcp.len==0 && ip.dst=={stage.plan.snat}", "tcp.dstport", "tcp.ack_raw"
    )
    resets = {row[0] for row in see.rows("lb_out", f"tcp.flags==0x004 && ip.src=={stage.plan.snat}", "tcp.seq_raw")}
    see.that("RSTs carry the numbers of the bare ACKs", len({ack for _, ack in bare} & resets) >= len(late) > 0)
    numbers = [row[0] for row in see.rows("lb_out", SYN, "tcp.seq_raw")]
    see.that("SYNs were repeated with the same number", len(numbers) > len(set(numbers)))


@scenario("snat-early-reuse", challenged)
def snat_early_reuse(stage: Stage) -> None:
    """Few ports, quickly used again, while the server still holds the old connections in TIME-WAIT."""
    servers = outside(stage, 6)
    stage.world.sysctl(
        "lb", net__netfilter__nf_conntrack_tcp_timeout_time_wait=1, net__netfilter__nf_conntrack_tcp_timeout_close=1,
        net__netfilter__nf_conntrack_tcp_timeout_last_ack=1, net__netfilter__nf_conntrack_tcp_timeout_fin_wait=1,
    )  # fmt: skip
    stage.start()
    stage.call(groups(stage, servers, 12, gap=0.45, timeout=5, steps=[["get", 3, 0, "close"]]))
    stage.stop()
    stage.judge(reused(stage))
    stage.expect("snat-port-collision", subject(stage, servers[0]), also=[stage.plan.snat])
    stage.expect("snat-exhaustion", subject(stage, servers[0]), also=[stage.plan.snat], optional=True)
    stage.allow("snat-pressure")


@scenario("snat-reuse-held", challenged)
def snat_reuse_held(stage: Stage) -> None:
    """The translator forgot idle connections that the server still holds; new ones get their ports."""
    servers = outside(stage, 5)
    stage.world.sysctl(
        "lb", net__netfilter__nf_conntrack_tcp_timeout_established=2, net__netfilter__nf_conntrack_tcp_loose=0,
        net__netfilter__nf_conntrack_tcp_timeout_time_wait=1, net__netfilter__nf_conntrack_tcp_timeout_last_ack=1,
    )  # fmt: skip
    stage.start()
    holder, other, third = stage.members
    target = [servers[0], stage.plan.remote_port]
    held = {"source": holder.address, "target": target, "count": 4, "gap": 0.02, "steps": [["get", 3], ["sleep", 5.5]]}
    fresh = {"target": target, "count": 4, "gap": 0.5, "at": 3.2, "timeout": 5}
    later = {member.name: [fresh | {"source": member.address}] for member in (other, third)}
    stage.call({holder.name: [held], **later})
    stage.stop()
    stage.judge(reused(stage))
    stage.expect("snat-port-collision", subject(stage, servers[0]), also=[stage.plan.snat])
    stage.allow("snat-pressure", "snat-exhaustion", "idle-timeout", "untranslated-leak")
