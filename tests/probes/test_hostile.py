"""What a prober or a member writes into HTTP is inert in everything that flowscope writes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from flowscope.analysis import Analysis
from flowscope.graph import FORMATS as GRAPHS
from flowscope.graph import export
from flowscope.report import render, render_rows
from flowscope.report.look import Look
from flowscope.report.topology_toml import render as render_toml
from tests.probes.asking import SECOND
from tests.rules.scene import judged, probe
from tests.wire import ACK, FIN, MS, PSH, SYN, T0, Wire

pytestmark = pytest.mark.usefixtures("core")
LOOK = Look(brief=False, colour=False, utc=True, verbose=True)
EVIL = (
    b"\x1b]0;evil\x07\x1b[31m",
    b'"><script>evil()</script>',
    b"=cmd|'evil'!A1",
    b"']}\\\"evil\\u0000",
    b"evil\xe2\x80\xae\xff\x00",
)
RAW = (b"\x1b", b"\x07", b"<script>evil", b"evil\x00", b"\xe2\x80\xae")
"""What must not stand in an output as it came."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    wire = Wire()
    for at, evil in enumerate(EVIL * 2):
        hops, when = probe(at % 2, 50_000 + at), T0 + at // 2 * SECOND + at % 2 * 300 * MS
        isn, theirs = 10_000 * at + 5, 10_000 * at + 5000
        head = b" HTTP/1.1\r\nUser-Agent: kube-probe/" + evil + b"\r\nX-FD-HealthProbe: 1" + evil
        ask = b"GET /" + evil + head + b"\r\n\r\n"
        answer = b"HTTP/1.1 503 " + evil + b"\r\n" + evil + b": " + evil + b"\r\nContent-Length: 0\r\n\r\n"
        wire.packet(hops, when, SYN, isn)
        wire.packet(hops, when + MS, SYN | ACK, theirs, isn + 1, back=True)
        wire.packet(hops, when + 2 * MS, ACK, isn + 1, theirs + 1)
        wire.packet(hops, when + 3 * MS, PSH | ACK, isn + 1, theirs + 1, ask)
        wire.packet(hops, when + 4 * MS, PSH | ACK, theirs + 1, isn + 1 + len(ask), answer, back=True)
        wire.packet(hops, when + 5 * MS, FIN | ACK, isn + 1 + len(ask), theirs + 1 + len(answer))
    found = judged(wire, tmp_path_factory.mktemp("hostile"), None)
    assert [one for one in found.findings if one.rule == "probe-failing"]
    return found


def written(analysis: Analysis) -> Iterator[tuple[str, bytes]]:
    """Every text that is written about it."""
    for format in ("text", "json", "jsonl"):
        out = io.BytesIO()
        render(analysis, format, out, LOOK)
        yield f"analyze {format}", out.getvalue()
    for format in ("text", "csv", "jsonl", "json"):
        out = io.BytesIO()
        render_rows(analysis, "probes", format, out, LOOK)
        yield f"probes {format}", out.getvalue()
    out = io.BytesIO()
    render_toml(analysis, out, LOOK)
    yield "topology", out.getvalue()
    for format in GRAPHS:
        out = io.BytesIO()
        export(analysis, format, out)
        yield f"graph {format}", out.getvalue()


def test_nothing_of_it_stands_in_an_output_as_it_came(analysis: Analysis) -> None:
    outputs = dict(written(analysis))
    assert len(outputs) > 7
    raw = [(name, one) for name, text in outputs.items() for one in RAW if one in text]
    assert not raw
    json.loads(outputs["probes json"])
    for line in outputs["probes csv"].splitlines():
        assert not [cell for cell in line.split(b",") if cell.lstrip(b'"').startswith((b"=", b"+", b"@"))]
