"""flowscope live: what it refuses before anything is started, and its view of hostile text."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from flowscope.cli.live_screen import _cut, _fitted
from tests.conftest import RunCli


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to watch: give -i IFACE"),
        (("-i", "no-such0"), "no-such0: no such interface; there are"),
        (("-i", "lo", "-b", "files:2"), "-b needs -w FILE"),
        (("-i", "lo", "-w", "x.pcap", "-b", "files"), "-b files: write one of filesize:NUMBER"),
        (("-i", "lo", "-a", "duration:-1"), "-a duration:-1: write one of duration:NUMBER"),
        (("-i", "lo", "-i", "lo"), "lo is named twice"),
        (("-i", "lo", "-w", "no/such/x.pcap"), "no/such/x.pcap: there is no directory no/such"),
        (("-f", "tcp", "-"), "-f filters what -i captures"),
        (("-i", "lo", "-Z", "no-such-user"), "there is no user no-such-user"),
        (("missing.pcap",), "missing.pcap: no such file or directory"),
        ((__file__,), f"{__file__}: a text file, no capture"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(run_cli: RunCli, arguments: tuple[str, ...], said: str) -> None:
    import os

    if "-Z" in arguments and os.geteuid() != 0:
        pytest.skip("-Z matters to root only")
    done = run_cli("live", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith(f"flowscope: {said}")
    assert done.stderr.count("\n") == 1 and not done.stdout


def test_lines_are_cut_to_the_screen() -> None:
    assert _cut("a" * 100, 80) == "a" * 79 + "…"
    assert _cut("界" * 50, 20).endswith("…")
    parts = [[("Findings", "bold"), *[(str(n), "") for n in range(30)]], [("Probes", "bold"), ("one", "")]]
    for room in range(3, 40):
        lines = _fitted(parts, room)
        assert len(lines) <= room
    assert ("one", "") in _fitted(parts, 12)
    assert any("more" in text for text, _ in _fitted(parts, 12))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 40), (200, 60)])
def test_titles_of_findings_are_shown_whole(core: None, tmp_path: Path, width: int, height: int) -> None:
    from rich.console import Console

    from flowscope.cli.live_screen import Screen
    from flowscope.cli.options import Request
    from flowscope.findings import Finding, Severity, Verdict
    from flowscope.given import Given
    from flowscope.live.sources import Source
    from flowscope.live.watch import Turn, Watch
    from flowscope.nat.topology import Topology
    from flowscope.report.look import Look
    from flowscope.settings import Settings

    watch = Watch([Source("capture.pcap")], Settings(), Given(Topology()))
    titles = [f"SNAT ports of 198.51.100.146 towards 203.0.113.217:{port} are exhausted" for port in range(443, 473)]
    found = [
        Finding("snat-exhaustion", Severity.ERROR, Verdict.CONFIRMED, title, "", {"snat": title}, 7_000, ())
        for title in titles
    ]
    for _ in range(2):
        watch.merging.update(found, 0)
    out = io.StringIO()
    console = Console(file=out, width=width, height=height)
    screen = Screen(Request((), None, Settings(), "text", None, Look(), None, False, 0), console)
    screen.turn(watch, Turn())
    console.print(screen._view(watch, watch.status))
    lines = out.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    whole = [title for title in titles if any(title in line for line in lines)]
    if width == 200:
        assert whole == titles
        assert all(("SNAT" in line) == ("7,000 x" in line) for line in lines)
    else:
        (more,) = [line for line in lines if line.startswith("... and ")]
        assert len(whole) == 30 - int(more.split()[2]) > 5
        assert "…" not in out.getvalue()


def test_the_view_shows_escapes_as_text(core: None, tmp_path: Path) -> None:
    from rich.console import Console

    from flowscope.cli.live_screen import Screen
    from flowscope.cli.options import Request
    from flowscope.given import Given
    from flowscope.live.reading import Notice
    from flowscope.live.sources import Source
    from flowscope.live.watch import Turn, Watch
    from flowscope.nat.topology import Topology
    from flowscope.report.look import Look
    from flowscope.settings import Settings

    hostile = "evil\x1b[2J\x1b]0;owned\x07[bold]x[/bold]\u202e[/x]"
    request = Request((), None, Settings(), "text", None, Look(), None, False, 0)
    out = io.StringIO()
    screen = Screen(request, Console(file=out, force_terminal=True, width=80, height=24))
    watch = Watch([Source(hostile)], Settings(), Given(Topology()))
    screen.turn(watch, Turn(notices=[Notice("x", hostile, 0)]))
    with screen:
        screen._live.update(screen._view(watch, watch.status), refresh=True)
    shown = out.getvalue()
    assert "\x1b[2J\x1b]0" not in shown and "\x07" not in shown and "\u202e" not in shown
    assert "\\x1b]0;owned\\x07[bold]x[/bold]" in shown


def test_the_view_calls_a_place_as_the_user_does(core: None) -> None:
    from rich.console import Console

    from flowscope.cli.live_screen import Screen
    from flowscope.cli.options import Request
    from flowscope.given import Given
    from flowscope.live.sources import Source
    from flowscope.live.watch import Turn, Watch
    from flowscope.nat.topology import Topology
    from flowscope.report.look import Look
    from flowscope.settings import Settings

    settings = Settings(points=(("-", "vm1"),))
    screen = Screen(Request((), None, settings, "text", None, Look(), None, False, 0), Console(file=io.StringIO()))
    watch = Watch([Source("-"), Source("lb.pcap")], settings, Given(Topology()))
    screen.turn(watch, Turn())
    assert screen._head(watch, watch.status)[0][0].startswith("flowscope live  vm1, lb.pcap  ")
