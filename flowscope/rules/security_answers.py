"""What the given security rules and flow logs say about connections that nobody answered.

Shared by the rules about blocked traffic. The packet that is tried is the one the host's own rules see: behind the
balancer's translation, with the client's address where the balancer keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from flowscope.cloud.evaluate import Answer, Packet, answering, evaluate, evaluate_answer
from flowscope.cloud.flow_log_join import join_flow_log
from flowscope.nat.outcomes import SERVED
from flowscope.window import Window

#: Outcomes of connections that were let in.
ANSWERED = (*SERVED, "refused")


REACHED = (
    "They reached the member's own interface, which a group in front of it would have prevented: the file is of "
    "another interface or another time, or the filter is the guest's own."
)
UNPLACED = "No file says in front of which interface the group stands; it is taken to be this member's."


@dataclass(frozen=True, slots=True)
class Logged:
    """Records of one leg."""

    denied: int
    allowed: int
    rule: str | None
    """Of the first denying record."""
    group: str | None
    direction: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What was given about one path."""

    path: int
    packet: Packet
    answer: Answer
    placed: bool
    """Whether a file or the user says that the rules stand in front of this host."""
    logged: Logged | None

    @property
    def tried(self) -> Packet:
        """The packet that the answer is about: the first one, or the first one back."""
        rule = self.answer.rule
        return answering(self.packet) if rule is not None and rule.direction != self.packet.direction else self.packet

    @property
    def denied(self) -> bool:
        """By the log, else by the rules; what a log says happened goes over what rules say should."""
        if self.logged is not None and (self.logged.denied or self.logged.allowed):
            return self.logged.denied > 0
        return self.answer.decision == "deny"


def tell(window: Window, paths: pl.DataFrame) -> dict[int, Told]:
    """What was given about these paths, by path.

    Args:
        window: with the given files.
        paths: of TCP, to members, with ``last_leg`` and ``where`` (of :mod:`flowscope.rules.silence`).
    """
    if not window.cloud:
        return {}
    logged = _logged(window, paths)
    legs = window.legs.rename({"leg": "last_leg"}).select("last_leg", "src", "src_port", "dst", "dst_port")
    found = {}
    for row in paths.select("path", "last_leg", "where").join(legs, "last_leg").sort("path").iter_rows(named=True):
        packet = Packet(
            "inbound", 6, window.address(row["src"]), row["src_port"], window.address(row["dst"]), row["dst_port"]
        )
        sets, placed = window.cloud.security.before(packet.dst)
        names = window.cloud.security.names
        answer = evaluate(sets, packet, names)
        if answer.decision == "allow" and row["where"] == "return-path":
            answer = evaluate_answer(sets, packet, names)
        found[row["path"]] = Told(row["path"], packet, answer, placed, logged.get(row["last_leg"]))
    return found


def _logged(window: Window, paths: pl.DataFrame) -> dict[int, Logged]:
    log = window.cloud.flow_log
    if not log:
        return {}
    legs = paths["last_leg"].cast(pl.Int64)
    mine = join_flow_log(window, log).filter(pl.col("leg").is_in(legs.implode()))
    records = mine.join(log.records.with_row_index("record"), "record").sort("record")
    found = {}
    for (leg,), rows in records.group_by("leg", maintain_order=True):
        denied = rows.filter(pl.col("decision") == "deny")
        allowed = rows.filter(pl.col("decision") == "allow").height
        first = denied.row(0, named=True) if denied.height else {}
        found[int(str(leg))] = Logged(
            denied.height, allowed, first.get("rule"), first.get("group"), first.get("direction")
        )
    return found


def served_against(window: Window, told: Iterable[Told], since_ns: int) -> int:
    """Connections that the same answers would have denied, and that were let in after the first that was not.

    More than none, and the rules in the file are not those that were in force there.
    """
    listed = list(told)
    hosts = {(one.packet.dst, one.packet.dst_port) for one in listed}
    served = window.judgeable.filter(
        pl.col("outcome").is_in(ANSWERED), pl.col("backend").is_not_null(), pl.col("first_ns") > since_ns
    ).join(window.members_frame, ["backend", "backend_port"], how="semi")
    again = tell(window, served.with_columns(where=pl.lit("unknown")))
    return sum(
        1
        for one in again.values()
        if (one.packet.dst, one.packet.dst_port) in hosts
        and one.denied
        and one.answer.rule in {x.answer.rule for x in listed}
    )


def explained(one: Told) -> str:
    """Why nothing that was given explains a path, as the end of a sentence."""
    if one.logged is not None and one.logged.allowed:
        return "the flow log says that it was let in: the capture at the member missed it, or the guest dropped it"
    if one.answer.decision == "unknown":
        return f"that cannot be told: {one.answer.reason}"
    group = one.answer.group
    by = f"{one.answer.rule_name} of {group.name}" if group is not None and one.answer.rule is not None else "they"
    return f"{by} let{'s' * (by != 'they')} it in"


def explained_probe(window: Window, source: str, member: int, port: int) -> str:
    """One sentence when the rules that were given let a prober in; empty when they do not, or none were given.

    Args:
        window: with the given files.
        source: the prober's address.
        member: address number of the member.
        port: the probed port.
    """
    packet = Packet("inbound", 6, source, None, window.address(member), port)
    sets, placed = window.cloud.security.before(packet.dst)
    answer = evaluate(sets, packet, window.cloud.security.names)
    if not sets or answer.decision == "deny":
        return ""
    return f" No rule explains this: {explained(Told(-1, packet, answer, placed, None))}."
