"""A member takes connections and requests, and never answers.

What it flags
    Connections to a member that open, whose request is acknowledged in full, and that get no byte, FIN or RST back for
    as long as the client waits (3 seconds at least, and longer than any answer of the same service took); a FIN or RST
    that follows the client's own is no answer, nor is a proxy's 504. `how` is `hung` for these; `accept-queue` when
    further SYNs (or the last ACK of the handshake) are dropped at that member.

Why it matters
    The kernel accepts and acknowledges, so every check of the port succeeds, and clients wait for their time-outs.
    The process behind the port hangs; when its queue of accepted connections is full, new SYNs get no answer either.

Evidence
    Handshake, request, its acknowledgement, the client's giving up; answered connections to the same service beside it.

Look-alikes
    A long wait that ends in an answer, a client that aborts early and a protocol in which only the client speaks
    are not flagged. An answer that vanishes on the way (an MTU black hole, loss) leaves a hole in the member's
    numbers and is spared; where the member never spoke again after it, only its own interface shows the difference,
    and without it the verdict is `likely`. Where no connection to the service was ever answered, the service may be
    one that never answers: `undecided`. So are one or two requests whose clients still wait when the capture ends:
    a long poll looks so. SYNs dropped without a hanging connection beside them are `blocked-traffic`. Where no
    frontend was captured the members are those that a documented prober asks (`likely` at most).

Check next
    On the member: `ss -ltn` (Recv-Q against Send-Q; given with `--listening` it is read here), `nstat -az
    TcpExtListenOverflows`, a stack dump of the process.

Example
    $ cd captures/unresponsive-service
    $ flowscope analyze . --topology topology.toml --select unresponsive-service
    F1  ERROR  be1 takes requests on port 3000 and does not answer  [unresponsive-service, confirmed]
        14 requests to 172.29.243.121:3000 were acknowledged and never answered; clients waited about 3.5 s.

References
    Linux listen(2), ip-sysctl tcp_abort_on_overflow.
    Azure Load Balancer troubleshooting (2020-01-28): members that answer probes, but not data.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.findings import Finding, Severity, Verdict
from flowscope.nat.outcomes import PROXIED
from flowscope.rules.evidence import prove, tcpdump_line
from flowscope.rules.listeners import heard
from flowscope.rules.probe_contrast import healthy_probes
from flowscope.rules.silence import DEADLINE_NS, describe, endpoints, presumed_at_most
from flowscope.tables import EVENT_KINDS
from flowscope.window import Window

SEVERITY = Severity.ERROR

#: So many requests that wait at one member are more than something that takes its time.
_SEVERAL = 3

_MEMBER = ["backend", "backend_port"]


def judge(window: Window) -> Iterator[Finding]:
    """One finding per member."""
    hung = _hung(window)
    if not hung.height:
        return
    dropped = describe(window).filter(pl.col("where") == "in-member", pl.col("how") == "silent")
    for (backend, port), paths in hung.group_by(_MEMBER, maintain_order=True):
        turned_away = dropped.filter(pl.col("backend") == backend, pl.col("backend_port") == port)
        found = _finding(window, paths, turned_away, int(str(backend)), int(str(port)))
        if found is not None:
            yield found


def _hung(window: Window) -> pl.DataFrame:
    """Paths to members whose request was acknowledged and not answered, with ``waited_ns`` and ``gave_up``."""
    # A hole before the member's last number is an answer too: it was sent, and lost before it was captured.
    spoke = pl.any_horizontal(pl.col("rev_payload_bytes", "rev_missing_bytes") > 0)
    # Lazily: of the wide table only the rows that remain in the end are copied whole.
    flows = window.flows.lazy()
    unheard = flows.filter(pl.col("fwd_payload_bytes") > 0, ~spoke).select("flow").collect()["flow"]
    closes = _closes(window, unheard)
    left = pl.any_horizontal(pl.col("rev_fins", "rev_resets") > 0)
    after = closes.filter(pl.col("gave_up_ns") <= pl.col("left_ns"))["flow"]
    heard = flows.filter(spoke | (left & ~pl.col("flow").is_in(after.implode())))
    answered = heard.select("leg").unique().collect()["leg"]
    acked = (pl.col("rev_last_ack").cast(pl.Int64) - pl.col("fwd_isn").cast(pl.Int64)) % 2**32
    ended = (pl.col("fwd_fins") > 0) | (pl.col("fwd_resets") > 0)
    # The SYN-ACK again, after the ACK that the member's own interface saw: the kernel threw that ACK away.
    # Anywhere else that ACK may have been lost after it was seen.
    refused = (pl.col("rev_syns") > 1) & pl.col("fwd_last_ack").is_not_null() & _at_home(window)
    stuck = window.flows.filter(
        pl.col("protocol") == 6,
        pl.col("fwd_syns") > 0,
        pl.col("fwd_payload_bytes") > 0,
        ~pl.col("leg").is_in(answered.implode()),
        refused | ((acked > pl.col("fwd_covered_bytes")) & (acked < 2**31)),
    )
    if not stuck.height:
        return window.judgeable.head(0)
    ends = window.point_table.select(pl.col("point").cast(pl.UInt32), point_end="until_ns")
    waits = (
        stuck.with_columns(pl.col("point").cast(pl.UInt32))
        .join(ends, "point")
        .join(closes, "flow", how="left")
        .select(
            "leg",
            waited_ns=pl.when(ended).then(pl.coalesce("gave_up_ns", "fwd_last_ns")).otherwise("point_end")
            - pl.col("fwd_last_data_ns"),
            gave_up=ended,
            refused=refused,
            left=pl.col("left_ns").is_not_null(),
        )
        .group_by("leg")
        .agg(pl.col("waited_ns").max(), pl.col("gave_up", "refused", "left").any())
        .filter(pl.col("waited_ns") >= DEADLINE_NS)
    )
    paths = window.judgeable.join(endpoints(window), _MEMBER, how="semi").join(
        waits, left_on="last_leg", right_on="leg", maintain_order="left"
    )
    # A proxy answers for a member that does not: then only the connection to the member counts.
    proxied = pl.col("method").is_in(PROXIED)
    other = pl.col("legs").list.eval(pl.element().is_in(answered.implode())).list.any()
    return paths.filter(~pl.when(proxied).then(pl.col("last_leg").is_in(answered.implode())).otherwise(other))


def _at_home(window: Window) -> pl.Expr:
    """Whether a flow was seen on the host that was called."""
    at = [(pl.col("point") == one.point) & pl.col("dst").is_in(sorted(one.hosts)) for one in window.places.values()]
    return pl.any_horizontal(at) if at else pl.lit(value=False)


def _closes(window: Window, flows: pl.Series) -> pl.DataFrame:
    """Per flow, when the client gave up and when the member left: a FIN or RST that follows is no answer."""
    kinds = [EVENT_KINDS.index("fin"), EVENT_KINDS.index("rst")]
    own, first = pl.col("half") == 0, pl.col("time_ns")
    ends = window.events.filter(pl.col("kind").is_in(kinds), pl.col("flow").is_in(flows.implode())).group_by("flow")
    return ends.agg(gave_up_ns=first.filter(own).min(), left_ns=first.filter(~own).min())


def _finding(window: Window, hung: pl.DataFrame, turned_away: pl.DataFrame, backend: int, port: int) -> Finding | None:
    slowest = _slowest_answer(window, hung)
    # Who answers nobody, and closes politely what its clients have closed, may only listen.
    hung = hung.filter(pl.col("waited_ns") > (slowest or 0), (pl.lit(slowest) > 0) | ~pl.col("left"))
    if not hung.height or (slowest is None and not (hung.height > 2 and hung["gave_up"].all())):
        return None
    started = hung["first_ns"].min()
    turned_away = turned_away.filter(pl.col("first_ns") >= started)
    columns = window.judgeable.columns
    both = pl.concat([hung.select(columns), turned_away.select(columns)])
    queue = turned_away.height > 0 or bool(hung["refused"].any())
    home = {place.point for place in window.points_on(backend) if place.sure}
    at_home = bool(window.flows_of_legs(hung["last_leg"])["point"].is_in(sorted(home)).any())
    caveats = []
    if slowest is None:
        caveats.append("No connection to this service was answered: it may be one that only listens.")
    if not at_home:
        caveats.append("The member's own interface was not captured: its answers may be lost on the way.")
    if hung.height < 2 or not hung["gave_up"].any():
        caveats.append("Seen too seldom to tell a hanging process from one very slow request.")
    verdict = Verdict.LIKELY if caveats else Verdict.CONFIRMED
    # Who still waits when the capture ends may wait for something that takes its time.
    if slowest is None or not (queue or hung["gave_up"].any() or hung.height >= _SEVERAL):
        verdict = Verdict.UNDECIDED
    if (doubt := presumed_at_most(window, both)) is not None:
        verdict = max(verdict, doubt[0], key=lambda one: one.rank)
        caveats.append(doubt[1])
    name, endpoint = window.called(backend, port), window.endpoint(backend, port)
    kinds = ("syn", "syn-ack", "data", "fin", "rst")
    proof = prove(window, both, kinds, lambda event: _note(window, event))
    waited = int(hung["waited_ns"].median() or 0) / 1e9  # type: ignore[arg-type]
    summary = (
        f"{hung.height:,} requests to {endpoint} were acknowledged and never answered; clients waited about "
        f"{waited:.1f} s. "
    )
    if slowest is not None:
        summary += f"Other connections to this service were answered within {slowest / 1e6:,.1f} ms. "
    if turned_away.height:
        summary += f"{turned_away.height:,} more connections got no answer to their SYN: the accept queue is full. "
    contrast = healthy_probes(window, backend, both)
    if contrast:
        summary += f"{contrast} so the balancer keeps sending clients there. "
    told = heard(window, backend, port)
    if told is not None and told.listens:
        summary += f"It does listen: {told.sentence}" + (f" There {told.queue}." if told.queue else "")
    elif told is not None and told.listens is False:
        caveats.append(f"{told.sentence} So the list was taken at another time, or on another host.")
    caveats += [told.caveat] if told is not None and told.caveat else []
    return Finding(
        rule="unresponsive-service",
        severity=SEVERITY,
        verdict=verdict,
        title=f"{name} takes requests on port {port} and does not answer",
        summary=summary.strip(),
        subject={"member": endpoint},
        count=both.height,
        evidence=proof.evidence,
        flows=proof.flows,
        paths=tuple(both["path"]),
        facts={
            "how": "accept-queue" if queue else "hung",
            **({"listening": told.short} if told is not None else {}),
        },
        names=window.names([backend]),
        filter=proof.filter,
        filter_complete=proof.filter_complete,
        cause="The process behind the port hangs or is overloaded; the kernel goes on accepting for it"
        + (" until its accept queue is full." if queue else "."),
        remedy=(
            f"On {name}: look at what the process waits for (stack dump, locks, its own backends), then restart it.",
            f"`ss -ltn 'sport = :{port}'` shows how many connections wait to be accepted (Recv-Q).",
            "Let the health probe ask for something that the same process must answer, on the data port.",
        ),
        caveats=tuple(caveats),
        next_capture=None
        if verdict is Verdict.CONFIRMED
        else f"{tcpdump_line([window.address(backend)], port, 'member.pcap')}  (on {name})",
        references=("Linux listen(2)", "Azure Load Balancer troubleshooting, 2020-01-28"),
    )


def _slowest_answer(window: Window, hung: pl.DataFrame) -> int | None:
    """Longest time that an answered connection to the same service took to its first byte, else None.

    The same service is the frontend or the member, and without a frontend the same port of what is taken for members.
    """
    member = hung.select(_MEMBER).unique()
    frontends = hung.filter(pl.col("frontend").is_not_null()).select("frontend", "frontend_port").unique()
    ports = set(member["backend_port"])
    taken = sorted(end for end in window.presumed_members if end[1] in ports)
    peers = pl.DataFrame(taken, schema=window.members_frame.schema, orient="row")
    same = pl.concat(
        [
            window.judgeable.join(member, _MEMBER, how="semi")["last_leg"],
            window.judgeable.join(frontends, ["frontend", "frontend_port"], how="semi")["last_leg"],
            window.judgeable.join(peers, _MEMBER, how="semi")["last_leg"],
        ]
    ).unique()
    took = window.flows.filter(
        pl.col("leg").is_in(same.implode()), pl.col("rev_payload_bytes") > 0, pl.col("fwd_payload_bytes") > 0
    ).select(took=pl.col("rev_first_data_ns") - pl.col("fwd_first_data_ns"))["took"]
    return None if not took.len() else max(int(took.max() or 0), 1)  # type: ignore[arg-type]


def _note(window: Window, event: dict[str, Any]) -> str | None:
    at = window.point_name(event["point"])
    if event["half"] == 1:
        return f"the member accepts, at {at}" if event["kind"] == "syn-ack" else None
    return {
        "syn": f"SYN at {at}",
        "data": f"request of {event['length']} bytes at {at}",
        "fin": f"the client gives up, at {at}",
        "rst": f"the client gives up, at {at}",
    }.get(event["kind"])
