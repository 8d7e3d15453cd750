"""What `flowscope probes` says beside the states: in text, in JSON and in CSV."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from flowscope.analysis import Analysis
from flowscope.report import render_rows
from flowscope.report.look import Look
from tests.probes.asking import encrypted, known, rounds, tls_rounds
from tests.rules.scene import judged
from tests.wire import Wire

pytestmark = pytest.mark.usefixtures("core")
FORMATS = ("text", "json", "jsonl", "csv")
SECOND_POOL = """
[[pool]]
name = "slow"
members = [ { name = "vm-a", address = "10.1.0.4", port = 9443 } ]

[pool.probe]
source = ["168.63.129.16"]
protocol = "http"
port = 9999
path = "/up"
interval_s = 1
policy = "generic"
unhealthy_threshold = %d
"""


def rendered(analysis: Analysis, form: str) -> str:
    out = io.BytesIO()
    render_rows(analysis, "probes", form, out, Look(brief=False, colour=False, utc=True, verbose=False))
    return out.getvalue().decode()


@pytest.mark.parametrize("form", FORMATS)
def test_a_status_inside_tls_is_said_to_be_hidden(tmp_path: Path, form: str) -> None:
    wire = tls_rounds(encrypted(300), "prober")
    assert "status not visible (TLS)" in rendered(judged(wire, tmp_path, None), form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("threshold", "said"), [(3, True), (None, False)])
def test_two_pools_that_ask_alike_are_named(tmp_path: Path, form: str, threshold: int | None, said: bool) -> None:
    wire = Wire()
    rounds(wire, ["200"] * 5, ["200"] * 5)
    analysis = judged(wire, tmp_path, known(more=SECOND_POOL % threshold if threshold else ""))
    assert ("pools shop, slow ask from one address" in rendered(analysis, form)) is said
