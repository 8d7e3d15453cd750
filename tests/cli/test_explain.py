"""Pages of rules on screens of any width."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from flowscope.cli.explain import fitted
from flowscope.cli.rules import rule_page
from flowscope.rules import RULES
from tests.conftest import ROOT

PAGE = """\
One sentence about the whole.

What it flags
    A long line that is filled up to its end, as people write pages which are one hundred and twenty columns wide, so it
    goes on here.
    - A point.
    - Another point.

Example
    $ flowscope analyze . --topology topology.toml --select a-rule-that-has-a-name-of-some-length --and-more-options-xy
    F1  ERROR
"""


def test_paragraphs_are_filled_and_the_rest_stays() -> None:
    lines = list(fitted(PAGE, 60))
    assert "    wide, so it goes on here." in lines
    assert PAGE.splitlines()[-2] in lines
    assert lines[-1] == "    F1  ERROR"
    assert [line for line in lines if line.startswith("    - ")] == ["    - A point.", "    - Another point."]


@pytest.mark.parametrize("name", RULES)
def test_no_word_of_a_page_is_lost(name: str) -> None:
    page = rule_page(name)
    lines = list(fitted(page, 72))
    assert " ".join(lines).split() == page.split()
    assert all(len(line) <= 72 or line.startswith("    $ ") or " " not in line.strip() for line in lines)


@pytest.mark.parametrize("command", [("rules",), ("explain", "closed-port")])
def test_a_narrow_terminal_gets_narrow_lines(command: tuple[str, ...]) -> None:
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 72))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "flowscope", *command, "--no-color"],
        stdin=subprocess.DEVNULL, stdout=theirs, env={**environment, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 4096):
            shown += data
    except OSError:
        pass  # Linux says so when the other end is closed.
    os.close(ours)
    assert process.wait() == 0
    lines = shown.decode().splitlines()
    assert len(lines) > 24
    assert max(map(len, lines)) <= 72
