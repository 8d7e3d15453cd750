"""Frames that scapy's sockets lose are counted, to the last one, and weaken what rests on silence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.live import hanging
from tests.live.wires import Live, Wire, missing, wire

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 20_000
pytestmark = [pytest.mark.slow, pytest.mark.skipif(missing() is not None, reason=str(missing()))]


def capturing(live: Live) -> int:
    """The process that captures."""
    (pid,) = [pid for pid in live.children() if b"flowscope.capture.live" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return pid


def listening(one: Wire, folder: Path, *options: str) -> Live:
    live = one.live(
        "--program", "scapy", "-w", str(folder / "a.pcap"), "--format", "json", "--brief", "-Z", "root", *options
    ).ready()
    time.sleep(1.5)
    return live


def flood(one: Wire) -> None:
    """Frames of whole connections between two hosts that are not there."""
    line = one.exec("near", sys.executable, "-m", "benchmarks.live", "send", "--rate", "100000", "--seconds", "0.2")
    done = subprocess.run(line, cwd=ROOT, input="\n", text=True, capture_output=True, check=True)
    assert f"sent {FRAMES} " in done.stdout


def flood_unheard(one: Wire, live: Live) -> None:
    """The same while the program does not get its turn: the kernel keeps what fits."""
    program = capturing(live)
    os.kill(program, signal.SIGSTOP)
    flood(one)
    os.kill(program, signal.SIGCONT)
    time.sleep(1)


def counted(live: Live) -> tuple[int, int, dict[str, Any]]:
    """Frames in the file, frames that the report says were lost, and the report."""
    report = json.loads(live.out)
    (capture,) = report["captures"]
    lost = [issue["count"] for issue in capture["issues"] if issue["kind"] == "dropped-frames"]
    return capture["frames"], sum(lost), report


def test_sent_is_captured_and_counted_as_lost(core: None, tmp_path: Path) -> None:
    with wire() as one:
        live = listening(one, tmp_path, "-f", "host 10.97.0.1", "-B", "1")
        flood_unheard(one, live)
        assert live.stop() == 0, live.said
    frames, lost, _ = counted(live)
    assert frames > 0 and lost > FRAMES / 2
    assert frames + lost == FRAMES


def test_what_waits_when_it_is_stopped_is_written(core: None, tmp_path: Path) -> None:
    with wire() as one:
        live = listening(one, tmp_path, "-f", "host 10.97.0.1", "-B", "64")
        program = capturing(live)
        os.kill(program, signal.SIGSTOP)
        flood(one)
        live.signal(signal.SIGINT)
        time.sleep(1)
        os.kill(program, signal.SIGCONT)
        assert live.end() == 0, live.said
    assert counted(live)[:2] == (FRAMES, 0)


@pytest.mark.parametrize(("flooded", "verdict"), [(False, "confirmed"), (True, "likely")])
def test_lost_frames_weaken_what_rests_on_silence(core: None, tmp_path: Path, flooded: bool, verdict: str) -> None:
    known = hanging.known(tmp_path, "a.pcap")
    with wire() as one:
        hanging.serve(one)
        live = listening(one, tmp_path, "--topology", str(known), "-B", "1")
        hanging.ask(one, 3.6).wait()
        if flooded:
            flood_unheard(one, live)
        assert live.stop() == 0, live.said
    _, lost, report = counted(live)
    (hung,) = [finding for finding in report["findings"] if finding["rule"] == "unresponsive-service"]
    assert (hung["verdict"], hung["count"]) == (verdict, hanging.HUNG)
    told = f"Frames were lost while this was captured ({lost:,} at far): what seems missing may be among them."
    assert (told in hung["caveats"]) is flooded
