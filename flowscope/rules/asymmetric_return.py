"""The answer comes from the member itself, not from the frontend that was called, and the caller rejects it.

What it flags
    A host calls a frontend and gets its SYN-ACK from another address: the number it acknowledges is that of the call,
    the sender is the member that the balancer chose. The caller knows no such connection and resets it.

Why it matters
    Every such call times out: the frontend never answers, the RST goes to the member, and the member starts anew at
    each repeat of the SYN. Caller and member look healthy to everyone else. It happens where the member can reach the
    caller without passing the balancer: members that call their own internal frontend, clients on the members' own
    network, a second interface or a route that leads past the translator.

Evidence
    The SYN to the frontend, the SYN-ACK from the member that acknowledges exactly it (ISN + 1), the caller's RST with
    that number, and no SYN-ACK from the frontend.

Look-alikes
    Direct server return: the member answers past the balancer too, but with the frontend's address, and the caller
    accepts it. A balancer in whose captures the member answers with its own address, to be rewritten further on: nobody
    resets that. A caller that scans resets what it is offered through the frontend, which then shows the SYN-ACK. Where
    the caller's side was not captured, a firewall between the two may have sent the reset (`likely`).

Check next
    On the caller, without a host filter: the SYN-ACK must come in from the member's address.

Example
    $ cd captures/asymmetric-return
    $ flowscope analyze . --topology topology.toml --select asymmetric-return
    F1  ERROR  node3 rejects the answers to its calls of 172.21.219.209:88  [asymmetric-return, confirmed]
        17 of 24 calls of node3 to 172.21.219.209:88 were answered by node2 and node1 themselves, from an
        address that node3 had not called. node3 reset each of these answers, and the calls timed out.

References
    Azure Load Balancer troubleshooting (2020-01-28): a member accesses its own internal frontend.
    RFC 9293, section 3.10.7.3 and 3.5.2: a SYN-ACK for no connection is answered by RST.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.window import Window

SEVERITY = Severity.ERROR

_TCP = 6


def judge(window: Window) -> Iterator[Finding]:
    """One finding per caller and frontend."""
    pairs = _rejected(window)
    if not pairs.height:
        return
    key = ["src", "dst", "dst_port"]
    for (caller, frontend, port), calls in pairs.group_by(key, maintain_order=True):
        found = _finding(window, calls, int(str(caller)), int(str(frontend)), int(str(port)))
        if found is not None:
            yield found


def _rejected(window: Window) -> pl.DataFrame:
    """Calls (``call`` leg) whose answer came on another leg (``answer``) and was reset; ``seen`` at one point."""
    tcp = window.flows.filter(pl.col("protocol") == _TCP, pl.col("fwd_payload_bytes") == 0)
    answers = tcp.filter(
        pl.col("rev_syns") > 0,
        pl.col("fwd_resets") > 0,
        # A caller that ever acknowledged had taken the offer.
        pl.col("fwd_last_ack").is_null(),
        pl.col("src") != pl.col("dst"),
    ).select("point", "src", "src_port", answer="leg", member="dst", member_port="dst_port", number="rev_last_ack")
    if not answers.height:
        return pl.DataFrame()
    offered = window.flows.filter(pl.col("rev_packets") > 0)["leg"].unique()
    calls = tcp.filter(
        pl.col("fwd_syns") > 0, pl.col("fwd_resets") == 0, ~pl.col("leg").is_in(offered.implode())
    ).select(
        "point", "src", "src_port", "dst", "dst_port", call="leg", number=(pl.col("fwd_isn").cast(pl.Int64) + 1) % 2**32
    )
    answers = answers.with_columns(pl.col("number").cast(pl.Int64))
    met = calls.join(answers, ["src", "src_port", "number"], suffix="_answer").filter(
        (pl.col("dst") != pl.col("member")) | (pl.col("dst_port") != pl.col("member_port"))
    )
    # Who scans sends one number to every port: where the member was called itself, its answer is to that call, unless
    # this is the call, translated.
    steps = window.paths.select("path", leg="legs").explode("leg")
    translated = steps.rename({"leg": "call"}).join(steps.rename({"leg": "answer"}), "path").select("call", "answer")
    called = window.flows.filter(pl.col("fwd_syns") > 0)["leg"].unique()
    own = pl.col("answer").is_in(called.implode())
    met = pl.concat([met.filter(~own), met.filter(own).join(translated.unique(), ["call", "answer"], how="semi")])
    together = pl.col("point") == pl.col("point_answer")
    return met.group_by(
        "call", "answer", "src", "dst", "dst_port", "member", "member_port", maintain_order=True
    ).agg(seen=together.any())  # fmt: skip


def _finding(window: Window, calls: pl.DataFrame, caller: int, frontend: int, port: int) -> Finding | None:
    legs = pl.concat([calls["call"], calls["answer"]]).unique()
    paths = window.judgeable.filter(pl.col("legs").list.eval(pl.element().is_in(legs.implode())).list.any())
    if not paths.height:
        return None
    proof = prove(window, paths, ("syn", "syn-ack", "rst"), lambda event: _note(window, event))
    failed, made = calls["call"].n_unique(), _calls(window, caller, frontend, port)
    confirmed = bool(calls["seen"].any())
    own_port = next((member[1] for member in sorted(window.members) if member[0] == caller), None)
    name, where = window.called(caller), window.endpoint(frontend, port)
    members = [int(number) for number in calls["member"].unique().sort()]
    answered = " and ".join(window.called(number) for number in members)
    answered += " itself" if len(members) == 1 else " themselves"
    host = window.address(caller)
    watched = [window.address(number) for number in (frontend, *members)]
    return Finding(
        rule="asymmetric-return",
        severity=SEVERITY,
        verdict=Verdict.CONFIRMED if confirmed else Verdict.LIKELY,
        title=f"{name} rejects the answers to its calls of {where}",
        summary=(
            f"{failed:,} of {made:,} calls of {name} to {where} were answered by {answered}, from an address that "
            f"{name} had not called. {name} reset each of these answers, and the calls timed out."
        ),
        subject={
            **({"member": window.endpoint(caller, own_port)} if own_port is not None else {"client": host}),
            "frontend": where,
        },
        count=failed,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(paths["path"]),
        facts={"observed_failure_rate": round(failed / max(made, failed), 4)},
        names=window.names([caller, frontend, *members]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=(
            "The balancer changes the destination only. The member sees the caller's own address and answers straight "
            "to it, past the balancer, so nothing turns the member's address back into the frontend's."
        ),
        remedy=(
            f"Let {name} call the members directly, or give it a frontend that changes the source address as well "
            f"(source NAT, or a proxy that opens its own connections).",
            "Or send the members' answers back through the balancer: their route to the caller must lead there.",
            "Or use direct server return, with the frontend's address on a loopback interface of each member.",
        ),
        caveats=()
        if confirmed
        else ("The caller's side was not captured: a firewall on the way could have sent the reset.",),
        next_capture=None if confirmed else f"{tcpdump_line(watched, None, 'caller.pcap')}  (on {name})",
        references=(
            "Azure Load Balancer troubleshooting, 2020-01-28: cause 4",
            "RFC 9293, section 3.10.7: a segment for no connection is answered by RST",
        ),
    )


def _calls(window: Window, caller: int, frontend: int, port: int) -> int:
    legs = window.legs.filter(pl.col("src") == caller, pl.col("dst") == frontend, pl.col("dst_port") == port)
    return legs.height


def _note(window: Window, event: dict[str, Any]) -> str | None:
    flow = window.flows.row(event["flow"], named=True)
    if event["kind"] == "syn-ack":
        return f"SYN-ACK from {window.endpoint(flow['dst'], flow['dst_port'])}, which acknowledges the call"
    if event["kind"] == "rst":
        return "the caller resets it" if event["half"] == 0 else None
    return f"SYN to {window.endpoint(flow['dst'], flow['dst_port'])}, ISN {event['seq']}"
