"""What the given lists of listeners say about an endpoint, in sentences.

Shared by the rules about members that refuse or do not answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from flowscope.cloud.listening import Listening, whose
from flowscope.window import Window

_PORTS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Heard:
    """What a list says of one endpoint."""

    listens: bool | None
    """None when the list is not whole."""
    short: str
    """``127.0.0.1:8080 only``; for facts."""
    sentence: str
    queue: str | None = None
    """How full the queue of accepted connections is, where the list says so."""
    caveat: str | None = None


def heard(window: Window, address: int, port: int) -> Heard | None:
    """What was given about an endpoint; None when nothing was.

    Args:
        window: with the lists.
        address: the endpoint's address number.
        port: its port.
    """
    host = window.address(address)
    found = whose(window.cloud.listening, host)
    if found is None:
        return None
    one, sure = found
    caveat = None if sure else f"{one.given.path} does not say whose list it is; it is taken to be {host}'s."
    return _told(one, host, port, caveat)


def _told(one: Listening, host: str, port: int, caveat: str | None) -> Heard:
    here, elsewhere = one.at(host, port), one.elsewhere(port)
    tool = one.given.kind
    if here:
        by = f" ({here[0].process})" if here[0].process else ""
        full = [each for each in here if (each.queued or 0) >= (each.queue_limit or 0) > 0]
        waiting = max((each.queued or 0 for each in here), default=0)
        queue = None
        if full:
            queue = f"its accept queue is full: {full[0].queued} connections wait, {full[0].queue_limit} may"
        elif waiting:
            queue = f"{waiting} connections wait in its accept queue"
        return Heard(True, here[0].text, f"{tool} lists {here[0].text} as listening{by}.", queue, caveat)
    if elsewhere:
        ends = ", ".join(dict.fromkeys(each.text for each in elsewhere))
        return Heard(False, f"{ends} only", f"{tool}: {port} is not listened on at {host}; {ends} only.", None, caveat)
    if not one.complete:
        return Heard(None, "unknown", f"{tool} lists nothing on {port}, but the list is not whole.", None, caveat)
    ports = one.ports
    shown = ", ".join(map(str, ports[:_PORTS_SHOWN]))
    shown += f" and {len(ports) - _PORTS_SHOWN} more" if len(ports) > _PORTS_SHOWN else ""
    others = f"; TCP ports that are: {shown}" if ports else ""
    return Heard(False, "nothing", f"{tool}: nothing listens on {port}{others}.", None, caveat)
