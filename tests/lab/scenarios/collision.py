"""Two flows that become one 5-tuple at a member."""

from __future__ import annotations

from dataclasses import replace

from tests.lab import nat
from tests.lab.check import SYN, Witness
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def one_tuple(stage: Stage, see: Witness) -> None:
    """At the member: a SYN on a live tuple with another number, and a bare ACK that does not fit it."""
    name = stage.extra["member"]
    syns = see.rows(name, SYN, "tcp.srcport", "tcp.seq_raw", "ip.src")
    numbers: dict[tuple[str, str], set[str]] = {}
    for port, number, source in syns:
        numbers.setdefault((source, port), set()).add(number)
    twice = [key for key, seen in numbers.items() if len(seen) > 1]
    see.that("one tuple, two initial sequence numbers, for each pair", len(twice) == stage.extra["pairs"])
    fits = {str(int(number) + 1) for _, number, _ in syns}
    port = stage.plan.data_port
    bare = see.rows(name, f"tcp.flags==0x010 && tcp.len==0 && tcp.srcport=={port}", "tcp.dstport", "tcp.ack_raw")
    see.that("bare ACKs that fit no SYN", len({p for p, ack in bare if ack not in fits}) >= stage.extra["pairs"])
    see.that("calls failed or waited", see.verdicts("client_port_collision") >= stage.extra["pairs"])


def play(stage: Stage, first: nat.Target, second: nat.Target, sources: tuple[str, str], inner: str | None) -> None:
    """Pairs of calls with equal source ports; the second comes while the first still lives."""
    member = next(m for m in stage.members if m.address == first.members[0])
    ports = stage.rng.sample(range(20000, 60000), 6)
    stage.extra |= {"member": member.name, "pairs": len(ports)}
    stage.serve_pool()
    stage.start()
    calls = [stage.to(first, sources[0], count=20, gap=0.15)]
    for number, port in enumerate(ports):
        at = 0.2 + number * 0.1
        hold = [["get", 30], ["sleep", 2.5], ["get", 30]]
        calls.append(stage.to(first, sources[0], sport=port, at=at, steps=hold, tag="first", read_timeout=3))
        calls.append(stage.to(second, sources[1], sport=port, at=at + 1, tag="second", timeout=3.5, read_timeout=3))
    stage.call({"cli": calls})
    stage.stop()
    for row in stage.rows:
        row["legs"] = [(inner or row["src"], row["sport"], member.address, stage.plan.data_port)]
    stage.judge(lambda c: "client_port_collision" if c["tag"] == "second" or c["client_result"] != "ok" else None)
    stage.expect("client-port-collision", stage.member_at(member), backend=member.name)


@scenario("collision-two-frontends", one_tuple)
def collision_two_frontends(stage: Stage) -> None:
    """A client calls two frontends from one port; both lead to the same member, which cannot tell the two apart."""
    alone = (stage.rng.choice(stage.members).address,)
    first = replace(stage.web, members=alone)
    second = replace(first, address=stage.plan.vip2)
    stage.world.nft("lb", nat.shared_port([first, second]))
    stage.tables.frontend("web", first, "dnat")
    stage.tables.frontend("other", second, "dnat")
    play(stage, first, second, (stage.plan.clients[0], stage.plan.clients[0]), None)


@scenario("collision-two-clients", one_tuple)
def collision_two_clients(stage: Stage) -> None:
    """Two clients use one port behind a translation that keeps ports: at the member they are one."""
    plan = stage.plan
    target = replace(stage.web, members=(stage.rng.choice(stage.members).address,))
    stage.world.nft("lb", nat.shared_source(target, plan.lb_in))
    stage.tables.frontend("web", target, "dnat+snat")
    stage.tables.snat(plan.lb_in, (1024, 65535), inside=False)
    play(stage, target, target, (plan.clients[0], plan.clients[1]), plan.lb_in)
