"""How a flowscope report differs from a run's truth: findings named, findings invented, legs joined."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from tests.lab.plan import endpoint

WHERE = {"upstream_of_vm": "before-member", "in_vm": "in-member", "return_path": "return-path"}
Pair = tuple[str, str, str, str]


@dataclass
class Difference:
    """What a report has and lacks."""

    found: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    recall: float = 1.0
    precision: float = 1.0
    unjoined: list[Pair] = field(default_factory=list)
    misjoined: list[Pair] = field(default_factory=list)


def analyze(exe: str, folder: Path, *, blind: bool = False, captures: Iterable[str] = ()) -> dict[str, Any]:
    """Run the main job over a run's captures, with its topology unless blind."""
    files = list(captures) or list(dict.fromkeys(row["file"] for row in truth(folder)["captures"]))
    report = folder / ("report-blind.json" if blind else "report.json")
    argv = [exe, "analyze", *files, "--format", "json", "-o", report.name]
    argv += [] if blind else ["--topology", "topology.toml"]
    argv += ["--nsg", "nsg.json"] if (folder / "nsg.json").exists() else []
    done = subprocess.run(argv, cwd=folder, text=True, capture_output=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(report.read_text())


def truth(folder: Path) -> dict[str, Any]:
    """A run's truth.json."""
    return json.loads((folder / "truth.json").read_text())


def plain(text: str) -> str:
    """An endpoint with its address in the usual form."""
    address, _, port = text.rpartition(":")
    return endpoint(str(ip_address(address.strip("[]"))), int(port))


def ends(leg: dict[str, Any]) -> tuple[str, str]:
    """Both endpoints of a leg of the truth."""
    return endpoint(leg["src"], leg["sport"]), endpoint(leg["dst"], leg["dport"])


def true_pairs(told: dict[str, Any]) -> Counter[Pair]:
    """The joins that happened: client leg with each server leg that differs from it."""
    pairs: Counter[Pair] = Counter()
    for record in told["connections"]:
        seen = {word for legs in record["seen"].values() for word in legs}
        servers = [record["server_leg"], *record.get("more_server_legs", [])]
        for word, server in zip(("server_leg", *(f"server_leg{n}" for n in range(2, 99))), servers, strict=False):
            if {"client_leg", word} <= seen and server and ends(server) != ends(record["client_leg"]):
                pairs[ends(record["client_leg"]) + ends(server)] += 1
    for request in told["extra"].get("requests", []):
        pair = ends(request["client_leg"]) + ends(request["server_leg"])
        pairs[pair] = max(1, pairs[pair])
    return pairs


def reported_pairs(report: dict[str, Any], real: Counter[Pair]) -> Counter[Pair]:
    """The joins that a report claims, as :func:`joined_pairs` counts them."""
    return joined_pairs(([(plain(leg["src"]), plain(leg["dst"])) for leg in p["legs"]] for p in report["paths"]), real)


def joined_pairs(paths: Iterable[list[tuple[str, str]]], real: Counter[Pair]) -> Counter[Pair]:
    """The joins that paths claim; a later leg counts as joined to the leg before it or to the first one."""
    pairs: Counter[Pair] = Counter()
    for legs in paths:
        for number, leg in enumerate(legs[1:], 1):
            options = [legs[number - 1] + leg, legs[0] + leg]
            pairs[next((o for o in options if pairs[o] < real[o]), options[0])] += 1
    return pairs


def names(expected: dict[str, Any]) -> set[str]:
    """The words under which an expected finding's subject may appear: a report need hold one of them."""
    words = {expected["subject"], *expected["subject"].replace(" -> ", " ").split()}
    words |= {word.rpartition(":")[0].strip("[]") for word in words if ":" in word}
    return {word for word in words | set(expected.get("also", ())) if word}


def same(expected: dict[str, Any], finding: dict[str, Any]) -> bool:
    """Whether a finding is the expected one."""
    if finding["rule"] != expected["rule"]:
        return False
    if expected["subject"] == "*":
        return True
    values = [str(value) for value in (finding["subject"] | finding.get("names", {})).values()]
    held = {word for value in values for word in (value, value.rpartition(":")[0].strip("[]"))}
    where = WHERE.get(expected.get("where", ""), expected.get("where"))
    if where and finding["facts"].get("where", where) != where:
        return False
    points = {word for value in values for word in re.findall(r"[\w-]+", value)}
    return bool((held | points) & names(expected))


def differ(told: dict[str, Any], report: dict[str, Any]) -> Difference:
    """Compare; a doubt (``undecided``) is neither a hit nor an invention."""
    result = Difference()
    sure = [finding for finding in report["findings"] if finding["verdict"] != "undecided"]
    result.undecided = [f"{f['rule']} {f['subject']}" for f in report["findings"] if f["verdict"] == "undecided"]
    for expected in told["expected_findings"]:
        if any(same(expected, finding) for finding in sure):
            result.found.add(expected["rule"])
        elif not expected.get("optional"):
            result.missing.append(f"{expected['rule']} {expected['subject']} {expected.get('where', '')}".strip())
    forbidden = {item["rule"] for item in told["forbidden_findings"]}
    for finding in sure:
        wanted = any(same(expected, finding) for expected in told["expected_findings"])
        known = any(expected["rule"] == finding["rule"] for expected in told["expected_findings"])
        if not wanted and (known or finding["rule"] in forbidden):
            facts = {key: finding["facts"][key] for key in ("where", "how") if key in finding["facts"]}
            result.invented.append(f"{finding['rule']} {finding['subject']} {facts} x{finding['count']}")
    real = true_pairs(told)
    claimed = reported_pairs(report, real)
    hits = sum((real & claimed).values())
    result.recall = hits / real.total() if real else 1.0
    result.precision = hits / claimed.total() if claimed else 1.0
    result.unjoined, result.misjoined = list((real - claimed).elements()), list((claimed - real).elements())
    return result
