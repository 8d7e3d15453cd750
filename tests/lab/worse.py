"""What each sample's findings become when its captures get worse: ``python -m tests.lab.worse [FOLDER...]``.

Prints a table: how sure flowscope still is of each fault that the truth lists, and what it claims wrongly. A capture
that got worse may cost findings; it must never make a wrong one ``confirmed``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowscope.analysis import Analysis, analyze
from flowscope.findings import Finding, Severity
from flowscope.nat.topology_file import read_topology
from flowscope.settings import Settings
from tests.lab import compare, degrade
from tests.lab.degrade import Change

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
GIVEN, BLIND = "topology", "blind"
AS_IS, MISSING = "as it is", "a point missing"
#: What happens to every file of a run.
EVERY: dict[str, Change] = {"5 % loss": degrade.drop_share(0.05, 5), "snaplen 96": degrade.cut_to(96)}
#: What happens to the file of one point, each in turn.
CLOCK = "clock 300 s, 100 ppm"
LETTERS = {"confirmed": "C", "likely": "L", "undecided": "u"}


@dataclass
class Verdicts:
    """What flowscope says of one run under one change, for each way to play it."""

    expected: dict[str, Counter[str]] = field(default_factory=dict)
    """Fault of the truth to how often each verdict came; ``-`` is silence."""
    wrong: list[str] = field(default_factory=list)
    """Confirmed errors and warnings that the truth does not list."""
    guesses: list[str] = field(default_factory=list)
    """The same, likely only."""


def told(folder: Path) -> dict[str, Any]:
    """The truth of a run; names of members and pools stand for their addresses, since blind reports know no names."""
    known, truth = read_topology(str(folder / "topology.toml")), compare.truth(folder)
    for expected in truth["expected_findings"]:
        words = set(expected.get("also", ()))
        for pool in known.pools:
            words |= {one.address for one in pool.members if one.name == expected["subject"]}
            if pool.name == expected["subject"]:
                words |= {one.address for one in known.frontends if one.pool == pool.name}
        expected["also"] = sorted(words)
    return truth


def plays(folder: Path, work: Path, points: int | None = None) -> Iterator[tuple[str, Path, list[str]]]:
    """Each change with a folder that has it and the files to analyse there; ``points`` of them change alone."""
    files = list(dict.fromkeys(row["file"] for row in compare.truth(folder)["captures"]))
    files = [name for name in files if (folder / name).exists()]
    yield AS_IS, folder, files
    for name, change in EVERY.items():
        worse = degrade.copy(folder, work / f"{folder.name}-{len(name)}")
        yield name, worse, [degrade.rewrite(worse / file, change).name for file in files]
    for file in files[-points:] if points else files if len(files) > 1 else ():
        worse = degrade.copy(folder, work / f"{folder.name}-{file}")
        moved = degrade.rewrite(worse / file, degrade.shift_clock(300, 100)).name
        yield CLOCK, worse, [moved if other == file else other for other in files]
        yield MISSING, folder, [other for other in files if other != file]


def judge(folder: Path, work: Path, points: int | None = None) -> dict[tuple[str, str], Verdicts]:
    """Verdicts of a run by change and by what flowscope was given."""
    truth: dict[str, Any] = told(folder)
    result: dict[tuple[str, str], Verdicts] = {}
    for change, place, files in plays(folder, work, points):
        for given in (GIVEN, BLIND):
            topology = str(place / "topology.toml") if given == GIVEN else None
            # Without a topology no name of a member is known, so no group can be laid to one.
            rules = (str(place / truth["extra"]["nsg"]),) if topology and "nsg" in truth["extra"] else ()
            analysis = analyze([place / file for file in files], topology=topology, settings=Settings(nsg=rules))
            verdicts = result.setdefault((change, given), Verdicts())
            _note(verdicts, truth, analysis, f"{folder.name}, {change}, {given}, {len(files)} files")
    return result


def _note(verdicts: Verdicts, truth: dict[str, Any], analysis: Analysis, where: str) -> None:
    for expected in truth["expected_findings"]:
        same = [one.verdict for one in analysis.findings if compare.same(expected, _row(one))]
        best = min(same, key=lambda verdict: verdict.rank, default=None)
        fault = f"{expected['rule']} {expected['subject']}{' (optional)' * bool(expected.get('optional'))}"
        verdicts.expected.setdefault(fault, Counter())[LETTERS[best] if best else "-"] += 1
    judged = {item["rule"] for name in ("expected_findings", "forbidden_findings") for item in truth[name]}
    for one in analysis.findings:
        listed = any(compare.same(item, _row(one)) for item in truth["expected_findings"])
        if listed or one.severity is Severity.INFO or one.rule not in judged:
            continue
        line = f"{where}: {one.key} {dict(one.facts).get('where', '')} x{one.count}"
        if one.verdict == "confirmed":
            verdicts.wrong.append(line)
        elif one.verdict == "likely":
            verdicts.guesses.append(line)
    verdicts.wrong += [f"{where}: {problem}" for problem in analysis.problems if problem.startswith("rule ")]


def _row(finding: Finding) -> dict[str, Any]:
    row = {name: dict(getattr(finding, name)) for name in ("subject", "names", "facts")}
    return {"rule": finding.rule, **row}


def table(name: str, verdicts: dict[tuple[str, str], Verdicts]) -> Iterator[str]:
    """Lines of a Markdown table: a fault per line, a column per change, ``topology / blind`` in each cell."""
    columns = list(dict.fromkeys(change for change, _ in verdicts))
    faults = list(dict.fromkeys(fault for one in verdicts.values() for fault in one.expected))
    for fault in faults or ["(healthy)"]:
        cells = []
        for change in (AS_IS, *EVERY, CLOCK, MISSING):
            pair = [verdicts[change, given] for given in (GIVEN, BLIND)] if change in columns else []
            cells.append(" / ".join(_cell(one.expected.get(fault, Counter())) for one in pair) if faults else "")
        yield f"| `{name}` | {fault} | {' | '.join(cells)} |"


def _cell(counted: Counter[str]) -> str:
    if len(counted) == 1:
        return next(iter(counted))
    return " ".join(f"{letter}{counted[letter]}" for letter in "CLu-" if counted[letter])


def main() -> int:
    """The command line; 1 when something wrong was confirmed."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.worse", description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="runs of the lab (default: the samples in captures/)")
    folders = parser.parse_args().folders or sorted(path.parent for path in CAPTURES.glob("*/truth.json"))
    print(f"| run | fault | {' | '.join((AS_IS, *EVERY, CLOCK, MISSING))} |")
    print("|---|---|---|---|---|---|---|")
    wrong, guesses = [], []
    with tempfile.TemporaryDirectory(prefix="flowscope-worse-") as work:
        for folder in folders:
            verdicts = judge(folder, Path(tempfile.mkdtemp(dir=work)))
            print("\n".join(table(folder.name, verdicts)), flush=True)
            wrong += [line for one in verdicts.values() for line in one.wrong]
            guesses += [line for one in verdicts.values() for line in one.guesses]
    print("\nEach cell: with topology / blind. C confirmed, L likely, u undecided, - silent; a number says how often.")
    for title, lines in (("Wrong and confirmed", wrong), ("Wrong and likely", guesses)):
        print(f"\n{title}: {len(lines)}")
        print("\n".join(f"  {line}" for line in lines))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
