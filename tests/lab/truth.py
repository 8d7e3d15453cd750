"""What really happened: the clients' logs joined with the kernel's translations, counted at every point."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.lab.packets import ACK, SYN, Point, Tuple4, back
from tests.lab.tracking import Translation

VERDICTS = {
    "ok": "ok",
    "refused": "closed_port",
    "timeout": "blocked",
    "unreachable": "icmp_rejected",
    "closed": "closed",
}
EARLY, LATE = 0.05, 5.0
RULES = (
    "hairpin-mismatch", "asymmetric-return", "snat-exhaustion", "snat-port-collision", "client-port-collision",
    "closed-port", "blocked-traffic", "unresponsive-service", "probe-blocked", "probe-failing", "all-members-down",
    "member-out-of-rotation", "frontend-unanswered", "idle-timeout", "untranslated-leak", "mtu-blackhole", "nsg-deny",
    "snat-pressure",
)  # fmt: skip
Verdict = Callable[[dict[str, Any]], str | None]


def text(told: dict[str, Any]) -> str:
    """truth.json: one line per connection."""
    head = json.dumps({key: value for key, value in told.items() if key != "connections"}, indent=1)
    lines = ",\n  ".join(json.dumps(record) for record in told["connections"])
    return f'{head[:-2]},\n "connections": [\n  {lines}\n ]\n}}\n'


def leg(key: Tuple4 | None) -> dict[str, Any] | None:
    """A leg as truth.json writes it."""
    return key and {"proto": "tcp", "src": key[0], "sport": key[1], "dst": key[2], "dport": key[3]}


def connections(
    rows: list[dict[str, Any]], moves: list[Translation], points: dict[str, Point], members: dict[str, str]
) -> list[dict[str, Any]]:
    """One record per connection, in the order of their first SYN. ``points`` begins with where clients are seen."""
    rows = sorted(rows, key=lambda row: row["t_syn"])
    by_inner, uses = defaultdict(list), defaultdict(list)
    for move in moves:
        by_inner[move.inner].append(move)
    for row in rows:
        uses[_key(row)].append(row["t_syn"])
    return [_record(row, by_inner, uses, points, members) for row in rows]


def _key(row: dict[str, Any]) -> Tuple4:
    return row["src"], row["sport"], row["dst"], row["dport"]


def _record(
    row: dict[str, Any], by_inner: dict[Tuple4, list[Translation]], uses: dict[Tuple4, list[float]],
    points: dict[str, Point], members: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    key = _key(row)
    start = row["t_syn"] - EARLY
    end = min([row["t_end"] + LATE, *(t - 0.002 for t in uses[key] if t > row["t_syn"])])
    legs: list[Tuple4] = []
    for outer in row.get("legs") or [m.outer for m in by_inner.get(key, ()) if start <= m.t < end]:
        if tuple(outer) not in legs:
            legs.append(tuple(outer))
    isn, isn_server = _isns(points, key, start, end)
    first = next((one for one in legs if _isns(points, one, start, end)[1] is not None), legs[0] if legs else None)
    more = [one for one in legs if one != first]
    # The address of a frontend that members hold themselves names none of them; the response does.
    backend = first and (members.get(first[2]) or next(iter(row["members"]), None) or "internet")
    named = {"client_leg": key, "server_leg": first}
    named.update({f"server_leg{n}": one for n, one in enumerate(more, 2)})
    record = {
        "id": row["id"], "client_leg": leg(key), "server_leg": leg(first),
        "backend": backend, "verdict": "", "client_result": row["client_result"],
        "phase": row["phase"], "isn_client": isn, "isn_server": isn_server, "t_syn": row["t_syn"],
        "t_end": row["t_end"], "http_status": row["http_status"], "bytes": row["bytes"],
        "requests_ok": row["requests_ok"], "tag": row["tag"], "seen": _seen(points, named, start, end),
        "match_by": [],
    }  # fmt: skip
    if more:
        record["more_server_legs"] = [leg(one) for one in more]
    if first:
        inner_isn, inner_server = _isns(points, first, start, end)
        if inner_isn is not None:
            record["server_leg_isn_client"] = inner_isn
        if inner_server is not None:
            record["server_leg_isn_server"] = inner_server
        kept = ["client_ip_port"] if first[:2] == key[:2] else []
        record["match_by"] = row.get("match_by") or [*kept, *(["isn"] if inner_isn in (isn, None) else [])]
    record["verdict"] = VERDICTS.get(row["client_result"], row["client_result"])
    return record


def _isns(points: dict[str, Point], key: Tuple4, start: float, end: float) -> tuple[int | None, int | None]:
    """The initial sequence numbers of both sides of a leg, from the first point that saw them."""
    ours = theirs = None
    for point in points.values():
        if ours is None:
            found = next((s for s in point.within(key, start, end) if s.flags & (SYN | ACK) == SYN), None)
            ours = found.seq if found else None
        if theirs is None:
            answer = (s for s in point.within(back(key), start, end) if s.flags & (SYN | ACK) == SYN | ACK)
            theirs = next((s.seq for s in answer if ours is None or s.ack == (ours + 1) & 0xFFFFFFFF), None)
        if ours is not None and theirs is not None:
            break
    return ours, theirs


def _seen(
    points: dict[str, Point], legs: dict[str, Tuple4 | None], start: float, end: float
) -> dict[str, dict[str, list[int]]]:
    seen: dict[str, dict[str, list[int]]] = {}
    for name, point in points.items():
        for word, key in legs.items():
            if key is None or (
                word != "client_leg" and key == legs["client_leg"] and "client_leg" in seen.get(name, {})
            ):
                continue
            counts = [len(point.within(key, start, end)), len(point.within(back(key), start, end))]
            if any(counts):
                seen.setdefault(name, {})[word] = counts
    return seen
