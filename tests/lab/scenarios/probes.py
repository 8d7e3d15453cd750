"""Health probes that fail, and what the balancer's policy makes of it."""

from __future__ import annotations

from collections import deque
from typing import Any

from tests.lab.check import RST, SYN, SYN_ACK, Witness
from tests.lab.nat import drop
from tests.lab.plan import Member, endpoint
from tests.lab.scenarios.index import scenario
from tests.lab.stage import Stage

Script = list[tuple[float, str]]
# A member that is down for a second is missed by 17 calls in a row: chance would do that once in a thousand times.
GAP_S = 0.06
RULES = {"unhealthy_threshold": 2, "healthy_threshold": 2}


def play(stage: Stage, scripts: dict[str, Script], policy: str, seconds: float, **more: Any) -> None:
    """Calls while members' health follows scripts of (second, state)."""
    stage.balance()
    stage.extra["probe_script"] = scripts
    stage.serve_pool(health={name: {"script": script} for name, script in scripts.items()})
    stage.start()
    stage.probe(policy, **(RULES if policy != "front-door" else {"sample_size": 4, "successful_samples": 3}) | more)
    stage.begin()
    stage.call({"cli": [stage.to(stage.web, count=int(seconds / GAP_S), gap=GAP_S)]})
    stage.stop()


def failing(stage: Stage, member: Member, how: str, **details: Any) -> None:
    """The finding about the probes, and the one that people act on."""
    stage.expect("probe-failing", stage.probed_at(member), backend=member.name, how=how, **details)
    stage.expect("member-out-of-rotation", member.name, also=[member.address], since="2nd failed probe")


def events(stage: Stage, **wanted: object) -> list[dict[str, Any]]:
    """The prober's own log, filtered."""
    return [e for e in stage.extra["pool_events"] if all(e.get(key) == value for key, value in wanted.items())]


def answered(see: Witness, name: str, state: str) -> bool:
    """Whether a member's probes show what its script said."""
    probed = f"tcp.port=={see.stage.plan.probe_port}"
    asked, told = f'{probed} && tcp.payload contains "GET /healthz"', f'{probed} && tcp.payload contains "HTTP/1.1 '
    if state == "hang":
        return see.count(name, asked) > see.count(name, told + '"')
    if state == "slow":
        return see.count(name, asked) > 0
    if state == "refuse":
        return see.count(name, f"{probed} && {RST} && tcp.seq_raw==0") > 1
    if state == "garbage":
        return see.count(name, f'{probed} && tcp.payload contains "not http"') > 0
    return see.count(name, f'{told}{state}"') > 1


def went_down(stage: Stage, see: Witness, served: bool = True) -> None:
    """Each scripted member was taken out, got no new flow meanwhile, and answered as scripted."""
    for name, script in stage.extra["probe_script"].items():
        down = [e["t"] for e in events(stage, event="pool", note="normal") if name not in e["members"]]
        up = [e["t"] for e in events(stage, event="state", target=name, up=True)] or [float("inf")]
        see.that(f"{name} went down", events(stage, event="state", target=name, up=False))
        called = f"{SYN} && tcp.dstport=={stage.plan.data_port} && ip.src!={stage.plan.prober}"
        if down and served:
            new = [float(row[0]) for row in see.rows(name, called, "frame.time_epoch")]
            see.that(
                f"{name} got no new flow while it was down", not [t for t in new if down[0] + 0.1 < t < up[0] - 0.01]
            )
        states = {state.partition(":")[0] for _, state in script} - {"200"}
        for state in states:
            see.that(f"{name} answers probes with {state}", answered(see, name, state))
        see.that(
            f"data of {name} was never refused", see.count(name, f"{RST} && tcp.srcport=={stage.plan.data_port}") == 0
        )


def served_throughout(stage: Stage, see: Witness) -> None:
    """Members went down one by one, and no client noticed."""
    went_down(stage, see)
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))


@scenario("probes-failing", served_throughout, order=1)
def probes_failing(stage: Stage) -> None:
    """One member after the other fails its probes: a status, no answer, a refusal; the others serve."""
    a, b, c = stage.rng.sample(stage.members, 3)
    status = stage.rng.choice(("503", "500", "404"))
    play(stage, {
        a.name: [(0, "200"), (0.5, status), (2.8, "200")], b.name: [(0, "200"), (4.1, "hang"), (6.4, "200")],
        c.name: [(0, "200"), (8, "refuse")],
    }, "azure-lb", 11)  # fmt: skip
    failing(stage, a, "status", status=int(status))
    failing(stage, b, "timeout")
    failing(stage, c, "refused")


