"""A file whose times go back proves no order: what rests on it is likely at most."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.findings import Verdict


@pytest.mark.parametrize("back", [False, True])
def test_a_file_whose_times_go_back_confirms_nothing(core: None, samples: Path, tmp_path: Path, back: bool) -> None:
    data = (samples / "hairpin" / "be1.pcap").read_bytes()
    records, at = [], 24
    while at < len(data):
        end = at + 16 + struct.unpack_from("<I", data, at + 8)[0]
        records.append(data[at:end])
        at = end
    # The last frame, first: as if it had waited in a buffer, or the clock had been set.
    ordered = [records[-1], *records[:-1]] if back else records
    (tmp_path / "be1.pcap").write_bytes(data[:24] + b"".join(ordered))
    analysis = analyze([tmp_path / "be1.pcap"])
    (finding,) = (one for one in analysis.findings if one.rule == "hairpin-mismatch")
    assert finding.verdict is (Verdict.LIKELY if back else Verdict.CONFIRMED)
    assert any("goes back" in caveat for caveat in finding.caveats) == back
    assert [issue["kind"] for issue in analysis.captures[0].issues] == ["time-goes-back"] * back
