"""The paths as a graph in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowscope.report.html.page import section as part
from flowscope.report.markup import Element, element

if TYPE_CHECKING:
    from flowscope.report.html.view import View


def section(view: View) -> Element | None:
    """The graph; None when there is no path."""
    if not view.analysis.paths.height:
        return None
    from flowscope.graph.stage import stage_of

    return part(
        "graph",
        "The paths as a graph",
        element(
            "p",
            "From left to right as packets travel: clients, frontends, SNAT addresses, members and other destinations. "
            "An arrow is all legs between two places, with the number of its paths. What failed is dashed and crossed. "
            "Alike places are one when there are many.",
            class_="hint",
        ),
        *stage_of(view.analysis),
        short="Graph",
    )
