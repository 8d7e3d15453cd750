"""Times ``flowscope analyze`` beside ``tcptrace -n`` on generated traffic: ``make bench``.

The two programs read the same file in turn, several times; what is printed are medians of CPU seconds (user and system,
with every thread) and the highest memory. The traffic comes from a generator script (``--traffic`` or the environment
variable FLOWSCOPE_TRAFFIC) that takes ``--packets --flows --seed --mean-payload --out``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "100k-flows": "--packets 2000000 --flows 100000 --seed 2 --mean-payload 800",
    "500k-flows": "--packets 2000000 --flows 500000 --seed 3 --mean-payload 120 --syn-share .4 --udp-share .15",
}
"""Traffic by name: options of the generator."""
PACKETS = 2_000_000

_CORE_ALONE = """
import os, sys, time
from flowscope import _core
engine = _core.Engine()
capture = engine.open(0)
file = os.open(sys.argv[1], os.O_RDONLY)
begin = time.process_time()
while data := os.read(file, 1 << 20):
    engine.feed(capture, data)
engine.close(capture)
engine.finish()
print(time.process_time() - begin)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took."""

    cpu_s: float
    wall_s: float
    memory_mb: float


def measure(command: list[str]) -> Cost:
    """Runs a command to its end and says what it cost."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {child.returncode}")
    # ru_maxrss is in KiB on Linux, in bytes on macOS.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / unit)


def traffic(script: str, python: str, folder: Path) -> dict[str, Path]:
    """The generated files, made once and kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for name, options in FILES.items():
        path = folder / f"{name}.pcap"
        if not path.exists():
            print(f"making {path} ...", flush=True)
            partial = path.with_suffix(".partial")
            subprocess.run([python, script, *options.split(), "--out", str(partial)], check=True)
            partial.rename(path)
        made[name] = path
    return made


def compare(path: Path, rounds: int, report: Path) -> dict[str, list[Cost]]:
    """Runs every program on one file, in turn, so that a busy machine is busy for all of them."""
    flowscope = [sys.executable, "-m", "flowscope", "analyze", "-q", str(path)]
    programs = {
        "flowscope": flowscope,
        "flowscope json": [*flowscope, "--format", "json", "-o", str(report)],
    }
    if tcptrace := shutil.which("tcptrace"):
        programs["tcptrace -n"] = [tcptrace, "-n", str(path)]
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, command in programs.items():
            costs[name].append(measure(command))
    return costs


def core_alone(path: Path, rounds: int) -> float:
    """Packets per CPU second of the core by itself, tables included."""
    command = [sys.executable, "-c", _CORE_ALONE, str(path)]
    times = [float(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout) for _ in range(rounds)]
    return PACKETS / statistics.median(times)


def show(name: str, path: Path, costs: dict[str, list[Cost]], speed: float) -> None:
    """Prints the medians of one file."""
    print(f"\n{name} ({path.stat().st_size / 1e6:,.0f} MB)")
    print(f"  {'':16}{'CPU s':>8}{'wall s':>8}{'memory MB':>11}")
    medians = {program: statistics.median(cost.cpu_s for cost in runs) for program, runs in costs.items()}
    for program, runs in costs.items():
        wall = statistics.median(cost.wall_s for cost in runs)
        print(f"  {program:16}{medians[program]:8.2f}{wall:8.2f}{max(cost.memory_mb for cost in runs):11.0f}")
    print(f"  core alone: {speed / 1e6:.1f} M packets/s")
    print(f"  json costs {medians['flowscope json'] / medians['flowscope']:.2f} times the text report")
    if "tcptrace -n" in medians:
        print(f"  flowscope takes {medians['flowscope'] / medians['tcptrace -n']:.2f} of tcptrace's CPU")


def main() -> None:
    """Makes the traffic when it is missing, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traffic", default=os.environ.get("FLOWSCOPE_TRAFFIC"), help="generator script")
    parser.add_argument("--python", default=sys.executable, help="Python that runs the generator (it needs numpy)")
    parser.add_argument("--rounds", type=int, default=5)
    default = Path(tempfile.gettempdir()) / "flowscope-bench"
    parser.add_argument("--cache", type=Path, default=default, help="folder for the traffic")
    chosen = parser.parse_args()
    cached = all((chosen.cache / f"{name}.pcap").exists() for name in FILES)
    if not cached and not (chosen.traffic and os.path.isfile(chosen.traffic)):
        print("skipped: no traffic generator; set FLOWSCOPE_TRAFFIC to the path of make_traffic.py")
        return
    if not shutil.which("tcptrace"):
        print("tcptrace is not installed: flowscope alone")
    for name, path in traffic(chosen.traffic or "", chosen.python, chosen.cache).items():
        report = chosen.cache / "report.json"
        show(name, path, compare(path, chosen.rounds, report), core_alone(path, chosen.rounds))
        report.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
