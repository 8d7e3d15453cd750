"""How sure it is that connections are blocked: what else would look the same in these captures."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from flowscope.findings import Verdict
from flowscope.nat.outcomes import SERVED
from flowscope.rules.silence import ENOUGH_SYNS, never_repeated, presumed_at_most
from flowscope.window import Window

#: So many connections in a row, all of them silent, are an outage with a beginning and an end.
_ENOUGH_IN_A_ROW = 3
_MEMBER = ["backend", "backend_port"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Connections of the same clients to the same members that were accepted."""

    meanwhile: int
    """While others got no answer."""
    before: int
    """Before the first of these, where enough followed one another without an answer."""
    after: int

    @classmethod
    def of(cls, window: Window, paths: pl.DataFrame, member: tuple[int, int] | None, where: str) -> Accepted:
        """Counts them.

        Args:
            window: what is judged.
            paths: those without an answer; ``calls`` is how many of its client's there are, to any member.
            member: the one that they called, None when they are one client's to every member.
            where: where most of them got lost.
        """
        if member is None:
            # All that was one client's, or one address', failed.
            return cls(0, 0, 0)
        # Clients that called once each show nothing of their own: a queue turns away whoever comes.
        clients = paths.unique("client")
        once = where == "in-member" and int(clients["calls"].sum()) < 2 * clients.height > 2
        key = _MEMBER if once else ["client", *_MEMBER]
        served = window.judgeable.filter(pl.col("outcome").is_in(SERVED)).join(
            paths.select(key).unique(), key, how="semi"
        )
        if paths.height < _ENOUGH_IN_A_ROW:
            return cls(served.height, 0, 0)
        sent = window.flows_of_legs(paths["last_leg"]).select(
            at=pl.col("at_ns") + pl.col("fwd_last_ns") - pl.col("first_ns")
        )
        begun, last = paths["first_ns"].min(), sent["at"].max()
        before = served.filter(pl.col("first_ns") < begun).height
        # A SYN that is answered at a retry was accepted then.
        took = window.flows_of_legs(served["last_leg"].unique()).group_by("leg").agg(pl.col("synack_ns").max())
        served = served.join(took, left_on="last_leg", right_on="leg", how="left", maintain_order="left")
        after = served.filter(pl.col("first_ns") + pl.col("synack_ns").fill_null(0) > last).height
        return cls(served.height - before - after, before, after)

    @property
    def sentence(self) -> str:
        """When it was otherwise; empty when it never was, or meanwhile too."""
        if self.meanwhile or not (self.before or self.after):
            return ""
        when = [f"{self.before:,} before the first of these"] * bool(self.before)
        when += [f"{self.after:,} after the last"] * bool(self.after)
        return f" It was not so all the time: the same clients were served {' and '.join(when)}."


def judgement(
    window: Window, paths: pl.DataFrame, where: str, how: str, member: tuple[int, int], accepted: Accepted
) -> tuple[Verdict, list[str]]:
    """The verdict about these paths and its caveats.

    Args:
        window: what is judged.
        paths: with the columns of :data:`flowscope.rules.silence.SCHEMA`.
        where: where most of them got lost.
        how: ``silent`` or ``icmp``.
        member: the member that they called, or the first of several.
        accepted: those that were not lost.
    """
    verdict, caveats = _seen(window, paths, where, how, member, accepted)
    if (doubt := presumed_at_most(window, paths)) is not None:
        return max(verdict, doubt[0], key=lambda one: one.rank), [*caveats, doubt[1]]
    return verdict, caveats


def _seen(
    window: Window, paths: pl.DataFrame, where: str, how: str, member: tuple[int, int], accepted: Accepted
) -> tuple[Verdict, list[str]]:
    if where == "unknown":
        caveats = ["No point at the member was captured: a member that is down or overloaded looks the same."]
        if paths["client"].is_in(sorted(window.member_addresses)).any():
            caveats.append(
                "The caller is a member itself: an answer that goes straight back to it, past the balancer, would not "
                "be seen here (asymmetric-return)."
            )
        return Verdict.UNDECIDED, caveats
    if int(paths["syns"].sum()) < ENOUGH_SYNS and how == "silent":
        return Verdict.UNDECIDED, ["Too few SYNs were sent to tell a block from loss."]
    if how == "silent" and (never := never_repeated(paths["client"], paths["syns"])):
        return Verdict.UNDECIDED, [never]
    if accepted.meanwhile and how == "silent":
        return Verdict.UNDECIDED, [
            f"{accepted.meanwhile:,} other connections to the same port were accepted meanwhile: a full accept queue "
            f"or loss fits as well."
        ]
    if where == "before-member" and _fell_silent(window, paths):
        return Verdict.UNDECIDED, [
            "The member's own point shows nothing at all from then on: a host that went down, or a capture that ended, "
            "looks the same."
        ]
    if where == "return-path" and not paths["missed"].all():
        return Verdict.LIKELY, [
            "The answer passed the last point that was captured on its way back: it gets lost anywhere from there on, "
            "the client's own firewall included."
        ]
    if not bool(paths["sure"].all()):
        doubt = ["Where the points stand was inferred from TTLs: the drop may lie between the point and the host."]
        return Verdict.LIKELY, doubt
    if how == "icmp":
        return Verdict.CONFIRMED, []
    if where == "in-member":
        return Verdict.LIKELY, [
            "A service whose accept queue is full, or a process that hangs, drops SYNs in the same way; so does a "
            "member that has no way back to the client (no route, no answer to ARP)."
        ]
    if where == "before-member" and not _sees_port(window, *member):
        return Verdict.LIKELY, ["A capture filter at the member that leaves this port out would look the same."]
    return Verdict.CONFIRMED, []


def _fell_silent(window: Window, paths: pl.DataFrame) -> bool:
    """True when the points of the called members end before the last of these connections began."""
    last = int(paths["first_ns"].max() or 0)  # type: ignore[arg-type]
    homes = [place for backend in paths["backend"].unique() for place in window.points_on(backend)]
    sure = [place for place in homes if place.sure] or homes
    return bool(sure) and all(place.last_ns < last for place in sure)


def _sees_port(window: Window, backend: int, port: int) -> bool:
    """True when a point at the member saw other traffic of the data port: no filter hides it there."""
    home = [place.point for place in window.points_on(backend)]
    seen = window.flows.filter(
        pl.col("point").is_in(home), pl.col("dst") == backend, pl.col("dst_port") == port, pl.col("protocol") == 6
    )
    return seen.height > 0
