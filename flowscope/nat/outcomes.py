"""Which paths failed, for what people look at: those that never came up, and those that a finding holds for broken.

A reset alone is no failure: health checkers and many clients close so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from flowscope.findings import Severity, Verdict

if TYPE_CHECKING:
    from flowscope.findings import Finding

FAILED = ("refused", "rejected", "half-open", "unanswered")
"""Outcomes of connections that never came up."""
SERVED = ("established", "reset", "idle-closed")
"""Outcomes of connections that came up."""
PROXIED = ("proxy-protocol", "proxy-request", "timing")
"""Methods that join the two connections of a proxy: no packet crossed it, and it may answer by itself."""


def failed(findings: Iterable[Finding]) -> pl.Expr:
    """Whether a path failed, from its ``path`` and ``outcome``.

    Args:
        findings: those that are errors and decided say of their paths that they failed.
    """
    broken = {
        path
        for finding in findings
        if finding.severity is Severity.ERROR and finding.verdict is not Verdict.UNDECIDED
        for path in finding.paths
    }
    explained = pl.Series(sorted(broken), dtype=pl.UInt64)
    return pl.col("outcome").is_in(FAILED) | pl.col("path").cast(pl.UInt64).is_in(explained.implode())
