"""Records of denied connections to members that never reached the captures: the log alone says that they were tried.

Part of the rule ``nsg-deny``. A capture at the member shows nothing of what a group in front of it drops, so there is
no packet to cite; cited is that the capture was running.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from flowscope.cloud.flow_log_join import SLACK_NS, join_flow_log
from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.nat.numbers import address_numbers
from flowscope.rules.evidence import Proof, prove
from flowscope.window import Window


@dataclass(frozen=True, slots=True)
class DeniedUnseen:
    """Denied connections to one endpoint, none of which was captured."""

    member: int
    port: int
    records: pl.DataFrame
    sure: bool
    """Whether the point that should have seen them stands at the member beyond doubt."""

    @property
    def tries(self) -> int:
        """Connections: a record may come again."""
        return self.records.select("src", "src_port", "protocol").unique().height

    @property
    def sentence(self) -> str:
        """One sentence for a finding about the same endpoint."""
        return f"The flow log has {self.tries:,} more denied connections there, of which no packet was captured."

    def finding(self, window: Window) -> Finding | None:
        """The finding about these alone; None when nothing shows that the capture at the member was running."""
        proof = self._proof(window)
        if not proof.evidence:
            return None
        first = self.records.row(0, named=True)
        called, endpoint = window.called(self.member, self.port), window.endpoint(self.member, self.port)
        rule, group = first["rule"] or "a rule the log does not name", first["group"] or "the log's group"
        facts: dict[str, Fact] = {
            "nsg": group,
            "rule_name": rule,
            "priority": None,
            "direction": first["direction"] or "inbound",
            "where": "before-member",
            "how": "silent",
            "denied_records": self.records.height,
        }
        clients = self.records["src"].n_unique()
        return Finding(
            rule="nsg-deny",
            severity=Severity.ERROR,
            verdict=Verdict.CONFIRMED if self.sure else Verdict.LIKELY,
            title=f"{rule} of {group} denies connections to {called} on port {self.port}",
            summary=f"The flow log has {self.tries:,} denied connections of {clients:,} clients to {endpoint}, and "
            "none of their packets is in the capture at the member, which was running.",
            subject={"member": endpoint},
            count=self.tries,
            evidence=proof.evidence,
            flows=proof.flows,
            facts=facts,
            names=window.names([self.member]),
            filter=proof.filter,
            filter_complete=proof.filter_complete,
            cause=f"The security rule {rule!r} of {group}.",
            remedy=("Look up the rule that the flow log names, and let the traffic in before it.",),
            caveats=() if self.sure else ("Where the capture stands was inferred: it may not be the member's.",),
            references=("Azure: nsg-flow-logs-overview, 2024-10",),
        )

    def _proof(self, window: Window) -> Proof:
        """Frames of the member's own traffic nearest to the denied ones."""
        middle = int(self.records["start_ns"].median() or 0)  # type: ignore[arg-type]
        near = window.paths.filter(pl.col("backend") == self.member).sort((pl.col("first_ns") - middle).abs())
        home = {place.point for place in window.points_on(self.member)}

        def note(event: dict[str, Any]) -> str | None:
            return "the capture at the member is running" if event["point"] in home else None

        return prove(window, near.head(2), ("syn", "syn-ack", "data"), note, each=2)


def denied_unseen(window: Window) -> Iterator[DeniedUnseen]:
    """Endpoints of members with denied records while a capture at the member was running."""
    log = window.cloud.flow_log
    if not log:
        return
    seen = join_flow_log(window, log)["record"]
    denied = log.records.with_row_index("record").filter(
        pl.col("decision") == "deny",
        pl.col("direction").is_null() | (pl.col("direction") == "inbound"),
        pl.col("start_ns").is_not_null(),
        ~pl.col("record").is_in(seen.implode()),
    )
    number = address_numbers(window.addresses, denied["dst"].unique())
    probed = {(health.series.member, health.series.port) for health in window.health}
    for (address, port), rows in denied.group_by("dst", "dst_port", maintain_order=True):
        end = (number.get(str(address), -1), int(str(port)) if port is not None else -1)
        # Anybody on the internet knocks on any port; only what clients or probers are meant to call counts.
        if end not in window.members and end not in probed:
            continue
        home = window.points_on(end[0])
        alive = [
            (pl.col("start_ns") > place.first_ns - SLACK_NS) & (pl.col("end_ns") < place.last_ns + SLACK_NS)
            for place in home
        ]
        during = rows.filter(pl.any_horizontal(alive)) if alive else rows.head(0)
        if during.height:
            yield DeniedUnseen(*end, during, any(place.sure for place in home))
