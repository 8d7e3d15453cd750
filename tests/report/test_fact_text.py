"""Facts bear their units, as people write them."""

from __future__ import annotations

import pytest

from flowscope.report.fact_text import fact_text


@pytest.mark.parametrize(
    ("name", "value", "words", "text"),
    [
        ("lasted_s", 4.051, "lasted", "4.051 s"),
        ("latency_ms", 0.247, "latency", "0.247 ms"),
        ("offset_ns", -2_544_000_015, "offset", "-2.544 s"),
        ("error_ns", 8976, "error", "8.976 µs"),
        ("error_ns", 0, "error", "0 ns"),
        ("skew_ppm", -45.809, "skew", "-45.81 ppm"),
        ("sustainable_per_s", 4.98, "sustainable", "4.98 per second"),
        ("above_75_s", 1.705, "above 75 %", "1.705 s"),
        ("expected_failure_rate", 1 / 3, "expected failure rate", "33%"),
        ("ports_peak", 1024, "ports peak", "1,024"),
        ("status", 503, "status", "503"),
        ("because", "F1", "because", "F1"),
        ("answered_itself", True, "answered itself", "yes"),
        ("since", "2026-11-21T03:16:54.961310000Z", "since", "2026-11-21T03:16:54.961310000Z"),
    ],
)
def test_words_and_value(name: str, value: str | float | bool, words: str, text: str) -> None:
    assert fact_text(name, value) == (words, text)
