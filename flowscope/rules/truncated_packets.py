"""Frames were cut by the snap length of the capture.

What it flags
    A point where some frames are shorter in the file than they were on the wire.

Why it matters
    Addresses, flags and sequence numbers are usually still there, so paths and handshakes can be judged. What lies
    further back cannot: HTTP status and headers, PROXY headers, TLS names, payload digests.

Evidence
    The first frame that was cut, with the bytes that were kept; how many frames in all.

Look-alikes
    None: the file itself says how long each frame was.

Check next
    Capture again with `-s 0` (tcpdump) or without `-s` (dumpcap), which keep whole frames.

Example
    $ cd captures/truncated-packets
    $ flowscope analyze . --topology topology.toml --select truncated-packets
    F1  INFO  84 of 202 frames at lb_in are cut  [truncated-packets, confirmed]
        The capture kept at most about 96 bytes of a frame.

References
    pcap file format (draft-ietf-opsawg-pcap), "Packet Record": Captured and Original Packet Length.
"""

from __future__ import annotations

from collections.abc import Iterator

from flowscope.findings import Evidence, Finding, Severity, Verdict
from flowscope.window import Window

SEVERITY = Severity.INFO

#: Ethernet, VLAN, IPv6 and TCP with all its options: with so much kept, every header is there.
_HEADERS_BYTES = 14 + 4 + 40 + 60


def judge(window: Window) -> Iterator[Finding]:
    """One finding per point with cut frames."""
    for row in window.cut_points.iter_rows(named=True):
        name, kept = window.point_name(row["point"]), row["truncated_length"]
        weak = "HTTP, PROXY and TLS contents are cut, so rules that read them see less"
        if kept < _HEADERS_BYTES:
            weak = "TCP options or whole headers may be missing, so joins have less to go by; contents are cut as well"
        yield Finding(
            rule="truncated-packets",
            severity=SEVERITY,
            verdict=Verdict.CONFIRMED,
            title=f"{row['truncated']:,} of {row['frames']:,} frames at {name} are cut",
            summary=f"The capture kept at most about {kept} bytes of a frame. {weak}.",
            subject={"point": name},
            count=row["truncated"],
            evidence=(
                Evidence(
                    row["truncated_capture"], row["truncated_frame"], row["truncated_ns"], f"cut after {kept} bytes"
                ),
            ),
            filter="frame.cap_len < frame.len",
            cause="The capture was taken with a snap length.",
            remedy=("Capture again with `tcpdump -s 0` to keep whole frames.",),
            references=("draft-ietf-opsawg-pcap: Packet Record",),
        )
