"""Other ways to balance: without memory, direct return, through VXLAN, IPv6, and through a proxy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.lab import nat
from tests.lab.capture import Tap
from tests.lab.check import RST, SYN, SYN_ACK, Witness
from tests.lab.haproxy import HAProxy, frontend
from tests.lab.plan import Member
from tests.lab.scenarios.closed import closed_port, refused_by_member
from tests.lab.scenarios.healthy import all_fine, mixed
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage


def legs_by_member(stage: Stage, port: int, front: str | None = None) -> None:
    """Without the kernel's tracking, the response says which member served a call."""
    address = {member.name: member.address for member in stage.members}
    for row in stage.rows:
        row["legs"] = [(row["src"], row["sport"], front or address[name], port) for name in row["members"][:1]]


def untracked(stage: Stage, see: Witness) -> None:
    """Every call works, and the kernel knows of none."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)
    see.that("no translation was tracked", not stage.moves)
    outer = {row[0] for row in see.rows("lb_out", SYN, "tcp.seq_raw")}
    see.that("the same SYNs outside and inside", outer == {row[0] for row in see.rows("lb_in", SYN, "tcp.seq_raw")})


@scenario("healthy-stateless", untracked)
def healthy_stateless(stage: Stage) -> None:
    """Translation by a hash, without any memory."""
    stage.world.nft("lb", nat.stateless(stage.web))
    stage.tables.frontend("web", stage.web, "dnat")
    stage.serve_pool()
    stage.start()
    stage.call({"cli": mixed(stage)})
    stage.stop()
    legs_by_member(stage, stage.plan.data_port)


def one_sided(stage: Stage, see: Witness) -> None:
    """Answers come by another way, with the frontend's address; the balancer sees one direction only."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)
    vip = stage.plan.vip
    see.that(
        "no answer at the balancer",
        see.count("lb_in", f"tcp && ip.src=={vip}") + see.count("lb_out", f"tcp && ip.src=={vip}") == 0,
    )
    see.that(
        "answers at the client's second interface",
        see.count("client_back", f"{SYN_ACK} && ip.src=={vip}") == len(stage.connections),
    )


@scenario("healthy-dsr", one_sided)
def healthy_dsr(stage: Stage) -> None:
    """Direct server return: members hold the frontend's address and answer the client themselves, past the balancer."""
    plan, world = stage.plan, stage.world
    target = replace(stage.web, member_port=plan.frontend_port)
    world.ip("lb", f"addr del {plan.vip}/32 dev out0")
    world.ip("cli", f"link add eth1 type veth peer name port9 netns {world.ns('sw')}\nlink set eth1 up")
    world.ip("cli", f"addr add {plan.hop}/32 dev eth1\nroute add {plan.inside} dev eth1 src {plan.hop}")
    world.ip("sw", "link set port9 master br0 up")
    if not world.offloads:
        world.no_offloads("cli", "eth1")
    for number, member in enumerate(stage.members, 1):
        table = 100 + number
        world.ip(
            "lb",
            f"route add default via {member.address} dev in0 table {table}\nrule add fwmark {number} table {table}",
        )
        world.ip(member.name, f"addr add {plan.vip}/32 dev lo\nroute add {plan.outside} via {plan.hop}")
    world.nft("lb", nat.marks(target) + nat.KEEP)
    stage.tables.frontend("web", target, "dsr")
    stage.taps.insert(1, Tap("client_back", "cli", "eth1", stage.taps[0].form))
    stage.serve_pool({member.name: {"port": plan.frontend_port} for member in stage.members})
    stage.start()
    stage.call({"cli": mixed(stage)})
    stage.stop()
    legs_by_member(stage, plan.frontend_port, plan.vip)


