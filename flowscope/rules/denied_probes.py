"""Probes that a given security rule denies: those that got lost, and those that will.

Part of the rule ``nsg-deny``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from flowscope.cloud.evaluate import Packet, evaluate
from flowscope.cloud.names import PLATFORM
from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.probes.replay import Health
from flowscope.rules.evidence import Proof, prove, tcpdump_line
from flowscope.rules.probe_evidence import LOST, cite
from flowscope.rules.probe_places import lost_at
from flowscope.rules.probe_subject import Probed, by_member
from flowscope.rules.security_answers import REACHED, UNPLACED, Told
from flowscope.window import Window

#: One unanswered probe is loss.
_RUN = 2


@dataclass(frozen=True, slots=True)
class DeniedProbes:
    """What a rule does to the probes of one endpoint."""

    member: int
    port: int
    told: Told
    """Of one prober: its packet and the answer."""
    healths: tuple[Health, ...]
    """What was seen of them; empty when nothing was."""
    lost: pl.DataFrame | None
    """Readings of those that got no answer; None when none did."""

    @property
    def rule(self) -> str:
        """The rule in words."""
        rule, group = self.told.answer.rule, self.told.answer.group
        number = f" (priority {rule.priority})" if rule is not None and rule.priority is not None else ""
        return f"rule {self.told.answer.rule_name!r}{number} of {group.name if group else '?'}"

    def sentence(self, window: Window) -> str:
        """One sentence for a finding about the same port."""
        if self.lost is not None:
            return f"Probes from {self.told.packet.src} are denied there, too: {self.lost.height:,} got no answer."
        return f"Probes from {self.told.packet.src} are denied there, too."

    def finding(self, window: Window, remedy: tuple[str, ...], more: Sequence[str] = ()) -> Finding:
        """The finding about these probes alone."""
        where, sure = self._where(window)
        caveats: list[str] = []
        verdict = self._verdict(where, sure, caveats)
        proof = self._proof(window)
        rule, group = self.told.answer.rule, self.told.answer.group
        called, endpoint = window.called(self.member, self.port), window.endpoint(self.member, self.port)
        source = self.told.packet.src
        if self.lost is not None:
            sent = sum(one.sent for one in self.healths)
            summary = (
                f"{self.lost.height:,} of {sent:,} probes of {source} to {endpoint} got no answer, and {self.rule} "
            )
            summary += f"denies them: {rule.text}." if rule is not None else "has no rule that lets them in."
        else:
            seen = "are answered so far, but" if self.healths else "were not seen, and"
            summary = f"Probes of {source} to {endpoint} {seen} {self.rule} will drop them: the member leaves the pool."
        facts: dict[str, Fact] = {
            "nsg": group.name if group else None,
            "rule_name": self.told.answer.rule_name,
            "priority": rule.priority if rule is not None else None,
            "direction": "inbound",
            "where": where,
            "probes": True,
        }
        return Finding(
            rule="nsg-deny",
            severity=Severity.ERROR,
            verdict=verdict,
            title=f"{self.told.answer.rule_name} of {group.name if group else '?'} "
            f"{'denies' if self.lost is not None else 'will deny'} the probes of {called} on port {self.port}",
            summary=" ".join([summary, *more]),
            subject={"member": endpoint},
            count=self.lost.height if self.lost is not None else sum(one.sent for one in self.healths),
            evidence=proof.evidence,
            flows=proof.flows,
            paths=tuple(self.lost["path"]) if self.lost is not None else (),
            facts=facts,
            names=window.names([self.member]),
            filter=proof.filter,
            filter_complete=proof.filter_complete,
            cause=f"The security {self.rule}.",
            remedy=(*remedy, "Probes need a rule of their own: the data port's says nothing about them."),
            caveats=tuple(caveats),
            next_capture=f"{tcpdump_line([window.address(self.member)], self.port, 'probes.pcap')}  (on {called})",
            references=(
                "Azure Load Balancer troubleshooting, 2020-01-28: cause 2",
                "Azure: service-tags-overview, 2021-04",
            ),
        )

    def _where(self, window: Window) -> tuple[str, bool]:
        if self.lost is None:
            return "unknown", False
        placed = lost_at(window, self.member, self.lost)
        known = placed.filter(pl.col("where") != "unknown")
        where = str((known if known.height else placed)["where"].mode().sort()[0])
        return where, bool(placed.filter(pl.col("where") == where)["sure"].all())

    def _verdict(self, where: str, sure: bool, caveats: list[str]) -> Verdict:
        if self.lost is None and self.healths:
            caveats.append("In these captures the probes pass: the file is newer than they, or of another interface.")
            return Verdict.UNDECIDED
        if where in ("in-member", "return-path") and sure:
            caveats.append(REACHED)
            return Verdict.UNDECIDED
        if not self.told.placed:
            caveats.append(UNPLACED)
        caveats.append("A file says what rules would do, not what they did: a flow log of that time would prove it.")
        return Verdict.LIKELY

    def _proof(self, window: Window) -> Proof:
        if self.lost is not None:
            return cite(window, self.lost)
        if self.healths:
            return cite(window, pl.concat([one.readings.tail(1) for one in self.healths]))
        served = window.paths.filter(pl.col("backend") == self.member)
        return prove(window, served.tail(1), ("syn", "syn-ack"), lambda event: "the member is in use", each=2)


def denied_probes(window: Window) -> Iterator[DeniedProbes]:
    """Endpoints whose probes a given rule denies."""
    seen = by_member(window)
    for probed, healths in seen.items():
        member, port = probed.member, probed.port
        for health in healths:
            told = _tell(window, window.address(health.series.source), member, port)
            if told is None:
                continue
            lost = health.failed.filter(pl.col("how").is_in(LOST))
            yield DeniedProbes(member, port, told, (health,), lost if lost.height >= _RUN else None)
            break
    for member, port, source in _configured(window):
        if Probed(member, port) not in seen and (told := _tell(window, source, member, port)) is not None:
            yield DeniedProbes(member, port, told, (), None)


def _configured(window: Window) -> Iterator[tuple[int, int, str]]:
    """Probed endpoints of the topology whose members take part in the captures, with a prober's address."""
    number = dict(window.addresses.select("text", "address").iter_rows())
    used = set(window.paths["backend"].drop_nulls())
    for pool in window.topology.pools:
        if pool.probe is None:
            continue
        sources = [str(one.network_address) for one in pool.probe.source if one.prefixlen == one.max_prefixlen]
        if not sources and pool.probe.policy == "azure-lb":
            sources = [str(PLATFORM)]
        for member in pool.members:
            at = number.get(member.address)
            if member.enabled and at in used and at is not None and sources:
                yield at, pool.probe.port or member.port, sources[0]


def _tell(window: Window, source: str, member: int, port: int) -> Told | None:
    packet = Packet("inbound", 6, source, None, window.address(member), port)
    sets, placed = window.cloud.security.before(packet.dst)
    answer = evaluate(sets, packet, window.cloud.security.names)
    return Told(-1, packet, answer, placed, None) if answer.decision == "deny" else None
