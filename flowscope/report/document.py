"""The few parts of the report that are plain objects: captures, points, findings. Names are those of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowscope import __version__
from flowscope.capture.link_types import link_type_name
from flowscope.report.safe_text import safe_unicode
from flowscope.report.times import rfc3339_text

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.findings import Finding

SCHEMA = "flowscope-report/1"


def head() -> dict[str, Any]:
    """What every JSON document of flowscope begins with."""
    return {"schema": SCHEMA, "version": __version__}


def captures(analysis: Analysis) -> list[dict[str, Any]]:
    """The captures, in the order given, with what could not be read of each."""
    names = {point.number: point.name for point in analysis.points}
    return [
        {
            "id": capture.id,
            "path": safe_unicode(capture.path),
            "sha256": capture.sha256,
            "format": None if capture.format is None else safe_unicode(capture.format),
            **({} if capture.converted_by is None else {"converted_by": safe_unicode(capture.converted_by)}),
            **({} if capture.only is None else {"matched": len(capture.only)}),
            "compression": capture.compression,
            "points": [names[point] for point in capture.points if point in names],
            "link_types": [link_type_name(number) for number in capture.link_types],
            "frames": capture.frames,
            "bytes": capture.bytes,
            "first": rfc3339_text(capture.first_ns),
            "last": rfc3339_text(capture.last_ns),
            "issues": [{**issue, "detail": safe_unicode(issue["detail"])} for issue in capture.issues],
        }
        for capture in analysis.captures
    ]


def profile(analysis: Analysis) -> dict[str, Any] | None:
    """The kind of balancer the analysis was told, and where its values come from; None when it was not told."""
    if analysis.profile is None:
        return None
    return {"name": analysis.profile.name, "source": safe_unicode(analysis.profile.file or "flowscope")}


def given(analysis: Analysis) -> list[dict[str, Any]]:
    """Files that were given beside the captures, and what of them was used."""
    return [
        {
            "option": one.option,
            "path": safe_unicode(one.path),
            "sha256": one.sha256,
            "kind": one.kind,
            "read": dict(one.read),
            "used": [safe_unicode(text) for text in one.used],
        }
        for one in analysis.given
    ]


def points(analysis: Analysis) -> list[dict[str, Any]]:
    """The observation points and their clocks."""
    return [
        {
            "name": point.name,
            "captures": list(point.captures),
            "interface": None if point.interface is None else safe_unicode(point.interface),
            "node": point.node,
            "clock_offset_ns": point.clock_offset_ns,
            "clock_error_ns": point.clock_error_ns,
            "clock_skew_ppm": point.clock_skew_ppm,
        }
        for point in analysis.points
    ]


def findings(analysis: Analysis) -> list[dict[str, Any]]:
    """The findings, worst first."""
    return [finding_object(finding) for finding in analysis.findings]


def finding_object(finding: Finding) -> dict[str, Any]:
    """One finding as the report's object."""
    return {
        "id": finding.id,
        "key": finding.key,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "verdict": finding.verdict.value,
        "title": finding.title,
        "summary": finding.summary,
        "subject": dict(finding.subject),
        "names": dict(finding.names),
        "count": finding.count,
        "flows": list(finding.flows),
        "paths": list(finding.paths),
        "folded": list(finding.folded),
        "facts": dict(finding.facts),
        "evidence": [
            {
                "capture": item.capture,
                "frame": item.frame,
                "time": rfc3339_text(item.time_ns),
                "note": item.note,
                "flow": item.flow,
            }
            for item in finding.evidence
        ],
        "filter": finding.filter,
        "filter_complete": finding.filter_complete,
        "cause": finding.cause,
        "remedy": list(finding.remedy),
        "next_capture": finding.next_capture,
        "caveats": list(finding.caveats),
        "references": list(finding.references),
    }
