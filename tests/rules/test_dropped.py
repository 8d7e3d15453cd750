"""Frames that were lost while capturing weaken what rests on silence."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.findings import Finding, Verdict
from tests.lab import files


def statistics(dropped: int) -> bytes:
    """An interface statistics block of the first interface, little-endian."""
    option = struct.pack("<HHQ", 5, 8, dropped)
    body = struct.pack("<III", 0, 0, 0) + option
    return struct.pack("<II", 5, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def hairpin(samples: Path, folder: Path, dropped: int) -> Finding:
    kept = files.read(samples / "hairpin" / "be1.pcap")
    kept.names = ["eth0"]
    path = folder / "be1.pcapng"
    files.write(path, kept, "ng")
    path.write_bytes(path.read_bytes() + statistics(dropped))
    (finding,) = analyze([path]).findings
    return finding


@pytest.mark.parametrize(
    ("dropped", "verdict"), [(0, Verdict.CONFIRMED), (1, Verdict.CONFIRMED), (10_000, Verdict.LIKELY)]
)
def test_enough_lost_frames_weaken_a_verdict(
    core: None, samples: Path, tmp_path: Path, dropped: int, verdict: Verdict
) -> None:
    finding = hairpin(samples, tmp_path, dropped)
    assert finding.verdict is verdict
    assert any("10,000 at be1" in caveat for caveat in finding.caveats) == (verdict is Verdict.LIKELY)


def test_what_was_lost_is_an_issue_of_the_file(core: None, samples: Path, tmp_path: Path) -> None:
    hairpin(samples, tmp_path, 7)
    (capture,) = analyze([tmp_path / "be1.pcapng"]).captures
    assert [issue["kind"] for issue in capture.issues] == ["dropped-frames"]
    assert "7 frames" in capture.issues[0]["detail"]
