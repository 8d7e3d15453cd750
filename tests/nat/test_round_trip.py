"""What was inferred can be given back: it is read without error, changes no join, and is then inferred no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.nat.topology_file import read_topology
from flowscope.report.topology_toml import topology_lines

pytestmark = pytest.mark.usefixtures("core")

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
SAMPLES = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_sample(tmp_path: Path, sample: str) -> None:
    blind = analyze([CAPTURES / sample])
    file = tmp_path / "topology.toml"
    file.write_text("\n".join(topology_lines(blind)) + "\n")
    given = read_topology(str(file))
    inferred = blind.inferred.topology
    assert {(one.address, one.port, one.mode) for one in given.frontends} == {
        (one.address, one.port, one.mode) for one in inferred.frontends
    }
    assert {member.address for pool in given.pools for member in pool.members} == {
        member.address for pool in inferred.pools for member in pool.members
    }
    back = analyze([CAPTURES / sample], topology=str(file))
    assert not back.problems
    assert sorted(len(legs) for legs in back.paths["legs"]) == sorted(len(legs) for legs in blind.paths["legs"])
    again = tmp_path / "again.toml"
    again.write_text("\n".join(topology_lines(back)) + "\n")
    assert replace(read_topology(str(again)), file=given.file) == given
