"""One run of one scenario: sets up the world's parts, lets the traffic happen, and writes what happened."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.lab import capture, degrade, nat, topology, tracking, truth
from tests.lab.capture import Tap
from tests.lab.packets import Point
from tests.lab.plan import Member, Plan, endpoint
from tests.lab.world import World

HERE = Path(__file__).resolve().parent
Calls = dict[str, list[dict[str, Any]]]


class Stage:
    """What a scenario function plays on."""

    def __init__(self, name: str, plan: Plan, world: World, folder: Path, form: str) -> None:
        self.name, self.plan, self.world, self.folder = name, plan, world, folder
        self.rng, self.members = plan.rng, plan.members
        self.tables = topology.Tables(plan)
        self.taps = [
            Tap("client", "cli", "eth0", form), Tap("lb_out", "lb", "out0", form), Tap("lb_in", "lb", "in0", form),
            *(Tap(member.name, member.name, "eth0", form) for member in plan.members),
        ]  # fmt: skip
        self.tracker: tracking.Tracker | None = None
        self.prober: subprocess.Popen[str] | None = None
        self.rows: list[dict[str, Any]] = []
        self.moves: list[tracking.Translation] = []
        self.expected: list[dict[str, Any]] = []
        self.allowed: set[str] = set()
        self.counters: dict[str, dict[str, int]] = {}
        self.extra: dict[str, Any] = {}
        self.points: dict[str, Point] = {}
        self.connections: list[dict[str, Any]] = []
        self.verdicts: list[truth.Verdict] = []
        self.description = ""
        self.spoils: list[tuple[str, degrade.Change]] = []
        self.clock = folder / "clock"
        self.numbers = itertools.count(1)

    # The parts of the world ---------------------------------------------------------------------------------

    @property
    def web(self) -> nat.Target:
        """The public frontend with the whole pool."""
        addresses = tuple(member.address for member in self.members)
        return nat.Target(self.plan.vip, self.plan.frontend_port, addresses, self.plan.data_port)

    @property
    def inner(self) -> nat.Target:
        """The internal frontend with the whole pool."""
        addresses = tuple(member.address for member in self.members)
        return nat.Target(self.plan.ilb, self.plan.frontend_port, addresses, self.plan.data_port)

    def tap(self, name: str) -> Tap:
        """The capture point of that name."""
        return next(tap for tap in self.taps if tap.name == name)

    def drop_taps(self, *names: str) -> None:
        """Do without some points."""
        self.taps = [tap for tap in self.taps if tap.name not in names]

    def balance(
        self, *targets: nat.Target, mode: str = "dnat", post: str = "", extra: str = "", listed: bool = True
    ) -> None:
        """Load the balancer's translations and, unless told otherwise, list its frontends in the topology."""
        targets = targets or (self.web,)
        self.world.nft("lb", nat.dnat(targets, post, extra))
        if listed:
            for number, target in enumerate(targets):
                self.tables.frontend(f"web{number + 1}" if number else "web", target, mode)

    def serve(self, node: str, listeners: Sequence[dict[str, Any]]) -> None:
        """Start a scripted server in a node."""
        spec = self.folder / f"serve-{node}-{next(self.numbers)}.json"
        spec.write_text(
            json.dumps({"name": node, "clock": str(self.clock), "log": str(self.log(node)), "listen": list(listeners)})
        )
        process = self.world.spawn(
            node, [sys.executable, "-I", str(HERE / "server.py"), str(spec)], stdout=subprocess.PIPE
        )
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the server at {node} did not start")
        spec.unlink()

    def log(self, node: str) -> Path:
        """Where a node's server writes what it accepted."""
        return self.folder / f"served-{node}.log"

    def serve_pool(
        self, data: dict[str, dict[str, Any] | None] | None = None, health: dict[str, Any] | None = None
    ) -> None:
        """Start data and health listeners at every member; ``data`` holds what differs, None for no data listener."""
        any_address = "::" if self.plan.family == 6 else "0.0.0.0"
        for member in self.members:
            listeners = []
            if self.plan.probe_port != self.plan.data_port:
                own = {"address": any_address, "port": self.plan.probe_port, "role": "health"}
                listeners.append(own | (health or {}).get(member.name, {}))
            change = (data or {}).get(member.name, {})
            if change is not None:
                listeners.append({"address": any_address, "port": self.plan.data_port} | change)
            self.serve(member.name, listeners)

    # The run ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to capture and to follow the kernel's translations."""
        capture.start(self.world, self.taps, self.folder)
        self.tracker = tracking.Tracker(self.world, self.folder)

    def probe(
        self, policy: str = "azure-lb", interval: float = 0.5, targets: Iterable[nat.Target] = (), **more: Any
    ) -> None:
        """Start the prober; it takes members out of the pool and brings them back."""
        timeout = more.pop("timeout", round(interval * 0.9, 2))
        wanted = [(t.address, t.port, t.member_port) for t in (list(targets) or [self.web])]
        spec = {
            "policy": policy, "interval": interval, "timeout": timeout, "source": self.plan.prober,
            "port": self.plan.probe_port, "path": "/healthz", "frontends": wanted,
            "members": [[m.name, m.address] for m in self.members], "log": str(self.folder / "prober.log"), **more,
        }  # fmt: skip
        path = self.folder / "prober.json"
        path.write_text(json.dumps(spec))
        argv = [sys.executable, str(HERE / "prober.py"), str(path)]
        self.prober = self.world.spawn("lb", argv, cwd=HERE.parent.parent)
        tracking.wait_until(Path(spec["log"]).exists, "the prober does not start")
        self.tables.probe(policy, interval, timeout, **more)

    def begin(self) -> None:
        """Let the servers' scripts begin."""
        self.clock.touch()
        self.extra["t0"] = time.time()

    def call(self, calls: Calls) -> None:
        """Let nodes make their calls, all at the same time, until all are done."""
        running = []
        for node, groups in calls.items():
            first = next(self.numbers)
            for _ in range(sum(group.get("count", 1) for group in groups)):
                next(self.numbers)
            log, spec = self.folder / f"calls-{node}-{first}.log", self.folder / f"calls-{node}-{first}.json"
            spec.write_text(
                json.dumps(
                    {
                        "node": node,
                        "first": first,
                        "seed": f"{self.plan.seed}-{first}",
                        "log": str(log),
                        "calls": groups,
                    }
                )
            )
            argv = [sys.executable, "-I", str(HERE / "client.py"), str(spec)]
            running.append((self.world.spawn(node, argv), log, spec))
        for process, log, spec in running:
            if process.wait(timeout=300):
                raise RuntimeError(f"the client of {log.name} failed")
            self.rows += [json.loads(line) for line in log.read_text().splitlines()]
            log.unlink()
            spec.unlink()

    def to(self, target: nat.Target, source: str | None = None, **group: Any) -> dict[str, Any]:
        """A group of calls to a frontend."""
        return {"source": source or self.plan.clients[0], "target": [target.address, target.port], **group}

    def stop(self) -> None:
        """End the prober and the captures and read the counters."""
        if self.prober:
            self.prober.terminate()
            self.prober.wait(timeout=30)
        capture.stop(self.taps)
        assert self.tracker
        self.moves += self.tracker.stop()
        self.extra["events_lost"] = self.tracker.lost
        for node in ("lb", "cli", *(member.name for member in self.members)):
            self.counters[node] = tracking.counters(self.world, node)

    # The truth ----------------------------------------------------------------------------------------------

    def expect(self, rule: str, subject: str, **details: Any) -> None:
        """A finding that must be reported."""
        self.expected.append({"subject": subject, **details, "rule": rule})

    def allow(self, *rules: str) -> None:
        """Rules of which the scenario says nothing: neither expected nor forbidden."""
        self.allowed |= set(rules)

    def judge(self, verdict: truth.Verdict) -> None:
        """A function that names a connection's verdict, or None to leave it."""
        self.verdicts.append(verdict)

    def spoil(self, point: str, change: degrade.Change) -> None:
        """Make a point's capture worse, once the truth has been read from it."""
        self.spoils.append((point, change))

    def member_at(self, member: Member) -> str:
        """The member's data endpoint."""
        return endpoint(member.address, self.plan.data_port)

    def probed_at(self, member: Member) -> str:
        """The member's probed endpoint."""
        return endpoint(member.address, self.plan.probe_port)

    def served(self) -> list[dict[str, Any]]:
        """Every connection that the servers logged."""
        logs = sorted(self.folder.glob("served-*.log"))
        return [json.loads(line) for log in logs for line in log.read_text().splitlines()]

    def late_probes(self) -> None:
        """On a busy machine a healthy member's probe may come too late: whoever reports that is right."""
        told = {item.get("backend") for item in self.expected if item["rule"].startswith("probe-")}
        failed = {event["target"] for event in self.extra["pool_events"] if event["event"] == "failed"}
        for member in self.members:
            if member.name in failed - told:
                self.expect("probe-failing", self.probed_at(member), backend=member.name, optional=True)
                self.expect("member-out-of-rotation", member.name, also=[member.address], optional=True)
        if failed - told and len(failed) == len(self.members):
            self.expect("all-members-down", "*", optional=True)

    def short_absences(self) -> None:
        """On a busy machine the pool changes late: a member that few calls missed may have been missed by chance."""
        begun = [record["t_syn"] for record in self.connections]
        for item in self.expected:
            if item["rule"] == "member-out-of-rotation" and not self.unlikely(item["subject"], begun):
                item["optional"] = True

    def unlikely(self, name: str, begun: list[float]) -> bool:
        """Whether chance would seldom (one in a hundred) have kept all calls of a member's absence away from it."""
        pools = [event for event in self.extra["pool_events"] if event["event"] == "pool"]
        ends = [event["t"] for event in pools[1:]] + [float("inf")]
        away = [(event["t"], end) for event, end in zip(pools, ends, strict=True) if name not in event["members"]]
        missed = sum(start <= at < end for at in begun for start, end in away)
        return (1 - 1 / len(self.members)) ** missed < 0.01

    def finish(self) -> dict[str, Any]:
        """Join everything and write truth.json and topology.toml; returns the truth."""
        self.points = {tap.name: Point(tap.path) for tap in self.taps}
        names = {member.address: member.name for member in self.members}
        self.connections = truth.connections(self.rows, self.moves, self.points, names)
        for record, verdict in itertools.product(self.connections, self.verdicts):
            record["verdict"] = verdict(record) or record["verdict"]
        if (log := self.folder / "prober.log").exists():
            self.extra["pool_events"] = [json.loads(line) for line in log.read_text().splitlines()]
            self.late_probes()
            self.short_absences()
        for point, change in self.spoils:
            degrade.rewrite(self.tap(point).path, change)
        wanted = {item["rule"] for item in self.expected} | self.allowed
        told = {
            "scenario": self.name,
            "description": self.description,
            "seed": self.plan.seed,
            "verdict_counts": dict(Counter(record["verdict"] for record in self.connections)),
            "expected_findings": self.expected,
            "forbidden_findings": [{"subject": "*", "rule": rule} for rule in truth.RULES if rule not in wanted],
            "captures": [
                {"file": t.path.name, "vantage": t.name, "node": t.node, "interface": t.interface, "format": t.form,
                 "snaplen": t.snap, "ip_packets": t.frames, "bytes": t.path.stat().st_size, "capture_drops": t.drops}
                for t in self.taps
            ],
            "extra": {**self.extra, "counters": self.counters},
            "connections": self.connections,
        }  # fmt: skip
        (self.folder / "truth.json").write_text(truth.text(told))
        (self.folder / "topology.toml").write_text(self.tables.text(self.taps))
        for spare in (*self.folder.glob("served-*.log"), *self.folder.glob("prober.*"), *self.folder.glob("clock")):
            spare.unlink()
        return told
