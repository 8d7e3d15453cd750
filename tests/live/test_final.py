"""The report at the end of a live run is what offline analysis says of the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import flowscope.report

SCHEMA = json.loads((Path(flowscope.report.__file__).parent / "schema/flowscope-report-1.json").read_text())
SAMPLES = ("hairpin", "closed-port", "blocked-in-member")
EXE = str(Path(sys.executable).with_name("flowscope"))


def facts(report: dict[str, Any]) -> dict[str, Any]:
    """What must be the same, names of files aside."""
    return {name: report[name] for name in ("flows", "paths", "findings", "probes", "snat")}


def live(*arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [EXE, "live", *map(str, arguments), "-Z", "root"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


@pytest.mark.parametrize("sample", SAMPLES)
def test_pipes_give_the_report_of_their_files(core: None, samples: Path, tmp_path: Path, sample: str) -> None:
    files = sorted(path for path in (samples / sample).iterdir() if path.suffix in (".pcap", ".pcapng"))
    pipes = []
    for file in files:
        pipes.append(tmp_path / file.name)
        os.mkfifo(pipes[-1])
    named = [word for file in files for word in ("--point", f"{file.name}={file.stem}")]
    process = live(*pipes, *named, "--format", "json", "-w", tmp_path / "kept.pcap")
    writers = [open(pipe, "wb", buffering=0) for pipe in pipes]  # noqa: SIM115
    contents = [file.read_bytes() for file in files]
    for piece in range(8):
        for writer, content in zip(writers, contents, strict=True):
            size = len(content) // 7 + 1
            writer.write(content[piece * size : (piece + 1) * size])
        time.sleep(0.2)
    for writer in writers:
        writer.close()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    jsonschema.validate(json.loads(out), SCHEMA, cls=jsonschema.Draft202012Validator)
    again = subprocess.run(
        [EXE, "analyze", *map(str, files), *named, "--format", "json"], capture_output=True, check=True
    )
    assert facts(json.loads(out)) == facts(json.loads(again.stdout))
    kept = [path.read_bytes() for path in sorted(tmp_path.glob("kept-*.pcap"))]
    assert kept == contents


def test_a_finding_is_told_once_while_the_file_grows(core: None, samples: Path, tmp_path: Path) -> None:
    content = (samples / "hairpin" / "be1.pcap").read_bytes()
    path = tmp_path / "growing.pcap"
    with open(path, "wb", buffering=0) as file:
        file.write(content[:24])
        process = live(path, "--format", "jsonl", "-a", "duration:8")
        assert process.stdout is not None
        time.sleep(1)
        file.write(content[24:])
        told = [json.loads(line) for line in process.stdout]
    assert process.wait(30) == 0
    first = [line for line in told if line.get("live") == "new" and line["type"] == "finding"]
    assert [line["rule"] for line in first] == ["hairpin-mismatch"]
    final = [line for line in told if "live" not in line]
    assert [line["key"] for line in final if line["type"] == "finding"] == [first[0]["key"]]
    assert final[-1]["type"] == "stats"
    closed = [line["id"] for line in told if line.get("live") == "closed"]
    assert len(closed) == len(set(closed)) > 0
