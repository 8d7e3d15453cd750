"""What this machine says of findings about itself: which program listens on the port that refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from flowscope.cloud.listening import Socket
from flowscope.findings import Finding
from flowscope.host.interfaces import interfaces
from flowscope.host.listeners import listeners, on_port

_REFRESH_S = 5.0


class Local:
    """Listeners of this machine, with the names of programs as far as they were ever seen.

    Made while this process still has its rights: afterwards the sockets are seen, and their programs only of old.
    """

    def __init__(self) -> None:
        self._named: dict[tuple[str, str], Socket] = {}
        """By protocol and endpoint."""
        self.addresses: frozenset[str] = frozenset()
        self._listeners: list[Socket] = []
        self._asked_at = float("-inf")
        self.look(0.0)

    def look(self, now: float) -> None:
        """Asks the machine again when that was some time ago; ``now`` is a monotonic clock's."""
        if now - self._asked_at < _REFRESH_S:
            return
        self._asked_at = now
        try:
            found = listeners()
            self.addresses = frozenset(address for one in interfaces().values() for address in one.addresses)
        except OSError:
            return
        for one in found:
            if one.process is not None:
                self._named[one.protocol, one.text] = one
        self._listeners = [
            one if one.process is not None else self._named.get((one.protocol, one.text), one) for one in found
        ]

    def told(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings; those about closed ports of this machine say what listens there."""
        return [self._with_listeners(one) if one.rule == "closed-port" else one for one in findings]

    def _with_listeners(self, finding: Finding) -> Finding:
        ends = [text for text in finding.subject.values() if isinstance(text, str) and ":" in text]
        for end in ends:
            host, _, port = end.rpartition(":")
            address = host.strip("[]")
            if address in self.addresses and port.isdecimal():
                said = on_port(self._listeners, address, int(port))
                return replace(
                    finding,
                    cause=f"On this machine {said}.",
                    facts={**finding.facts, "listening": said},
                )
        return finding
