"""The lab's blocked scenarios with rule files and flow logs made from its truth.

``python -m tests.cloud.lab_cases FOLDER...`` tries played scenarios (folders with ``truth.json``) and prints the
figures; the tests try the shared ones.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from flowscope.analysis import Analysis, analyze
from flowscope.cloud.flow_log import join_logs
from flowscope.cloud.flow_log_files import read_flow_log_file
from flowscope.cloud.flow_log_join import join_flow_log
from flowscope.findings import Finding, Verdict
from flowscope.settings import Settings
from flowscope.window import Window
from tests.cloud import rule_files
from tests.cloud.rule_files import allow, deny, nsg

WRITERS: dict[str, Callable[..., str]] = {
    "nsg-v2": rule_files.nsg_flow_log, "vnet-v4": rule_files.vnet_flow_log, "aws-v2": rule_files.vpc_flow_log,
}  # fmt: skip


@dataclass
class Case:
    """One played scenario."""

    folder: Path

    def __post_init__(self) -> None:
        self.truth: dict[str, Any] = json.loads((self.folder / "truth.json").read_text())
        self.captures = [self.folder / one["file"] for one in self.truth["captures"]]
        self.expected = [one for one in self.truth["expected_findings"] if "block" in one["rule"]]

    def run(self, *rules: str, logs: tuple[str, ...] = ()) -> Analysis:
        """The analysis with these files."""
        settings = Settings(nsg=rules, flow_logs=logs)
        return analyze(self.captures, topology=str(self.folder / "topology.toml"), settings=settings)

    def denied(self, scratch: Path) -> str:
        """A group with a rule that says what the scenario does, among rules that say nothing of it."""
        (one,) = self.expected
        address, _, port = str(one["subject"]).rpartition(":")
        source, port = ("*", port) if address else (str(one["subject"]), "*")
        if one["rule"] == "probe-blocked":
            return nsg(scratch / "deny.json", deny("the-rule", 300, port, "VirtualNetwork"), allow("open", 400, "*"))
        return nsg(
            scratch / "deny.json", deny("other-port", 200, 9), allow("ssh", 210, 22),
            deny("the-rule", 300, port, source), allow("open", 400, "*"),
        )  # fmt: skip

    def allowed(self, scratch: Path) -> str:
        """A group that lets everything in."""
        return nsg(scratch / "allow.json", deny("other-port", 200, 9), allow("open", 400, "*"))

    def tuples(self) -> list[tuple[rule_files.Tuple, int | None]]:
        """What a log at the members would say of each connection, with its first sequence number."""
        found = []
        for one in self.truth["connections"]:
            leg = one.get("server_leg")
            if leg:
                verdict = "D" if one["verdict"] == "blocked" else "A"
                found.append(
                    ((one["t_syn"], leg["src"], leg["sport"], leg["dst"], leg["dport"], verdict), one["isn_client"])
                )
        return found


def rules_of(analysis: Analysis) -> dict[str, list[Finding]]:
    """Findings by rule."""
    found: dict[str, list[Finding]] = {}
    for one in analysis.findings:
        found.setdefault(one.rule, []).append(one)
    return found


def named(analysis: Analysis, subject: str) -> Finding | None:
    """The finding of nsg-deny about an endpoint, or about any member when the subject is a client."""
    found = rules_of(analysis).get("nsg-deny", [])
    return next((one for one in found if one.subject["member"] == subject or ":" not in subject), None)


def join_figures(case: Case, scratch: Path, form: str) -> tuple[float, float, int]:
    """Recall and precision of a log's records against the truth, and how many there are to find.

    Every record has a decoy, an hour later, that is of no connection.
    """
    told = case.tuples()
    decoys = [((at + 3600, *rest), None) for (at, *rest), _ in told]
    path = WRITERS[form](scratch / f"{form}.log", [one for one, _ in (*told, *decoys)])  # type: ignore[misc]
    held = case.run()
    window = Window(
        captures=held.captures, points=held.points, point_table=pl.DataFrame(), flows=held.flows, events=held.events,
        messages=held.messages, addresses=held.addresses, legs=held.legs, paths=held.paths, places={},
        topology=held.topology,
    )  # fmt: skip
    log = join_logs([read_flow_log_file(path)])
    text = dict(held.addresses.select("address", "text").iter_rows())
    first: dict[tuple[object, ...], set[tuple[int, int]]] = {}
    for row in held.flows.filter(pl.col("protocol") == 6).iter_rows(named=True):
        key = (text[row["src"]], row["src_port"], text[row["dst"]], row["dst_port"], row["fwd_isn"])
        first.setdefault(key, set()).add(row["leg"])
    right = {((a, sp, b, dp), int(at)): first.get((a, sp, b, dp, isn), set()) for (at, a, sp, b, dp, _), isn in told}
    joined = join_flow_log(window, log).join(log.records.with_row_index("record"), "record")
    hits = 0
    for row in joined.iter_rows(named=True):
        key = (row["src"], row["src_port"], row["dst"], row["dst_port"])
        times = [at for (end, at) in right if end == key and row["start_ns"] - 60e9 <= at * 1e9 <= row["end_ns"] + 1e9]
        hits += any(row["leg"] in right[key, at] for at in times)
    wanted = sum(bool(legs) for legs in right.values())
    return hits / max(wanted, 1), hits / max(joined.height, 1), wanted


def report(folder: Path) -> str:
    """One line of figures about a played scenario."""
    case = Case(folder)
    words = [f"{folder.name:28}"]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if case.expected:
            subject = str(case.expected[0]["subject"])
            found = named(case.run(case.denied(scratch)), subject)
            words.append(
                f"deny file: {found.facts['rule_name'] if found else '-'} {found.verdict.value if found else ''}"
            )
            spared = rules_of(case.run(case.allowed(scratch)))
            blocked = spared.get("blocked-traffic", []) + spared.get("probe-blocked", [])
            says = any("No rule explains this" in one.summary for one in blocked)
            words.append(
                f"allow file: {len(spared.get('nsg-deny', []))} nsg-deny, {len(blocked)} blocked, "
                f"no rule explains: {says}"
            )
        for form in WRITERS:
            recall, precision, number = join_figures(case, scratch, form)
            words.append(f"{form} {recall:.3f}/{precision:.3f} of {number}")
        logs = (rule_files.nsg_flow_log(scratch / "log", [one for one, _ in case.tuples()], "UserRule_the-rule"),)
        proven = [one for one in rules_of(case.run(logs=logs)).get("nsg-deny", []) if one.verdict is Verdict.CONFIRMED]
        words.append(f"log alone: {len(proven)} confirmed")
    return "; ".join(words)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(report(Path(argument)), flush=True)