@scenario("probes-slow", served_throughout)
def probes_slow(stage: Stage) -> None:
    """A generic policy: one member answers its probes too late, another wants a login."""
    a, b = stage.rng.sample(stage.members, 2)
    play(stage, {a.name: [(0, "200"), (0.8, "slow:0.7")], b.name: [(0, "200"), (2.5, "401")]}, "generic", 6)
    failing(stage, a, "slow")
    failing(stage, b, "auth", status=401)


@scenario("probes-redirect", served_throughout)
def probes_redirect(stage: Stage) -> None:
    """One member redirects its probes, another does not speak HTTP."""
    a, b = stage.rng.sample(stage.members, 2)
    play(stage, {a.name: [(0, "200"), (0.8, "301")], b.name: [(0, "200"), (2.5, "garbage")]}, "azure-lb", 6)
    failing(stage, a, "redirect", status=301)
    failing(stage, b, "invalid")


def shut(stage: Stage, see: Witness) -> None:
    """With no member left, SYNs die at the balancer."""
    went_down(stage, see, served=False)
    closed = [e["t"] for e in events(stage, event="pool", note="fail-closed")]
    see.that("the pool was empty for a time", closed)
    see.that("calls failed then", see.verdicts("no_backend_available") > 3)
    gone = {c["isn_client"] for c in stage.connections if c["verdict"] == "no_backend_available"}
    inside = {int(row[0]) for row in see.rows("lb_in", SYN, "tcp.seq_raw")}
    see.that("their SYNs never went inside", not gone & inside)


@scenario("probes-all-down-closed", shut, order=1)
def probes_all_down_closed(stage: Stage) -> None:
    """All members fail at once, and the policy fails closed: clients' SYNs stay unanswered until members are back."""
    a, b, c = stage.members
    play(stage, {
        a.name: [(0, "200"), (1, "503"), (6, "200")], b.name: [(0, "200"), (1.2, "hang"), (6, "200")],
        c.name: [(0, "200"), (1.4, "503"), (6, "200")],
    }, "azure-lb", 8.5)  # fmt: skip
    for member, how in ((a, "status"), (b, "timeout"), (c, "status")):
        stage.expect("probe-failing", stage.probed_at(member), backend=member.name, how=how)
    stage.allow("member-out-of-rotation")
    front = endpoint(stage.plan.vip, stage.plan.frontend_port)
    stage.expect("all-members-down", "web", then="fail-closed", also=[front])
    stage.expect("frontend-unanswered", front)
    stage.judge(lambda c: "no_backend_available" if c["server_leg"] is None else None)


def spread(stage: Stage, see: Witness) -> None:
    """With no member up, all are used, and no call fails."""
    went_down(stage, see, served=False)
    see.that("the pool was opened", events(stage, event="pool", note="fail-open"))
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))


@scenario("probes-all-down-open", spread, order=1)
def probes_all_down_open(stage: Stage) -> None:
    """All members fail at once, and the policy fails open: all count as up, and every call succeeds."""
    play(stage, {m.name: [(0, "200"), (0.8 + 0.2 * n, "503")] for n, m in enumerate(stage.members)}, "front-door", 7)
    for member in stage.members:
        stage.expect("probe-failing", stage.probed_at(member), backend=member.name, how="status", status=503)
    stage.allow("member-out-of-rotation")
    stage.expect("all-members-down", "web", then="fail-open", also=[endpoint(stage.plan.vip, stage.plan.frontend_port)])


def probes_lost(stage: Stage, see: Witness) -> None:
    """Probes of one member stay without an answer; clients are served by the others."""
    name, at_member = stage.extra["blocked"], stage.extra["at_member"]
    member = next(m for m in stage.members if m.name == name)
    to = f"{SYN} && ip.dst=={member.address} && tcp.dstport=={stage.plan.probe_port}"
    see.that("probes leave the balancer", see.count("lb_in", to) > 4)
    see.that("and arrive only when the member itself drops them", (see.count(name, to) > 4) == at_member)
    see.that("none is answered", see.count(name, f"{SYN_ACK} && tcp.srcport=={stage.plan.probe_port}") == 0)
    see.that("it went down", events(stage, event="state", target=name, up=False))
    see.that("every call succeeded", see.verdicts("ok") == len(stage.connections))


