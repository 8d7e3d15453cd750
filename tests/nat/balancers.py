"""Tables by hand of what a balancer did, put together the way inference reads them."""

from __future__ import annotations

from typing import Any

import polars as pl

from flowscope.nat.topology import Topology
from flowscope.window import Window
from tests.traffic import addresses, capture, flows, legs, paths, point

T0 = 1_767_225_600_000_000_000
MESSAGES = {
    "flow": pl.UInt64, "half": pl.UInt8, "kind": pl.String, "headers": pl.List(pl.String), "target": pl.String,
    "src": pl.String, "complete": pl.Boolean,
}  # fmt: skip

End = tuple[str, int]


class Seen:
    """Paths of one or two legs, one after the other; :meth:`window` is what inference reads."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.legs: list[dict[str, Any]] = []
        self.flows: list[dict[str, Any]] = []
        self.paths: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []

    def path(
        self, *ends: tuple[End, End], method: str = "isn", at_s: float = 0.0, points: tuple[int, ...] = (0,), **row: Any
    ) -> None:
        """A path along these legs (source, destination).

        Each leg was seen at all of the points, or with ``apart`` each at its own; ``hops`` of TTL lie between legs.
        """
        hops, apart = row.pop("hops", 1), row.pop("apart", False)
        numbers = []
        for hop, (src, dst) in enumerate(ends):
            tuple_ = {"src": self._number(src[0]), "src_port": src[1], "dst": self._number(dst[0]), "dst_port": dst[1]}
            leg = len(self.legs)
            ttl = 64 - hop * hops
            seen = [
                {**tuple_, "point": at, "fwd_ttl_min": ttl, "fwd_ttl_max": ttl, "leg": leg}
                for at in ((hop,) if apart else points)
            ]
            self.legs.append({**tuple_, "leg": leg, "flows": [len(self.flows) + at for at in range(len(seen))]})
            self.flows += seen
            numbers.append(leg)
        (client, called), (last_src, backend) = ends[0], ends[-1]
        moved, masked = called != backend, client != last_src
        usual = {
            "legs": numbers,
            "client": self._number(client[0]), "client_port": client[1],
            "frontend": self._number(called[0]) if moved else None, "frontend_port": called[1] if moved else None,
            "snat": self._number(last_src[0]) if masked else None, "snat_port": last_src[1] if masked else None,
            "backend": self._number(backend[0]), "backend_port": backend[1],
            "method": method if len(ends) > 1 else "single", "first_ns": T0 + int(at_s * 1e9),
        }  # fmt: skip
        self.paths.append({**usual, **row})

    def says(self, kind: str, headers: tuple[str, ...] = (), target: str | None = None) -> None:
        """The first flow of the last leg carries this message from its initiator."""
        flow = self.legs[-1]["flows"][0]
        self.messages.append({"flow": flow, "half": 0, "kind": kind, "headers": list(headers), "target": target})

    def window(self, topology: Topology | None = None, **parts: Any) -> Any:
        """Reads like a :class:`flowscope.window.Window`."""
        on = [one.pop("leg") for one in (dict(row) for row in self.flows)]
        rows = [{name: value for name, value in row.items() if name != "leg"} for row in self.flows]
        table = flows(*rows).with_columns(leg=pl.Series(on, dtype=pl.UInt32))
        texts = addresses(*self.texts)
        halves = [_halves(text) for text in self.texts]
        texts = texts.with_columns(
            high=pl.Series([a for a, _ in halves], dtype=pl.UInt64),
            low=pl.Series([b for _, b in halves], dtype=pl.UInt64),
        )
        usual = {
            "captures": [capture()], "points": [point()], "places": {}, "addresses": texts, "flows": table,
            "legs": legs(*self.legs), "paths": paths(*self.paths), "messages": pl.DataFrame(self.messages, MESSAGES),
            "topology": topology or Topology(), "events": pl.DataFrame(), "point_table": pl.DataFrame(),
        }  # fmt: skip
        return Window(**{**usual, **parts})

    def _number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)


def _halves(text: str) -> tuple[int, int]:
    import ipaddress

    one = ipaddress.ip_address(text)
    value = int(one) + (0xFFFF << 32 if one.version == 4 else 0)
    return value >> 64, value & (2**64 - 1)
