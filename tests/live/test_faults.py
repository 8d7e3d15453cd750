"""What goes wrong while capturing is noticed within seconds and said, and what was captured is reported."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.live.wires import Wire, alive, ids, ip, missing, program, wire

#: On a machine that has nothing else to do; a busy one is slower by its load.
NOTICED_S = 5.0 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))

pytestmark = pytest.mark.slow


def link_down(one: Wire, folder: Path) -> None:
    live = one.live("-w", str(folder / "a.pcapng"), "--format", "json", "-Z", "root").ready()
    one.call()
    at = time.time()
    ip("-n", f"{one.name}-far", "link", "set", "e0", "down")
    assert live.until("e0 went down") - at < NOTICED_S
    ip("-n", f"{one.name}-far", "link", "set", "e0", "up")
    live.until("e0 is up again")
    time.sleep(0.5)
    one.call()
    time.sleep(1)
    assert live.stop() == 0, live.said
    report = json.loads(live.out)
    assert report["findings"][0]["count"] == 10, "before and after"
    kinds = {issue["kind"] for issue in report["captures"][0]["issues"]}
    assert {"interface-down", "interface-up"} <= kinds


def interface_deleted(one: Wire, folder: Path) -> None:
    live = one.live("-w", str(folder / "a.pcapng"), "--format", "json", "-Z", "root").ready()
    one.call()
    time.sleep(0.5)
    at = time.time()
    ip("-n", f"{one.name}-far", "link", "del", "e0")
    assert live.end() == 0, live.said
    assert time.time() - at < NOTICED_S + 5
    assert live.until("dumpcap has ended: The network adapter") - at < NOTICED_S
    assert json.loads(live.out)["findings"][0]["count"] == 5


def disk_full(one: Wire, folder: Path) -> None:
    full = folder / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(full)], check=True)
    try:
        live = one.live("-w", str(full / "a.pcapng"), "--format", "json", "-Z", "root").ready()
        one.call()
        time.sleep(1)
        at = time.time()
        one.flood(100)
        assert live.end() == 0, live.said
        assert live.until("no space left") - at < NOTICED_S
        report = json.loads(live.out)
        assert report["findings"][0]["count"] == 5
        kinds = {issue["kind"] for issue in report["captures"][0]["issues"]}
        assert kinds & {"capture-ended", "disk-full"}
    finally:
        subprocess.run(["umount", "-l", str(full)], check=False)


def program_killed(one: Wire, folder: Path) -> None:
    live = one.live("-w", str(folder / "a.pcapng"), "--format", "json", "-Z", "root").ready()
    one.call()
    time.sleep(1)
    (capturing,) = [pid for pid in live.children() if program(pid) == "dumpcap"]
    at = time.time()
    os.kill(capturing, signal.SIGKILL)
    assert live.until("dumpcap has ended: killed by SIGKILL") - at < NOTICED_S
    assert live.end() == 0
    assert json.loads(live.out)["findings"][0]["count"] == 5


def file_deleted(one: Wire, folder: Path) -> None:
    live = one.live("-w", str(folder / "a.pcapng"), "--format", "json", "-Z", "root").ready()
    one.call()
    time.sleep(1)
    at = time.time()
    (folder / "a.pcapng").unlink()
    assert live.until("was deleted or moved away") - at < NOTICED_S
    one.call()
    time.sleep(1)
    assert live.stop() == 0
    report = json.loads(live.out)
    assert report["findings"][0]["count"] == 10
    assert "overwritten" in {issue["kind"] for issue in report["captures"][0]["issues"]}


def terminated(one: Wire, folder: Path) -> None:
    live = one.live("--format", "json", "-Z", "root").ready()
    one.call()
    time.sleep(0.5)
    live.signal(signal.SIGTERM)
    assert live.end() == 0, live.said
    assert json.loads(live.out)["findings"][0]["count"] == 5


def interrupted_twice(one: Wire, folder: Path) -> None:
    live = one.live("--format", "json", "-Z", "root").ready()
    children = live.children()
    assert children
    live.signal(signal.SIGSTOP)
    live.signal(signal.SIGINT)
    live.signal(signal.SIGTERM)
    at = time.time()
    live.signal(signal.SIGCONT)
    assert live.end() == 130
    assert time.time() - at < 3
    time.sleep(0.5)
    assert not any(alive(pid) for pid in children)


def interrupted_at_every_stage(one: Wire, folder: Path) -> None:
    for delay in (0.3, 0.8, 1.6, 2.4):
        live = one.live("--format", "json", "-Z", "root")
        time.sleep(delay)
        live.signal(signal.SIGINT)
        code = live.end()
        if code == -signal.SIGINT and "flowscope/cli" not in live.said:
            # The interpreter itself was still starting.
            continue
        assert code in (0, 130), (delay, live.said)
        assert "Traceback" not in live.said and "internal error" not in live.said, (delay, live.said)
        if code == 0:
            json.loads(live.out)
        else:
            assert not live.out


def rights_given_up(one: Wire, folder: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="flowscope-test-"))
    os.chmod(folder, 0o777)
    live = one.live("-w", str(folder / "a.pcapng"), "--format", "json").ready()
    one.call()
    time.sleep(1)
    own = ids(live.process.pid)
    (capturing,) = [pid for pid in live.children() if program(pid) == "dumpcap"]
    assert own["Uid"].split() == ["65534"] * 4 and int(own["CapEff"], 16) == 0
    assert ids(capturing)["Uid"].split() == ["65534"] * 4
    assert live.stop() == 0, live.said
    assert (folder / "a.pcapng").stat().st_uid == 65534
    assert json.loads(live.out)["findings"][0]["count"] == 5
    shutil.rmtree(folder)


def no_rights(one: Wire, folder: Path) -> None:
    without = ("setpriv", "--bounding-set=-net_raw,-net_admin")
    live = one.live("-Z", "root", before=without)
    assert live.end() == 2
    last = live.words[-1][1]
    assert "CAP_NET_RAW is missing" in last and "setcap cap_net_raw,cap_net_admin=eip" in last, live.said
    assert not live.out


def slow_program(one: Wire, folder: Path) -> None:
    """scapy's sockets and tcpdump give the same report as dumpcap."""
    for name in ("scapy", "tcpdump"):
        live = one.live("--program", name, "-w", str(folder / f"{name}.pcap"), "--format", "json", "-Z", "root").ready()
        time.sleep(2)
        one.call()
        time.sleep(1.5)
        assert live.stop() == 0, live.said
        assert json.loads(live.out)["findings"][0]["count"] == 5, (name, live.said)


