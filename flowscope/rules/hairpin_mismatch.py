"""A pool member reaches itself through the load balancer, and the two halves of the connection do not match.

What it flags
    A member calls a frontend of its own pool, the balancer maps the call back to the caller, and the SYN comes in again
    with the caller's own address as source and destination. The host drops it (a packet from outside that bears its own
    address), or answers it over loopback from an address that it never called (Linux with IPv6, or with `accept_local`)
    and resets that answer: the connection never opens.

Why it matters
    With n healthy members about one call in n fails, at random, with a time-out and no error anywhere: no counter, no
    ICMP, no reset. Both ends look healthy. These are causes 3 and 4 of the Azure Load Balancer guide; AWS network load
    balancers that keep the client address do the same.

Evidence
    The pair of SYNs with one ISN and one source port, first to the frontend, then from the member to itself with a
    lower TTL, and no answer. `expected_failure_rate` is 1/n, `observed_failure_rate` what this capture shows.

Look-alikes
    A hairpin that the balancer heals by changing the source address works and is not flagged. A host that calls itself
    over loopback never shows the pair on a network interface. When only the outgoing half was captured (a filter on the
    frontend's address), an overloaded member looks the same: then the finding says `likely` or `undecided`.

Check next
    Capture on the calling member without a host filter: the SYN must come back within milliseconds.

Example
    $ cd captures/hairpin
    $ flowscope analyze . --topology topology.toml --select hairpin-mismatch
    F1  ERROR  be1 reaches itself through 10.0.0.100:80  [hairpin-mismatch, confirmed]
        25 of 45 calls of be1 to 10.0.0.100:80 were sent back to be1 itself and failed: the SYN left for the
        frontend and came in again from 10.0.0.11 to 10.0.0.11.

References
    Azure Load Balancer troubleshooting (2020-01-28): a member accesses the frontend from the same interface, or its own
    internal frontend.
    Linux, ip-sysctl: accept_local, log_martians.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.nat.numbers import address_numbers
from flowscope.rules.evidence import Proof, prove
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: A rate of failures as improbable as this is not the balancer's dice.
_IMPROBABLE = 0.01


def judge(window: Window) -> Iterator[Finding]:
    """One finding per calling member and frontend."""
    calls = window.judgeable.join(
        window.legs.select("leg", pl.col("src").alias("last_src"), pl.col("dst").alias("last_dst")),
        left_on="last_leg",
        right_on="leg",
        maintain_order="left",
    ).with_columns(looped=(pl.col("last_src") == pl.col("last_dst")) & (pl.col("last_dst") == pl.col("client")))
    looped = calls.filter("looped", pl.col("frontend").is_not_null(), _mismatched(window))
    seen = set()
    for (client, frontend, port), failed in looped.group_by("client", "frontend", "frontend_port", maintain_order=True):
        caller = (int(str(client)), int(str(frontend)), int(str(port)))
        seen.add(caller)
        yield _proven(window, calls, failed, *caller)
    suspects = calls.filter(
        pl.col("client").is_in(list(window.member_addresses)),
        pl.col("legs").list.len() == 1,
        pl.col("outcome") == "unanswered",
    )
    suspects = suspects.join(
        window.legs.select("leg", pl.col("dst").alias("called"), pl.col("dst_port").alias("called_port")),
        left_on="first_leg",
        right_on="leg",
        maintain_order="left",
    )
    for (client, frontend, port), failed in suspects.group_by("client", "called", "called_port", maintain_order=True):
        caller = (int(str(client)), int(str(frontend)), int(str(port)))
        if caller not in seen and (found := _suspected(window, calls, failed, *caller)) is not None:
            yield found


def _mismatched(window: Window) -> pl.Expr:
    """Nobody answered, or the host answered itself, over loopback, and the frontend never did."""
    served = window.flows.lazy().filter(pl.col("rev_syns") > 0).select("leg").unique().collect()["leg"]
    alone = ~pl.col("first_leg").is_in(served.implode())
    return (pl.col("outcome") == "unanswered") | (pl.col("outcome").is_in(["half-open", "reset"]) & alone)


def _pool(window: Window, calls: pl.DataFrame, frontend: int, port: int) -> tuple[set[tuple[int, int]], str | None]:
    """Members behind a frontend (address number, port), and the pool's name when the topology has one."""
    known = window.topology.frontend_of(window.address(frontend), port, "tcp")
    if known is not None and known.pool is not None:
        listed = [member for member in window.topology.members_of(known.pool) if member.enabled]
        number = address_numbers(window.addresses, (one.address for one in listed))
        # A member that no packet names still takes its share; -1 stands for its address.
        return {(number.get(one.address, -1 - at), one.port) for at, one in enumerate(listed)}, known.pool
    behind = calls.filter(
        pl.col("frontend") == frontend, pl.col("frontend_port") == port, pl.col("backend").is_not_null()
    )
    return set(behind.select("backend", "backend_port").unique().iter_rows()), None


