"""Scenarios of the lab with ``flowscope live`` at some of their nodes, while the traffic runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.lab import degrade, files
from tests.lab.capture import Tap
from tests.lab.plan import Plan
from tests.lab.scenarios.index import load
from tests.lab.stage import Calls, Stage
from tests.lab.world import World

#: What clients do goes on for so long after the scenario's own calls, and longer on a busy machine: the deadline of a
#: silent SYN is three seconds, and a finding may take two more.
GOING_ON_S = 7.0
MOST_BUSY = 3.0
#: Between two of these calls.
GAP_S = 0.4
EXE = str(Path(sys.executable).with_name("flowscope"))
PLACES = ("member", "balancer", "both")
"""At one member, at both interfaces of the balancer, and at balancer and members at once through pipes."""


@dataclass
class Watcher:
    """One ``flowscope live`` that writes JSON lines, and when each came."""

    place: str
    points: Sequence[tuple[str, str]]
    """Node and interface; with ``both`` a tcpdump at each writes into a named pipe."""
    kept: Path
    topology: Path | None = None
    rules: Path | None = None
    taps: Sequence[Tap] = ()
    """The lab's own points at the same places."""
    ready_ns: int = 0
    """When it said that it watches."""
    process: subprocess.Popen[str] | None = None
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _dumps: list[subprocess.Popen[str]] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, world: World) -> None:
        """Begin; :meth:`ready` waits until it watches."""
        if self.place == "both":
            names = [str(self.kept.with_name(f"{node}-{interface}")) for node, interface in self.points]
            for name, (node, interface), tap in zip(names, self.points, self.taps, strict=True):
                os.mkfifo(name)
                line = ["tcpdump", "-i", interface, "-n", "-U", "--immediate-mode", "-Z", "root", "-B", "32768"]
                # Where the scenario's fault is how it was captured, it is captured so here as well.
                line += ["-s", str(tap.snap), "-w", name, *([tap.only] if tap.only else [])]
                self._dumps.append(world.spawn(node, line, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL))
        else:
            names = [word for _, interface in self.points for word in ("-i", interface)]
        line = [EXE, "live", *names, *self._known, "-w", str(self.kept), "--format", "jsonl", "-Z", "root", "--utc"]
        self.process = world.spawn(self.points[0][0], line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._lines, self._words)]
        for thread in self._threads:
            thread.start()

    def ready(self) -> None:
        """Wait until it watches."""
        assert self.process
        deadline = time.time() + 90
        while not any("watching" in line for line in self.errors):
            assert time.time() < deadline and self.process.poll() is None, self.errors
            time.sleep(0.05)
        self.ready_ns = time.time_ns()

    def stop(self) -> None:
        """Ctrl-C, as people would: at the programs behind the pipes, then here."""
        assert self.process
        for dump in self._dumps:
            dump.send_signal(signal.SIGINT)
            dump.wait(20)
        if not self._dumps:
            self.process.send_signal(signal.SIGINT)

    def finish(self) -> None:
        """Wait for the report."""
        assert self.process
        assert self.process.wait(90) == 0, self.errors
        for thread in self._threads:
            thread.join(5)
        lines = (json.dumps([at, line]) + "\n" for at, line in self.told)
        self.kept.with_name(f"told-{self.place}.jsonl").write_text("".join(lines))

    def _lines(self) -> None:
        assert self.process and self.process.stdout
        for line in self.process.stdout:
            self.told.append((time.time(), json.loads(line)))

    def _words(self) -> None:
        assert self.process and self.process.stderr
        for line in self.process.stderr:
            self.errors.append(line)

    @property
    def _known(self) -> list[str]:
        """What people know, as options."""
        topology = ["--topology", str(self.topology)] if self.topology else []
        return [*topology, *(["--nsg", str(self.rules)] if self.rules else [])]

    @property
    def files(self) -> list[Path]:
        """What was kept, in the order of the points."""
        if len(self.points) == 1:
            return [self.kept]
        several = [f"{node}-{interface}" if self.place == "both" else interface for node, interface in self.points]
        return [self.kept.with_stem(f"{self.kept.stem}-{name}") for name in several]

    @property
    def final(self) -> list[dict[str, Any]]:
        """The report's lines."""
        return [line for _, line in self.told if "live" not in line]

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The report's findings."""
        return [line for line in self.final if line["type"] == "finding"]

    @property
    def last_frame_s(self) -> float:
        """The time of the last frame that was kept, Unix seconds."""
        return max((frame.ns for path in self.files for frame in files.read(path).frames), default=0) / 1e9

    def told_at(self, key: str) -> float | None:
        """When the finding that the report holds was told, for good: not counting what was withdrawn."""
        at = None
        for moment, line in self.told:
            if line.get("key") == key and line.get("live") == "new":
                at = moment
            elif line.get("key") == key and line.get("live") == "withdrawn":
                at = None
        return at

    def offline(self) -> list[dict[str, Any]]:
        """The lines of ``flowscope analyze`` on what was kept."""
        line = [EXE, "analyze", *map(str, self.files), *self._known, "--format", "jsonl", "--utc"]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        return [json.loads(text) for text in done.stdout.splitlines()]


