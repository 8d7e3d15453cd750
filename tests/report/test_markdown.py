"""The summary for a ticket, read back by a Markdown parser."""

from __future__ import annotations

import io
from typing import Any

from markdown_it import MarkdownIt

from flowscope.report import render
from flowscope.report.look import Look
from tests.report.findings import hairpin, undecided
from tests.traffic import balanced

ATTACK = "<img src=x onerror=alert(1)> [a](http://x) ![b](y) `c` | d * e _f_ \x1b[2J # g @h\n## i"


def written(analysis: Any, **look: Any) -> str:
    out = io.BytesIO()
    render(analysis, "markdown", out, Look(**look))
    return out.getvalue().decode()


def rendered(text: str) -> list[Any]:
    tokens = MarkdownIt("commonmark", {"linkify": False}).enable("table").parse(text)
    return [inner for token in tokens for inner in [token, *(token.children or [])]]


def test_the_first_line_says_what_is_wrong() -> None:
    text = written(balanced(findings=[hairpin()]))
    assert text.startswith("# flowscope: vm1 reaches itself through 10.0.0.100:80\n\n2 captures, ")
    assert written(balanced(findings=[hairpin(), hairpin(id="F2")])).startswith("# flowscope: 2 faults\n")
    assert written(balanced()).startswith("# flowscope: nothing wrong was found\n")
    assert written(balanced(findings=[undecided()])).startswith("# flowscope: nothing was proven, 1 finding undecided")


def test_a_finding_has_its_parts() -> None:
    text = written(balanced(findings=[hairpin(), undecided()]))
    assert "| F1 | vm1 reaches itself through 10.0.0.100:80 | error | confirmed | 28 |" in text
    assert "`hairpin-mismatch`, error, confirmed. 28 of 90 calls" in text
    assert "- Use a second interface." in text and "- The capture at lb began 3 s later." in text
    assert "```\nip.addr == 10.0.0.4 && tcp.seq_raw == 123\n```" in text
    assert "```\ntcpdump -ni eth0 -w vm2.pcap 'tcp port 8080'\n```" in text
    assert "... and 2 more frames." in text
    tables = [token for token in rendered(text) if token.type == "table_open"]
    assert len(tables) == 3


def test_brief_and_verbose() -> None:
    assert "what it shows" not in written(balanced(findings=[hairpin()]), brief=True)
    assert written(balanced(findings=[hairpin()]), verbose=True).count("SYN out to the frontend") == 8


def test_hostile_text_brings_no_markup() -> None:
    hostile = hairpin(title=ATTACK, summary=ATTACK, cause=ATTACK, remedy=(ATTACK,), filter="```\n" + ATTACK)
    text = written(balanced(findings=[hostile], problems=[ATTACK]))
    assert "\x1b" not in text and "@h" not in text.replace("\n```", "").split("Wireshark filter")[0]
    kinds = {token.type for token in rendered(text)}
    assert not kinds & {"html_inline", "html_block", "link_open", "image", "em_open"}
    headings = [token for token in rendered(text) if token.type == "heading_open"]
    assert len(headings) == 3
    cells = [token for token in rendered(text) if token.type == "td_open"]
    assert len(cells) == 5 + 6 * 4
