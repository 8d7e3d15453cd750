"""The report as one HTML file that opens offline: no request leaves it, and its own script and style are hashed.

Every section is a module with ``section(view)``; :func:`render` puts them in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from flowscope.report.html import findings, method, path_graph, probes, quality, snat, summary, tables
from flowscope.report.html.page import page
from flowscope.report.html.view import View

if TYPE_CHECKING:
    from flowscope.analysis import Analysis

SECTIONS = (summary, findings, path_graph, probes, snat, tables, quality, method)
"""In the order of the page."""


def render(analysis: Analysis, *, evidence: Mapping[str, str] = MappingProxyType({})) -> str:
    """The whole document; the same analysis gives the same text.

    Args:
        analysis: what was found out.
        evidence: id of a finding -> path of its evidence file, relative to the report.
    """
    view = View(analysis, evidence)
    return page(summary.title(view), [part for one in SECTIONS if (part := one.section(view)) is not None])