def ring_overwritten(one: Wire, folder: Path) -> None:
    live = one.live(
        "-w", str(folder / "r.pcapng"), "-b", "filesize:10,files:2", "--format", "json", "-Z", "root"
    ).ready()
    one.call(20)
    time.sleep(1.5)
    one.flood(60)
    time.sleep(1.5)
    assert live.stop() == 0, live.said
    report = json.loads(live.out)
    gone = [one for one in report["captures"] if any(issue["kind"] == "overwritten" for issue in one["issues"])]
    assert gone
    (refused,) = [one for one in report["findings"] if one["rule"] == "closed-port"]
    assert refused["count"] == 20, "found while the frames were there"


CASES: list[Callable[[Wire, Path], None]] = [
    link_down, interface_deleted, disk_full, program_killed, file_deleted, terminated, interrupted_twice,
    interrupted_at_every_stage, rights_given_up, no_rights, slow_program, ring_overwritten,
]  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, core: None) -> Iterator[dict[str, Future[Any]]]:
    """All cases side by side: each mostly waits."""
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("faults")

    def run(case: Callable[[Wire, Path], None]) -> None:
        (folder / case.__name__).mkdir()
        with wire() as one:
            case(one, folder / case.__name__)

    with ThreadPoolExecutor(4) as pool:
        yield {case.__name__: pool.submit(run, case) for case in CASES}


@pytest.mark.parametrize("case", [case.__name__ for case in CASES])
def test_fault(results: dict[str, Future[Any]], case: str) -> None:
    results[case].result(120)
