"""Members that accept and do not serve, paths that lose what is large, and clients whose manners are rough."""

from __future__ import annotations

from tests.lab.check import RST, SYN, SYN_ACK, Witness
from tests.lab.nat import drop
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def silent_service(stage: Stage, see: Witness) -> None:
    """The request is acknowledged, and no byte comes back."""
    name, port = stage.extra["victim"], stage.plan.data_port
    see.that("calls to it fail", see.verdicts("unresponsive") > 3)
    see.that("requests arrive", see.count(name, f"tcp.dstport=={port} && tcp.len>0") >= see.verdicts("unresponsive"))
    see.that(
        "it acknowledges", see.count(name, f"tcp.srcport=={port} && tcp.flags==0x010") >= see.verdicts("unresponsive")
    )
    see.that("it sends no data", see.count(name, f"tcp.srcport=={port} && tcp.len>0") == 0)


def unresponsive_calls(stage: Stage, listener: dict[str, object], count: int = 32) -> None:
    """Calls to a pool of which one member's listener differs."""
    victim = stage.rng.choice(stage.members)
    stage.extra["victim"] = victim.name
    stage.balance()
    stage.serve_pool({victim.name: listener})
    stage.start()
    stage.probe()
    stage.call({"cli": [stage.to(stage.web, count=count, gap=0.06, read_timeout=3.5)]})
    stage.stop()
    stage.expect("unresponsive-service", stage.member_at(victim), backend=victim.name)
    stage.judge(lambda c: "unresponsive" if c["backend"] == victim.name and c["client_result"] != "ok" else None)


@scenario("unresponsive-service", silent_service)
def unresponsive_service(stage: Stage) -> None:
    """One member accepts connections and requests and never answers; its probes succeed."""
    unresponsive_calls(stage, {"script": [(0, "hang")]})


def queue_full(stage: Stage, see: Witness) -> None:
    """The first calls wait in the queue, later SYNs are dropped by the kernel, which counts them."""
    name, port = stage.extra["victim"], stage.plan.data_port
    see.that("calls to it fail", see.verdicts("unresponsive") > 3)
    see.that("some were accepted by its kernel", see.count(name, f"{SYN_ACK} && tcp.srcport=={port}") > 0)
    see.that("it sends no data and no RST", see.count(name, f"tcp.srcport=={port} && (tcp.len>0 || {RST})") == 0)
    see.that(
        "its kernel counted overflows",
        see.counter(name, "TcpExtListenOverflows") + see.counter(name, "TcpExtListenDrops") > 0,
    )


@scenario("accept-queue-full", queue_full)
def accept_queue_full(stage: Stage) -> None:
    """One member's program hangs and accepts nothing: its short queue fills, and the kernel drops what follows."""
    unresponsive_calls(stage, {"accept": False, "backlog": 2})


def large_lost(stage: Stage, see: Witness) -> None:
    """Large segments are repeated and never arrive; small calls pass."""
    starts, end = stage.extra["between"]
    see.that("large transfers fail, small ones pass", all(
        (c["client_result"] == "ok") == (c["tag"] != "large") for c in stage.connections
    ))  # fmt: skip
    see.that(
        "large frames at one side",
        sum(see.count(one, "tcp.len>900 && tcp.analysis.retransmission") for one in starts) > 3,
    )
    see.that("none at the other", see.count(end, "tcp.len>960") == 0)
    told = see.count("client", "icmp.type==3 && icmp.code==4")
    see.that("ICMP is seen at the client only when it was let through", (told > 0) == stage.extra["icmp"])


def large_calls(stage: Stage, upload: bool) -> None:
    """Small calls, and a few with bodies of many segments."""
    large = ["get", 20, 0, "", 20000] if upload else ["get", 20000]
    stage.serve_pool()
    stage.start()
    stage.call({"cli": [
        stage.to(stage.web, count=30, gap=0.06),
        stage.to(stage.web, stage.plan.clients[1], count=4, gap=0.2, steps=[large], tag="large", read_timeout=3),
    ]})  # fmt: skip
    stage.stop()
    stage.expect("mtu-blackhole", "*")
    stage.judge(lambda c: "mtu_blackhole" if c["tag"] == "large" and c["client_result"] != "ok" else None)


