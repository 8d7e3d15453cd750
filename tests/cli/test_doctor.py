"""flowscope doctor: what it tells, for people and for programs."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import socket
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunCli

EXE = str(Path(sys.executable).with_name("flowscope"))


def test_doctor_tells_what_listens(run_cli: RunCli) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        host, port = listening.getsockname()
        done = run_cli("doctor", "--format", "json")
        told = json.loads(done.stdout)
        assert done.returncode == (0 if told["capture"]["possible"] else 2)
        assert (told["capture"]["missing"] is None) == told["capture"]["possible"]
        assert f"{host}:{port}" in {one["endpoint"] for one in told["listening"]}
        text = run_cli("doctor").stdout
        assert f"{host}:{port}" in text
        assert text.startswith("Capture: ")
    assert {one["name"] for one in told["interfaces"]} >= {"lo"}
    assert [one["name"] for one in told["programs"]] == ["dumpcap", "tcpdump", "tshark", "setpriv", "conntrack"]


def test_doctor_is_coloured_on_a_terminal_only_when_wanted() -> None:
    def shown(*options: str) -> str:
        ours, theirs = pty.openpty()
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
        process = subprocess.Popen([EXE, "doctor", *options], stdout=theirs, env=environment)
        os.close(theirs)
        text = b""
        with contextlib.suppress(OSError):
            while data := os.read(ours, 65536):
                text += data
        process.wait(60)
        os.close(ours)
        return text.decode()

    assert "\x1b[1mInterfaces\x1b[0m" in shown()
    plain = shown("--no-color")
    assert "Interfaces" in plain
    assert "\x1b" not in plain
