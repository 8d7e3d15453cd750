"""all-members-down: what the balancer did about it, or would have done."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.findings import Verdict
from tests.probes.asking import SECOND, clients, known, rounds
from tests.rules.scene import FRONTEND, MEMBERS, findings, judged
from tests.wire import MS, T0, Hop, Wire, talk

pytestmark = pytest.mark.usefixtures("core")
RULE = "all-members-down"
FAIL = ["200", "200", *["503"] * 6, "200", "200"]


@pytest.mark.parametrize("topology", [known(), None])
@pytest.mark.parametrize(("served", "then"), [(True, "fail-open"), (False, "fail-closed")])
def test_flags_both_ways(tmp_path: Path, served: bool, then: str, topology: str | None) -> None:
    wire = Wire()
    rounds(wire, FAIL, FAIL)
    during: list[int | None] = [0, 1] * 15 if served else [None] * 30
    clients(wire, [*[0, 1] * 5, *during, *[0, 1] * 5])
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert found.facts["then"] == then
    assert found.verdict is Verdict.CONFIRMED
    assert found.subject["pool"] == ("shop" if topology else "203.0.113.9:443")
    assert findings(wire, tmp_path, "member-out-of-rotation", topology) == []
    assert findings(wire, tmp_path, "blocked-traffic", topology) == []


def through_proxy(wire: Wire, at: int, member: int | None) -> None:
    """A request that a proxy passes on, or answers itself while it has no member."""
    time, asked = (
        T0 + at * 200 * MS + 7 * MS,
        b"GET /%d HTTP/1.1\r\nHost: shop\r\nX-Request-Id: c-%d\r\n\r\n" % (at, at),
    )
    front = [Hop("front", ("198.51.100.7", 30000 + at), FRONTEND, 61, 100_000)]
    status = b"503 None" if member is None else b"200 OK"
    told = b"HTTP/1.1 %s\r\nContent-Length: 2\r\n\r\n%02d" % (status, at % 100)
    talk(wire, front, [(1, False, asked), (5, True, told)], time, 700_000 + 9000 * at)
    if member is not None:
        back = [Hop("back", ("10.1.0.1", 40000 + at), MEMBERS[member], 64, 20_000)]
        talk(wire, back, [(0.3, False, asked), (1, True, told)], time + 2 * MS, 800_000 + 9000 * at)


@pytest.mark.parametrize("topology", [known("generic", "unhealthy_threshold = 1\nhealthy_threshold = 1\n"), None])
def test_tells_what_a_proxy_answers_itself(tmp_path: Path, topology: str | None) -> None:
    wire = Wire()
    rounds(wire, FAIL, FAIL)
    for at in range(45):
        through_proxy(wire, at, None if 2000 < at * 200 - 300 < 7900 else at % 2)
    (found,) = findings(wire, tmp_path, RULE, topology)
    assert (found.facts["then"], found.facts["unanswered"], found.facts["served"]) == ("fail-closed", 0, 0)
    assert int(str(found.facts["answered_itself"])) > 20
    assert "unanswered" not in found.summary and "connections itself" in found.summary


def test_names_the_only_member(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, FAIL)
    clients(wire, [*[0] * 10, *[None] * 30, *[0] * 10])
    alone = known().replace('{ name = "vm-b", address = "10.1.0.5", port = 9443 },', "")
    (found,) = findings(wire, tmp_path, RULE, alone)
    assert "the only member of shop failed its probes." in found.summary


def test_no_member_is_down_for_longer_than_anything_was_captured(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "200", *["503"] * 6], ["200", "200", *["503"] * 6])
    clients(wire, [*[0, 1] * 5, *[None] * 15])
    (found,) = findings(wire, tmp_path, RULE, known())
    last = max(at for frames in wire.frames.values() for at, *_ in frames)
    since = T0 + 2 * SECOND + 300 * MS
    assert 0 < float(str(found.facts["lasted_s"])) <= (last - since) / SECOND


def test_spares_members_that_are_down_one_after_the_other(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "503", "503", "200", "200", "200", "200"], ["200", "200", "200", "200", "503", "503", "200"])
    clients(wire, [0, 1] * 10)
    assert findings(wire, tmp_path, RULE, known()) == []


def test_spares_a_pool_of_which_one_members_probes_were_not_captured(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, FAIL)
    clients(wire, [0, 1] * 10)
    assert findings(wire, tmp_path, RULE, known()) == []


def test_spares_a_pool_with_members_that_were_not_captured(tmp_path: Path) -> None:
    """Without a topology: clients were served while the only member that was captured had nobody's call."""
    wire = Wire()
    rounds(wire, FAIL)
    clients(wire, [*[0, 1] * 5, *[None] * 2, *[1] * 18, *[0, 1] * 5])
    calls = {
        name: [one for one in frames if b"\x0a\x01\x00\x05" not in one[1][26:34]]
        for name, frames in wire.frames.items()
    }
    wire.frames = calls
    assert findings(wire, tmp_path, RULE, None) == []


def test_what_a_policy_says_is_no_observation(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, FAIL, FAIL)
    clients(wire, [0, 1] * 5)
    (found,) = findings(wire, tmp_path, RULE, known())
    assert (found.title, found.facts["then"]) == ("Every member of shop is down", "fail-closed")
    (found,) = findings(wire, tmp_path, RULE, None)
    assert "then" not in found.facts


@pytest.mark.parametrize(
    ("policy", "then"), [("azure-lb", "fail-closed"), ("front-door", "fail-open"), ("generic", None)]
)
def test_doubts_when_no_client_called(tmp_path: Path, policy: str, then: str | None) -> None:
    wire = Wire()
    rounds(wire, FAIL, FAIL)
    analysis = judged(wire, tmp_path, known(policy))
    # Front Door asks where it sends clients, and this topology says otherwise; of the other policies none is known.
    elsewhere = (
        "Pool shop is given probes on port 9999 and clients on port 9443, but Front Door probes the port that it sends "
        "clients to, and this cannot be overridden."
    )
    assert analysis.problems == ([elsewhere] if policy == "front-door" else [])
    assert sorted(one.rule for one in analysis.findings) == [RULE, "probe-failing", "probe-failing"]
    (found,) = (one for one in analysis.findings if one.rule == RULE)
    assert (found.facts.get("then"), found.verdict) == (then, Verdict.LIKELY)
    assert any("No client" in caveat for caveat in found.caveats)


def test_each_pool_decides_by_its_own_probe(tmp_path: Path) -> None:
    wire = Wire()
    rounds(wire, ["200", "200", "503", "503", "200", "200"], ["200", "200", "503", "503", "200", "200"])
    clients(wire, [0, 1] * 15)
    patient = known("generic", "unhealthy_threshold = 4\nhealthy_threshold = 1\n")
    head, pool, rest = patient.partition("[[pool]]")
    # The second pool has the same members and probed port, and gives them up at once.
    other = pool + rest.partition("[[point]]")[0].replace('"shop"', '"strict"').replace(
        "threshold = 4", "threshold = 1"
    )
    analysis = judged(wire, tmp_path, head + pool + rest + other)
    told = [str(one.subject["pool"]) for one in analysis.findings if one.rule == RULE]
    assert told == ["strict"]