def _proven(
    window: Window, calls: pl.DataFrame, failed: pl.DataFrame, client: int, frontend: int, port: int
) -> Finding:
    own_port = int(failed["backend_port"][0])
    members, _ = _pool(window, calls, frontend, port)
    own = _calls(calls, client, frontend, port)
    rates = _rates(len(members), len(failed), own.height)
    proof = prove(window, failed, ("syn", "syn-ack", "rst"), lambda event: _note(window, event, client))
    itself = bool((window.flows_of_legs(failed["last_leg"])["rev_syns"] > 0).any())
    fate = (
        "The host answered itself over loopback, as an endpoint that it had not called, and reset the answer."
        if itself
        else "A host drops packets from outside that bear its own address."
    )
    repeated = window.flows.filter(pl.col("flow").is_in(list(proof.flows)))["fwd_syns"].max()
    name, where = window.called(client), window.endpoint(frontend, port)
    caveats = []
    if not isinstance(repeated, int) or repeated < 2:
        caveats.append("The SYN was not seen again: the capture may have ended before an answer came.")
    return Finding(
        rule="hairpin-mismatch",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if caveats else Verdict.CONFIRMED,
        title=f"{name} reaches itself through {where}",
        summary=(
            f"{len(failed):,} of {own.height:,} calls of {name} to {where} were sent back to {name} itself "
            f"and failed: the SYN left for the frontend and came in again from {window.address(client)} to "
            f"{window.address(client)}. {fate} {_expectation(rates, len(members))}"
        ),
        caveats=tuple(caveats),
        facts=rates,
        next_capture=None,
        **_common(window, failed, proof, client, own_port, frontend, port, name),
    )


def _suspected(
    window: Window, calls: pl.DataFrame, failed: pl.DataFrame, client: int, frontend: int, port: int
) -> Finding | None:
    """The outgoing half alone: a member's calls to a frontend of its own pool go unanswered, some of them."""
    members, _ = _pool(window, calls, frontend, port)
    ports = [own_port for address, own_port in members if address == client]
    if not ports or _would_show(window, client, ports[0]):
        return None
    own = _calls(calls, client, frontend, port)
    rates = _rates(len(members), len(failed), own.height)
    others = calls.filter(
        pl.col("frontend") == frontend,
        pl.col("frontend_port") == port,
        ~pl.col("client").is_in(list(window.member_addresses)),
    )
    others_fail = others.filter(pl.col("outcome") == "unanswered").height
    fits = _fits(len(failed), own.height, 1 / len(members))
    likely = fits and not others_fail and len(failed) >= 2 and (len(members) == 1 or own.height > len(failed))
    proof = prove(window, failed, ("syn",), lambda event: _note(window, event, client))
    name, where = window.called(client), window.endpoint(frontend, port)
    return Finding(
        rule="hairpin-mismatch",
        severity=SEVERITY,
        verdict=Verdict.LIKELY if likely else Verdict.UNDECIDED,
        title=f"{name} probably reaches itself through {where}",
        summary=(
            f"{len(failed):,} of {own.height:,} calls of {name}, itself a member of the pool, to {where} were "
            f"never answered. "
            f"{_expectation(rates, len(members))} The SYN that comes back to {name} was not captured."
        ),
        caveats=("Only the outgoing half was seen: a member that drops connections would look the same.",),
        facts=rates,
        next_capture=f"tcpdump -ni any -s 0 -w {_file_name(name)}.pcap 'tcp port {port} or tcp port "
        f"{ports[0]}'  (on {name})",
        **_common(window, failed, proof, client, ports[0], frontend, port, name),
    )


