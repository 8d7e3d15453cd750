"""Captures with findings as comments: what Wireshark shows, and what stays as it was."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.evidence.annotation import annotate
from flowscope.settings import Settings
from tests.capture_bytes import handshake, pcapng
from tests.evidence.captures import CAPTURES, files

pytestmark = pytest.mark.usefixtures("core")


def annotated(captures: list[Path], target: Path, topology: Path | None = None) -> tuple[int, int]:
    analysis = analyze(captures, topology=str(topology) if topology else None, settings=Settings(hash=True))
    with open(target, "wb") as out:
        done = annotate(analysis, out)
    return done.frames, done.without_room


def told(tshark: str, path: Path, *names: str) -> list[list[str]]:
    chosen = [part for name in names for part in ("-e", name)]
    command = [tshark, "-r", str(path), "-T", "fields", *chosen]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split("\t") for line in out.splitlines()]


@pytest.mark.parametrize("first", ["be2.pcapng", "lb_in.pcap"])
def test_wireshark_shows_the_findings_and_the_same_frames(tmp_path: Path, tshark: str, first: str) -> None:
    folder = CAPTURES / "blocked-in-member"
    captures = sorted(files(folder), key=lambda path: path.name != first)
    target = tmp_path / "out.pcapng"
    count, without = annotated(captures, target, folder / "topology.toml")
    fields = ("frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols", "tcp.checksum")
    assert told(tshark, target, *fields) == told(tshark, folder / first, *fields)
    comments = {int(number): text for number, text in told(tshark, target, "frame.number", "frame.comment") if text}
    assert len(comments) == count > 0 and without == 0
    analysis = analyze(captures, topology=str(folder / "topology.toml"))
    for finding in analysis.findings:
        for item in finding.evidence:
            if item.capture == 0:
                label = f"{finding.id} {finding.rule} ({finding.severity}, {finding.verdict}): {item.note}"
                assert label in comments[item.frame]
    properties = subprocess.run(["capinfos", str(target)], capture_output=True, text=True, check=True).stdout
    assert "findings are packet comments" in properties and analysis.findings[0].title in properties


def editions(tmp_path: Path, tshark: str) -> Path:
    """A pcapng as Wireshark's own tools write it, with secrets, names, a section comment and a packet comment."""
    for tool in ("editcap", "capinfos"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    secrets = tmp_path / "keys.log"
    secrets.write_text("CLIENT_RANDOM " + "ab" * 32 + " " + "cd" * 48 + "\n")
    rich = tmp_path / "rich.pcapng"
    command = ["editcap", "-F", "pcapng", "--inject-secrets", f"tls,{secrets}", "-a", "1:mine", "--capture-comment", "site A"]  # fmt: skip # noqa: E501
    subprocess.run([*command, str(CAPTURES / "closed-port" / "be2.pcap"), str(rich)], check=True, capture_output=True)
    return rich


def test_secrets_names_and_comments_of_others_survive(tmp_path: Path, tshark: str) -> None:
    rich = editions(tmp_path, tshark)
    names = struct.pack("<HH4s8s", 1, 12, bytes([10, 0, 0, 12]), b"vm-two\0\0") + struct.pack("<I", 0)
    length = struct.pack("<I", len(names) + 12)
    unknown = struct.pack("<II", 0x7777, 16) + b"what" + struct.pack("<I", 16)
    with open(rich, "ab") as file:
        file.write(struct.pack("<I", 4) + length + names + length + unknown)
    target = tmp_path / "out.pcapng"
    count, _ = annotated([rich], target)
    assert count > 0
    written = target.read_bytes()
    assert b"CLIENT_RANDOM " + b"ab" * 32 in written and names in written and written.endswith(unknown)
    first = told(tshark, target, "frame.comment")[0][0]
    assert "mine" in first
    properties = subprocess.run(["capinfos", str(target)], capture_output=True, text=True, check=True).stdout
    assert "site A" in properties and "Number of decryption secrets in file: 1" in properties
    again = tmp_path / "again.pcapng"
    annotated([target], again)
    assert told(tshark, again, "frame.number", "tcp.seq_raw") == told(tshark, rich, "frame.number", "tcp.seq_raw")


def test_a_capture_without_findings_is_the_same_but_for_the_section(tmp_path: Path) -> None:
    path = tmp_path / "fine.pcapng"
    path.write_bytes(pcapng([("eth0", handshake())]))
    out = io.BytesIO()
    done = annotate(analyze([path], settings=Settings(hash=True, select=frozenset({"closed-port"}))), out)
    assert done.frames == 0
    head = struct.unpack("<I", out.getvalue()[4:8])[0]
    assert out.getvalue()[head:] == path.read_bytes()[28:]


def test_compressed_captures_are_copied_decompressed(tmp_path: Path, tshark: str) -> None:
    import gzip

    source = CAPTURES / "closed-port" / "be2.pcap"
    packed = tmp_path / "be2.pcap.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    annotated([packed], tmp_path / "out.pcapng")
    fields = ("frame.time_epoch", "tcp.seq_raw", "tcp.len")
    assert told(tshark, tmp_path / "out.pcapng", *fields) == told(tshark, source, *fields)
