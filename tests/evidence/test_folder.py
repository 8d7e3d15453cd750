"""The forensic report: the same bytes every time, and no byte of it can change unseen."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowscope.analysis import analyze
from flowscope.capture.spool import Spool
from flowscope.errors import CaptureError, FlowscopeError
from flowscope.evidence.folder import write_report
from flowscope.evidence.verification import verify
from flowscope.settings import Settings
from tests.capture_bytes import pcap, segment
from tests.evidence.captures import CAPTURES, files

pytestmark = pytest.mark.usefixtures("core")

CASE = CAPTURES / "closed-port"


def write(folder: Path, captures: list[Path] | None = None, **settings: object) -> bytes:
    known = {"hash": True, **settings}
    analysis = analyze(
        captures or files(CASE),
        topology=str(CASE / "topology.toml"),
        settings=Settings(**known),  # type: ignore[arg-type]
    )
    return write_report(analysis, str(folder), [str(path) for path in captures or files(CASE)])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "incident"
    write(folder)
    return folder


@pytest.fixture
def copy(report: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(report, tmp_path / "copy"))


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_two_runs_give_the_same_bytes(report: Path, tmp_path: Path) -> None:
    write(tmp_path / "again")
    assert everything(report) == everything(tmp_path / "again")
    assert set(everything(report)) == {"report.html", "report.json", "manifest.json", "evidence/F1.pcapng"}


def test_the_manifest_names_every_input_and_output(report: Path) -> None:
    known = json.loads((report / "manifest.json").read_text())
    inputs = {one["path"]: one["sha256"] for one in known["inputs"]}
    sources = [*files(CASE), CASE / "topology.toml"]
    assert inputs == {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sources}
    outputs = {one["path"]: (one["bytes"], one["sha256"]) for one in known["outputs"]}
    there = {name: data for name, data in everything(report).items() if name != "manifest.json"}
    assert outputs == {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in there.items()}
    assert known["options"] == {"topology": str(CASE / "topology.toml")}
    assert known["counts"]["frames"] == sum(one["frames"] for one in known["inputs"] if one["kind"] == "capture")
    last = max(one["last"] for one in json.loads((report / "report.json").read_text())["captures"])
    assert known["time"] == last


def test_options_that_change_the_result_are_listed_in_order(tmp_path: Path) -> None:
    write(tmp_path / "some", select=frozenset({"closed-port", "path-loss"}), from_ns=1, points=(("a", "b"),))
    options = json.loads((tmp_path / "some" / "manifest.json").read_text())["options"]
    assert list(options) == ["from", "point", "select", "topology"]
    assert options["from"] == "1970-01-01T00:00:00.000000001Z"
    assert (options["point"], options["select"]) == (["a=b"], ["closed-port", "path-loss"])


def test_source_date_epoch_is_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    write(tmp_path / "then")
    assert json.loads((tmp_path / "then" / "manifest.json").read_text())["time"] == "2023-11-14T22:13:20.000000000Z"


def test_a_report_is_as_it_was_written(report: Path) -> None:
    assert verify(str(report)) == []
    assert verify(str(report), [str(path) for path in files(CASE)]) == []
    assert verify(str(report), [str(CASE / "truth.json")]) == [
        (str(CASE / "truth.json"), "is none of the report's inputs")
    ]


def bits(data: bytes) -> Iterator[bytes]:
    """One flipped bit: in the first and the last byte, and here and there between."""
    step = max(1, len(data) // 40)
    for at in sorted({*range(0, len(data), step), len(data) - 1}):
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        yield bytes(changed)


@pytest.mark.parametrize("name", ["report.html", "report.json", "manifest.json", "evidence/F1.pcapng"])
def test_one_flipped_bit_is_noticed(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    for changed in bits(data):
        (copy / name).write_bytes(changed)
        found = verify(str(copy))
        assert [file for file, _ in found] == [name] and found[0][1].startswith("changed")


def test_every_bit_of_the_manifests_own_digest_counts(copy: Path) -> None:
    path = copy / "manifest.json"
    data = path.read_bytes()
    for at in range(data.rindex(b'"digest"'), len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            path.write_bytes(changed)
            assert verify(str(copy))


def test_missing_additional_and_replaced_files_are_noticed(copy: Path) -> None:
    (copy / "report.json").unlink()
    (copy / "evidence" / "F2.pcapng").write_bytes(b"")
    (copy / "empty").mkdir()
    html = copy / "report.html"
    html.rename(copy.parent / "elsewhere.html")
    html.symlink_to(copy.parent / "elsewhere.html")
    assert verify(str(copy)) == [
        ("empty", "additional"),
        ("evidence/F2.pcapng", "additional"),
        ("report.html", "changed: no regular file"),
        ("report.json", "missing"),
    ]


def test_without_a_manifest_there_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(FlowscopeError, match=r"no manifest\.json"):
        verify(str(tmp_path))
    with pytest.raises(FlowscopeError, match="no such folder"):
        verify(str(tmp_path / "none"))


def test_a_report_is_replaced_and_nothing_else_is(report: Path, copy: Path, tmp_path: Path) -> None:
    write(copy, [CASE / "be2.pcap"])
    assert verify(str(copy)) == [] and everything(copy) != everything(report)
    (copy / "notes.txt").write_text("mine")
    with pytest.raises(FlowscopeError, match="not empty and no report"):
        write(copy)
    assert (copy / "notes.txt").read_text() == "mine"
    (tmp_path / "file").write_text("")
    with pytest.raises(FlowscopeError, match="is a file"):
        write(tmp_path / "file")
    with pytest.raises(FlowscopeError, match="there is no directory"):
        write(tmp_path / "none" / "deep")


def test_an_input_inside_is_left_alone(tmp_path: Path) -> None:
    inside = tmp_path / "work"
    inside.mkdir()
    capture = inside / "vm1.pcap"
    capture.write_bytes(pcap([segment()]))
    with pytest.raises(FlowscopeError, match="holds an input"):
        write(inside, [capture])
    assert os.listdir(inside) == ["vm1.pcap"]


def test_after_a_failure_nothing_is_left(tmp_path: Path) -> None:
    capture = tmp_path / "vm1.pcap"
    shutil.copy(CASE / "be2.pcap", capture)
    analysis = analyze([capture], settings=Settings(hash=True))
    os.utime(capture, ns=(0, 0))
    with pytest.raises(CaptureError, match="has changed"):
        write_report(analysis, str(tmp_path / "out"))
    assert os.listdir(tmp_path) == ["vm1.pcap"]


def test_from_a_pipe_and_compressed_it_is_the_same(tmp_path: Path) -> None:
    import gzip

    plain = tmp_path / "stdin.pcap"
    shutil.copy(CASE / "be2.pcap", plain)
    packed = tmp_path / "source" / "stdin.pcap.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    folders = {}
    for name, source in (("plain", plain), ("packed", packed), ("pipe", "-")):
        with Spool(io.BytesIO(plain.read_bytes())) as spool:
            analysis = analyze([source], settings=Settings(hash=True), stdin=spool.stream)
            write_report(analysis, str(tmp_path / name))
        document = json.loads((tmp_path / name / "report.json").read_text())
        for capture in document["captures"]:
            capture |= {"path": "", "sha256": "", "compression": ""}
        selection = analyze([tmp_path / name / "evidence" / "F1.pcapng"])
        folders[name] = document, selection.flows.drop("first_offset", "last_offset").to_dicts()
    assert folders["plain"][0]["findings"]
    assert folders["plain"] == folders["packed"] == folders["pipe"]
