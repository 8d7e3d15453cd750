"""Against what the kernel and the sockets know: the captures of a real balancer, with its topology and without.

``expected`` holds the findings of the rules that exist; what other rules should say is their own business.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.findings import Finding, Severity, Verdict
from flowscope.nat.topology_file import read_topology
from flowscope.rules import RULES

pytestmark = pytest.mark.usefixtures("core")

CASES = ["healthy-dnat", "healthy-full-nat", "hairpin", "closed-port", "blocked-in-member", "haproxy"]
CONTROLS = ["probe-blocked", "probes-azure", "snat-exhaustion", "snat-busy-but-fine"]
WHERE = {"upstream_of_vm": "before-member", "in_vm": "in-member", "return_path": "return-path"}


def run(case: Path, blind: bool) -> tuple[Analysis, dict[str, Any]]:
    truth = json.loads((case / "truth.json").read_text())
    captures = [case / capture["file"] for capture in truth["captures"]]
    return analyze(captures, topology=None if blind else str(case / "topology.toml")), truth


def pairs(analysis: Analysis) -> Counter[tuple[str, ...]]:
    texts = analysis.addresses["text"]
    ends = {
        row["leg"]: f"{texts[row['src']]}:{row['src_port']} {texts[row['dst']]}:{row['dst_port']}"
        for row in analysis.legs.iter_rows(named=True)
    }
    return Counter((ends[legs[0]], ends[leg]) for legs in analysis.paths["legs"].to_list() for leg in legs[1:])


def true_pairs(truth: dict[str, Any]) -> Counter[tuple[str, ...]]:
    def text(leg: dict[str, Any]) -> str:
        return f"{leg['src']}:{leg['sport']} {leg['dst']}:{leg['dport']}"

    found: Counter[tuple[str, ...]] = Counter()
    for one in truth["connections"]:
        for server in [one.get("server_leg"), *(one.get("more_server_legs") or [])]:
            if one.get("client_leg") and server and text(one["client_leg"]) != text(server):
                found[text(one["client_leg"]), text(server)] += 1
    for request in (truth.get("extra") or {}).get("requests") or []:
        pair = text(request["client_leg"]), text(request["server_leg"])
        found[pair] = max(found[pair], 1)
    return found


def known_as(name: str, truth: Path, subject: str) -> set[str]:
    """The addresses that a subject of the truth stands for: its own, a member's, or a pool's and its frontend's."""
    topology = read_topology(truth / "lab" / name / "topology.toml")
    pools = [pool for pool in topology.pools if pool.name == subject]
    members = {member.address for pool in pools for member in pool.members}
    members |= {one.address for pool in topology.pools for one in pool.members if one.name == subject}
    fronts = {frontend.address for frontend in topology.frontends if frontend.pool == subject}
    return members | fronts | {subject, *re.findall(r"\d+\.\d+\.\d+\.\d+", subject)}


def mentioned(finding: Finding) -> set[str]:
    """Addresses and names in a finding's subject."""
    text = json.dumps(dict(finding.subject))
    return set(re.findall(r"\d+\.\d+\.\d+\.\d+", text)) | set(re.findall(r'"([\w-]+)"', text))


@pytest.mark.parametrize("blind", [False, True], ids=["topology", "blind"])
@pytest.mark.parametrize("name", CASES + CONTROLS)
def test_legs_and_findings(truth: Path, name: str, blind: bool) -> None:
    analysis, known = run(truth / "lab" / name, blind)
    want, have = true_pairs(known), pairs(analysis)
    assert set(have) <= set(want)
    missed = sum((want - have).values())
    assert missed == 0 if not blind else missed <= 0.01 * sum(want.values())

    said = [finding for finding in analysis.findings if finding.verdict is not Verdict.UNDECIDED]
    for expected in known["expected_findings"]:
        if expected["rule"] not in RULES:
            continue
        words = known_as(name, truth, expected["subject"])
        match = [one for one in said if one.rule == expected["rule"] and words & mentioned(one)]
        assert match, expected
        if "where" in expected:
            # Without a topology a silent host's place cannot be known; a wrong place would be an accusation.
            allowed_places = {WHERE[expected["where"]], "unknown"} if blind else {WHERE[expected["where"]]}
            assert match[0].facts["where"] in allowed_places
    allowed = {expected["rule"] for expected in known["expected_findings"]}
    assert [one.key for one in said if one.severity is Severity.ERROR and one.rule not in allowed] == []
    assert not analysis.problems


def test_ids_and_keys_do_not_depend_on_the_order_of_files(truth: Path) -> None:
    case = truth / "lab" / "hairpin"
    files = sorted(case.glob("*.pcap"))
    there, back = analyze(files), analyze(files[::-1])
    assert [one.key for one in there.findings] == [one.key for one in back.findings]
    assert pairs(there) == pairs(back)
