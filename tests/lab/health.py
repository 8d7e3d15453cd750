"""When members went down and came back, by the prober and by flowscope: ``python -m tests.lab.health RUN...``.

A RUN is a folder that a scenario with probes was played into. With its topology the policy is known; blind it is not.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.lab import compare

VIEWS = ("topology", "blind")
# How much later than on the wire the prober writes its log.
SLACK_S = 0.05


@dataclass(frozen=True)
class Shift:
    """One change of a member's state: when it happened, and when a report says that it did."""

    member: str
    state: str
    told_s: float
    """By the prober, since 1970."""
    found_s: float | None
    """By the report; None when it tells of no such change between the one before and the one after."""
    interval_s: float
    assumed: bool
    """The report says that it does not know the prober's policy."""
    inside: bool = False
    """The report gives a range of times, and it happened then."""
    probes: float = float("inf")
    """How many probes that failed lie between the two; not known of a member that comes back."""

    @property
    def intervals(self) -> float:
        """How far the report is off."""
        return float("inf") if self.found_s is None else (self.found_s - self.told_s) / self.interval_s

    @property
    def right(self) -> bool:
        """Within one probe, or inside the range that the report gives."""
        return abs(self.intervals) <= 1 or self.probes <= 1 or self.inside


def shifts(told: dict[str, Any], topology: dict[str, Any], report: dict[str, Any]) -> Iterator[Shift]:
    """Each change that the prober logged of members that are to fail, with the nearest one of its kind in a report.

    On a busy machine a healthy member's probe may come too late for the prober and in time on the wire.
    """
    extra = told["extra"]
    scripted = {*extra.get("probe_script", ()), extra.get("blocked")}
    (pool,) = [pool for pool in topology["pool"] if "probe" in pool]
    interval_s = pool["probe"]["interval_s"]
    # What comes after the last call is the end of the run: nobody is there to see what the balancer does.
    over = max(record["t_end"] for record in told["connections"])
    for member in pool["members"]:
        if member["name"] not in scripted:
            continue
        events = [one for one in extra["pool_events"] if one["event"] == "state" and one["t"] < over]
        own = [(one["t"], "up" if one["up"] else "down") for one in events if one["target"] == member["name"]]
        failures = [
            one["t"] for one in extra["pool_events"] if one["event"] == "failed" and one["target"] == member["name"]
        ]
        rows = [row for row in report["probes"] if row["member"].rpartition(":")[0].strip("[]") == member["address"]]
        changes = [(seconds(one["time"]), one["state"]) for row in rows for one in row["timeline"]]
        ranges = [
            (seconds(one["earliest"]) - SLACK_S, seconds(one["latest"]) + SLACK_S, one["state"])
            for row in rows
            for one in row["timeline"]
            if one["earliest"]
        ]
        assumed = any(row["policy_by"] == "assumed" for row in rows)
        for at, (time, state) in enumerate(own):
            after = own[at - 1][0] if at else 0.0
            before = own[at + 1][0] if at + 1 < len(own) else float("inf")
            near = [found for found, word in changes if word == state and after < found < before]
            nearest = min(near, key=lambda found: abs(found - time), default=None)
            inside = any(start <= time <= end and word == state for start, end, word in ranges)
            probes = float("inf")
            if state == "down" and nearest is not None:
                # Probes are no clockwork: on a busy machine the next may come later than an interval. The one that
                # decided was logged right before the change, and does not count.
                until = time - SLACK_S / 10 if nearest < time else nearest + SLACK_S
                probes = sum(min(time, nearest) <= failed <= until for failed in failures)
            yield Shift(member["name"], state, time, nearest, interval_s, assumed, inside, probes)


def seconds(text: str) -> float:
    """A time of a report, as seconds since 1970."""
    return datetime.fromisoformat(text[:26]).replace(tzinfo=UTC).timestamp()


def of(folder: Path, report: dict[str, Any]) -> list[Shift]:
    """The changes of a run, by a report of it; none where no member was to fail its probes."""
    told = compare.truth(folder)
    if not {"probe_script", "blocked"} & told["extra"].keys():
        return []
    return list(shifts(told, tomllib.loads((folder / "topology.toml").read_text()), report))


def main(argv: list[str] | None = None) -> int:
    """Print a table; 1 when a change is missing or more than one probe off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    given = parser.parse_args(argv)
    exe, off = str(Path(sys.executable).with_name("flowscope")), 0
    print(f"{'scenario':28} {'view':9} {'change':12} {'truth':>12} {'found':>12} {'intervals':>10}")
    for folder in given.runs:
        for view in VIEWS:
            for one in of(folder, compare.analyze(exe, folder, blind=view == "blind")):
                found = "-" if one.found_s is None else clock(one.found_s)
                note = ("  policy assumed" if one.assumed else "") + ("  inside its range" if one.inside else "")
                what = f"{folder.name:28} {view:9} {one.member + ' ' + one.state:12}"
                print(f"{what} {clock(one.told_s):>12} {found:>12} {one.intervals:10.2f}{note}")
                off += not one.right
    print(f"{off} changes more than one probe off, and outside a range that was given")
    return int(off > 0)


def clock(time_s: float) -> str:
    """Time of day, with milliseconds."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%H:%M:%S.%f")[:-3]


if __name__ == "__main__":
    sys.exit(main())
