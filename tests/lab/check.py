"""The second witness: claims about a run, shown with tshark and the kernel's counters, never with flowscope."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable

from tests.lab.stage import Stage

SYN = "tcp.flags.syn==1 && tcp.flags.ack==0"
SYN_ACK = "tcp.flags.syn==1 && tcp.flags.ack==1"
RST = "tcp.flags.reset==1"


class Witness:
    """Asks tshark about a run's captures and collects the claims that hold, or do not."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.claims: list[tuple[str, bool]] = []

    def that(self, claim: str, holds: object) -> None:
        """One claim and whether it holds."""
        self.claims.append((claim, bool(holds)))

    @property
    def wrong(self) -> list[str]:
        """The claims that do not hold."""
        return [claim for claim, holds in self.claims if not holds]

    def rows(self, point: str, where: str, *fields: str, options: Iterable[str] = ()) -> list[tuple[str, ...]]:
        """The fields of the frames at a point that match a display filter."""
        path = self.stage.tap(point).path
        argv = [
            "tshark",
            "-n",
            "-r",
            str(path),
            "-Y",
            where,
            "-T",
            "fields",
            "-o",
            "tcp.relative_sequence_numbers:FALSE",
        ]
        argv += [*options, *(word for field in (fields or ("frame.number",)) for word in ("-e", field))]
        done = subprocess.run(argv, text=True, capture_output=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"tshark: {done.stderr.strip()}")
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def count(self, point: str, where: str) -> int:
        """How many frames match."""
        return len(self.rows(point, where))

    def verdicts(self, word: str) -> int:
        """How many connections have a verdict."""
        return sum(record["verdict"] == word for record in self.stage.connections)

    def counter(self, node: str, name: str) -> int:
        """A kernel counter of a node; 0 when it did not move."""
        return self.stage.counters.get(node, {}).get(name, 0)
