"""Routes, paths and flows: what is healthy is one row per route, and single paths are opened on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.nat.outcomes import failed
from flowscope.report.html.page import section as part
from flowscope.report.html.quality import table
from flowscope.report.html.rows import PROTOCOLS, rows
from flowscope.report.markup import Child, Element, data, element

if TYPE_CHECKING:
    from flowscope.findings import Finding
    from flowscope.report.html.view import View

MOST_PATHS = 10_000
"""Paths that the page lists, failed ones first; more would make it slow to open and no clearer."""
_ROUTES = 200
_HOW = {"established": "established, then failed"}
"""What is said of failed paths beside their outcome: a probe that got a 503 had its handshake."""
_ROUTE = ("frontend", "frontend_port", "snat", "backend", "backend_port", "protocol")


def section(view: View) -> Element | None:
    """The tables, and the data of those that the script fills."""
    paths = view.analysis.paths
    if not paths.height:
        return None
    listed = _listed(paths, view.analysis.findings)
    cut = paths.height - listed.height
    return part(
        "paths",
        "Paths and flows",
        element("h3", "Routes"),
        element("p", "Paths that take the same way, counted; one row of these can stand for thousands of connections."),
        _routes(view),
        element("h3", "Single paths", class_="screen"),
        element("p", f"The page lists {listed.height:,} of {paths.height:,} paths, failed ones first; "
                "the JSON report has all of them.") if cut else None,
        element("div", element("p", "The list of paths needs JavaScript, which this viewer does not run."),
                id="path-table", class_="live"),
        element("h3", "Flows", class_="screen"),
        element("div", element("p", "The list of flows needs JavaScript, which this viewer does not run."),
                id="flow-table", class_="live"),
        data("rows", rows(view, listed)),
        short="Paths",
    )  # fmt: skip


def _listed(paths: pl.DataFrame, findings: list[Finding]) -> pl.DataFrame:
    if paths.height <= MOST_PATHS:
        return paths
    return paths.sort(failed(findings), "path", descending=[True, False]).head(MOST_PATHS).sort("path")


def _routes(view: View) -> Element:
    paths = view.analysis.paths
    bad = failed(view.analysis.findings)
    grouped = (
        paths.group_by(_ROUTE, maintain_order=True)
        .agg(
            pl.len().alias("paths"),
            pl.col("client").n_unique().alias("clients"),
            bad.sum().alias("failed"),
            pl.col("outcome").filter(bad).alias("outcomes"),
        )
        .sort("failed", "paths", descending=True, maintain_order=True)
    )
    lines: list[tuple[Child, ...]] = []
    for row in grouped.head(_ROUTES).iter_rows(named=True):
        how = (
            pl.Series(row["outcomes"], dtype=pl.String)
            .value_counts(sort=True)
            .sort("count", "", descending=[True, False])
        )
        backend = view.endpoint(row["backend"], row["backend_port"]) if row["backend"] is not None else "?"
        frontend = view.endpoint(row["frontend"], row["frontend_port"]) if row["frontend"] is not None else ""
        name = view.name(row["backend"], row["backend_port"]) if row["backend"] is not None else ""
        show = element(
            "button", "Show", type="button", class_="show-route", hidden=True,
            data_filter=" ".join(f"={one}" for one in filter(None, (frontend, backend))),
            aria_label=f"Show the paths to {backend}",
        )  # fmt: skip
        lines.append(
            (
                PROTOCOLS.get(row["protocol"], str(row["protocol"])),
                frontend or "-",
                view.endpoint(row["snat"], None) if row["snat"] is not None else "-",
                f"{backend} ({name})" if name else backend,
                f"{row['clients']:,}",
                f"{row['paths']:,}",
                element("span", f"{row['failed']:,}", class_="bad" if row["failed"] else None),
                ", ".join(f"{number:,} {_HOW.get(outcome, outcome)}" for outcome, number in how.iter_rows()) or "-",
                show,
            )
        )
    names = ("Protocol", "Called", "SNAT", "Reached", "Clients", "Paths", "Failed", "How they failed", "Single paths")
    made = table("Routes", names, lines, frozenset({4, 5, 6}))
    rest = grouped.height - _ROUTES
    return element("div", made, element("p", f"And {rest:,} more routes.") if rest > 0 else None)
