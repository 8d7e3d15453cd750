"""Probes beside other connections: those that succeed while clients fail, and those that fail while others succeed."""

from __future__ import annotations

import polars as pl

from flowscope.nat.outcomes import SERVED
from flowscope.rules.probe_subject import Probed
from flowscope.window import Window

#: So many pauses between lost probes in which others were answered are no chance.
_AGAIN = 3


def healthy_probes(window: Window, address: int, failed: pl.DataFrame) -> str:
    """Half a sentence about successful probes to this address, empty when there are none, or when some failed then.

    Args:
        window: what is judged.
        address: the member's address number.
        failed: paths of clients, with ``first_ns``.
    """
    readings, known = window.probed
    own = readings.filter(pl.col("member") == address)
    fine = own.filter(pl.col("result") == "good")
    if not fine.height:
        return ""
    # The probe that is due next tells whether the member was out by then.
    due = max(one.interval_ns for one in known.values() if one.member == address)
    first, last = (int(str(time)) for time in (failed["first_ns"].min(), failed["first_ns"].max()))
    bad = own.filter(pl.col("result") == "bad", pl.col("sent_ns").is_between(first - due, last + due))
    if bad.height:
        return ""
    source, port = fine["source"][0], fine["port"][0]
    return f"The probes of {window.address(source)} to port {port} succeed ({fine.height:,} of them),"


def takes_others(window: Window, probed: Probed, failed: pl.DataFrame) -> bool:
    """True when the port was open to others between these probes, again and again: then no full queue drops them."""
    answered = window.at_members.filter(
        pl.col("backend") == probed.member, pl.col("backend_port") == probed.port, pl.col("outcome").is_in(SERVED)
    )
    if probed.point is not None:
        # Which host of this address took them is not known.
        return False
    times = failed["sent_ns"].sort()
    between = answered.filter(pl.col("first_ns").is_between(times.min(), times.max()))["first_ns"]
    return times.search_sorted(between).n_unique() >= _AGAIN
