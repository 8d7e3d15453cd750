"""Evidence of the project's captures, made once for all tests that read it."""

from __future__ import annotations

import functools
import tempfile
from contextlib import ExitStack
from pathlib import Path

from flowscope.analysis import Analysis, analyze
from flowscope.evidence.files import with_streams, write_findings
from flowscope.findings import Finding
from flowscope.settings import Settings

CAPTURES = Path(__file__).resolve().parents[2] / "captures"
FOLDERS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())
_KEPT = tempfile.TemporaryDirectory(prefix="flowscope-test-evidence-")


def files(folder: Path) -> list[Path]:
    """The captures of a folder."""
    return sorted(path for path in folder.iterdir() if path.suffix in (".pcap", ".pcapng"))


@functools.cache
def evidence(folder: Path, blind: bool = False) -> tuple[Analysis, str | None, dict[str, Path]]:
    """The analysis of a folder, its topology, and the evidence file of each finding."""
    topology = None if blind else str(folder / "topology.toml")
    analysis = analyze(files(folder), topology=topology, settings=Settings(hash=True))
    here = Path(tempfile.mkdtemp(dir=_KEPT.name))
    written = {finding.id: here / f"{finding.id}.pcapng" for finding in analysis.findings}
    with ExitStack() as stack:
        write_findings(analysis, with_streams({id: str(path) for id, path in written.items()}, stack))
    return analysis, topology, written


def subject(analysis: Analysis, finding: Finding) -> dict[str, object]:
    """The subject of a finding; a path's id, which counts the paths of one document, by the path's ends."""
    known: dict[str, object] = dict(finding.subject)
    if "path" in known:
        row = analysis.paths.row(int(str(known["path"])), named=True)
        known["path"] = tuple(analysis.addresses["text"][row[end]] for end in ("client", "backend")), row["client_port"]
    return known