@scenario("mtu-blackhole-link", large_lost, world={"offloads": False})
def mtu_blackhole_link(stage: Stage) -> None:
    """The link between switch and balancer carries smaller frames than the rest: members' large answers vanish."""
    stage.extra |= {"between": ([m.name for m in stage.members], "lb_in"), "icmp": False}
    stage.world.ip("lb", "link set in0 mtu 1000")
    stage.world.ip("sw", "link set lb mtu 1000")
    stage.balance()
    large_calls(stage, upload=False)


def small_route(stage: Stage, silenced: str) -> None:
    """The balancer's routes to the members are narrow, and one node loses the ICMP that says so."""
    stage.extra |= {"between": (["client"], "lb_in"), "icmp": silenced == "cli"}
    stage.world.ip("lb", "\n".join(f"route add {m.address}/32 dev in0 mtu 1000" for m in stage.members))
    hook = "input" if silenced == "cli" else "output"
    stage.world.nft(silenced, drop("ip", hook, "icmp type destination-unreachable icmp code 4 counter drop", "deaf"))
    stage.balance()
    large_calls(stage, upload=True)


@scenario("mtu-blackhole-route", large_lost, world={"offloads": False})
def mtu_blackhole_route(stage: Stage) -> None:
    """The balancer's routes to the members are narrow, and its own firewall drops the ICMP that says so."""
    small_route(stage, "lb")


@scenario("mtu-icmp-ignored", large_lost, world={"offloads": False})
def mtu_icmp_ignored(stage: Stage) -> None:
    """The balancer's ICMP reaches the client, whose firewall drops it."""
    small_route(stage, "cli")


def rough_but_fine(stage: Stage, see: Witness) -> None:
    """Resets and long waits are there, and every call got what it asked for."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))
    see.that("clients closed with RST", see.count("client", f"{RST} && ip.src=={stage.plan.clients[0]}") > 10)
    see.that("no SYN was repeated", len(set(see.rows("client", SYN, "tcp.seq_raw"))) == see.count("client", SYN))


@scenario("ugly-but-healthy", rough_but_fine)
def ugly_but_healthy(stage: Stage) -> None:
    """Aborts, half-closes, long waits, kept connections, servers that close first: odd to see, and no fault."""
    web = stage.web
    stage.balance()
    stage.serve_pool()
    stage.start()
    stage.probe()
    stage.call({"cli": [
        stage.to(web, count=15, gap=0.1, steps=[["get", 50], ["abort"]]),
        stage.to(web, count=6, gap=0.3, steps=[["send", 120], ["sleep", 0.2], ["abort"]]),
        stage.to(web, count=6, gap=0.2, steps=[["abort"]]),
        stage.to(web, count=6, gap=0.2, steps=[["get", 9, 3.5]]),
        stage.to(web, count=6, gap=0.2, steps=[["get", 9], ["sleep", 3.5], ["get", 9]]),
        stage.to(web, count=8, gap=0.2, steps=[["get", 9], ["half"], ["sleep", 0.3]]),
        stage.to(web, count=8, gap=0.2, steps=[["get", 9, 0, "close"]]),
        stage.to(web, count=6, gap=0.2, steps=[["sleep", 2.0]]),
        stage.to(web, count=4, gap=0.2, steps=[["get", 150000]]),
    ]})  # fmt: skip
    stage.stop()


def many(stage: Stage, see: Witness) -> None:
    """As many SYNs at the client as calls, and nothing lost by the captures or by the kernel's witness."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))
    see.that("no capture dropped packets", not any(tap.drops for tap in stage.taps))
    see.that("no event of the kernel's was lost", stage.extra["events_lost"] == 0)
    # Of 20,000 numbers of 32 bits two are equal once in twenty runs: ports tell them apart.
    calls = set(see.rows("client", SYN, "ip.src", "tcp.srcport", "tcp.seq_raw"))
    see.that("one call, one SYN, repeats aside", len(calls) == len(stage.connections) == LOAD)
    see.that("the kernel tracked each", all(c["server_leg"] for c in stage.connections))


LOAD = 20_000


@scenario("load", many, order=0)
def load(stage: Stage) -> None:
    """Twenty thousand short connections in a row, up to 64 at once."""
    for tap in stage.taps:
        # A whole run fits, should tcpdump not get its turn.
        tap.buffer = 65536
    stage.balance()
    stage.serve_pool()
    stage.start()
    patient = {"count": LOAD // 2, "together": 32, "timeout": 20, "read_timeout": 20}
    stage.call({"cli": [stage.to(stage.web, source, **patient) for source in stage.plan.clients[:2]]})
    stage.stop()
