"""What the README prints, a user sees."""

from __future__ import annotations

import re
import shlex
import tomllib

import pytest

from flowscope.cli import COMMANDS
from tests.conftest import ROOT, RunCli

README = (ROOT / "README.md").read_text()
MADE = re.findall(r"^    make (\w+)", README, re.MULTILINE)


def block_after(text: str) -> str:
    """The next indented block of the README, without its indentation."""
    lines = README[README.index(text) + len(text) :].strip("\n").splitlines()
    end = next(at for at, line in enumerate(lines) if line and not line.startswith("    "))
    return "\n".join(line.removeprefix("    ") for line in lines[:end]).strip()


@pytest.mark.usefixtures("core")
def test_the_sample_is_what_the_command_prints(run_cli: RunCli) -> None:
    command = "flowscope analyze captures/hairpin --topology captures/hairpin/topology.toml"
    done = run_cli(*shlex.split(command)[1:], cwd=ROOT)
    assert done.stdout.startswith(block_after(f"`{command}`"))


def test_the_list_of_commands_is_complete() -> None:
    named = set(re.findall(r"[a-z]+", " ".join(re.findall(r"^    flowscope ([a-z |]+)", README, re.MULTILINE))))
    assert named >= set(COMMANDS) - {"verify"}
    assert "`flowscope verify DIR`" in README


def test_the_verbs_of_make_are_there() -> None:
    assert MADE
    assert {f"{verb}:" for verb in MADE} <= set((ROOT / "Makefile").read_text().split())


def test_python_is_as_old_as_the_package_allows() -> None:
    lowest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert f"Python {lowest} or newer" in README
