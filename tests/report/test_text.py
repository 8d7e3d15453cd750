"""What a person sees first."""

from __future__ import annotations

import io
import re
from typing import Any

from flowscope.findings import Severity
from flowscope.report import render
from flowscope.report.look import Look
from flowscope.settings import Settings
from tests.report.findings import hairpin, undecided
from tests.traffic import analysis, balanced, capture, flows, paths


def text(report: Any, **look: Any) -> str:
    out = io.BytesIO()
    render(report, "text", out, Look(**look))
    return out.getvalue().decode()


def test_whole_report() -> None:
    damage = {
        "kind": "truncated-tail",
        "frame": 1000,
        "offset": 99,
        "detail": "needs 80 bytes, has 12",
        "count": 1,
    }
    report = balanced(
        captures=[capture(0, "client.pcap"), capture(1, "vm1.pcap", issues=(damage,))],
        findings=[hairpin(evidence=hairpin().evidence[:2])],
    )
    assert text(report) == (
        """\
flowscope 0.1.0  2 captures, 2 points, 2,000 frames, 3 TCP flows, 1 path
2026-01-01 00:00:00.000 to 00:00:01.000 UTC (1.0 s)

  client.pcap  client  1,000 frames  00:00:00.000  + 1.0 s
  vm1.pcap     vm1     1,000 frames  00:00:00.000  + 1.0 s

1 of 1 path established.

What is wrong: 1 error

F1  ERROR  vm1 reaches itself through 10.0.0.100:80  [hairpin-mismatch, confirmed]
    28 of 90 calls that vm1 made to its own pool were mapped to vm1 itself and timed out.
    facts     expected failure rate 33%, observed failure rate 31%, where in-member, fast
    evidence  client.pcap  frame 7  00:00:00.000000  SYN out to the frontend
              client.pcap  frame 8  00:00:00.000001  SYN out to the frontend
    filter    ip.addr == 10.0.0.4 && tcp.seq_raw == 123
    cause     The balancer keeps the source address, so the member gets its own SYN from itself.
    remedy    - Put a proxy tier between the members and the frontend.
              - Use a second interface.
    caveat    The capture at lb began 3 s later.
    explains  also frontend-unanswered

What could not be read
  vm1.pcap, frame 1000: truncated-tail: needs 80 bytes, has 12
"""
    )


def test_nothing_wrong_says_what_was_looked_for() -> None:
    shown = text(balanced(judged={"closed-port": 0, "hairpin-mismatch": 0}))
    assert "1 of 1 path established.\n\nNothing wrong was found.\nLooked for: closed-port, hairpin-mismatch.\n" in shown


def test_no_connection_says_so() -> None:
    assert "No TCP connection was seen, so there is nothing to judge.\n" in text(analysis())


def test_no_connection_names_the_options_that_left_frames_out() -> None:
    shown = text(analysis(settings=Settings(from_ns=1, display_filter="udp")))
    assert "No TCP connection was seen in the frames that --from and -Y left, so there is nothing to judge.\n" in shown


def test_info_alone_is_not_called_wrong() -> None:
    shown = text(balanced(findings=[hairpin(severity=Severity.INFO)]))
    assert "What is wrong" not in shown
    assert "Nothing wrong was found." in shown
    assert "F1  INFO" in shown


def test_undecided_findings_stand_apart_with_the_next_capture() -> None:
    shown = text(balanced(findings=[undecided()], problems=["rule x failed"]))
    assert "Nothing was proven to be wrong, but not everything could be judged." in shown
    _, _, rest = shown.partition("What could not be judged")
    assert "F2  ERROR  SYNs to vm2" in rest
    assert "next      tcpdump -ni eth0 -w vm2.pcap 'tcp port 8080'" in rest
    assert "rule x failed" in rest


