"""Scenarios of the lab with ``flowscope live`` at some of their nodes, while the traffic runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.plan import Plan
from tests.lab.scenarios.index import load
from tests.lab.stage import Stage
from tests.lab.world import World

#: A finding is due two seconds after its proof; a machine that also builds and tests is slower.
PATIENCE_S = 8.0
EXE = str(Path(sys.executable).with_name("flowscope"))


@dataclass
class Watcher:
    """One ``flowscope live`` that writes JSON lines, and when each came."""

    node: str
    interfaces: Sequence[str]
    kept: Path
    process: subprocess.Popen[str] | None = None
    told: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def start(self, world: World) -> None:
        """Begin, and wait until it watches."""
        options = [word for name in self.interfaces for word in ("-i", name)]
        line = [EXE, "live", *options, "-w", str(self.kept), "--format", "jsonl", "-Z", "root", "--utc"]
        self.process = world.spawn(self.node, line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for target in (self._lines, self._words):
            threading.Thread(target=target, daemon=True).start()
        deadline = time.time() + 90
        while not any("watching" in line for line in self.errors):
            assert time.time() < deadline and self.process.poll() is None, self.errors
            time.sleep(0.05)
        # The capture program needs a moment of its own.
        time.sleep(1.0)

    def stop(self) -> None:
        """Ctrl-C, and the report."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.errors
        time.sleep(0.2)

    def _lines(self) -> None:
        assert self.process and self.process.stdout
        for line in self.process.stdout:
            self.told.append((time.time(), json.loads(line)))

    def _words(self) -> None:
        assert self.process and self.process.stderr
        for line in self.process.stderr:
            self.errors.append(line)

    @property
    def files(self) -> list[Path]:
        """What was kept, in the order of the interfaces."""
        if len(self.interfaces) == 1:
            return [self.kept]
        return [self.kept.with_stem(f"{self.kept.stem}-{name}") for name in self.interfaces]

    @property
    def final(self) -> list[dict[str, Any]]:
        """The report's lines."""
        return [line for _, line in self.told if "live" not in line]

    def first(self, rule: str) -> float | None:
        """When a finding of this rule was first told."""
        return next((at for at, line in self.told if line.get("live") == "new" and line.get("rule") == rule), None)


class Played(Stage):
    """A stage whose traffic is watched."""

    watchers: list[Watcher]
    rule = ""
    stopped_at = 0.0

    def start(self) -> None:
        """Begin to watch, then to capture."""
        for watcher in self.watchers:
            watcher.start(self.world)
        super().start()

    def stop(self) -> None:
        """The traffic has ended: end the captures, then the watchers."""
        super().stop()
        deadline = time.time() + PATIENCE_S
        while time.time() < deadline and not all(watcher.first(self.rule) for watcher in self.watchers):
            time.sleep(0.1)
        self.stopped_at = time.time()
        for watcher in self.watchers:
            watcher.stop()


def play(name: str, folder: Path, at: Mapping[str, Sequence[str]], rule: str, seed: int = 1) -> Played:
    """Plays a scenario with watchers at nodes: interfaces by node; ``victim`` is the member that is at fault.

    The traffic ends; watching goes on until the rule has spoken everywhere, or for some seconds.
    """
    scenario = load()[name]
    plan = Plan(seed * 100_000 + zlib.crc32(name.encode()) % 99_991, scenario.family)
    folder.mkdir()
    with World(plan, **scenario.world) as world:
        stage = Played(name, plan, world, folder, "us")
        stage.rule = rule
        # The scenario draws its victim first; another generator in the same state draws the same.
        state = plan.rng.getstate()
        victim = plan.rng.choice(plan.members).name
        plan.rng.setstate(state)
        stage.watchers = [
            Watcher(victim if node == "victim" else node, interfaces, folder / f"live-{node}.pcapng")
            for node, interfaces in at.items()
        ]
        scenario.play(stage)
    return stage
