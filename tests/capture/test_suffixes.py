"""Names of captures."""

from __future__ import annotations

import pytest

from flowscope.capture.suffixes import label, ring_of, without_compression


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("vm1.pcap", "vm1"),
        ("/tmp/vm1.pcap.gz", "vm1"),
        ("lb_in.pcapng", "lb_in"),
        ("10.0.0.4.pcap", "10.0.0.4"),
        ("eth0.2026.pcapng.zst", "eth0.2026"),
        ("trace.cap", "trace"),
        ("ring.pcap3", "ring"),
        ("no-suffix", "no-suffix"),
        (".pcap", ".pcap"),
        ("-", "stdin"),
        ("bad\udcff.pcap", "bad\ufffd"),
    ],
)
def test_label(path: str, expected: str) -> None:
    assert label(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("d/lb_00001_20260101120000.pcapng", "d/lb"),
        ("d/lb_00002_20260101120500.pcapng.gz", "d/lb"),
        ("d/lb_00002_20260101120500", "d/lb"),
        ("lb.pcap0", "lb.pcap"),
        ("lb.pcap12", "lb.pcap"),
        ("lb.pcap", "lb.pcap"),
        ("lb_1_2026.pcapng", "lb_1_2026.pcapng"),
        ("notes.txt", None),
    ],
)
def test_ring(path: str, expected: str | None) -> None:
    assert ring_of(path) == expected


def test_only_compression_is_taken_off() -> None:
    assert without_compression("a/b.pcap.XZ") == "a/b.pcap"
    assert without_compression("a/b.pcap") == "a/b.pcap"
