"""Evidence files: the frames as they were captured, with what each of them proves."""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

import polars as pl
import pytest

from flowscope.analysis import analyze
from flowscope.evidence.choice import Chooser
from flowscope.evidence.files import write_choice, write_everything
from flowscope.evidence.pcapng import PcapngWriter
from flowscope.settings import Settings
from tests.capture_bytes import handshake, pcap, pcapng, segment
from tests.evidence.captures import CAPTURES, FOLDERS, evidence, files
from tests.traffic import T0

pytestmark = pytest.mark.usefixtures("core")

PLACE = re.compile(r"\(frame (\d+) of (.+?)\)")


def fields(tshark: str, path: Path, *names: str) -> list[list[str]]:
    """Fields of every frame, as tshark reads them."""
    chosen = [part for name in names for part in ("-e", name)]
    command = [tshark, "-r", str(path), "-T", "fields", "-E", "separator=/t", *chosen]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


def frames(path: Path) -> list[tuple[int, int, bytes]]:
    """Time, length on the wire and bytes of every frame, as scapy reads them."""
    from scapy.utils import RawPcapNgReader, RawPcapReader

    found = []
    with open(path, "rb") as file:
        plain = file.read(4) != b"\x0a\x0d\x0d\x0a"
    with (RawPcapReader if plain else RawPcapNgReader)(str(path)) as reader:
        for data, about in reader:
            if plain:
                time_ns = about.sec * 10**9 + about.usec * (1 if reader.nano else 1000)
            else:
                time_ns = ((about.tshigh << 32) + about.tslow) * 10**9 // about.tsresol
            found.append((time_ns, about.wirelen, bytes(data)))
    return found


@pytest.mark.parametrize("name", FOLDERS)
def test_frames_are_those_of_the_captures_byte_for_byte(name: str, tshark: str) -> None:
    analysis, _, written = evidence(CAPTURES / name)
    originals = {capture.path: frames(Path(capture.path)) for capture in analysis.captures}
    for path in written.values():
        comments = fields(tshark, path, "frame.comment")
        copies = frames(path)
        assert len(comments) == len(copies) > 0
        for (comment,), copy in zip(comments, copies, strict=True):
            match = PLACE.search(comment)
            assert match, comment
            assert originals[match[2]][int(match[1]) - 1] == copy


def test_every_cited_frame_is_there_with_its_note(tshark: str) -> None:
    analysis, _, written = evidence(CAPTURES / "hairpin")
    for finding in analysis.findings:
        rows = fields(tshark, written[finding.id], "frame.interface_name", "frame.comment")
        said = {comment for _, comment in rows}
        names = {capture.id: capture.path for capture in analysis.captures}
        for item in finding.evidence:
            head = f"{finding.id} {finding.rule} (error, {finding.verdict}): {item.note}"
            assert any(head in text and f"frame {item.frame} of {names[item.capture]}" in text for text in said)
        assert {name for name, _ in rows} <= {point.name for point in analysis.points}


def test_the_section_says_who_wrote_it_and_from_what(tshark: str) -> None:
    analysis, topology, written = evidence(CAPTURES / "closed-port")
    told = subprocess.run(["capinfos", str(written["F1"])], capture_output=True, text=True, check=True).stdout
    assert f"flowscope {analysis.version}" in told
    assert f"topology={topology}" in told
    assert all(capture.sha256 in told for capture in analysis.captures if capture.sha256)
    assert "evidence of F1 closed-port (error, confirmed)" in told
    assert re.search(r"Name = lb_in\n\s+Description = captured in .*lb_in.pcap", told)


def test_times_stay_in_order_within_a_point_and_across(tshark: str) -> None:
    _, _, written = evidence(CAPTURES / "clock-offset")
    times = [float(row[0]) for row in fields(tshark, written["F1"], "frame.time_epoch")]
    assert times == sorted(times)


