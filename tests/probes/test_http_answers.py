"""An answer means the same however it is cut into segments, written, framed, and captured."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.probes.asking import SECOND, known
from tests.rules.scene import judged, probe
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Hop, Wire

pytestmark = pytest.mark.usefixtures("core")
#: Each example is a capture that is analysed: few of them, and none made smaller.
FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.generate)
)

HEADERS = st.lists(
    st.sampled_from(["Server: x", "X-Odd:\tvalue", "Date: today", "content-type:text/plain", "X-Status: HTTP/1.1 503"]),
    unique=True,
)
CASE = st.sampled_from([str.lower, str.upper, str.title])


@dataclass(frozen=True)
class Answer:
    """A request and its answer, byte for byte."""

    method: str
    status: int
    interim: tuple[int, ...]
    head: tuple[str, ...]
    framing: str
    body: bytes
    cuts: tuple[int, ...]
    """Where the answer is cut into segments."""

    def request(self) -> bytes:
        return f"{self.method} /up HTTP/1.1\r\nHost: vm\r\n\r\n".encode()

    def response(self) -> bytes:
        told = {
            "length": f"Content-Length: {len(self.body)}",
            "chunked": "Transfer-Encoding: chunked",
            "close": "Connection: close",
        }[self.framing]
        lines = [f"HTTP/1.1 {self.status} Words", *self.head, told]
        before = b"".join(b"HTTP/1.1 %d Wait\r\n\r\n" % one for one in self.interim)
        whole = before + "\r\n".join(lines).encode() + b"\r\n\r\n"
        if self.method == "HEAD" or self.status in (204, 304):
            return whole
        if self.framing == "chunked":
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in (self.body[:3], self.body[3:]) if one)
            return whole + chunks + b"0\r\n\r\n"
        return whole + self.body

    def segments(self) -> list[bytes]:
        data = self.response()
        ends = [*sorted({cut % len(data) for cut in self.cuts} - {0}), len(data)]
        return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


@st.composite
def answers(draw: st.DrawFn, statuses: st.SearchStrategy[int]) -> Answer:
    case = draw(CASE)
    head = [one.partition(":") for one in draw(HEADERS)]
    return Answer(
        method=draw(st.sampled_from(["GET", "HEAD"])),
        status=draw(statuses),
        interim=tuple(draw(st.lists(st.sampled_from([100, 102, 103]), max_size=2))),
        head=tuple(case(name) + colon + value for name, colon, value in head),
        framing=draw(st.sampled_from(["length", "chunked", "close"])),
        body=draw(st.binary(max_size=40)),
        cuts=tuple(draw(st.lists(st.integers(1, 400), max_size=6))),
    )


def play(wire: Wire, answer: Answer, number: int, lost: int | None = None) -> None:
    """One probe a second; the capture misses one of its packets."""
    hops: list[Hop] = probe(0, 50_000 + number)[:1]
    isn, theirs, at = 10_000 * number + 5, 10_000 * number + 5000, T0 + number * SECOND
    request, segments = answer.request(), answer.segments()
    plan = [(False, SYN, isn, 0, b""), (True, SYN | ACK, theirs, isn + 1, b""), (False, ACK, isn + 1, theirs + 1, b"")]
    plan.append((False, PSH | ACK, isn + 1, theirs + 1, request))
    seq, asked = theirs + 1, isn + 1 + len(request)
    for segment in segments:
        plan.append((True, PSH | ACK, seq, asked, segment))
        seq += len(segment)
    plan += [(True, FIN | ACK, seq, asked, b""), (False, FIN | ACK, asked, seq + 1, b"")]
    for step, (back, flags, *numbers, payload) in enumerate(plan):
        if step != lost:
            wire.packet(hops, at + step * MS, flags, *numbers, payload, back=back)


def read(wire: Wire) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        health = judged(wire, Path(folder), known()).health
    return [row for one in health for row in one.readings.sort("sent_ns").iter_rows(named=True)]


@FEW
@given(st.lists(answers(st.sampled_from([200, 204, 301, 401, 404, 503])), min_size=4, max_size=12))
def test_status_and_latency_survive_every_form(core: object, given_answers: list[Answer]) -> None:
    wire = Wire()
    for number, answer in enumerate(given_answers):
        play(wire, answer, number)
    rows = read(wire)
    assert [row["status"] for row in rows] == [answer.status for answer in given_answers]
    how = {200: None, 204: "status", 301: "redirect", 401: "auth", 404: "status", 503: "status"}
    assert [row["how"] for row in rows] == [how[answer.status] for answer in given_answers]
    # From the request to the last byte of the answer, a millisecond per segment; the point is 10 microseconds away.
    spent = [MS * len(answer.segments()) - 10_000 for answer in given_answers]
    assert [row["latency_ns"] for row in rows] == spent


@FEW
@given(st.lists(answers(st.just(200)), min_size=4, max_size=10), st.data())
def test_a_capture_that_missed_a_packet_accuses_nobody(
    core: object, given_answers: list[Answer], data: st.DataObject
) -> None:
    wire = Wire()
    for number, answer in enumerate(given_answers):
        play(wire, answer, number, data.draw(st.integers(0, 4 + len(answer.segments()))))
    assert not [row for row in read(wire) if row["result"] == "bad"]


def test_a_line_of_an_answer_whose_beginning_was_missed_is_no_status(core: object) -> None:
    """The second segment begins in the middle of a header that looks like a status line."""
    head = ("X-Status: HTTP/1.1 503",)
    answer = Answer("HEAD", 200, (), head, "length", b"", (len(b"HTTP/1.1 200 Words\r\nX-Status: "),))
    wire = Wire()
    for number in range(4):
        play(wire, answer, number, lost=4)
    assert {row["result"] for row in read(wire)} == {"unknown"}


@FEW
@given(st.lists(answers(st.just(200)), min_size=4, max_size=6), st.data())
def test_a_capture_that_ends_anywhere_accuses_nobody(
    core: object, given_answers: list[Answer], data: st.DataObject
) -> None:
    wire = Wire()
    for number, answer in enumerate(given_answers):
        play(wire, answer, number)
    for frames in wire.frames.values():
        frames.sort(key=lambda one: one[0])
        del frames[data.draw(st.integers(4, len(frames) - 1)) :]
    assert not [row for row in read(wire) if row["result"] == "bad"]


QUOTING = ("Server: x", "X-Odd:\tvalue", "Content-Type:text/plain", "Date: today", "X-Status: HTTP/1.1 503")


@FEW
@given(answers(st.just(200)), st.integers(60, 200))
@example(Answer("HEAD", 200, (102, 102), QUOTING, "close", b"", (399, 305, 171, 376)), 78)
def test_frames_cut_by_the_snap_length_accuse_nobody(core: object, answer: Answer, snap: int) -> None:
    wire = Wire()
    for number in range(4):
        play(wire, answer, number)
    for point, frames in wire.frames.items():
        wire.frames[point] = [(at, frame[:snap], length) for at, frame, length in frames]
    assert not [row for row in read(wire) if row["result"] == "bad"]


def test_an_answer_whose_end_never_comes_is_none(core: object) -> None:
    wire = Wire()
    whole = Answer("GET", 200, (), (), "length", b"x" * 30, ())
    for number in range(3):
        play(wire, whole, number)
    hops, isn = probe(0, 50_009)[:1], 77_000
    half = whole.response()[:-10]
    wire.packet(hops, T0 + 3 * SECOND, SYN, isn)
    wire.packet(hops, T0 + 3 * SECOND + MS, SYN | ACK, 99, isn + 1, back=True)
    wire.packet(hops, T0 + 3 * SECOND + 2 * MS, ACK, isn + 1, 100)
    wire.packet(hops, T0 + 3 * SECOND + 3 * MS, PSH | ACK, isn + 1, 100, whole.request())
    asked = isn + 1 + len(whole.request())
    wire.packet(hops, T0 + 3 * SECOND + 4 * MS, PSH | ACK, 100, asked, half, back=True)
    wire.packet(hops, T0 + 3 * SECOND + 901 * MS, FIN | ACK, asked, 100 + len(half))
    play(wire, replace(whole, cuts=(50,)), 5)
    assert [row["how"] for row in read(wire)] == [None, None, None, "timeout", None]
