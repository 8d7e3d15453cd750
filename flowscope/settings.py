"""What a run was asked to do, apart from its captures and topology."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one analysis; the defaults are those of ``flowscope analyze``."""

    points: tuple[tuple[str, str], ...] = ()
    """Pairs of (file name or glob, point name), from ``--point``."""
    select: frozenset[str] | None = None
    """Rules to run; None for all."""
    ignore: frozenset[str] = frozenset()
    """Rules to leave out."""
    from_ns: int | None = None
    """Analyse only frames at or after this time (UTC)."""
    to_ns: int | None = None
    """Analyse only frames at or before this time (UTC)."""
    max_frames: int | None = None
    """Read at most this many frames of each capture."""
    hash: bool = False
    """Compute SHA-256 of every capture while reading it."""
    community_id: bool = False
    """Fill the ``community_id`` column of the flows."""
    nsg: tuple[str, ...] = ()
    """Files of security rules, each as ``FILE`` or ``FILE=WHERE``."""
    flow_logs: tuple[str, ...] = ()
    """Flow logs of the cloud."""
    listening: tuple[str, ...] = ()
    """What hosts listen on, each as ``FILE`` or ``FILE=WHERE``."""
    profile: str | None = None
    """Kind of the balancer: the name of a profile that comes with flowscope, or a file."""
    service_tags: str | None = None
    """A file of Azure's service tags: where Front Door's probers call from."""
    display_filter: str | None = None
    """Analyse only frames that this Wireshark display filter selects, from ``-Y``."""
