"""A finding is told within two seconds of the packet that proves it, or of the deadline whose passing does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from flowscope.rules.silence import DEADLINE_NS
from tests.live import hanging
from tests.live.wires import missing, wire

pytestmark = [
    pytest.mark.slow,
    # It watches the clock, so it plays where the lab does, which has the machine for itself.
    pytest.mark.skipif(os.environ.get("FLOWSCOPE_LAB") == "0", reason="FLOWSCOPE_LAB=0"),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]


def soon_s() -> float:
    """On a machine that has nothing else to do; a busy one is slower by its load."""
    return 2.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


@pytest.mark.parametrize("program", ["dumpcap", "tcpdump", "scapy"])
def test_after_the_packet(core: None, tmp_path: Path, program: str) -> None:
    with wire() as one:
        live = one.live("--program", program, "--format", "json", "--brief", "-Z", "root").ready()
        time.sleep(2)
        began = time.time()
        one.call(3)
        assert live.until("closed-port") - began < soon_s()
        assert live.stop() == 0


def test_after_the_deadline(core: None, tmp_path: Path) -> None:
    known = hanging.known(tmp_path, "a.pcapng")
    with wire() as one:
        hanging.serve(one)
        live = one.live(
            "--topology", str(known), "-w", str(tmp_path / "a.pcapng"), "--format", "json", "--brief", "-Z", "root"
        ).ready()
        # The first of them hangs since then at the earliest, the last since it was asked at the latest.
        began = time.time()
        client = hanging.ask(one, 8)
        due = time.time() + DEADLINE_NS / 1e9
        told = live.until("unresponsive-service")
        assert client.poll() is None, "told while the callers still wait"
        assert told > began + DEADLINE_NS / 1e9
        assert told - due < soon_s()
        client.wait()
        assert live.stop() == 0
