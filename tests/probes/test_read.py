"""What became of a probe, by everything that can become of one."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from flowscope.report import render_rows
from flowscope.report.look import Look
from tests.probes.asking import REQUEST, SECOND, ask, encrypted, hello, known, response, rounds, tls_rounds
from tests.rules.scene import judged, probe
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Wire

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


@pytest.mark.parametrize("topology", [known().replace("timeout_s = 0.9\n", "timeout_s = 1\n"), None])
def test_a_probe_that_failed_as_the_next_was_due_failed_before_it(tmp_path: Path, topology: str | None) -> None:
    """The prober closes the old one a little after it has sent the next."""
    wire = Wire()
    for at in range(6):
        when = T0 + at * SECOND + (at % 3) * 9 * MS
        ask(wire, probe(0, 50000 + at), when, "hang" if at < 3 else "200", 10_000 * at + 5, patient_ms=1020)
    (health,) = judged(wire, tmp_path, topology).health
    assert [one.state for one in health.timeline] == ["down", "up"]
    assert read(wire, tmp_path, topology) == [("bad", "timeout")] * 3 + [("good", None)] * 3


def test_a_connect_check_needs_no_request(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["tcp"] * 4, close=RST)
    assert read(wire, tmp_path, None) == [("good", None)] * 4


@pytest.mark.parametrize(("answer_ms", "result"), [(1, "good"), (700, "unknown")])
def test_a_check_may_leave_the_connection_half_open(tmp_path: Path, answer_ms: int, result: str) -> None:
    """A RST that answers the SYN-ACK: it came, and nobody wanted more; or any more."""
    wire = Wire()
    for at in range(6):
        hops, when, isn = probe(0, 50000 + at), T0 + at * SECOND, 10_000 * at + 5
        wire.packet(hops, when, SYN, isn)
        wire.packet(hops, when + answer_ms * MS, SYN | ACK, isn + 77, isn + 1, back=True)
        wire.packet(hops, when + (answer_ms + 1) * MS, RST, isn + 1)
    quick = (
        known().replace('"http"', '"tcp"').replace('path = "/up"\n', "").replace("timeout_s = 0.9", "timeout_s = 0.5")
    )
    assert {one for one, _ in read(wire, tmp_path, quick)} == {result}


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


@pytest.mark.parametrize(
    ("met", "result"), [("200", ("unknown", None)), ("hang", ("bad", "timeout")), ("refuse", ("bad", "refused"))]
)
def test_payload_that_was_overwritten_is_no_wrong_answer(
    tmp_path: Path, met: str, result: tuple[str, str | None]
) -> None:
    wire = Wire()
    rounds(wire, [met] * 4)
    readable = (REQUEST, response("200"))
    for frames in wire.frames.values():
        for at, (time_ns, frame, length) in enumerate(frames):
            for said in readable:
                frame = frame.replace(said, bytes(len(said)))
            frames[at] = (time_ns, frame, length)
    assert read(wire, tmp_path, known()) == [result] * 4
    assert not [one for one in judged(wire, tmp_path, known()).findings if met == "200"]


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


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (hello(server=True), ("unknown", None)),
        (b"\x15\x03\x03\x00\x02\x02\x28", ("bad", "invalid")),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ("bad", "status")),
    ],
)
def test_inside_tls_nothing_is_read_but_that_it_is_tls(
    tmp_path: Path, answer: bytes, result: tuple[str, str | None]
) -> None:
    wire, asked = Wire(), hello(server=False)
    for at in range(4):
        hops, when, isn, theirs = probe(0, 50000 + at), T0 + at * SECOND, 10_000 * at + 5, 10_000 * at + 5000
        wire.packet(hops, when, SYN, isn)
        wire.packet(hops, when + MS, SYN | ACK, theirs, isn + 1, back=True)
        wire.packet(hops, when + 2 * MS, ACK, isn + 1, theirs + 1)
        wire.packet(hops, when + 3 * MS, PSH | ACK, isn + 1, theirs + 1, asked)
        wire.packet(hops, when + 4 * MS, PSH | ACK, theirs + 1, isn + 1 + len(asked), answer, back=True)
        wire.packet(hops, when + 5 * MS, FIN | ACK, isn + 1 + len(asked), theirs + 1 + len(answer))
    analysis = judged(wire, tmp_path, None)
    assert read(wire, tmp_path, None) == [result] * 4
    out = io.BytesIO()
    render_rows(analysis, "probes", "text", out, Look(brief=False, colour=False, utc=True, verbose=False))
    assert ("cannot be read" in out.getvalue().decode()) == (result[0] == "unknown")


@pytest.mark.parametrize(
    ("answer", "close", "result"),
    [
        (encrypted(300), "prober", ("good", None)),
        # As short as an alert: a certificate that the server wanted looks so.
        (encrypted(19), "prober", ("unknown", None)),
        (b"", "prober", ("unknown", None)),
        (b"", "member", ("bad", "invalid")),
        (b"", "member-rst", ("bad", "invalid")),
        (encrypted(300), "member", ("unknown", None)),
    ],
)
def test_an_answer_inside_tls_counts_though_its_status_is_hidden(
    tmp_path: Path, answer: bytes, close: str, result: tuple[str, str | None]
) -> None:
    assert read(tls_rounds(answer, close), tmp_path, None) == [result] * 4


@pytest.mark.parametrize(("given", "known_ns"), [("timeout_s = 5", 5 * SECOND), ("", SECOND)])
def test_a_timeout_that_is_given_holds_though_it_is_the_usual_one(tmp_path: Path, given: str, known_ns: int) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 4)
    (health,) = judged(wire, tmp_path, known().replace("timeout_s = 0.9", given)).health
    assert health.series.timeout_ns == known_ns
