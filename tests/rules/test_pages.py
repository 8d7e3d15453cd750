"""The pages of the rules: their headings, and their examples, run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from flowscope.cli import run
from flowscope.rules import RULES
from tests.conftest import ROOT

pytestmark = pytest.mark.usefixtures("core")

#: Of these there is no small capture that shows them.
WITHOUT: set[str] = set()
HEADINGS = ["What it flags", "Why it matters", "Evidence", "Look-alikes", "Check next", "Example", "References"]


def sections(name: str) -> dict[str, str]:
    """A rule's page by heading."""
    page = RULES[name].__doc__ or ""
    parts = re.split(r"^([A-Z][\w' -]+)\n(?=    )", page, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", RULES)
def test_every_page_has_the_same_headings(name: str) -> None:
    found = list(sections(name))
    assert found == [heading for heading in HEADINGS if heading != "Example" or name not in WITHOUT or heading in found]


@pytest.mark.parametrize("name", [name for name in RULES if "Example" in sections(name)])
def test_the_example_prints_what_the_page_says(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = sections(name)["Example"].strip().splitlines()
    folder, command = (shlex.split(line.strip().removeprefix("$ ")) for line in lines[:2])
    assert (folder[0], command[0]) == ("cd", "flowscope")
    monkeypatch.chdir(ROOT / Path(folder[1]))
    assert run(command[1:]) == 0
    said, printed = (" ".join(text.split()) for text in ("\n".join(lines[2:]), capsys.readouterr().out))
    assert name in said and said in printed
