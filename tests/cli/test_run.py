"""Options, exit codes, and what goes to which stream; the analysis is a stand-in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from flowscope.cli import COMMANDS, run
from flowscope.errors import CaptureError
from flowscope.findings import Severity, Verdict
from tests.report.findings import hairpin
from tests.traffic import T0, balanced

Script = Callable[..., dict[str, Any]]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Makes ``analyze`` return a given analysis, or raise; returns what it was called with."""

    def prepare(result: Any = None) -> dict[str, Any]:
        called: dict[str, Any] = {}

        def analyze(captures: Any, **options: Any) -> Any:
            called.update(captures=captures, **options)
            if isinstance(result, BaseException):
                raise result
            return result or balanced()

        monkeypatch.setitem(sys.modules, "flowscope.analysis", SimpleNamespace(analyze=analyze))  # type: ignore[arg-type]
        return called

    return prepare


def test_options_become_settings(script: Script) -> None:
    called = script()
    options = "--topology lb.toml --point a=b=vm1 --hash -c 5 --utc --from 2026-01-01 --to 2026-01-02 -q"
    code = run(["analyze", "a.pcap", "-", *options.split()])
    assert code == 0
    assert called["captures"] == ("a.pcap", "-")
    assert called["topology"] == ("lb.toml",)
    settings = called["settings"]
    assert settings.points == (("a=b", "vm1"),)
    assert (settings.from_ns, settings.to_ns) == (T0, T0 + 86_400_000_000_000)
    assert (settings.hash, settings.max_frames, settings.select) == (True, 5, None)


@pytest.mark.parametrize(
    ("severity", "verdict", "limit", "code"),
    [
        (Severity.ERROR, Verdict.CONFIRMED, "error", 1),
        (Severity.ERROR, Verdict.LIKELY, "warning", 1),
        (Severity.WARNING, Verdict.LIKELY, "error", 0),
        (Severity.INFO, Verdict.CONFIRMED, "info", 1),
        (Severity.ERROR, Verdict.UNDECIDED, "info", 0),
    ],
)
def test_fail_on(script: Script, severity: Severity, verdict: Verdict, limit: str, code: int) -> None:
    script(balanced(findings=[hairpin(severity=severity, verdict=verdict)]))
    assert run(["analyze", "a.pcap", "--fail-on", limit]) == code
    assert run(["analyze", "a.pcap"]) == 0


@pytest.mark.parametrize(
    ("result", "code", "line"),
    [
        (CaptureError("a.pcap: no such file"), 2, "flowscope: a.pcap: no such file\n"),
        (CaptureError("\x1b[2J: no such file"), 2, "flowscope: \\x1b[2J: no such file\n"),
        (KeyboardInterrupt(), 130, "flowscope: interrupted\n"),
        (OSError(28, "No space left on device", "x.json"), 2, "flowscope: x.json: no space left on device\n"),
        (ZeroDivisionError("division\nby zero"), 2, "flowscope: internal error: ZeroDivisionError: division (a bug:"),
    ],
)
def test_failures_are_one_line(
    script: Script, capsys: pytest.CaptureFixture[str], result: BaseException, code: int, line: str
) -> None:
    script(result)
    assert run(["analyze", "a.pcap"]) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    # After Ctrl-C click ends the line that shows ^C.
    assert shown.err.strip().startswith(line.strip())
    assert shown.err.strip().count("\n") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["analyse", "x"], "did you mean 'analyze'?"),
        (["analyze"], "Missing argument 'CAPTURE...'"),
        (["analyze", "x", "--point", "vm1"], "is not FILE=NAME"),
        (["analyze", "x", "--from", "noon"], "is no time"),
        (["analyze", "x", "--from", "2026-01-02", "--to", "2026-01-01"], "--from is later than --to"),
        (["analyze", "x", "-c", "0"], "not in the range"),
        (["analyze", "x", "--format", "xml"], "is not one of"),
        (["analyze", "x", "--fail-on", "bad"], "is not one of"),
        (["analyze", "x", "--bogus"], "--bogus"),
        (["analyze", "x", "-o", "/nowhere/at/all.json"], "there is no directory"),
    ],
)
def test_wrong_options_are_one_line(
    script: Script, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    script()
    assert run(arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_problems_go_to_stderr(script: Script, capsys: pytest.CaptureFixture[str]) -> None:
    script(balanced(problems=["rule x failed"]))
    assert run(["analyze", "a.pcap", "--format", "json", "--brief"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "flowscope: rule x failed\n"
    assert json.loads(shown.out)["problems"] == ["rule x failed"]
    assert run(["analyze", "a.pcap", "-q"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "flowscope" in capsys.readouterr().out.split("Options:")[1]


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}])
def test_colour_needs_a_terminal_that_wants_it(
    script: Script, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    script(balanced(findings=[hairpin()]))
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    run(["analyze", "a.pcap"])
    assert ("\x1b[" in capsys.readouterr().out) is (not environment)
    run(["analyze", "a.pcap", "--no-color"])
    assert "\x1b[" not in capsys.readouterr().out
