"""Routes, paths and flows: what is healthy is one row per route, and single paths are opened on demand.

The rows of paths and flows are data for the page's script, by column and with numbers in place of text that comes
again, so that ten thousand flows stay far below two megabytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from flowscope.report.html.page import section as part
from flowscope.report.html.quality import table
from flowscope.report.html.summary import FINE
from flowscope.report.markup import Child, Element, data, element
from flowscope.report.safe_text import safe_line

if TYPE_CHECKING:
    from flowscope.report.html.view import View

MOST_PATHS = 10_000
"""Paths that the page lists, failed ones first; more would make it slow to open and no clearer."""
MOST_FLOWS = 20_000
_ROUTES = 200
_ROUTE = ("frontend", "frontend_port", "snat", "backend", "backend_port", "protocol")
_PROTOCOLS = {6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6"}


def section(view: View) -> Element | None:
    """The tables, and the data of those that the script fills."""
    paths = view.analysis.paths
    if not paths.height:
        return None
    listed = _listed(paths)
    content = _data(view, listed)
    cut = paths.height - listed.height
    return part(
        "paths",
        "Paths and flows",
        element("h3", "Routes"),
        element("p", "Paths that take the same way, counted; one row of these can stand for thousands of connections."),
        _routes(view),
        element("h3", "Single paths"),
        element("p", f"The page lists {listed.height:,} of {paths.height:,} paths, failed ones first; "
                "the JSON report has all of them.") if cut else None,
        element("div", element("p", "The list of paths needs JavaScript, which this viewer does not run."),
                id="path-table", class_="live"),
        element("h3", "Flows"),
        element("div", element("p", "The list of flows needs JavaScript, which this viewer does not run."),
                id="flow-table", class_="live"),
        data("rows", content),
        short="Paths",
    )  # fmt: skip


def _listed(paths: pl.DataFrame) -> pl.DataFrame:
    if paths.height <= MOST_PATHS:
        return paths
    failed = ~pl.col("outcome").is_in(FINE)
    return paths.sort(failed, "path", descending=[True, False]).head(MOST_PATHS).sort("path")


def _routes(view: View) -> Element:
    paths = view.analysis.paths
    failed = ~pl.col("outcome").is_in(FINE)
    grouped = (
        paths.group_by(_ROUTE, maintain_order=True)
        .agg(
            pl.len().alias("paths"),
            pl.col("client").n_unique().alias("clients"),
            failed.sum().alias("failed"),
            pl.col("outcome").filter(failed).alias("outcomes"),
        )
        .sort("failed", "paths", descending=True, maintain_order=True)
    )
    rows: list[tuple[Child, ...]] = []
    for row in grouped.head(_ROUTES).iter_rows(named=True):
        how = (
            pl.Series(row["outcomes"], dtype=pl.String)
            .value_counts(sort=True)
            .sort("count", "", descending=[True, False])
        )
        backend = view.endpoint(row["backend"], row["backend_port"]) if row["backend"] is not None else "?"
        frontend = view.endpoint(row["frontend"], row["frontend_port"]) if row["frontend"] is not None else ""
        name = view.name(row["backend"]) if row["backend"] is not None else ""
        show = element(
            "button", "Show", type="button", class_="show-route", hidden=True,
            data_filter=f"{frontend} {backend}".strip(), aria_label=f"Show the paths to {backend}",
        )  # fmt: skip
        rows.append(
            (
                _PROTOCOLS.get(row["protocol"], str(row["protocol"])),
                frontend or "-",
                view.endpoint(row["snat"], None) if row["snat"] is not None else "-",
                f"{backend} ({name})" if name else backend,
                f"{row['clients']:,}",
                f"{row['paths']:,}",
                element("span", f"{row['failed']:,}", class_="bad" if row["failed"] else None),
                ", ".join(f"{number:,} {outcome}" for outcome, number in how.iter_rows()) or "-",
                show,
            )
        )
    names = ("Protocol", "Called", "SNAT", "Reached", "Clients", "Paths", "Failed", "How they failed", "Single paths")
    made = table("Routes", names, rows, frozenset({4, 5, 6}))
    rest = grouped.height - _ROUTES
    return element("div", made, element("p", f"And {rest:,} more routes.") if rest > 0 else None)


class _Numbers:
    """Text that comes again, as numbers."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}

    def of(self, series: pl.Series) -> list[int | None]:
        texts = self.texts
        return [
            None if text is None else texts.setdefault(text, len(texts)) for text in series.cast(pl.String).to_list()
        ]


