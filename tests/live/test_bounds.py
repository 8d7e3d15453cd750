"""More traffic than a window holds: findings stay and go on counting, and the report says from when it speaks."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capture_bytes import RST, pcap, segment
from tests.traffic import T0

EXE = str(Path(sys.executable).with_name("flowscope"))
ACK = 16


def refused(first: int, count: int, start_ns: int) -> bytes:
    """Connections from ports in a row, each refused at once."""
    frames = []
    for port in range(first, first + count):
        frames.append(segment(sport=port, seq=port * 7))
        frames.append(segment(src="10.0.0.4", sport=80, dst="10.0.0.9", dport=port, flags=RST | ACK, ack=port * 7 + 1))
    return pcap(frames, start_ns, step_ns=1_000_000)


@pytest.mark.parametrize(("batches", "whole"), [(4, True), (12, False)])
def test_findings_outlive_the_flows_they_rest_on(core: None, tmp_path: Path, batches: int, whole: bool) -> None:
    path, size = tmp_path / "growing.pcap", 200
    with open(path, "wb", buffering=0) as file:
        file.write(refused(1, 0, T0))
        line = [EXE, "live", str(path), "--max-flows", "100", "--format", "json", "-Z", "root", "-a"]
        process = subprocess.Popen(
            [*line, f"packets:{batches * size * 2}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        time.sleep(2)
        for batch in range(batches):
            file.write(refused(1024 + batch * size, size, T0 + batch * 2_000_000_000)[24:])
            time.sleep(0.9)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "the oldest leave the window" in err
    report = json.loads(out)
    (finding,) = [one for one in report["findings"] if one["rule"] == "closed-port"]
    assert ("speaks from" in err) is not whole, err
    if whole:
        assert finding["count"] == batches * size
        assert len(report["flows"]) == batches * size
    else:
        assert "`flowscope analyze` on the written files reads everything" in err
        assert len(report["flows"]) <= 100
        assert finding["count"] >= 1