def enveloped(stage: Stage, see: Witness) -> None:
    """The same SYNs outside, in the tunnel, and after it."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)
    number = stage.extra["vni"]
    inner = {row[0] for row in see.rows("lb_in", f"vxlan.vni=={number} && {SYN}", "tcp.seq_raw")}
    see.that("all SYNs in the tunnel", inner == {row[0] for row in see.rows("client", SYN, "tcp.seq_raw")})
    see.that("no TCP beside it", see.count("lb_in", "tcp && !vxlan") == 0)


@scenario("healthy-vxlan", enveloped)
def healthy_vxlan(stage: Stage) -> None:
    """Members are reached through a VXLAN overlay; one of them is captured before and after the tunnel."""
    plan, world = stage.plan, stage.world
    stage.extra["vni"] = number = stage.rng.randrange(100, 60000)
    third = stage.rng.randrange(250)
    overlay = [f"100.64.{third}.{10 + n}" for n in range(3)]
    top = f"100.64.{third}.1"
    make = f"link add vx0 type vxlan id {number} dstport 4789 dev"
    world.ip("lb", f"{make} in0\naddr add {top}/24 dev vx0\nlink set vx0 up")
    for member, address in zip(stage.members, overlay, strict=True):
        world.run("lb", ["bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", member.address])
        world.ip(member.name, f"{make} eth0 remote {plan.lb_in}\naddr add {address}/24 dev vx0\nlink set vx0 up")
        world.ip(member.name, f"route add {plan.outside} via {top} dev vx0")
        stage.tables.names[address] = member.name
    stage.taps.append(Tap(f"{stage.members[0].name}_overlay", stage.members[0].name, "vx0", stage.taps[0].form))
    stage.balance(replace(stage.web, members=tuple(overlay)))
    stage.serve_pool()
    stage.start()
    stage.call({"cli": mixed(stage)})
    stage.stop()
    stage.members = [Member(member.name, address) for member, address in zip(stage.members, overlay, strict=True)]


@scenario("healthy-ipv6", all_fine, family=6)
def healthy_ipv6(stage: Stage) -> None:
    """Destination translation of IPv6; the client captures on all its interfaces."""
    stage.tap("client").interface = "any"
    stage.balance()
    stage.serve_pool()
    stage.start()
    stage.probe()
    stage.call({"cli": mixed(stage)})
    stage.stop()


scenario("closed-port-ipv6", refused_by_member, family=6)(closed_port)


def proxied(stage: Stage, kinds: dict[str, str]) -> list[Any]:
    """HAProxy with one frontend per kind; returns their targets."""
    plan, members = stage.plan, {member.address: member.name for member in stage.members}
    targets, text = [], ""
    behind = plan.data_port + 1000
    for number, (name, kind) in enumerate(kinds.items()):
        port = behind + number if kind in ("v1", "v2") else plan.data_port
        target = replace(stage.web, port=plan.frontend_port + 1 + number, member_port=port)
        more = {"proxy_protocol": kind} if kind in ("v1", "v2") else {}
        stage.tables.frontend(name, target, "proxy", **more)
        stage.tables.probe("generic", 1, 1, pool=stage.tables.frontends[-1]["pool"], source=plan.lb_in)
        text += frontend(name, target, members, plan.probe_port, kind)
        targets.append(target)
    stage.serve_pool()
    for member in stage.members:
        listeners = [
            {"address": "0.0.0.0", "port": t.member_port, "proxy": True}
            for t in targets
            if t.member_port != plan.data_port
        ]
        if listeners:
            stage.serve(member.name, listeners)
    stage.start()
    stage.extra["haproxy"] = ""
    stage.proxy = HAProxy(stage.world, stage.folder, text)  # type: ignore[attr-defined]
    return targets


def by_its_log(stage: Stage) -> None:
    """The proxy's own log says which connections belong together."""
    del stage.extra["haproxy"]
    stage.extra["requests"] = pairs = stage.proxy.pairs()  # type: ignore[attr-defined]
    for row in stage.rows:
        mine = [
            p["server_leg"]
            for p in pairs
            if (p["client_leg"]["src"], p["client_leg"]["sport"]) == (row["src"], row["sport"])
        ]
        row["legs"] = [(one["src"], one["sport"], one["dst"], one["dport"]) for one in mine]
        row["match_by"] = ["proxy_log"]


def two_connections(stage: Stage, see: Witness) -> None:
    """No number of the clients is seen inside, and the header or field that names them is."""
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections) > 0)
    outer = {row[0] for row in see.rows("lb_out", SYN, "tcp.seq_raw")}
    see.that("other numbers inside", not outer & {row[0] for row in see.rows("lb_in", SYN, "tcp.seq_raw")})
    see.that("every client connection is in the proxy's log", all(c["server_leg"] for c in stage.connections))


def headers(stage: Stage, see: Witness) -> None:
    """PROXY headers of both versions start the server connections."""
    two_connections(stage, see)
    half = len(stage.connections) // 2
    see.that("version 1", see.count("lb_in", 'tcp.payload[0:6] == "PROXY "') == half)
    see.that("version 2", see.count("lb_in", "tcp.payload[0:12] == 0d:0a:0d:0a:00:0d:0a:51:55:49:54:0a") == half)


@scenario("proxy-headers", headers, needs=("haproxy",))
def proxy_headers(stage: Stage) -> None:
    """HAProxy in tcp mode, with PROXY headers of version 1 and of version 2."""
    targets = proxied(stage, {"old": "v1", "new": "v2"})
    stage.call({"cli": [stage.to(t, count=25, gap=0.06, steps=[["get", 30], ["get", 2000]]) for t in targets]})
    stage.stop()
    by_its_log(stage)


def many_to_one(stage: Stage, see: Witness) -> None:
    """Some server connections carry requests of several clients."""
    two_connections(stage, see)
    users: dict[tuple[object, ...], set[object]] = {}
    for pair in stage.extra["requests"]:
        users.setdefault(tuple(pair["server_leg"].values()), set()).add(pair["client_leg"]["sport"])
    see.that("a server connection has several clients", max(len(ports) for ports in users.values()) > 1)
    see.that("requests name their client", see.count("lb_in", "http.x_forwarded_for") >= len(stage.connections))
    see.that(
        "no fault among members", all(see.count(m.name, f"{RST} && ip.src=={m.address}") == 0 for m in stage.members)
    )


@scenario("proxy-http", many_to_one, needs=("haproxy",))
def proxy_http(stage: Stage) -> None:
    """HAProxy in http mode with X-Forwarded-For: a server connection per client, and some that clients share."""
    targets = proxied(stage, {"web": "http", "shared": "reuse"})
    steps = [["get", 30], ["sleep", 0.2], ["get", 500], ["sleep", 0.2], ["get", 30]]
    stage.call({"cli": [stage.to(t, count=12, gap=0.1, steps=steps) for t in targets]})
    stage.stop()
    by_its_log(stage)