def _data(view: View, paths: pl.DataFrame) -> dict[str, Any]:
    analysis = view.analysis
    base = view.span_ns[0] if view.span_ns else 0
    shown = paths["legs"].explode().unique().sort()
    legs = analysis.legs.filter(pl.col("leg").is_in(shown.implode())).sort("leg")
    numbers = legs["flows"].explode().unique().sort()
    flows = analysis.flows.filter(pl.col("flow").is_in(numbers.implode())).head(MOST_FLOWS)
    leg_at = {leg: at for at, leg in enumerate(legs["leg"].to_list())}
    flow_at = {flow: at for at, flow in enumerate(flows["flow"].to_list())}
    used = sorted(
        {number for role in ("client", "frontend", "snat", "backend") for number in paths[role].drop_nulls().unique()}
        | set(legs["src"].unique()) | set(legs["dst"].unique())
    )  # fmt: skip
    address_at = {number: at for at, number in enumerate(used)}
    words = _Numbers()

    def hosts(series: pl.Series) -> list[int | None]:
        return [None if one is None else address_at[one] for one in series.to_list()]

    blamed: dict[int, list[str]] = {}
    for finding in analysis.findings:
        for path in finding.paths:
            blamed.setdefault(path, []).append(finding.id)
    return {
        "base_ns": str(base),
        "addresses": [view.address(number) for number in used],
        "names": [safe_line(view.name(number)) for number in used],
        "points": {str(number): safe_line(name) for number, name in view.points.items()},
        "captures": {str(number): name for number, name in view.captures.items()},
        "protocols": _PROTOCOLS,
        "fine": list(FINE),
        "paths": {
            "id": paths["path"].to_list(),
            "at": _since(paths["first_ns"], base),
            "protocol": paths["protocol"].to_list(),
            **{
                name: found
                for role in ("client", "frontend", "snat", "backend")
                for name, found in ((role, hosts(paths[role])), (f"{role}_port", paths[f"{role}_port"].to_list()))
            },
            "outcome": words.of(paths["outcome"]),
            "method": words.of(paths["method"]),
            "confidence": [round(one * 100) for one in paths["confidence"].to_list()],
            "ambiguous": [int(one) for one in paths["ambiguous"].to_list()],
            "legs": [[leg_at[leg] for leg in some] for some in paths["legs"].to_list()],
            "findings": {
                str(at): " ".join(blamed[path]) for at, path in enumerate(paths["path"].to_list()) if path in blamed
            },
        },
        "legs": {
            "src": hosts(legs["src"]),
            "src_port": legs["src_port"].to_list(),
            "dst": hosts(legs["dst"]),
            "dst_port": legs["dst_port"].to_list(),
            "flows": [[flow_at[flow] for flow in some if flow in flow_at] for some in legs["flows"].to_list()],
        },
        "flows": {
            "id": flows["flow"].to_list(),
            "point": flows["point"].to_list(),
            "protocol": flows["protocol"].to_list(),
            "at": _since(flows["at_ns"], base),
            "lasted": _since(flows["last_ns"] - flows["first_ns"], 0),
            "state": words.of(flows["state"]),
            "history": words.of(flows["history"]),
            **{
                name: flows[name].to_list()
                for name in ("fwd_packets", "rev_packets", "fwd_bytes", "rev_bytes", "first_capture", "first_frame")
            },
        },
        "words": [safe_line(text) for text in words.texts],
    }  # fmt: skip


def _since(times: pl.Series, base_ns: int) -> list[int]:
    """Whole microseconds since a moment."""
    return ((times - base_ns) // 1000).to_list()
