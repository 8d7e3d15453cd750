"""What a finding about probes is about: a member, or the host behind a point where several hold one address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flowscope.nat.places import Place
from flowscope.probes.replay import Health
from flowscope.report.safe_text import safe_line
from flowscope.window import Window


@dataclass(frozen=True, slots=True)
class Probed:
    """A probed endpoint."""

    member: int
    """Address number."""
    port: int
    point: int | None = None
    """The point at it, where nothing else tells it from the other hosts of this address."""

    def subject(self, window: Window) -> dict[str, str | list[str]]:
        """The finding's subject."""
        said: dict[str, str | list[str]] = {"member": window.endpoint(self.member, self.port)}
        return said if self.point is None else said | {"point": window.point_name(self.point)}

    def called(self, window: Window) -> str:
        """What people call it."""
        called = window.called(self.member, self.port)
        return called if self.point is None else f"{called} (the host seen at {window.point_name(self.point)})"

    def endpoint(self, window: Window) -> str:
        """Its address and port, and its point."""
        end = window.endpoint(self.member, self.port)
        return end if self.point is None else f"{end} at {window.point_name(self.point)}"


def by_member(window: Window) -> dict[Probed, list[Health]]:
    """What was seen of each probed endpoint, prober by prober."""
    found: dict[Probed, list[Health]] = {}
    for health in window.health:
        one = health.series
        found.setdefault(Probed(one.member, one.port, one.point), []).append(health)
    return found


def home(window: Window, member: int, asked: int, host: int | None) -> list[Place]:
    """The points on a probed host, sure ones first."""
    own = window.points_on(member)
    if host is None or any(place.point == host for place in own):
        return own if member != asked or host is None else [place for place in own if place.point == host]
    there = window.places[host]
    return [Place(host, frozenset({member}), False, there.first_ns, there.last_ns), *own]


def held_address(window: Window, healths: Sequence[Health]) -> str:
    """A sentence about probes that are sent to an address that the member shares with others; empty otherwise."""
    shared = sorted({one.series.asked for one in healths if one.series.host is not None or _held(one)})
    if not shared:
        return ""
    texts = " and ".join(window.address(number) for number in shared)
    return f" They are sent to {texts}, which it shares with other hosts."


def askers(window: Window, healths: Sequence[Health]) -> str:
    """The probers by address, and whom they ask where that is an address that the member shares; the first few."""
    texts = [
        window.address(one.source)
        + (f" to {window.address(one.asked)}" if one.asked != one.member else "")
        + (f" for {safe_line(one.wants)}" if one.wants is not None else "")
        for one in (health.series for health in healths)
    ]
    texts = list(dict.fromkeys(texts))
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def for_path(healths: Sequence[Health]) -> str:
    """What these probes ask for, where their prober asks for other paths in turn; empty otherwise."""
    paths = list(dict.fromkeys(safe_line(one.wants) for one in (h.series for h in healths) if one.wants is not None))
    return f" for {' and '.join(paths)}" if paths else ""


def target(window: Window, healths: Sequence[Health]) -> str:
    """The address that a capture of these probes must look for."""
    return window.address(healths[0].series.asked)


def _held(health: Health) -> bool:
    return health.series.member != health.series.asked
