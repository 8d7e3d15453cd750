"""Traffic without a fault, in each way of translating."""

from __future__ import annotations

from collections import Counter

from tests.lab import nat
from tests.lab.capture import Tap
from tests.lab.check import RST, SYN, Witness
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def all_fine(stage: Stage, see: Witness) -> None:
    """Every call was answered, and every SYN of the clients is at a member."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)
    # An acknowledgement that crossed the last one meets a closed socket: its RST ends nothing.
    sides = set(see.rows("client", "tcp.flags.fin==1", "tcp.stream", "tcp.srcport"))
    done = Counter(stream for stream, _ in sides)
    resets = see.rows("client", RST, "tcp.stream")
    see.that("no RST at the client before both ends were done", all(done[stream] == 2 for (stream,) in resets))
    sent = {row[0] for row in see.rows("client", SYN, "tcp.seq_raw")}
    come = {
        row[0]
        for member in stage.members
        for row in see.rows(member.name, f"{SYN} && tcp.dstport=={stage.plan.data_port}", "tcp.seq_raw")
    }
    see.that("the members saw the clients' initial sequence numbers, all of them", sent == come)
    see.that("the kernel tracked one translation per call", len(stage.moves) >= len(stage.connections))


def port_kept(stage: Stage, see: Witness) -> None:
    """Destination translation keeps the client's address and port."""
    all_fine(stage, see)
    see.that("client ports kept", all(c["client_leg"]["sport"] == c["server_leg"]["sport"] for c in stage.connections))


def port_changed(stage: Stage, see: Witness) -> None:
    """Full translation keeps neither."""
    all_fine(stage, see)
    first, last = stage.extra["ports"]
    sources = [c["server_leg"] for c in stage.connections]
    own = all(one["src"] == stage.plan.lb_in and first <= one["sport"] <= last for one in sources)
    see.that("server legs come from the balancer's range", own)


def mixed(stage: Stage) -> list[dict[str, object]]:
    """Short calls, kept connections and a few large bodies, from three client addresses."""
    web, plan = stage.web, stage.plan
    return [
        stage.to(web, count=60, gap=0.02),
        stage.to(web, plan.clients[1], count=30, gap=0.03, steps=[["get", 900], ["sleep", 0.05], ["get", 40]]),
        stage.to(web, plan.clients[2], count=10, gap=0.1, steps=[["get", 60000, 0, "close"]]),
        stage.to(web, plan.clients[0], count=10, gap=0.1, steps=[["get", 20, 0, "", 30000]]),
    ]


@scenario("healthy-dnat", port_kept)
def healthy_dnat(stage: Stage) -> None:
    """Destination translation with the client's address kept; probes, three clients, bodies larger than a segment."""
    stage.balance()
    stage.serve_pool()
    stage.start()
    stage.probe()
    stage.call({"cli": mixed(stage)})
    stage.stop()


def fully(stage: Stage) -> None:
    """Translate both addresses, the source port out of a range."""
    first = stage.rng.randrange(10000, 30000)
    stage.extra["ports"] = ports = (first, first + 9999)
    match = f"{stage.web.ip} daddr {stage.plan.inside} ct status dnat"
    stage.balance(mode="dnat+snat", post=nat.snat(match, stage.plan.lb_in, ports, True))
    stage.tables.snat(stage.plan.lb_in, ports, inside=False)


@scenario("healthy-full-nat", port_changed)
def healthy_full_nat(stage: Stage) -> None:
    """Destination and source translation: the legs share sequence numbers and bytes; one file holds both."""
    fully(stage)
    stage.taps.append(Tap("lb_any", "lb", "any", stage.taps[0].form))
    stage.serve_pool()
    stage.start()
    stage.call({"cli": mixed(stage)})
    stage.stop()


@scenario("healthy-full-nat-ipv6", port_changed, family=6)
def healthy_full_nat_ipv6(stage: Stage) -> None:
    """The same with IPv6."""
    fully(stage)
    stage.serve_pool()
    stage.start()
    stage.call({"cli": mixed(stage)})
    stage.stop()
