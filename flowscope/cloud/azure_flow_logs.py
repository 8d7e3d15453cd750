"""Flow logs of Azure: NSG flow logs version 1 and 2, VNet flow logs version 4.

Records stand in a ``records`` list (one file per hour and interface) or one per line (event streams), in some exports
in a second ``records`` list. Each tuple is read by its own shape, since one file can hold both versions.

Source: Azure, nsg-flow-logs-overview (2024-10), vnet-flow-logs-overview (2024-08).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from flowscope.cloud.flow_log import SECOND, canonical, number, record_frame
from flowscope.cloud.json_tree import Object, last_part
from flowscope.errors import GivenFileError

_STATES = {"B": "begin", "C": "continue", "E": "end"}
_PROTOCOLS = {"T": 6, "U": 17, "I": 1}
#: Seconds of the year 5138, milliseconds of 1973: a time above is in milliseconds.
_MILLISECONDS_FROM = 100_000_000_000


def holds_flow_log(tree: Any) -> bool:
    """True when any object of a tree has flow tuples."""
    return next(_groups(tree, ("", "")), None) is not None


def read_flow_log(tree: Any, file: str) -> tuple[pl.DataFrame, dict[str, int]]:
    """The records of a file, and how many tuples it has and how many of these could not be read.

    Raises:
        GivenFileError: none of its tuples can be read.
    """
    rows, bad, example = [], 0, ""
    for rule, group, tuples in _groups(tree, ("", "")):
        for text in tuples:
            try:
                rows.append(_row(str(text), rule, group))
            except (ValueError, IndexError, KeyError):
                bad, example = bad + 1, example or str(text)[:60]
    if bad and not rows:
        raise GivenFileError(file, f"none of its {bad} flow tuples can be read, the first is {example!r}")
    return record_frame(rows), {"tuples": len(rows), "unreadable": bad}


def _groups(value: Any, around: tuple[str, str]) -> Iterator[tuple[str, str, list[Any]]]:
    """Rule, group and tuples of every list of tuples."""
    if isinstance(value, list):
        for one in value:
            yield from _groups(one, around)
    if not isinstance(value, dict):
        return
    rule, group = str(value.get("rule") or around[0]), _group(value) or around[1]
    if isinstance(value.get("flowtuples"), list):
        yield rule, group, value["flowtuples"]
    for key, one in value.items():
        if key != "flowtuples" and isinstance(one, dict | list):
            yield from _groups(one, (rule, group))


def _group(value: Object) -> str:
    """Who decided: an NSG's resource, or of VNet flow logs the ACL; zeros stand for the platform itself."""
    acl = value.get("aclid")
    if isinstance(acl, str):
        return "platform" if not acl.strip("0-") else last_part(acl)
    resource = value.get("resourceid")
    return last_part(resource) if isinstance(resource, str) and "networksecuritygroups" in resource.lower() else ""


def _row(text: str, rule: str, group: str) -> tuple[object, ...]:
    part = [one.strip() for one in text.split(",")]
    time = int(part[0])
    exact = time >= _MILLISECONDS_FROM
    start = time * (SECOND // 1000) if exact else time * SECOND
    # The time is cut to its unit, so the record may be of any moment in it.
    end = start + (SECOND // 1000 if exact else SECOND) - 1
    vnet = part[5].isdecimal()
    if vnet:
        protocol, denied, state, counters = int(part[5]), part[7] == "D", part[7], part[9:13]
        if part[7] not in ("B", "C", "E", "D"):
            raise ValueError
    else:
        protocol, denied = _PROTOCOLS[part[5]], {"A": False, "D": True}[part[7]]
        state, counters = part[8] if len(part) > 8 else "", part[9:13]
    counts = [number(one) for one in counters] + [None] * (4 - len(counters))
    name = rule
    for prefix in ("UserRule_", "DefaultRule_"):
        name = name.removeprefix(prefix)
    return (
        canonical(part[1]), int(part[3]), canonical(part[2]), int(part[4]), protocol, start, end,
        {"I": "inbound", "O": "outbound"}[part[6]], "deny" if denied else "allow", name or None, group or None,
        _STATES.get(state), _sum(counts[0], counts[2]), _sum(counts[1], counts[3]),
    )  # fmt: skip


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)
