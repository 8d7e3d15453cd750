"""Small tables by hand: five rows that show one thing, without a capture.

``flows(...)``, ``legs(...)`` and ``paths(...)`` take dicts with the few columns that matter and fill in the rest, with
the core's types; ``analysis(...)`` puts them together the way reports and graphs read them.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl

from flowscope.capture.file import Capture
from flowscope.capture.points import Point
from flowscope.nat.inferred import Inferred
from flowscope.nat.topology import Topology
from flowscope.settings import Settings
from flowscope.tables import ADDRESSES, EVENT_KINDS, EVENTS, FLOWS, HALF, LEGS, PATHS

T0 = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""

_SIGNED = pl.Int64
_TEXT = ("state", "history", "oriented_by", "tunnel", "community_id", "text", "outcome", "method")
_WIDE = ("flow", "first_frame", "first_offset", "last_frame", "last_offset", "bytes", "payload_bytes")


def _type(column: str) -> pl.DataType | type[pl.DataType]:
    name = column.removeprefix("fwd_").removeprefix("rev_")
    if name in _TEXT:
        return pl.String
    if name in ("open", "sack_permitted", "ambiguous"):
        return pl.Boolean
    if name in ("reasons", "tunnels"):
        return pl.List(pl.String)
    if name in ("confidence", "margin"):
        return pl.Float64
    if name.endswith("_ns"):
        return _SIGNED
    if name.endswith("port") or name == "vlan":
        return pl.UInt16
    if name in ("protocol", "ip_version"):
        return pl.UInt8
    if name == "flows":
        return pl.List(pl.UInt64)
    if name == "legs":
        return pl.List(pl.UInt32)
    return pl.UInt64 if name in _WIDE else pl.UInt32


def _table(columns: dict[str, str], rows: list[dict[str, Any]], defaults: dict[str, Any]) -> pl.DataFrame:
    unknown = {name for row in rows for name in row} - set(columns)
    assert not unknown, f"no such column: {unknown}"
    filled = [{name: row.get(name, defaults.get(name)) for name in columns} for row in rows]
    return pl.DataFrame(filled, schema={name: _type(name) for name in columns})


def addresses(*texts: str) -> pl.DataFrame:
    """Addresses by number, in the order given."""
    rows = [{"address": at, "text": text, "ip_version": 6 if ":" in text else 4} for at, text in enumerate(texts)]
    return _table(ADDRESSES, rows, {})


def flows(*rows: dict[str, Any]) -> pl.DataFrame:
    """Flows numbered from 0; an established TCP flow of five and four packets unless a row says otherwise."""
    counts = {f"{half}_{name}": 0 for half in ("fwd", "rev") for name in HALF}
    usual = {
        **counts,
        "point": 0, "protocol": 6, "open": False, "oriented_by": "syn", "state": "SF", "history": "ShADadfF",
        "first_ns": T0, "last_ns": T0 + 1_000_000, "first_capture": 0, "first_frame": 1, "first_offset": 24,
        "last_capture": 0, "last_frame": 9, "last_offset": 900, "interface": 0, "truncated": 0, "icmp_errors": 0,
        "handshake_rtt_ns": 100_000, "fwd_packets": 5, "rev_packets": 4, "fwd_bytes": 500, "rev_bytes": 400,
        "fwd_isn": 1, "rev_isn": 2, "fwd_sack_permitted": True, "rev_sack_permitted": True,
    }  # fmt: skip
    return _table(FLOWS, [{"flow": at, **row} for at, row in enumerate(rows)], usual)


def events(*rows: dict[str, Any]) -> pl.DataFrame:
    """Events of flow 0, of the initiator, unless a row says otherwise; ``kind`` by its name."""
    usual = dict.fromkeys(EVENTS, 0) | {"peer": None, "icmp": None, "packet_type": 255, "ttl": 64, "time_ns": T0}
    numbered = [{**row, "kind": EVENT_KINDS.index(row["kind"])} for row in rows]
    timed = [{"at_ns": row.get("time_ns", T0), **row} for row in numbered]
    return _table({**EVENTS, "at_ns": "", "leg": "", "point": ""}, timed, {**usual, "leg": 0, "point": 0})


def legs(*rows: dict[str, Any]) -> pl.DataFrame:
    """Legs numbered from 0; TCP."""
    return _table(LEGS, [{"leg": at, **row} for at, row in enumerate(rows)], {"protocol": 6, "tunnels": []})


def paths(*rows: dict[str, Any]) -> pl.DataFrame:
    """Paths numbered from 0; TCP, established, one leg."""
    usual = {
        "protocol": 6, "outcome": "established", "method": "single", "confidence": 1.0, "ambiguous": False,
        "first_ns": T0, "reasons": [],
    }  # fmt: skip
    return _table(PATHS, [{"path": at, **row} for at, row in enumerate(rows)], usual)


def capture(id: int = 0, path: str = "vm1.pcap", **changes: Any) -> Capture:
    """A pcap of a thousand frames, one second long."""
    usual: dict[str, Any] = {
        "sha256": None, "format": "pcap", "compression": None, "points": (id,), "link_types": (1,), "frames": 1000,
        "bytes": 99_999, "first_ns": T0, "last_ns": T0 + 1_000_000_000, "issues": (),
    }  # fmt: skip
    return Capture(id=id, path=path, **{**usual, **changes})


def point(number: int = 0, name: str = "vm1", **changes: Any) -> Point:
    """An Ethernet point of the capture of the same number."""
    usual: dict[str, Any] = {"captures": (number,), "interface": None, "node": None, "link_type": 1}
    return Point(number=number, name=name, **{**usual, **changes})


def analysis(**parts: Any) -> Any:
    """Something that reads like an ``Analysis``; parts not given are empty, or one capture with one point."""
    usual: dict[str, Any] = {
        "captures": [capture()], "points": [point()], "addresses": addresses(), "flows": flows(), "legs": legs(),
        "paths": paths(), "findings": [], "problems": [], "topology": Topology(), "settings": Settings(), "judged": {},
        "version": "0.1.0", "inferred": Inferred(), "profile": None, "health": (), "given": (),
        "pool_health": (), "events": events(),
    }  # fmt: skip
    assert not set(parts) - set(usual)
    whole = {**usual, **parts}
    # As the river does it: on the reference clock, with the leg that each flow belongs to.
    of_leg = {flow: leg for leg, some in whole["legs"].select("leg", "flows").iter_rows() for flow in some or ()}
    whole["flows"] = whole["flows"].with_columns(
        at_ns=pl.col("first_ns"), leg=pl.col("flow").replace_strict(of_leg, default=None, return_dtype=pl.UInt64)
    )
    return SimpleNamespace(**whole)


def balanced(**parts: Any) -> Any:
    """One client behind a balancer that translates the destination: two legs, two points, three flows, one path.

    10.0.0.9:50001 calls 10.0.0.100:80 and reaches 10.0.0.4:8080.
    """
    first_leg = {"src": 0, "src_port": 50001, "dst": 1, "dst_port": 80}
    last_leg = {"src": 0, "src_port": 50001, "dst": 2, "dst_port": 8080}
    usual: dict[str, Any] = {
        "captures": [capture(0, "client.pcap"), capture(1, "vm1.pcap")],
        "points": [point(0, "client"), point(1, "vm1")],
        "addresses": addresses("10.0.0.9", "10.0.0.100", "10.0.0.4"),
        "flows": flows({**first_leg, "point": 0}, {**last_leg, "point": 1}, {**last_leg, "point": 0}),
        "legs": legs({**first_leg, "flows": [0]}, {**last_leg, "flows": [2, 1]}),
        "paths": paths(
            {
                "legs": [0, 1], "client": 0, "client_port": 50001, "frontend": 1, "frontend_port": 80, "backend": 2,
                "backend_port": 8080, "method": "isn", "confidence": 0.999,
            }
        ),
    }  # fmt: skip
    return analysis(**{**usual, **parts})


def scattered(count: int) -> Any:
    """So many clients, each with a server of its own; the first three are refused."""
    texts = [f"10.{kind}.{at // 250}.{at % 250}" for kind in (1, 2) for at in range(count)]
    ends = [{"src": at, "src_port": 1, "dst": count + at, "dst_port": 443} for at in range(count)]
    rows = [
        {"legs": [at], "client": at, "client_port": 1, "backend": count + at, "backend_port": 443,
         "outcome": "refused" if at < 3 else "established"}
        for at in range(count)
    ]  # fmt: skip
    return analysis(
        addresses=addresses(*texts), flows=flows(*ends), paths=paths(*rows),
        legs=legs(*({**one, "flows": [at]} for at, one in enumerate(ends))),
    )  # fmt: skip
