"""Attacks wherever a stranger may write (packets, comments, names of files, interfaces and hosts), in every format."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import struct
import subprocess
import tomllib
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.graph import FORMATS as GRAPHS
from flowscope.graph import export
from flowscope.report import REPORTS, ROWS, render, render_rows
from flowscope.report.html import render as render_page
from flowscope.report.look import Look
from flowscope.report.topology_toml import render as render_topology
from flowscope.settings import Settings
from tests.capture_bytes import ACK, SYN, SYN_ACK, pcapng, segment
from tests.report.test_markup import read

pytestmark = pytest.mark.usefixtures("core")

ATTACK = (
    "=cmd|'/C calc'!A1\x1b[2J\x1b]0;x\x07\x9b31m[/red][bold]\u202e"
    '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
)
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
WHAT = ("flows", "paths", "probes", "snat")


def carrying(frame: bytes, payload: bytes) -> bytes:
    """An IPv4 frame with more payload."""
    length = struct.unpack("!H", frame[16:18])[0] + len(payload)
    return frame[:16] + struct.pack("!H", length) + frame[18:] + payload


def conversation(sport: int, dport: int, *said: tuple[bool, bytes]) -> list[bytes]:
    """A handshake and what both sides say: pairs of (is it the client, bytes)."""
    there = {"sport": sport, "dport": dport}
    back = {"src": "10.0.0.4", "sport": dport, "dst": "10.0.0.9", "dport": sport}
    frames = [
        segment(**there),  # type: ignore[arg-type]
        segment(**back, flags=SYN_ACK, seq=100, ack=2),  # type: ignore[arg-type]
        segment(**there, flags=ACK, seq=2, ack=101),  # type: ignore[arg-type]
    ]
    own, other = 2, 101
    for client, data in said:
        ends = {**there, "seq": own, "ack": other} if client else {**back, "seq": other, "ack": own}
        frames.append(carrying(segment(**ends, flags=24), data))  # type: ignore[arg-type]
        own, other = (own + len(data), other) if client else (own, other + len(data))
    return frames


def client_hello(name: bytes) -> bytes:
    """A TLS ClientHello with a server name (RFC 8446 4.1.2, RFC 6066 3)."""
    entry = b"\x00" + struct.pack("!H", len(name)) + name
    listed = struct.pack("!H", len(entry)) + entry
    extension = struct.pack("!HH", 0, len(listed)) + listed
    body = (
        b"\x03\x03"
        + bytes(32)
        + b"\x00"
        + b"\x00\x02\x13\x01"
        + b"\x01\x00"
        + struct.pack("!H", len(extension))
        + extension
    )
    hello = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack("!H", len(hello)) + hello


def dns_query(name: bytes) -> bytes:
    """A frame with a DNS question; the label holds any bytes (RFC 1035 3.1)."""
    label = name[:63]
    question = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + bytes([len(label)]) + label + b"\x00\x00\x01\x00\x01"
    udp = struct.pack("!HHHH", 5353, 53, 8 + len(question), 0) + question
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + bytes([10, 0, 0, 9, 10, 0, 0, 4])
    return bytes(12) + b"\x08\x00" + ip + udp


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    text = ATTACK.encode()
    # Values of headers hold no control characters (RFC 9110 5.5); a value with one is not kept.
    plain = re.sub(rb"[^ -~]", b"", text)
    request = b"GET /%b HTTP/1.1\r\nHost: %b\r\nUser-Agent: kube-probe/%b\r\nX-Forwarded-For: %b\r\n\r\n" % (
        plain.replace(b" ", b""),
        *(plain,) * 3,
    )
    answer = b"HTTP/1.1 503 %b\r\nServer: %b\r\nContent-Length: 0\r\n\r\n" % (text, text)
    frames = [
        *conversation(50001, 80, (True, request), (False, answer)),
        *conversation(50002, 443, (True, client_hello(text))),
        dns_query(text),
        segment(sport=50003, dport=81, flags=SYN),
        segment(src="10.0.0.4", sport=81, dst="10.0.0.9", dport=50003, flags=0x14, ack=2),
    ]
    whole = pcapng([(ATTACK, frames), (ATTACK + "2", frames[:3])])
    # A comment of the whole section, between its header and what follows.
    comment = struct.pack("<HH", 1, len(text)) + text + bytes(-len(text) % 4) + bytes(4)
    head = struct.pack("<I", 28 + len(comment))
    section = b"\x0a\x0d\x0d\x0a" + head + whole[8:24] + comment + head
    folder = tmp_path_factory.mktemp("attacked")
    file = folder / (ATTACK.replace("/", "").encode() + b"\xff.pcapng").decode("utf-8", "surrogateescape")
    file.write_bytes(section + whole[28:] + b"\x06\x00\x00\x00rest")
    topology = folder / "lb.toml"
    name = json.dumps(ATTACK).replace("\\u00", "\\u00").replace("\x7f", "")
    topology.write_text(
        f'[[pool]]\nname = {name}\nmembers = [{{ name = {name}, address = "10.0.0.4", port = 80 }}]\n'
        f'[[frontend]]\nname = {name}\naddress = "10.0.0.100"\nport = 80\npool = {name}\n'
    )
    settings = Settings(points=(("*.pcap", ATTACK),))
    return analyze([file], topology=str(topology), settings=settings)


def written(analysis: Analysis, format: str, what: Any = None, look: Look | None = None) -> str:
    out = io.BytesIO()
    if what is None:
        render(analysis, format, out, look or Look(verbose=True))
    elif what == "graph":
        export(analysis, format, out)
    else:
        render_rows(analysis, what, format, out, look or Look(verbose=True))
    return "" if format == "parquet" else out.getvalue().decode()


def test_the_attack_got_in(attacked: Analysis) -> None:
    assert any(ATTACK in point.name for point in attacked.points)
    assert ATTACK in (attacked.topology.name_of("10.0.0.4") or "")
    assert any("img src=x" in (one or "") for one in attacked.messages["sni"])
    assert any(
        "img src=x" in header
        for some in attacked.messages["headers"]
        for header in (some.to_list() if some is not None else ())
    )
    assert attacked.captures[0].issues
    assert "closed-port" in {finding.rule for finding in attacked.findings}


@pytest.mark.parametrize("what", [None, *WHAT])
def test_terminals(attacked: Analysis, what: str | None) -> None:
    text = written(attacked, "text", what)
    assert not CONTROLS.search(text)
    coloured = written(attacked, "text", what, Look(colour=True, verbose=True))
    # Only the colours that flowscope writes itself.
    assert not CONTROLS.search(re.sub("\x1b\\[[0-9;]*m", "", coloured))


@pytest.mark.parametrize("format", ["json", "jsonl"])
def test_json_is_whole(attacked: Analysis, format: str) -> None:
    text = written(attacked, format)
    documents = [json.loads(line) for line in text.splitlines()] if format == "jsonl" else [json.loads(text)]
    assert documents
    assert "\ud800" not in text


@pytest.mark.parametrize("what", WHAT)
def test_no_cell_is_a_formula(attacked: Analysis, what: str) -> None:
    for row in csv.reader(io.StringIO(written(attacked, "csv", what))):
        assert not [cell for cell in row if re.match(r"[=+\-@\t\r]", cell) and not re.fullmatch(r"-?[\d.]+", cell)]


def test_the_page_runs_nothing(attacked: Analysis) -> None:
    page = read(render_page(attacked))
    assert not {"img", "iframe", "object", "embed"} & set(page.tags)
    assert page.tags.count("script") == 1 + page_blocks(page)
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "\u202e" not in page.text
    # What was written into the names can still be read there.
    assert "<script>alert(1)</script>" in page.text


def page_blocks(page: Any) -> int:
    return sum(1 for name, value in page.attributes if name == "type" and value == "application/json")


@pytest.mark.parametrize("format", GRAPHS)
def test_graphs_hold_names_and_nothing_else(attacked: Analysis, format: str) -> None:
    text = written(attacked, format, "graph")
    assert "\x1b" not in text
    assert "\u202e" not in text
    nodes = len(attacked.graph())
    match format:
        case "graphml":
            assert len(nx.parse_graphml(text, force_multigraph=True)) == nodes
        case "gexf":
            assert len(nx.read_gexf(io.BytesIO(text.encode()))) == nodes
        case "json":
            assert len(nx.node_link_graph(json.loads(text), edges="edges")) == nodes
        case "svg":
            tags = {one.tag.rpartition("}")[2] for one in ElementTree.fromstring(text.encode()).iter()}
            assert not {"script", "img", "foreignObject", "a"} & tags
        case "html":
            assert "img" not in read(text).tags
        case "dot" if shutil.which("dot"):
            done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, done.stderr
            assert len([line for line in done.stdout.splitlines() if line.startswith("node ")]) == nodes


def test_the_topology_can_be_given_back(attacked: Analysis) -> None:
    out = io.BytesIO()
    render_topology(attacked, out, Look())
    tomllib.loads(out.getvalue().decode())
    assert not CONTROLS.search(out.getvalue().decode())


def tables() -> list[tuple[str, str]]:
    """Formats and tables; Zeek has a log of connections only."""
    return [(format, what) for format in ROWS for what in WHAT if format != "zeek" or what == "flows"]


@pytest.mark.parametrize(("format", "what"), [*((one, None) for one in REPORTS), *tables()])
def test_no_format_passes_an_escape_on(attacked: Analysis, format: str, what: str | None) -> None:
    assert "\x1b" not in written(attacked, format, what)


def test_markdown_holds_no_markup_of_others(attacked: Analysis) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", written(attacked, "markdown"), flags=re.DOTALL)
    assert not re.search(r"(?<!\\)<(script|img)|(?<!\\)\[/red", text)
