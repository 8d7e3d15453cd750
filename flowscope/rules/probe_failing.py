"""A member answers its health probes with failure.

What it flags
    Probes that reached the member and were no success: `how` = `refused` (RST to the SYN), `status` (an HTTP status
    that the prober does not take), `redirect` (3xx), `auth` (401, 403, 407), `timeout` (connected, and no answer to the
    request before the prober gave up), `slow` (an answer that came too late), `invalid` (no valid answer).

Why it matters
    The balancer takes the member out of rotation, while the service that clients use may be fine: a redirect to HTTPS,
    a login page or a missing file on the probed path is enough. Azure Load Balancer and Front Door take 200 only.

Evidence
    The failed probes, frame by frame: SYN, request, answer, and who closed.

Look-alikes
    A RST after a good answer is how some probers close and is no failure. A firewall that rejects with a reset looks
    like a closed port (`refused` is `likely` unless it was seen at the member's own interface). An answer cut by the
    end of the capture, lost by the capture itself (later segments acknowledge it), or hidden in TLS is not judged. A
    single failure that took nobody down is not reported. Probes sent to an address that several members hold are told
    apart by where they arrive; where only their pace says so, `likely`, and `point` tells which host is meant.

Check next
    Ask the probed path from the member itself, with the prober's Host header: `curl -i http://127.0.0.1:PORT/PATH`.

Example
    $ cd captures/probes-all-down-closed
    $ flowscope analyze . --topology topology.toml --select probe-failing
    F1  ERROR  Probes of node1 on port 8181 fail: status 503  [probe-failing, confirmed]
        10 of 18 probes of 168.63.129.16 to 10.53.19.79:8181 were answered with status 503.

References
    Azure Front Door health probes (2018-09-10): 200 is healthy, all else and any network error a failure.
    Azure Load Balancer, load-balancer-custom-probe-overview (2023-10).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import polars as pl

from flowscope.findings import Fact, Finding, Severity, Verdict
from flowscope.probes.replay import Health
from flowscope.report.safe_text import safe_line
from flowscope.rules.probe_evidence import (
    LOST,
    all_of_them,
    cite,
    down_since,
    limited,
    longest_run,
    served_meanwhile,
    severity,
    sources,
)
from flowscope.rules.probe_subject import Probed, askers, by_member, for_path, held_address, home
from flowscope.window import Window

SEVERITY = Severity.ERROR

HOWS = ("refused", "status", "redirect", "auth", "timeout", "slow", "invalid")
#: So many failures in a row are a fault, whatever threshold the prober has.
_RUN = 3


def judge(window: Window) -> Iterator[Finding]:
    """One finding per probed endpoint."""
    for probed, healths in by_member(window).items():
        failed = pl.concat([health.failed for health in healths]).filter(~pl.col("how").is_in(LOST))
        if failed.height and (
            _took_it_down(healths) or longest_run(healths, HOWS) >= _RUN or all_of_them(healths, HOWS) >= _RUN
        ):
            yield _finding(window, probed, healths, failed)


def _took_it_down(healths: Sequence[Health]) -> bool:
    return any(change.state == "down" and change.how in HOWS for health in healths for change in health.timeline)


def _finding(window: Window, probed: Probed, healths: Sequence[Health], failed: pl.DataFrame) -> Finding:
    member, port = probed.member, probed.port
    how = str(failed["how"].mode().sort()[0])
    commonest = failed.filter(pl.col("how") == how)
    statuses = commonest["status"].drop_nulls()
    status = int(statuses.mode().sort()[0]) if statuses.len() and how in ("status", "redirect", "auth") else None
    proof = cite(window, commonest)
    caveats: list[str] = []
    verdict = limited(window, _verdict(window, healths, how, commonest, caveats), healths, caveats)
    failing = [health for health in healths if health.failed["how"].is_in(list(HOWS)).any()]
    sent = sum(health.sent for health in failing)
    endpoint, called = probed.endpoint(window), probed.called(window)
    met = {"refused": "met a RST: nothing listens on the probed port", "timeout": "got no answer to the request",
           "slow": "were answered only after the prober had given up", "invalid": "got no valid answer",
           "redirect": f"were redirected (status {status})", "auth": f"were asked to log in (status {status})",
           "status": f"were answered with status {status}"}[how]  # fmt: skip
    summary = (
        f"{commonest.height:,} of {sent:,} probes of {sources(window, failing)}{for_path(failing)} to {endpoint} {met}."
    )
    summary += _since_it_asks_otherwise(failing, failed)
    others = failed.height - commonest.height
    if others:
        summary += f" {others:,} more failed in other ways."
    summary += held_address(window, failing)
    if fine := [health for health in healths if health not in failing and health.succeeded]:
        summary += f" Probes of {askers(window, fine)} were good."
    served = served_meanwhile(window, probed, failed)
    if served:
        summary += f" Clients were served meanwhile ({served:,} connections): the service itself works."
    facts: dict[str, Fact] = {"how": how, "failed": failed.height, "sent": sent}
    if status is not None:
        facts["status"] = status
    if since := down_since(healths):
        facts["since"] = since
    if late := commonest["latency_ns"].drop_nulls().median():
        facts["latency_ms"] = round(float(str(late)) / 1e6, 3)
    return Finding(
        rule="probe-failing",
        severity=severity(healths),
        verdict=verdict,
        title=f"Probes of {called} on port {port} fail: {_TITLES[how].format(status=status)}",
        summary=summary,
        subject=probed.subject(window),
        count=failed.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(failed["path"].unique(maintain_order=True)),
        facts=facts,
        names=window.names([member]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause=_CAUSES[how],
        remedy=_remedies(how, called, port),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"tcpdump -ni any -s 0 -w probes.pcap 'tcp port {port}'  (on {called})",
        references=(
            "Azure Front Door health probes, 2018-09-10",
            "Azure: load-balancer-custom-probe-overview, 2023-10",
        ),
    )


def _since_it_asks_otherwise(healths: Sequence[Health], failed: pl.DataFrame) -> str:
    """A sentence about a prober that asks for another path now, and has failed ever since and not before."""
    for one in (health.series for health in healths):
        for before, after in pairwise(one.settings):
            asked = before.target is not None and after.target is not None and before.target != after.target
            own = failed.filter(pl.col("source") == one.source)["sent_ns"]
            if asked and own.len() and own.is_between(after.first_ns, after.last_ns).all():
                new, old = safe_line(after.target or ""), safe_line(before.target or "")
                return f" They fail since the prober asks for {new} instead of {old}."
    return ""


_TITLES = {
    "refused": "refused",
    "status": "status {status}",
    "redirect": "redirected",
    "auth": "login wanted",
    "timeout": "no answer",
    "slow": "too slow",
    "invalid": "no valid answer",
}

_CAUSES = {
    "refused": "Nothing listens on the probed port (or on 127.0.0.1 only).",
    "status": "The probed path answers, but not with a status that the prober takes.",
    "redirect": "The probed path redirects, to HTTPS or to another host; a prober does not follow.",
    "auth": "The probed path wants a login, or a header that the prober does not send.",
    "timeout": "The service accepts connections and does not answer: it hangs, or waits for something that hangs.",
    "slow": "The probed path needs longer than the probe's timeout.",
    "invalid": "What answers on the probed port is no HTTP, or it closes before it answers.",
}


def _remedies(how: str, called: str, port: int) -> tuple[str, ...]:
    first = {
        "refused": f"On {called}: does anything listen on port {port}? `ss -ltn` or `netstat -an`.",
        "timeout": f"On {called}: see what the service on port {port} waits for; let the probe ask a path that needs "
        "no other service.",
        "slow": "Make the probed path cheap, or raise the probe's timeout.",
        "invalid": "Compare the probe's protocol (HTTP, HTTPS, TCP) with what listens on the port.",
    }.get(how, "Give the probe a path that answers 200 without redirect and login.")
    return first, "Probe what clients use, so that a member leaves the pool when it fails them, and only then."


def _verdict(window: Window, healths: Sequence[Health], how: str, failed: pl.DataFrame, caveats: list[str]) -> Verdict:
    if how != "refused":
        return Verdict.CONFIRMED
    here = [home(window, one.member, one.asked, one.host) for one in (health.series for health in healths)]
    points = [place.point for places in here for place in places if place.sure]
    legs = window.paths.filter(pl.col("path").is_in(failed["path"].implode()))["legs"].explode().cast(pl.UInt64)
    own = window.flows.filter(
        pl.col("leg").cast(pl.UInt64).is_in(legs.implode()), pl.col("point").is_in(points), pl.col("rev_resets") > 0
    )
    if own.height:
        return Verdict.CONFIRMED
    caveats.append(
        "The RST was not seen at the member's own interface: a firewall that rejects with a reset looks the same."
    )
    return Verdict.LIKELY