def blocked(stage: Stage, where: str) -> None:
    """Probes of one member are dropped in it, or before it."""
    victim, plan = stage.rng.choice(stage.members), stage.plan
    stage.extra |= {"blocked": victim.name, "at_member": where == "in_vm"}
    rule = f"ip saddr {plan.prober} ip daddr {victim.address} counter drop"
    if where == "in_vm":
        stage.world.nft(victim.name, drop("inet", "input", rule))
    else:
        stage.world.nft("sw", drop("bridge", "forward", rule))
    stage.balance()
    stage.serve_pool()
    stage.start()
    stage.probe(**RULES)
    stage.call({"cli": [stage.to(stage.web, count=50, gap=0.1, timeout=4.2)]})
    stage.stop()
    stage.expect("probe-blocked", stage.probed_at(victim), backend=victim.name, where=where, source=plan.prober)
    stage.expect("member-out-of-rotation", victim.name, also=[victim.address], since="2nd failed probe")


@scenario("probe-blocked-in-member", probes_lost)
def probe_blocked_in_member(stage: Stage) -> None:
    """One member's firewall drops the prober's address: it leaves the pool, although its service is fine."""
    blocked(stage, "in_vm")


@scenario("probe-blocked-before-member", probes_lost)
def probe_blocked_before_member(stage: Stage) -> None:
    """The switch drops the prober's address towards one member."""
    blocked(stage, "upstream_of_vm")


SAMPLES = {"sample_size": 4, "successful_samples": 2}


def replayed(answers: list[tuple[float, bool]], size: int, need: int) -> list[tuple[float, bool]]:
    """When a member goes down and up if it is up while at least ``need`` of its last ``size`` probes were good."""
    last, up, changes = deque([True] * size, maxlen=size), True, []
    for at, good in answers:
        last.append(good)
        if (sum(last) >= need) != up:
            up = not up
            changes.append((at, up))
    return changes


def by_samples(stage: Stage, see: Witness) -> None:
    """Out below so many good probes of the last ones, and in again with them: tshark's count against the prober's."""
    served_throughout(stage, see)
    for name in stage.extra["probe_script"]:
        sent = f"tcp.srcport=={stage.plan.probe_port} && ip.dst=={stage.plan.prober}"
        rows = see.rows(name, f'{sent} && tcp.payload contains "HTTP/1.1 "', "frame.time_epoch", "tcp.payload")
        answers = [(float(at), bytes.fromhex(data)[9:12] == b"200") for at, data in rows]
        told = [(event["t"], event["up"]) for event in events(stage, event="state", target=name)]
        real = replayed(answers, SAMPLES["sample_size"], SAMPLES["successful_samples"])
        see.that(f"{name}: its answers make it go out and in", [up for _, up in real] == [False, True])
        see.that(f"{name}: the prober thought the same", [up for _, up in told] == [False, True])
        see.that(f"{name}: at those times", all(0 <= b - a < 1 for (a, _), (b, _) in zip(real, told, strict=False)))
        bad = [number for number, (_, good) in enumerate(answers) if not good]
        see.that(f"{name}: one bad answer changed nothing", answers[bad[0] + 1][1] and answers[bad[0]][0] < real[0][0])
    see.that("probes and clients use one port", stage.plan.probe_port == stage.plan.data_port)


@scenario("probes-front-door", by_samples, order=1)
def probes_front_door(stage: Stage) -> None:
    """Front Door's policy, probes on the clients' own port: out below two good of the last four, in again with two."""
    stage.plan.probe_port = stage.plan.data_port
    victim = stage.rng.choice(stage.members)
    # The first bad answer is alone: three of four are good.
    script = ["503" if n == 3 or 8 <= n < 14 else "200" for n in range(40)]
    stage.extra["probe_script"] = {victim.name: [(0, "200"), (0, "503")]}
    stage.balance()
    stage.serve_pool({victim.name: {"probes": script}}, health=None)
    stage.start()
    stage.probe("front-door", 0.35, timeout=1, **SAMPLES)
    stage.call({"cli": [stage.to(stage.web, count=int(8 / GAP_S), gap=GAP_S)]})
    stage.stop()
    failing(stage, victim, "status", status=503)
