"""Nothing listens on a port."""

from __future__ import annotations

from tests.lab.check import RST, SYN, Witness
from tests.lab.nat import Target
from tests.lab.plan import endpoint
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def refused_by_member(stage: Stage, see: Witness) -> None:
    """The member itself answers each SYN with a reset."""
    name, port = stage.extra["closed"], stage.plan.data_port
    syns = {row[0] for row in see.rows(name, f"{SYN} && tcp.dstport=={port}", "tcp.seq_raw")}
    acks = {
        str(int(row[0]) - 1) for row in see.rows(name, f"{RST} && tcp.srcport=={port} && tcp.seq_raw==0", "tcp.ack_raw")
    }
    see.that("each SYN at the member has its RST there", syns and syns == acks)
    see.that("as many refusals as SYNs", see.verdicts("closed_port") == len(syns))
    see.that("its kernel counted the resets", see.counter(name, "TcpOutRsts") >= len(syns))
    ok = see.count(name, f"tcp.flags==0x012 && tcp.srcport=={stage.plan.probe_port}")
    see.that("probes to the same member are answered", ok > 0)


@scenario("closed-port", refused_by_member)
def closed_port(stage: Stage) -> None:
    """One member does not listen on the data port, while its probes succeed."""
    victim = stage.rng.choice(stage.members)
    stage.extra["closed"] = victim.name
    stage.balance()
    stage.serve_pool({victim.name: None})
    stage.start()
    stage.probe()
    stage.call({"cli": [stage.to(stage.web, count=60, gap=0.03)]})
    stage.stop()
    stage.expect("closed-port", stage.member_at(victim), backend=victim.name, note="probes to the same member succeed")


def refused_by_balancer(stage: Stage, see: Witness) -> None:
    """The balancer resets, and no member ever sees a SYN."""
    port = stage.extra["closed"]
    see.that("resets from the frontend at the client", see.count("client", f"{RST} && tcp.srcport=={port}") >= 10)
    see.that("nothing of it inside", see.count("lb_in", f"tcp.port=={port}") == 0)


@scenario("closed-frontend", refused_by_balancer)
def closed_frontend(stage: Stage) -> None:
    """Clients call a port of the frontend for which the balancer has no rule; another port works."""
    plan = stage.plan
    stage.extra["closed"] = port = plan.frontend_port + 1
    stage.balance()
    stage.serve_pool()
    stage.start()
    wrong = Target(plan.vip, port, (), 0)
    stage.call({"cli": [stage.to(stage.web, count=30, gap=0.05), stage.to(wrong, count=12, gap=0.1)]})
    stage.stop()
    stage.expect("closed-port", endpoint(plan.vip, port), where="frontend")
