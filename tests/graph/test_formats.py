"""What was written can be read back, whatever the names are."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import pytest

from flowscope.graph import FORMATS, export
from flowscope.nat.topology import Member, Pool, Topology
from tests.report.test_markup import read
from tests.traffic import addresses, analysis, balanced

HOSTILE = 'a"]; n9 [label="x\\N<b>&amp;\x00\x1b[31m\ufffe\u202e\ud800'


def written(format: str, report: Any) -> bytes:
    out = io.BytesIO()
    export(report, format, out)
    return out.getvalue()


@pytest.fixture
def hostile() -> Any:
    topology = Topology(pools=(Pool("web", (Member(HOSTILE, "2001:db8::4", 8080),)),))
    return balanced(topology=topology, addresses=addresses("2001:db8::9", "2001:db8::100", "2001:db8::4"))


def test_graphml(hostile: Any) -> None:
    graph = nx.read_graphml(io.BytesIO(written("graphml", hostile)), force_multigraph=True)
    assert sorted(graph) == ["n0", "n1", "n2"]
    assert graph.nodes["n2"]["address"] == "2001:db8::4"
    assert graph.nodes["n2"]["label"].endswith(" [2001:db8::4]:8080")
    assert graph.nodes["n2"]["name"].startswith('a"]; n9 [label="x\\N<b>&amp;\\x00')
    assert {key for *_, key in graph.edges(keys=True)} == {"e0", "e1"}


def test_json(hostile: Any) -> None:
    document = json.loads(written("json", hostile))
    assert document["schema"] == "flowscope-report/1"
    graph = nx.node_link_graph(document, edges="edges")
    assert graph.nodes["n2"]["role"] == "member"
    assert graph.number_of_edges() == 2


def test_dot_strings_are_closed(hostile: Any) -> None:
    text = written("dot", hostile).decode()
    assert 'label="a\\"]; n9 [label=\\"x\\\\N<b>' in text
    assert len([line for line in text.splitlines() if "->" in line]) == 2


def test_dot_is_what_graphviz_reads(hostile: Any) -> None:
    dot = shutil.which("dot")
    if not dot:
        pytest.skip("graphviz is not installed")
    done = subprocess.run([dot, "-Tplain"], input=written("dot", hostile), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert len([line for line in lines if line.startswith("node ")]) == 3


def test_gexf(hostile: Any) -> None:
    text = written("gexf", hostile)
    graph = nx.read_gexf(io.BytesIO(text))
    assert sorted(graph) == ["n0", "n1", "n2"]
    assert graph.nodes["n2"]["address"] == "2001:db8::4"
    assert graph.number_of_edges() == 2
    assert b"lastmodified" not in text


def test_mermaid_strings_cannot_be_left(hostile: Any) -> None:
    lines = written("mermaid", hostile).decode().splitlines()
    assert lines[0] == "flowchart LR"
    # An id, a shape, one string without quotes, tags or escapes but entity codes; then the edges.
    string = r'"(?:[^"<>;`|&\\#]|#\d+;)*"'
    assert all(re.fullmatch(rf"  n\d(\(\[|\{{\{{|\[){string}(\]\)|\}}\}}|\])", one) for one in lines[1:4])
    assert all(re.fullmatch(r'  n\d -->\|"1 path"\| n\d', one) for one in lines[4:])


def test_svg_is_xml_that_nothing_runs_in(hostile: Any) -> None:
    root = ElementTree.fromstring(written("svg", hostile))
    space = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{space}svg"
    tags = {one.tag.removeprefix(space) for one in root.iter()}
    assert tags <= {"svg", "style", "title", "desc", "g", "rect", "text", "path"}
    assert len([one for one in root.iter() if (one.get("class") or "").startswith("node")]) == 3
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on") or "href" in name]


def test_html_holds_the_picture(hostile: Any) -> None:
    page = read(written("html", hostile).decode())
    assert page.tags.count("svg") == 1
    assert not {"img", "iframe", "b"} & set(page.tags)


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_graph_is_the_same_file(hostile: Any, format: str) -> None:
    assert written(format, hostile) == written(format, hostile)


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_can_be_written(format: str) -> None:
    assert written(format, analysis())
