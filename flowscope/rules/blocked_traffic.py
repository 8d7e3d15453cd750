"""Clients' SYNs to a member are dropped on the way: nobody answers, or an ICMP error does.

What it flags
    Paths whose SYN, repeats included, was never answered by the member, or was answered by ICMP unreachable. `where`
    says between which points it got lost: `before-member` (it left the balancer and never reached the member),
    `in-member` (it reached the member, which sent nothing), `return-path` (the member answered, the answer got lost),
    `unknown`.

Why it matters
    A security group, a guest firewall or a route drops the data port while the probe's port is open: the member stays
    in the pool and its share of the clients times out. This is cause 2 of the Azure Load Balancer guide.

Evidence
    The SYNs at each point, the answer where there was one, and the point that should have seen more and did not.

Look-alikes
    A full accept queue drops SYNs in the same way (`in-member` is then `likely` only, and `undecided` when other
    connections to the same port were accepted meanwhile; before and after is another matter). A capture that leaves
    packets out, by a filter or by loss, looks like a drop before that point. A host that is down answers nothing at
    all, and its own point falls silent with it (`undecided`). A SYN that is sent again although its answer passed a
    point shows that the answer was lost from there on (`likely` where no point nearer to the client saw it
    missing). A member that calls a frontend may get its answer past the balancer (`asymmetric-return`). Many
    clients that never repeat their SYN are a flood or a scan (`undecided`); more than ten blocked clients are told
    by the members that they called. The end of the capture is no silence: a SYN younger than 3 seconds is not
    judged. Where no frontend was captured the members are those that a documented prober asks, with the port that
    they serve (`likely` at most); a port that none of them serves, but on which clients insist, may be none of the
    balancer's (`undecided`).

Check next
    Capture at the member and at the last hop before it at the same time; list the security rules and the guest
    firewall.

Example
    $ cd captures/blocked-in-member
    $ flowscope analyze . --topology topology.toml --select blocked-traffic
    F1  ERROR  Connections to be2 on port 8080 are blocked  [blocked-traffic, likely]
        12 connections (48 SYNs, retries included) to 10.0.0.12:8080 reach it and get no answer.

References
    Azure Load Balancer troubleshooting (2020-01-28): a network security group blocks the port.
    RFC 1122, section 3.2.2.1: destination unreachable.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.rules.blocked_clients import lone, named, only_some, stands_for, whose_connections, with_source
from flowscope.rules.blocked_judgement import Accepted, judgement
from flowscope.rules.evidence import Note, Proof, prove, tcpdump_line
from flowscope.rules.probe_contrast import healthy_probes
from flowscope.rules.security_answers import Told, explained, tell
from flowscope.rules.silence import describe
from flowscope.window import Window

SEVERITY = Severity.ERROR

_MEMBER = ["backend", "backend_port"]


def judge(window: Window) -> Iterator[Finding]:
    """One finding per member, or per client when one client alone fails at every member."""
    rest = with_source(window, describe(window)).with_columns(calls=pl.len().over("client"))
    # Rules match the address that is on the wire there: a translator's, which may stand for several clients or some
    # of their calls.
    for whose in ("source", "client"):
        alone = lone(window, rest, whose)
        for (client,), paths in rest.filter(pl.col(whose).is_in(alone)).group_by(whose, maintain_order=True):
            yield _finding(window, paths, int(str(client)), None)
        rest = rest.filter(~pl.col(whose).is_in(alone))
    for (backend, port), paths in rest.group_by(_MEMBER, maintain_order=True):
        yield _finding(window, paths, None, (int(str(backend)), int(str(port))))


def _finding(window: Window, paths: pl.DataFrame, client: int | None, member: tuple[int, int] | None) -> Finding:
    where = _commonest(paths, "where")
    how = "icmp" if (paths["how"] == "icmp").any() else "silent"
    backend = member[0] if member else int(paths["backend"][0])
    port = member[1] if member else int(paths["backend_port"][0])
    accepted = Accepted.of(window, paths, member, where)
    told = tell(window, paths)
    verdict, caveats = judgement(window, paths, where, how, (backend, port), accepted)
    if _let_in(told) and verdict is not Verdict.UNDECIDED and where != "in-member":
        verdict = Verdict.UNDECIDED
        caveats.append("The flow log says that these connections were let in: the capture missed them, or the guest.")
    proof = prove(window, paths, ("syn", "syn-ack", "icmp-error"), _note(window))
    called = window.called(client) if client is not None else window.called(backend, port)
    endpoint = window.endpoint(backend, port)
    target = "every member" if client is not None else endpoint
    facts: dict[str, Fact] = {"where": where, "how": how, **_icmp(window, proof)}
    place = {
        "before-member": "get lost before they reach it",
        "in-member": "reach it and get no answer",
        "return-path": "are answered, but the answer gets lost on the way back",
        "unknown": "get no answer",
    }[where]
    syns = int(paths["syns"].sum())
    summary = f"{len(paths):,} connections ({syns:,} SYNs, retries included) to {target} {place}"
    summary += ": ICMP says the traffic is not allowed or not deliverable." if how == "icmp" else "."
    summary += _security(told)
    contrast = healthy_probes(window, backend, paths)
    if contrast and client is None:
        summary += f" {contrast} so the balancer goes on sending clients there."
    whose = [] if member is None else only_some(window, paths, member)
    if whose:
        summary += f" Only {named(window, whose)} met this; the member answered other clients meanwhile."
    summary += accepted.sentence
    if client is not None:
        summary += stands_for(window, paths, client)
        summary = f"All of {called}'s {summary[0].lower()}{summary[1:]} Other clients reach the same members."
    return Finding(
        rule="blocked-traffic",
        severity=SEVERITY,
        verdict=verdict,
        title=f"{called}'s connections are blocked"
        if client is not None
        else f"{whose_connections(window, whose)} to {called} on port {port} are blocked",
        summary=summary,
        subject={"client": window.address(client)} if client is not None else {"member": endpoint},
        count=len(paths),
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        facts=facts,
        names=window.names([number for number in (client, backend) if number is not None]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=_CAUSES[where],
        remedy=_remedies(where, called if client is None else target, port, client is not None),
        caveats=tuple(caveats),
        next_capture=_next(window, where, backend, port, paths) if verdict is not Verdict.CONFIRMED else None,
        references=("Azure Load Balancer troubleshooting, 2020-01-28: cause 2", "RFC 1122, section 3.2.2.1"),
    )


def _security(told: dict[int, Told]) -> str:
    """What given rules and logs say of it: ``blocked-traffic`` is what they do not explain."""
    reasons = list(dict.fromkeys(explained(one) for one in told.values() if not one.denied))
    return f" No rule explains this: {reasons[0]}." if reasons else ""


def _let_in(told: dict[int, Told]) -> bool:
    return any(one.logged is not None and one.logged.allowed and not one.logged.denied for one in told.values())


_CAUSES = {
    "before-member": "Something between the balancer and the member drops the packets: a security group, a "
    "firewall or a route.",
    "in-member": "The member's own firewall drops the packets, or its accept queue is full.",
    "return-path": "The member's answers are dropped or routed past the balancer.",
    "unknown": "The captures do not show where the packets get lost.",
}


def _remedies(where: str, called: str, port: int, one_client: bool) -> tuple[str, ...]:
    if where == "in-member":
        return (
            f"On {called}: list the firewall's rules for port {port} (`nft list ruleset`, `iptables -S`, "
            f"Windows Firewall).",
            "Check the listener's queue: `ss -ltn` shows Recv-Q against Send-Q.",
        )
    if where == "return-path":
        return (f"Follow the way back from {called}: routes, security rules for outbound traffic, a second interface.",)
    scope = "from this client" if one_client else "from clients"
    return (
        f"List the security rules by priority and look for a deny that matches port {port} {scope} before the "
        f"default rules.",
        "Probes and data need separate rules: an open probe port says nothing about the data port.",
    )


def _commonest(paths: pl.DataFrame, column: str) -> str:
    known = paths.filter(pl.col(column) != "unknown")
    values = (known if known.height else paths)[column].value_counts()
    return str(values.sort("count", column, descending=[True, False])[column][0])


def _note(window: Window) -> Note:
    def note(event: dict[str, Any]) -> str | None:
        at = window.point_name(event["point"])
        if event["kind"] == "icmp-error":
            return f"ICMP {event['icmp'] // 256}/{event['icmp'] % 256} from {window.address(event['peer'])}"
        if event["kind"] == "syn-ack":
            return f"the member answers, seen at {at}"
        return f"SYN at {at}"

    return note


def _icmp(window: Window, proof: Proof) -> dict[str, Fact]:
    errors = window.events.filter(pl.col("flow").is_in(list(proof.flows)), pl.col("icmp").is_not_null())
    if not errors.height:
        return {}
    code = int(errors["icmp"].value_counts(sort=True)["icmp"][0])
    return {"icmp_type": code // 256, "icmp_code": code % 256}


def _next(window: Window, where: str, backend: int, port: int, paths: pl.DataFrame) -> str:
    on = window.called(backend, port)
    host = window.address(backend)
    place = f"on {on}" if where == "in-member" else f"on {on} and on the hop before it"
    if where == "return-path" and not paths["missed"].all():
        place = f"between {on} and the client, and on the client"
    return f"{tcpdump_line([host], port, 'member.pcap')}  ({place})"
