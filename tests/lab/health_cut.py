"""Probes in captures that a snap length cut: ``python -m tests.lab.health_cut [--snap BYTES] RUN...``.

What is said of probes in whole captures is said of cut ones, too, or it is doubted or left out; never anything else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import compare, degrade

RULES = ("probe-failing", "probe-blocked", "all-members-down", "member-out-of-rotation")
VIEWS = ("topology", "blind")
SNAP = 96
FACTS = ("how", "status", "where", "then")


@dataclass(frozen=True)
class Difference:
    """What the cut captures of a run say otherwise than the whole ones."""

    lost: tuple[str, ...]
    """Findings and changes of state that are no longer told."""
    unexplained: tuple[str, ...]
    """Of these changes: those of members of which the report does not say that answers cannot be read."""
    wrong: tuple[str, ...]
    """Findings that are told otherwise, and changes that did not happen."""


def findings(report: dict[str, Any]) -> set[str]:
    """The findings about probes that are more than a doubt, with what they say."""
    return {
        f"{one['rule']} {one['verdict']} {one['subject']} { {key: one['facts'].get(key) for key in FACTS} }"
        for one in report["findings"]
        if one["rule"] in RULES and one["verdict"] != "undecided"
    }


def changes(report: dict[str, Any]) -> set[str]:
    """Every time that a prober took a member out or in, to the millisecond."""
    return {
        f"{row['member']} by {row['source']} {change['state']} {change['time'][:23]}"
        for row in report["probes"]
        for before, change in zip([{"state": "unknown"}, *row["timeline"]], row["timeline"], strict=False)
        # A member that is found to be up, or down, after nothing was known of it has not changed.
        if change["state"] != "unknown" and before["state"] != "unknown"
    }


def unread(report: dict[str, Any]) -> set[str]:
    """Members of which a report says that what their probers got cannot be read."""
    return {
        row["member"]
        for row in report["probes"]
        # The last one may be open.
        if row["sent"] - row["succeeded"] - row["failed"] > 1
    }


def differ(whole: dict[str, Any], cut: dict[str, Any]) -> Difference:
    """Compare the two reports."""
    lost = changes(whole) - changes(cut)
    unexplained = {one for one in lost if one.split()[0] not in unread(cut)}
    gone = findings(whole) - findings(cut)
    wrong = (findings(cut) - findings(whole)) | (changes(cut) - changes(whole))
    return Difference(tuple(sorted(gone | lost)), tuple(sorted(unexplained)), tuple(sorted(wrong)))


def of(exe: str, run: Path, snap: int, work: Path) -> Iterator[tuple[str, Difference]]:
    """How a run's cut captures differ, with its topology and blind."""
    whole, cut = degrade.copy(run, work / "whole"), degrade.copy(run, work / "cut")
    files = [row["file"] for row in compare.truth(run)["captures"] if (run / row["file"]).exists()]
    for file in dict.fromkeys(files):
        degrade.rewrite(cut / file, degrade.cut_to(snap))
    for view in VIEWS:
        reports = [compare.analyze(exe, one, blind=view == "blind", captures=files) for one in (whole, cut)]
        yield view, differ(*reports)


def main(argv: list[str] | None = None) -> int:
    """Print what differs; 1 when anything is wrong or is missing without a reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--snap", type=int, default=SNAP, help="bytes that are kept of each frame (default %(default)s)"
    )
    parser.add_argument("runs", type=Path, nargs="+")
    given = parser.parse_args(argv)
    exe, bad = str(Path(sys.executable).with_name("flowscope")), 0
    for run in given.runs:
        with tempfile.TemporaryDirectory(prefix="flowscope-cut-") as work:
            for view, found in of(exe, run, given.snap, Path(work)):
                bad += len(found.wrong) + len(found.unexplained)
                word = "wrong" if found.wrong or found.unexplained else "less" if found.lost else "same"
                print(f"{run.parent.name + '/' + run.name:40} {view:9} {word}")
                for line in (*(f"lost {one}" for one in found.lost), *(f"wrong {one}" for one in found.wrong)):
                    print(f"    {line}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