def test_outcomes_are_counted_worst_share_first() -> None:
    rows = [{"outcome": "established"}] * 3 + [{"outcome": "refused"}] + [{"outcome": "unanswered"}] * 2
    assert "3 of 6 paths established; 2 unanswered; 1 refused." in text(analysis(paths=paths(*rows)))


def test_hostile_names_are_made_visible() -> None:
    report = balanced(
        captures=[capture(0, "\x1b[2Jclient.pcap"), capture(1)],
        findings=[hairpin(title="\x1b]0;owned\x07 vm1", summary="\u202eevil", filter="a\x1bb")],
    )
    shown = text(report)
    assert not [one for one in shown if one != "\n" and not one.isprintable()]
    assert "\\x1b[2Jclient.pcap" in shown


def test_colour_only_when_asked_for() -> None:
    report = balanced(findings=[hairpin()])
    assert "\x1b[1;31mF1  ERROR\x1b[0m" in text(report, colour=True)
    assert "\x1b" not in text(report)


def test_lines_fit_the_width_except_what_is_copied() -> None:
    long = hairpin(summary="word " * 60, filter="x" * 200, caveats=("y " * 100,))
    lines = text(balanced(findings=[long])).splitlines()
    assert [line for line in lines if len(line) > 100] == ["    filter    " + "x" * 200]


def test_long_lists_are_cut_and_v_lists_them() -> None:
    report = balanced(
        captures=[capture(at, f"c{at}.pcap", points=()) for at in range(20)],
        findings=[hairpin(filter="x" * 1000)],
    )
    assert "... and 8 more (-v lists them)" in text(report)
    assert "... and 2 more frames (-v lists them)" in text(report)
    assert "1,000 characters (-v shows it)" in text(report)
    assert "-v lists" not in text(report, verbose=True)
    assert "x" * 1000 in text(report, verbose=True)


def test_other_protocols_are_counted_apart() -> None:
    udp = {"src": 0, "dst": 0, "src_port": 1, "dst_port": 2, "protocol": 17}
    assert "0 TCP flows + 1 other" in text(analysis(flows=flows(udp)))


def test_what_is_no_capture() -> None:
    issue = {"kind": "not-a-capture", "frame": 0, "offset": 0, "detail": "a text file, no capture", "count": 1}
    bad = capture(1, "a.txt", format=None, points=(), frames=0, first_ns=None, last_ns=None, issues=(issue,))
    shown = text(analysis(captures=[capture(), bad]))
    assert re.search(r"(?m)^  a\.txt +not read$", shown)
    assert "a.txt: not-a-capture: a text file, no capture" in shown


def test_captures_of_one_folder_are_named_without_it() -> None:
    report = balanced(
        captures=[capture(0, "/data/case 7/client.pcap"), capture(1, "/data/case 7/vm1.pcap")], findings=[hairpin()]
    )
    shown = text(report)
    assert "\nin /data/case 7\n" in shown
    assert "evidence  client.pcap  frame 7" in shown
    report.captures[1] = capture(1, "/data/vm1.pcap")
    assert "evidence  /data/case 7/client.pcap  frame 7" in text(report)


def test_advice_is_given_once() -> None:
    second = hairpin(id="F2", remedy=("Restart vm2.", "Use a second interface."), caveats=())
    _, _, block = text(balanced(findings=[hairpin(), second])).partition("F2  ")
    assert "    cause     As for F1.\n    remedy    - Restart vm2.\n              - As for F1.\n" in block


def test_failed_paths_without_a_finding_are_not_called_fine() -> None:
    shown = text(analysis(paths=paths({"outcome": "established"}, {"outcome": "unanswered"}, {"outcome": "reset"})))
    assert "No rule says why 1 path failed; `flowscope paths` lists them." in shown
    assert "Nothing wrong" not in shown


def test_standard_input_has_a_name() -> None:
    report = balanced(captures=[capture(0, "-"), capture(1, "vm1.pcap")], findings=[hairpin()])
    assert re.search(r"^    evidence  stdin +frame 7 ", text(report), re.MULTILINE)
