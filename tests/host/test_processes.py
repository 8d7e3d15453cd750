"""What another process is doing: one that waits, one that works, one that was stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from flowscope.host.processes import waits


def seen(pid: int) -> set[bool]:
    """What is seen of it in some looks."""
    found = set()
    for _ in range(20):
        found.add(waits(pid))
        time.sleep(0.02)
    return found


@pytest.mark.parametrize(("program", "waiting"), [("input()", True), ("while True: pass", False)])
def test_who_waits(program: str, waiting: bool) -> None:
    code = f"print('ready', flush=True)\n{program}"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.2)
        assert seen(process.pid) == {waiting}
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        assert seen(process.pid) == {False}
        process.kill()


def test_what_cannot_be_seen_is_taken_to_wait() -> None:
    assert waits(2**30)
