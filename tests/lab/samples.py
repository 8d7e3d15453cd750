"""Makes the samples of ``captures/``, one per rule: ``python -m tests.lab.samples [FOLDER...]``.

Real traffic is never the same twice, so each making has other bytes; README.md gets the new rows and sums.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cloud.rule_files import allow, deny, nsg
from tests.lab import compare, truth
from tests.lab.run import play
from tests.lab.world import missing, sweep

CAPTURES = Path(__file__).resolve().parents[2] / "captures"


@dataclass(frozen=True)
class Sample:
    """What a folder of ``captures/`` is made of."""

    without: tuple[str, ...] = ()
    """Points that show nothing more than their neighbours; ``members``: all, ``others``: those without a fault."""
    scenario: str = ""
    """The scenario, when the folder is named otherwise."""
    rules: bool = False
    """With a file of security rules that would drop what was dropped."""


SAMPLES = {
    "hairpin": Sample(("client", "lb_out")),
    "closed-port": Sample(("client",)),
    "blocked-in-member": Sample(("client",)),
    "asymmetric-return": Sample(),
    "capture-loss": Sample(("lb_out",)),
    "clock-offset": Sample(("lb_out", "client")),
    "closed-frontend": Sample(("lb_out", "members")),
    "collision-two-frontends": Sample(("lb_out",)),
    "hairpin-always": Sample(("client", "lb_out")),
    "half-flow": Sample(("client",)),
    "idle-leak": Sample(("client",)),
    "idle-silent": Sample(("lb_out",)),
    "mtu-blackhole-route": Sample(("lb_out", "members")),
    "nsg-deny": Sample(("client", "lb_out", "others"), "blocked-before-member", rules=True),
    "path-loss": Sample(("lb_out", "client")),
    "probe-blocked-before-member": Sample(("lb_out", "client")),
    "probes-all-down-closed": Sample(("client", "members")),
    "proxy-http": Sample(("client", "members")),
    "snat-early-reuse": Sample(("internet",)),
    "snat-exhaustion": Sample(("internet", "members")),
    "snat-pressure": Sample(("internet", "members")),
    "truncated-packets": Sample(("lb_out", "client")),
    "uneven-pool": Sample(("client", "members")),
    "unresponsive-service": Sample(("lb_out", "others")),
}
SEED = 20
LIMIT = 5_000_000


def left_out(row: dict[str, str], without: tuple[str, ...], faulty: Collection[str] = ()) -> bool:
    """Whether a sample does without a point."""
    member = row["node"] not in ("cli", "lb", "sw")
    spare = "members" in without or ("others" in without and row["node"] not in faulty)
    return row["vantage"] in without or (member and spare)


def add_rules(folder: Path, told: dict[str, Any]) -> None:
    """Write a group of security rules, one of which denies what was blocked, and tell of it in the truth."""
    (blocked,) = (item for item in told["expected_findings"] if item["rule"] == "blocked-traffic")
    port = blocked["subject"].rpartition(":")[2]
    group = f"{blocked['backend']}-nsg"
    nsg(
        folder / "nsg.json", allow("allow-ssh", 300, 22), deny(f"deny-{port}", 310, port),
        allow("allow-clients", 320, "*"), name=group,
    )  # fmt: skip
    told["description"] += f" A rule of {group} (`nsg.json`) says so."
    told["extra"]["nsg"] = f"nsg.json={blocked['backend']}"
    told["expected_findings"] = [{"rule": "nsg-deny", "subject": blocked["subject"], "backend": blocked["backend"]}]
    told["forbidden_findings"] = [item for item in told["forbidden_findings"] if item["rule"] != "nsg-deny"]
    (folder / "truth.json").write_text(truth.text(told))


def make(name: str, sample: Sample, work: Path) -> str:
    """Play a scenario, keep its files as a sample; returns the sample's row for the table."""
    scenario = sample.scenario or name
    outcome = play(scenario, SEED, work)
    if not outcome.good:
        raise SystemExit(f"{name}: {outcome.error or outcome.wrong}")
    played = work / scenario
    told = compare.truth(played)
    if sample.rules:
        add_rules(played, told)
    faulty = {item.get("backend") for item in told["expected_findings"]}
    spare = {row["vantage"] for row in told["captures"] if left_out(row, sample.without, faulty)}
    for row in told["captures"]:
        if row["vantage"] in spare:
            (played / row["file"]).unlink()
    folder = CAPTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(played, folder)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    points = ", ".join(row["vantage"] for row in told["captures"] if row["vantage"] not in spare)
    found = (
        "; ".join(dict.fromkeys(f"{item['rule']} {item['subject']}" for item in told["expected_findings"])) or "none"
    )
    return f"| `{name}` | {told['description']} | {points} | {found.replace(' *', '')} | `{pin(folder)}` |"


def pin(folder: Path) -> str:
    """The SHA-256 of a sample's SHA256SUMS, and so of all its files."""
    return hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest()


def enter(readme: str, rows: dict[str, str]) -> str:
    """Put rows into the table of the page: in place of the old one of that folder, or at its end."""
    lines = readme.splitlines()
    for name, row in rows.items():
        old = [number for number, line in enumerate(lines) if line.startswith(f"| `{name}` |")]
        if old:
            lines[old[0]] = row
        else:
            last = max(number for number, line in enumerate(lines) if re.match(r"\| `", line))
            lines.insert(last + 1, row)
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    """Make the named samples, or all."""
    if reason := missing():
        print(f"skipped: {reason}", file=sys.stderr)
        return 2
    sweep()
    with tempfile.TemporaryDirectory(prefix="flowscope-samples-") as work:
        rows = {name: make(name, SAMPLES[name], Path(work)) for name in names or SAMPLES}
    readme = CAPTURES / "README.md"
    readme.write_text(enter(readme.read_text(), rows))
    total = sum(path.stat().st_size for path in CAPTURES.rglob("*") if path.is_file())
    print(f"{len(rows)} samples made; captures/ holds {total / 1e6:.1f} of {LIMIT / 1e6:.1f} MB")
    return total > LIMIT


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