class Played(Stage):
    """A stage whose traffic is watched."""

    watchers: list[Watcher]
    places: Sequence[str] = PLACES
    traffic_ended = 0.0
    degraded = False
    """Its captures are made worse afterwards, which live does not see."""

    def start(self) -> None:
        """Begin to watch, then to capture."""
        member = self._member()
        at = {
            "member": [(member, "eth0")],
            "balancer": [("lb", "out0"), ("lb", "in0")],
            "both": [*((one.name, "eth0") for one in self.members), ("lb", "in0"), ("lb", "out0")],
        }
        self.watchers = [
            Watcher(place, at[place], self.folder / f"live-{place}.{'pcap' if place == 'both' else 'pcapng'}")
            for place in self.places
        ]
        for watcher in self.watchers:
            rules = self.folder / "nsg.json"
            watcher.rules = rules if rules.exists() else None
            watcher.taps = [self._tap(node, interface) for node, interface in watcher.points]
            # Who watches a member knows nothing of the balancer.
            if watcher.place != "member" and self.tables.frontends + self.tables.snats:
                self._tell(watcher)
        for watcher in self.watchers:
            watcher.start(self.world)
        for watcher in self.watchers:
            watcher.ready()
        # Capture programs need a moment of their own.
        time.sleep(1.0)
        super().start()

    def _tell(self, watcher: Watcher) -> None:
        """What people know when the watching begins: the balancer's table, and where they watch."""
        taps = [replace(tap, path=path) for tap, path in zip(watcher.taps, watcher.files, strict=True)]
        watcher.topology = self.folder / f"known-{watcher.place}.toml"
        watcher.topology.write_text(self.tables.text(taps))

    def _tap(self, node: str, interface: str) -> Tap:
        """The lab's point there, or one like it."""
        ours = [tap for tap in self.taps if (tap.node, tap.interface) == (node, interface)]
        return ours[0] if ours else Tap(f"lb_{interface[:-1]}" if node == "lb" else node, node, interface)

    def _member(self) -> str:
        """The member that the scenario is about, else one of two that it is about to draw."""
        said = json.dumps(self.extra)
        if named := [member.name for member in self.members if f'"{member.name}"' in said]:
            return named[0]
        state = self.rng.getstate()
        drawn = min(member.name for member in self.rng.sample(self.members, 2))
        self.rng.setstate(state)
        return drawn

    def call(self, calls: Calls) -> None:
        """The scenario's traffic, and more of the same until what it shows can have been told."""
        super().call(calls)
        busy = os.getloadavg()[0] / (os.cpu_count() or 1)
        super().call(self._going_on(calls, GOING_ON_S * min(max(1.0, busy), MOST_BUSY)))
        self.traffic_ended = time.time()

    def _going_on(self, calls: Calls, seconds: float) -> Calls:
        """Each node's ordinary calls, for some time: those that are not made to meet a fault, where there are such."""
        more: Calls = {}
        for node, groups in calls.items():
            plain = [group for group in groups if not group.get("sport") and not group.get("tag")]
            chosen = {key: value for key, value in (plain or groups)[0].items() if key not in ("sport", "at")}
            more[node] = [chosen | {"count": round(seconds / GAP_S), "gap": GAP_S}]
            if self.tables.snats and any("inside" in row for row in self.tables.snats):
                # A port is taken for minutes: new calls would use up what the scenario leaves free.
                steps = [step for _ in range(round(seconds / GAP_S)) for step in (["get", 3], ["sleep", GAP_S])]
                more[node] = [chosen | {"count": 1, "steps": steps}]
        return more

    def stop(self) -> None:
        """The traffic has ended: end the captures, then the watchers."""
        super().stop()
        for watcher in self.watchers:
            watcher.stop()
        for watcher in self.watchers:
            watcher.finish()

    def spoil(self, point: str, change: degrade.Change) -> None:
        """Noted; only captures that were written by others can be made worse."""
        self.degraded = True


def play(name: str, folder: Path, places: Sequence[str] = PLACES, seed: int = 1) -> Played:
    """Plays a scenario, watched at places."""
    scenario = load()[name]
    plan = Plan(seed * 100_000 + zlib.crc32(name.encode()) % 99_991, scenario.family)
    folder.mkdir(parents=True)
    with World(plan, **scenario.world) as world:
        stage = Played(name, plan, world, folder, "us")
        stage.places = places
        scenario.play(stage)
    return stage
