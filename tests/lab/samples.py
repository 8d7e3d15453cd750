"""Makes the samples of ``captures/``, one per rule: ``python -m tests.lab.samples [FOLDER...]``.

Real traffic is never the same twice, so each making has other bytes; README.md gets the new rows and sums.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tests.lab import compare
from tests.lab.run import play
from tests.lab.world import missing, sweep

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
# Folder and scenario are one; points that show nothing more than their neighbours are left out ("members": all these).
SAMPLES = {
    "asymmetric-return": (),
    "capture-loss": ("lb_out",),
    "clock-offset": ("lb_out", "client"),
    "closed-frontend": ("lb_out", "members"),
    "collision-two-frontends": ("lb_out",),
    "hairpin-always": ("client", "lb_out"),
    "half-flow": ("client",),
    "idle-leak": ("client",),
    "idle-silent": ("lb_out",),
    "mtu-blackhole-route": ("lb_out", "members"),
    "path-loss": ("lb_out", "client"),
    "probe-blocked-before-member": ("lb_out", "client"),
    "probes-all-down-closed": ("client", "members"),
    "proxy-http": ("client", "members"),
    "snat-early-reuse": ("internet",),
    "snat-exhaustion": ("internet", "members"),
    "snat-pressure": ("internet", "members"),
    "truncated-packets": ("lb_out", "client"),
    "uneven-pool": ("client", "members"),
    "unresponsive-service": ("lb_out",),
}
SEED = 20
LIMIT = 5_000_000


def left_out(row: dict[str, str], without: tuple[str, ...]) -> bool:
    """Whether a sample does without a point."""
    return row["vantage"] in without or ("members" in without and row["node"] not in ("cli", "lb", "sw"))


def make(name: str, without: tuple[str, ...], work: Path) -> str:
    """Play a scenario, keep its files as a sample; returns the sample's row for the table."""
    outcome = play(name, SEED, work)
    if not outcome.good:
        raise SystemExit(f"{name}: {outcome.error or outcome.wrong}")
    told = compare.truth(work / name)
    spare = {row["vantage"] for row in told["captures"] if left_out(row, without)}
    for row in told["captures"]:
        if row["vantage"] in spare:
            (work / name / row["file"]).unlink()
    folder = CAPTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(work / name, folder)
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