def test_hostile_names_become_text(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[2J‮b.pcap"
    path.write_bytes(pcap(handshake()))
    analysis = analyze([path], settings=Settings(hash=True))
    out = io.BytesIO()
    assert write_choice(analysis, out, "flow 0", Chooser(analysis).flow(0)) == 3
    comment = out.getvalue()[: out.getvalue().index(b"flowscope 0", 60)]
    assert b"\x1b" not in comment and "‮".encode() not in comment
    again = tmp_path / "copy.pcapng"
    again.write_bytes(out.getvalue())
    assert analyze([again]).flows.height == 1


def test_flows_of_interfaces_that_share_a_tuple_stay_apart(tmp_path: Path) -> None:
    path = tmp_path / "box.pcapng"
    path.write_bytes(pcapng([("eth0", handshake()), ("eth1", handshake()), (None, [segment(sport=9)])]))
    analysis = analyze([path])
    assert analysis.flows.height == 3
    for flow, point in analysis.flows.select("flow", "point").iter_rows():
        out = io.BytesIO()
        count = write_choice(analysis, out, "flow", Chooser(analysis).flow(flow))
        assert count == (1 if analysis.points[point].interface is None else 3)
        copy = tmp_path / f"{flow}.pcapng"
        copy.write_bytes(out.getvalue())
        # Without a topology the point is still the one it was.
        assert [one.name for one in analyze([copy]).points] == [analysis.points[point].name]


def test_everything_is_every_frame_of_every_capture(tmp_path: Path) -> None:
    analysis, _, _ = evidence(CAPTURES / "blocked-in-member")
    path = tmp_path / "all.pcapng"
    with open(path, "wb") as out:
        assert write_everything(analysis, out) == sum(capture.frames for capture in analysis.captures)
    originals = sorted(frame for source in files(CAPTURES / "blocked-in-member") for frame in frames(source))
    assert sorted(frames(path)) == originals
    again = analyze([path], topology=str(CAPTURES / "blocked-in-member" / "topology.toml"))
    assert again.flows.drop("first_capture", "last_capture").height == analysis.flows.height
    assert [one.key for one in again.findings] == [one.key for one in analysis.findings]


def test_what_is_written_holds_the_flows_it_is_about(tmp_path: Path) -> None:
    analysis, topology, _ = evidence(CAPTURES / "hairpin")
    longest = analysis.paths.sort(pl.col("legs").list.len(), descending=True).row(0, named=True)
    path = tmp_path / "path.pcapng"
    with open(path, "wb") as out:
        write_choice(analysis, out, "path", Chooser(analysis).path(longest["path"]))
    again = analyze([path], topology=topology)
    assert again.paths["legs"].list.len().to_list() == [len(longest["legs"])]
    assert again.paths["outcome"].to_list() == [longest["outcome"]]


def test_how_long_and_how_well_a_point_was_captured_is_kept(tmp_path: Path) -> None:
    """The end and the losses that a pcapng states are true of the part that is evidence as well."""
    path = tmp_path / "vm1.pcapng"
    with open(path, "wb") as out:
        writer = PcapngWriter(out, "test")
        number = writer.interface(0, 1, "eth0", None)
        for at, frame in enumerate(handshake()):
            writer.packet(number, T0 + at, len(frame), frame)
        writer.statistics(number, T0 + 9_000_000_000, 7)
    analysis = analyze([path])
    copy = tmp_path / "copy.pcapng"
    with open(copy, "wb") as out:
        write_choice(analysis, out, "flow 0", Chooser(analysis).flow(0))
    told = subprocess.run(["capinfos", str(copy)], capture_output=True, text=True, check=True).stdout
    assert "Number of stat entries = 1" in told
    again = analyze([copy]).points[0]
    assert (again.until_ns, again.dropped) == (T0 + 8_000_000_000, 7)
    assert (again.until_ns, again.dropped) == (analysis.points[0].until_ns, analysis.points[0].dropped)


def test_the_first_and_the_last_frame_of_each_capture_show_that_it_ran(tshark: str) -> None:
    analysis, _, written = evidence(CAPTURES / "blocked-in-member")
    for path in written.values():
        comments = [comment for (comment,) in fields(tshark, path, "frame.comment")]
        for capture in analysis.captures:
            for number in (1, capture.frames):
                assert any(f"(frame {number} of {capture.path})" in comment for comment in comments)
