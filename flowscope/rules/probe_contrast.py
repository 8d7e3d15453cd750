"""Probes that succeed while clients fail: the member is healthy to the balancer, and only to it."""

from __future__ import annotations

import polars as pl

from flowscope.window import Window


def healthy_probes(window: Window, address: int) -> str:
    """Half a sentence about successful probes to this address, empty when there are none."""
    readings, _ = window.probed
    fine = readings.filter(pl.col("member") == address, pl.col("result") == "good")
    if not fine.height:
        return ""
    source, port = fine["source"][0], fine["port"][0]
    return f"The probes of {window.address(source)} to port {port} succeed ({fine.height:,} of them),"
