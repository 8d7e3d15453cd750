"""flowscope doctor: what it tells, for people and for programs."""

from __future__ import annotations

import json
import socket

from tests.conftest import RunCli


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
