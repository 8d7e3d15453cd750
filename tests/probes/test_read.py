"""What became of a probe, by everything that can become of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.probes.asking import SECOND, ask, known, rounds
from tests.rules.scene import judged, probe
from tests.wire import FIN, MS, RST, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")


def read(wire: Wire, folder: Path, topology: str | None) -> list[tuple[str, str | None]]:
    """Result and kind of failure of the first member's probes."""
    analysis = judged(wire, folder, topology)
    assert not [problem for problem in analysis.problems if "failed" in problem or "could not" in problem]
    (health,) = analysis.health
    return [(row["result"], row["how"]) for row in health.readings.iter_rows(named=True)]


@pytest.mark.parametrize("topology", [known(), None])
@pytest.mark.parametrize(
    ("met", "how"),
    [
        ("503", "status"),
        ("204", "status"),
        ("301", "redirect"),
        ("401", "auth"),
        ("hang", "timeout"),
        ("slow", "slow"),
        ("refuse", "refused"),
        ("garbage", "invalid"),
        ("reset", "invalid"),
        ("ignore", "unanswered"),
    ],
)
def test_failures(tmp_path: Path, met: str, how: str, topology: str | None) -> None:
    wire = Wire()
    rounds(wire, ["200", met, met, "200"])
    assert read(wire, tmp_path, topology) == [("good", None), ("bad", how), ("bad", how), ("good", None)]


@pytest.mark.parametrize("close", [FIN, RST])
def test_a_reset_after_a_good_answer_is_a_way_to_close(tmp_path: Path, close: int) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 4, close=close)
    assert read(wire, tmp_path, known()) == [("good", None)] * 4


def test_a_connect_check_needs_no_request(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["tcp"] * 4, close=RST)
    assert read(wire, tmp_path, None) == [("good", None)] * 4


def test_a_prober_that_speaks_http_and_sent_no_request_proves_nothing(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "tcp", "200"])
    assert read(wire, tmp_path, known())[1] == ("unknown", None)


def test_an_answer_to_the_syn_that_got_lost(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"])
    ask(wire, probe(0, 50002), T0 + SECOND, "lost", 20_000, upto=1)
    rounds(wire, ["-", "-", "-", "200"])
    assert read(wire, tmp_path, known()) == [("good", None), ("bad", "answer-lost"), ("good", None)]


def test_the_end_of_the_capture_is_no_failure(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "200"])
    wire.packet(probe(0, 50100), T0 + 2 * SECOND, SYN, 999)
    assert read(wire, tmp_path, known())[-1] == ("open", None)


def test_a_probe_older_than_the_capture_is_left_out(tmp_path: Path) -> None:
    wire = Wire()
    wire.packet(probe(0, 49000), T0 - 100 * MS, RST, 4242)
    rounds(wire, ["200", "200"])
    assert read(wire, tmp_path, known()) == [("good", None)] * 2


def test_latency_runs_from_the_request_to_the_last_byte(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 3)
    (health,) = judged(wire, tmp_path, known()).health
    # The request leaves 3 ms after the SYN, the answer 1 ms later; the member stands 30 microseconds behind the point.
    assert health.readings["latency_ns"].to_list() == [MS + 20_000] * 3
