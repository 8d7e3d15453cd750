"""SNAT ports over time: the curve meets its limit where connections got none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.report.html.snat import section
from flowscope.report.html.view import View

pytestmark = pytest.mark.usefixtures("core")


def test_the_full_pool_is_drawn_with_its_refusals(samples: Path) -> None:
    folder = samples / "snat-exhaustion"
    made = section(View(analyze([folder], topology=str(folder / "topology.toml")), {}))
    assert made is not None
    charts = list(made.iter("figure"))
    assert len(charts) == 1
    said = "".join("".join(one.itertext()) for one in charts)
    assert "192.0.2.210 to 198.51.100.178:443: at most 32 of 32 ports in use, 64 connections got none." in said
    (curve,) = (one.get("d") or "" for one in charts[0].iter("path") if one.get("class") == "curve")
    (limit,) = (float(one.get("y1") or 0) for one in charts[0].iter("line") if one.get("class") == "limit")
    assert min(float(y) for y in re.findall(r"V([\d.]+)", curve)) == pytest.approx(limit, abs=0.1)
    crosses = [one for one in charts[0].iter("path") if one.get("class") == "bad-probe"]
    assert len(crosses) == 64


def test_where_nothing_is_translated_there_is_no_section(samples: Path) -> None:
    folder = samples / "hairpin"
    assert section(View(analyze([folder], topology=str(folder / "topology.toml")), {})) is None
