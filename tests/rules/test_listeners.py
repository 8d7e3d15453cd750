"""What a list of listeners adds to closed-port and unresponsive-service, and when it is doubted."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.findings import Finding, Verdict
from flowscope.settings import Settings
from tests.rules.scene import TOPOLOGY, call
from tests.rules.test_unresponsive_service import hang, others
from tests.wire import MS, T0, Wire, accept, refuse

pytestmark = pytest.mark.usefixtures("core")

HEAD = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n"
OTHER = "LISTEN 0 128 10.1.0.5:22 0.0.0.0:*\n"


def found(wire: Wire, folder: Path, rule: str, rows: str, where: str = "") -> Finding:
    (folder / "captures").mkdir()
    (folder / "topology.toml").write_text(TOPOLOGY)
    (folder / "ss.txt").write_text(HEAD + rows)
    settings = Settings(listening=(f"{folder / 'ss.txt'}{where}",))
    analysis = analyze(wire.write(folder / "captures"), topology=str(folder / "topology.toml"), settings=settings)
    (one,) = [each for each in analysis.findings if each.rule == rule]
    return one


def refused() -> Wire:
    wire = Wire()
    for at in range(5):
        refuse(wire, call(1, 40000 + at), T0 + at * MS, isn=1000 * at)
        accept(wire, call(0, 41000 + at), T0 + at * MS, isn=7000 * at + 3)
    return wire


def test_says_on_which_other_address_it_listens(tmp_path: Path) -> None:
    one = found(refused(), tmp_path, "closed-port", f"{OTHER}LISTEN 0 128 127.0.0.1:9443 0.0.0.0:*\n")
    assert "9443 is not listened on at 10.1.0.5; 127.0.0.1:9443 only." in one.summary
    assert one.facts["listening"] == "127.0.0.1:9443 only"
    assert one.verdict is Verdict.CONFIRMED


def test_says_that_nothing_listens_on_the_port(tmp_path: Path) -> None:
    one = found(refused(), tmp_path, "closed-port", OTHER)
    assert "nothing listens on 9443; TCP ports that are: 22." in one.summary
    assert one.cause == "No process listens on this port."


def test_doubts_the_refusal_when_the_list_says_it_listens(tmp_path: Path) -> None:
    one = found(refused(), tmp_path, "closed-port", f"{OTHER}LISTEN 0 128 0.0.0.0:9443 0.0.0.0:*\n")
    assert one.verdict is Verdict.LIKELY
    assert any("taken at another time, or a firewall rejects" in text for text in one.caveats)


def test_says_when_nobody_knows_whose_list_it_is(tmp_path: Path) -> None:
    one = found(refused(), tmp_path, "closed-port", "LISTEN 0 128 127.0.0.1:9443 0.0.0.0:*\n")
    assert any("does not say whose list it is" in text for text in one.caveats)


def test_spares_the_list_of_another_host(tmp_path: Path) -> None:
    one = found(refused(), tmp_path, "closed-port", "LISTEN 0 128 127.0.0.1:9443 0.0.0.0:*\n", "=vm-a")
    assert "listening" not in one.facts and "127.0.0.1:9443" not in one.summary


def test_a_member_is_named_to_say_whose_list_it_is(tmp_path: Path) -> None:
    one = found(refused(), tmp_path, "closed-port", "LISTEN 0 128 127.0.0.1:9443 0.0.0.0:*\n", "=vm-b")
    assert one.facts["listening"] == "127.0.0.1:9443 only"
    assert not any("whose list" in text for text in one.caveats)


def hung() -> Wire:
    wire = Wire()
    others(wire)
    for at in range(3):
        hang(wire, 40000 + at, T0 + at * MS, 50_000 * at + 7)
    return wire


def test_a_hanging_service_does_listen_and_its_queue_is_full(tmp_path: Path) -> None:
    rows = 'LISTEN 129 128 10.1.0.5:9443 0.0.0.0:* users:(("shop",pid=1,fd=6))\n'
    one = found(hung(), tmp_path, "unresponsive-service", rows)
    assert "It does listen: ss lists 10.1.0.5:9443 as listening (shop)." in one.summary
    assert "its accept queue is full: 129 connections wait, 128 may" in one.summary
    assert one.verdict is Verdict.CONFIRMED


def test_a_list_without_the_port_is_of_another_time(tmp_path: Path) -> None:
    one = found(hung(), tmp_path, "unresponsive-service", OTHER)
    assert any("taken at another time, or on another host" in text for text in one.caveats)