def _common(
    window: Window, failed: pl.DataFrame, proof: Proof, client: int, own_port: int, frontend: int, port: int, name: str
) -> dict[str, Any]:
    return {
        "subject": {"member": window.endpoint(client, own_port), "frontend": window.endpoint(frontend, port)},
        "count": len(failed),
        "evidence": proof.evidence,
        "flows": proof.flows,
        "paths": tuple(failed["path"]),
        "names": window.names([client, frontend]),
        "filter": proof.filter,
        "filter_complete": proof.filter_complete,
        "cause": (
            "The balancer keeps the caller's address and chooses the caller as the member. The packet then "
            "arrives with the "
            "host's own address as source, and an answer would never pass the balancer: the two halves do not match."
        ),
        "remedy": (
            f"Let {name} call the service directly (127.0.0.1 or its own address), not through the frontend.",
            "Or put a proxy tier in front that opens its own connections (HAProxy, nginx, Application Gateway).",
            "Or use direct server return (floating IP with the frontend's address on a loopback interface).",
            "Or give clients and servers different hosts or interfaces; on AWS, turn client address preservation off.",
            "A public frontend would change the source address, at the price of one SNAT port per call.",
        ),
        "references": (
            "Azure Load Balancer troubleshooting, 2020-01-28: causes 3 and 4",
            "Linux ip-sysctl: accept_local",
        ),
    }


def _calls(calls: pl.DataFrame, client: int, frontend: int, port: int) -> pl.DataFrame:
    """All connections of one client to one frontend, whether or not their second leg was seen."""
    return calls.filter(pl.col("client") == client).filter(
        (pl.col("frontend") == frontend) & (pl.col("frontend_port") == port)
        | (pl.col("frontend").is_null() & (pl.col("backend") == frontend) & (pl.col("backend_port") == port))
    )  # fmt: skip


def _rates(members: int, failed: int, calls: int) -> dict[str, Fact]:
    """What share of the calls failed, and what share should; the latter only where the members are known."""
    observed: dict[str, Fact] = {"observed_failure_rate": round(failed / max(calls, 1), 4)}
    if members <= 1 and failed < calls:
        return observed
    return {"expected_failure_rate": round(1 / max(members, 1), 4), **observed}


def _expectation(rates: dict[str, Fact], members: int) -> str:
    if "expected_failure_rate" not in rates:
        return "The other calls did not come back: there are members that were not seen here."
    if members <= 1:
        return "With one member every such call fails."
    return (
        f"With {members} members about {rates['expected_failure_rate']:.0%} of a member's calls are expected to fail; "
        f"{rates['observed_failure_rate']:.0%} did."
    )


def _fits(failed: int, calls: int, share: float) -> bool:
    """True when so many failures are not improbable for a balancer that picks at random (binomial, both tails)."""

    def tail(numbers: range) -> float:
        return sum(math.comb(calls, k) * share**k * (1 - share) ** (calls - k) for k in numbers)

    if calls > 500:
        deviation = math.sqrt(calls * share * (1 - share))
        return deviation == 0 or abs(failed - calls * share) <= 2.6 * deviation
    return min(tail(range(failed + 1)), tail(range(failed, calls + 1))) > _IMPROBABLE / 2


def _would_show(window: Window, client: int, port: int) -> bool:
    """True when a point on the caller saw other traffic to its own data port: it would have seen the SYN come back."""
    home = [place.point for place in window.points_on(client)]
    seen = window.flows.filter(
        pl.col("point").is_in(home), pl.col("dst") == client, pl.col("dst_port") == port, pl.col("protocol") == 6
    )
    return seen.height > 0


def _note(window: Window, event: dict[str, Any], client: int) -> str | None:
    flow = window.flows.row(event["flow"], named=True)
    if event["kind"] == "syn-ack":
        return f"the host answers itself, from port {flow['dst_port']}"
    if event["kind"] == "rst":
        return "and resets its own answer" if event["half"] == 0 else None
    if flow["dst"] != client:
        return f"SYN out to the frontend, ISN {event['seq']}, TTL {event['ttl']}"
    return f"the same SYN back in, from the host to itself, TTL {event['ttl']}"


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "member"
