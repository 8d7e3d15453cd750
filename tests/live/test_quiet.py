"""A pipe that brings nothing: its clock goes on, so that deadlines pass, and what rests on that is never certain."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from flowscope.findings import Finding, Severity, Verdict
from flowscope.live.quiet import CAVEAT, SECOND, Quiet, doubted
from tests.rules.scene import TOPOLOGY, call
from tests.wire import MS, T0, Wire, accept, ignore

EXE = str(Path(sys.executable).with_name("flowscope"))
RULE = "frontend-unanswered"


def wire() -> Wire:
    """Calls are served, some are not let through, one more is served; the last frame is younger than any deadline."""
    made = Wire()
    for at in (0, 1):
        accept(made, call(at, 41000 + at, points="front back"), T0 + at * SECOND, isn=70_000 * at + 5)
    for at in range(4):
        ignore(made, call(0, 42000 + at, points="front"), T0 + 20 * SECOND + at * MS, isn=9_000 * at + 1, tries=2)
    accept(made, call(0, 43000, points="front back"), T0 + 21 * SECOND + 100 * MS, isn=77)
    return made


def watched(folder: Path, more: bytes, quiet_s: float) -> tuple[list[tuple[float, dict[str, Any]]], float]:
    """The lines of a run over two pipes that stay open and bring nothing, and when the last byte was written."""
    (folder / "known.toml").write_text(TOPOLOGY)
    captures = wire().write(folder)
    pipes = [f"{path}.pipe" for path in captures]
    for pipe in pipes:
        os.mkfifo(pipe)
    line = [EXE, "live", *pipes, "--topology", str(folder / "known.toml"), "--format", "jsonl", "-Z", "root"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told: list[tuple[float, dict[str, Any]]] = []

    def listen() -> None:
        assert process.stdout
        for text in process.stdout:
            told.append((time.monotonic(), json.loads(text)))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    writing = [os.open(pipe, os.O_WRONLY) for pipe in pipes]
    for pipe, path in zip(writing, captures, strict=True):
        os.write(pipe, Path(path).read_bytes() + more)
    written = time.monotonic()
    deadline = written + quiet_s
    while time.monotonic() < deadline and not any(line.get("rule") == RULE for _, line in told):
        time.sleep(0.1)
    for pipe in writing:
        os.close(pipe)
    assert process.wait(60) == 0
    listener.join(5)
    return told, written


def of_rule(told: Sequence[tuple[float, dict[str, Any]]]) -> list[tuple[float, dict[str, Any]]]:
    return [(at, line) for at, line in told if line["type"] == "finding" and line["rule"] == RULE]


def test_a_deadline_passes_while_a_pipe_is_quiet(core: None, tmp_path: Path) -> None:
    told, written = watched(tmp_path, b"", 30)
    (at, first), *later = of_rule(told)
    assert first["live"] == "new"
    # The SYNs were 1.1 seconds old when the last frame came, and a silent SYN is due after 3.
    assert at - written > 1.9
    assert first["verdict"] == "likely"
    assert CAVEAT in first["caveats"]
    # The kept files do not say that nothing came after their last frame: the report cannot hold it, and that is said.
    assert [line["live"] for _, line in later] == ["withdrawn"]


def test_a_writer_that_holds_bytes_back_is_not_quiet(core: None, tmp_path: Path) -> None:
    half_a_record = (T0 // SECOND).to_bytes(4, "little")
    told, _ = watched(tmp_path, half_a_record, 9)
    assert not of_rule(told)


def test_a_pipe_is_believed_later_than_its_clock() -> None:
    pipe = Quiet()
    assert pipe.until_ns(0) is None
    pipe.heard(T0, 100 * SECOND)
    assert pipe.until_ns(101 * SECOND) is None
    assert pipe.until_ns(110 * SECOND) == T0 + 8 * SECOND
    # A frame comes that was to be there by then: the way is longer than believed.
    pipe.heard(T0 + 5 * SECOND, 111 * SECOND)
    assert pipe.until_ns(121 * SECOND) == T0 + 10 * SECOND


def finding(verdict: Verdict, key: str = "a") -> Finding:
    return Finding(
        rule=key, severity=Severity.ERROR, verdict=verdict, title=key, summary="", subject={}, count=1, evidence=()
    )


@pytest.mark.parametrize(
    ("now", "without", "then"),
    [
        (Verdict.CONFIRMED, [], Verdict.LIKELY),
        (Verdict.CONFIRMED, [finding(Verdict.LIKELY)], Verdict.LIKELY),
        (Verdict.CONFIRMED, [finding(Verdict.CONFIRMED)], Verdict.CONFIRMED),
        (Verdict.UNDECIDED, [], Verdict.UNDECIDED),
        (Verdict.LIKELY, [finding(Verdict.LIKELY)], Verdict.LIKELY),
    ],
)
def test_what_rests_on_a_quiet_pipe_is_never_certain(now: Verdict, without: list[Finding], then: Verdict) -> None:
    (told,) = doubted([finding(now)], without)
    assert told.verdict is then
    rests = not without or (without[0].verdict is not Verdict.CONFIRMED and now is Verdict.CONFIRMED)
    assert (CAVEAT in told.caveats) is rests


@pytest.mark.parametrize(("late_ns", "believed_ns"), [(20 * MS, 600 * MS), (450 * MS, 900 * MS), (SECOND, 2 * SECOND)])
def test_a_writer_that_has_never_been_late_is_believed_sooner(late_ns: int, believed_ns: int) -> None:
    pipe = Quiet()
    for at in range(23):
        pipe.heard(T0 + at * SECOND, 100 * SECOND + at * SECOND + late_ns * (at % 2))
    assert pipe.until_ns(124 * SECOND) is None, "not known well enough: two seconds"
    pipe.heard(T0 + 23 * SECOND, 123 * SECOND)
    assert pipe.until_ns(126 * SECOND) == T0 + 26 * SECOND - believed_ns
