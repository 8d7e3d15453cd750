"""The topology file of a run: what a user of the world could know, in the contract's form."""

from __future__ import annotations

import json
from typing import Any

from tests.lab.capture import Tap
from tests.lab.nat import Target
from tests.lab.plan import Plan


def table(head: str, values: dict[str, Any]) -> str:
    """One TOML table of plain values."""
    return (
        "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None)])
        + "\n"
    )


class Tables:
    """Collects frontends, pools, probes and SNAT ranges."""

    def __init__(self, plan: Plan) -> None:
        self.names = {member.address: member.name for member in plan.members}
        self.plan = plan
        self.frontends: list[dict[str, Any]] = []
        self.pools: dict[str, str] = {}
        self.probes: dict[str, dict[str, Any]] = {}
        self.snats: list[dict[str, Any]] = []

    def frontend(self, name: str, target: Target, mode: str, **more: Any) -> None:
        """A frontend; frontends with the same members and port share a pool."""
        members = ", ".join(
            f'{{ name = "{self.names[a]}", address = "{a}", port = {target.member_port} }}' for a in target.members
        )
        pool = next((known for known, text in self.pools.items() if text == members), name)
        self.pools[pool] = members
        self.frontends.append(
            {
                "name": name,
                "address": target.address,
                "port": target.port,
                "protocol": "tcp",
                "pool": pool,
                "mode": mode,
                **more,
            }
        )

    def probe(self, policy: str, interval: float, timeout: float, pool: str | None = None, **more: Any) -> None:
        """How a pool is probed (the first one, unless named)."""
        known = ("unhealthy_threshold", "healthy_threshold", "sample_size", "successful_samples")
        self.probes[pool or next(iter(self.pools))] = {
            "source": [more.get("source", self.plan.prober)], "protocol": "http", "port": self.plan.probe_port,
            "path": "/healthz", "interval_s": interval, "timeout_s": timeout, "policy": policy,
            **{key: more[key] for key in known if key in more},
        }  # fmt: skip

    def snat(self, address: str, ports: tuple[int, int], inside: bool = True) -> None:
        """A translator's outgoing address and its ports."""
        row: dict[str, Any] = {"address": address, "ports": f"{ports[0]}-{ports[1]}"}
        self.snats.append(row | ({"inside": [str(self.plan.inside)]} if inside else {}))

    def text(self, taps: list[Tap]) -> str:
        """The whole file."""
        parts = [table("[[frontend]]", row) for row in self.frontends]
        for name, members in self.pools.items():
            parts.append(f'[[pool]]\nname = "{name}"\nmembers = [{members}]\n')
            if name in self.probes:
                parts.append(table("[pool.probe]", self.probes[name]))
        parts += [table("[[snat]]", row) for row in self.snats]
        for tap in taps:
            row = {"file": tap.path.name, "name": tap.name, "node": tap.node, "interface": tap.interface}
            parts.append(table("[[point]]", row))
        return "\n".join(parts)
