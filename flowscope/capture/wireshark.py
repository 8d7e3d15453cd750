"""Wireshark's engine: display filters, capture formats of others, dissections in full.

Everything runs in child processes, with an empty configuration and without name resolution: the result depends on the
frames alone, and nothing is asked of the network. This is the only door to tshark, editcap and pyshark.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import BinaryIO

from flowscope.capture.core import new_annotator
from flowscope.errors import FlowscopeError

_CHUNK = 1 << 20
_INSTALL = "install Wireshark's tools (Debian, Ubuntu: apt install tshark; Fedora: dnf install wireshark-cli; macOS: brew install wireshark)"  # fmt: skip # noqa: E501
#: The header of a pcap file of Ethernet frames: enough to have a filter compiled.
_EMPTY = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
#: Between the dissections of two frames in the output of the child process.
_END = "\x1e\n"

log = logging.getLogger("flowscope")


def need(program: str, what: str) -> str:
    """The path of one of Wireshark's programs.

    Args:
        program: ``tshark`` or ``editcap``.
        what: needs it, as the user typed it.

    Raises:
        FlowscopeError: it is not installed; says what to install.
    """
    found = shutil.which(program)
    if found is None:
        raise FlowscopeError(f"{what} needs {program}, which is not installed: {_INSTALL}")
    return found


def version(program: str) -> str:
    """The version of one of Wireshark's programs, ``?`` when it does not say."""
    with _environment() as environment:
        told = subprocess.run([program, "-v"], capture_output=True, env=environment, check=False).stdout
    words = told.decode("utf-8", "replace").split()
    return next((word.rstrip(".") for word in words if word[:1].isdigit()), "?")


def check_filter(display_filter: str) -> None:
    """Has a display filter compiled, so that a wrong one is an error and not a filter that matches nothing.

    Raises:
        FlowscopeError: it is wrong, with tshark's own words; or there is no tshark.
    """
    command = [need("tshark", "-Y"), "-n", "-r", "-", "-Y", display_filter]
    with _environment() as environment:
        done = subprocess.run(command, input=_EMPTY, capture_output=True, env=environment, check=False)
    if done.returncode:
        raise FlowscopeError(f"-Y {display_filter!r}: no display filter: {_said(done.stderr)}")


def matching(path: str, display_filter: str) -> Sequence[int]:
    """Numbers of the frames of a capture that a display filter selects, in order.

    tshark is given the frames that flowscope counts and no others, decompressed, so that both number them alike.

    Raises:
        OSError: the capture cannot be read.
        FlowscopeError: there is no tshark, or it fails.
    """
    command = [need("tshark", "-Y"), "-n", "-r", "-", "-Y", display_filter, "-T", "fields", "-e", "frame.number"]
    numbers = array("Q")
    with _environment() as environment, open(path, "rb", buffering=0) as file, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment)
        assert child.stdin is not None and child.stdout is not None
        pump = threading.Thread(target=_pump, args=(file, child.stdin), daemon=True)
        with _ended(child):
            pump.start()
            numbers.extend(int(line) for line in child.stdout)
            code = child.wait()
            pump.join()
        errors.seek(0)
        if code < 0:
            raise FlowscopeError(f"-Y: tshark was stopped by signal {-code} while it read {path}")
        if code:
            # A capture that breaks off is an error to tshark; what was read before it stands.
            log.warning("%s: tshark says: %s", path, _said(errors.read()))
    return numbers


def convert(path: str, folder: str) -> tuple[str, str, str] | None:
    """A capture in a format that only Wireshark reads, as pcapng.

    Args:
        path: the capture.
        folder: where the converted file goes.

    Returns:
        The converted file, the name of the format, and the program that converted it with its version; None when
        Wireshark is not installed or cannot read the file either.
    """
    editcap, capinfos = shutil.which("editcap"), shutil.which("capinfos")
    if editcap is None:
        return None
    descriptor, target = tempfile.mkstemp(suffix=".pcapng", dir=folder)
    os.close(descriptor)
    with _environment() as environment:
        command = [editcap, "-F", "pcapng", os.path.abspath(path), target]
        done = subprocess.run(command, capture_output=True, env=environment, check=False)
        # What has no frames that pcapng can hold is no capture; then editcap may take its file away.
        if done.returncode or not os.path.isfile(target) or os.path.getsize(target) == 0:
            with suppress(FileNotFoundError):
                os.unlink(target)
            return None
        kind = "unknown"
        if capinfos is not None:
            told = subprocess.run(
                [capinfos, "-t", "-T", "-r", os.path.abspath(path)], capture_output=True, env=environment, check=False
            )
            kind = told.stdout.decode("utf-8", "replace").rstrip("\n").rpartition("\t")[2] or kind
    return target, kind, f"editcap {version('editcap')}"


def dissect(path: str) -> Iterator[str]:
    """The frames of a pcapng file, each dissected in full, as text that is not yet safe to show.

    pyshark runs in a child process: it brings an event loop of its own, and a frame that breaks it ends only the child.

    Raises:
        FlowscopeError: tshark or pyshark is missing, or fails.
    """
    need("tshark", "dissect")
    command = [sys.executable, "-m", "flowscope.capture.wireshark", path]
    with _environment() as environment, tempfile.TemporaryFile() as errors:
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH")]))}
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, encoding="utf-8")
        assert child.stdout is not None
        with _ended(child):
            lines: list[str] = []
            for line in child.stdout:
                if line == _END:
                    yield "".join(lines)
                    lines.clear()
                else:
                    lines.append(line)
            code = child.wait()
        errors.seek(0)
        if code:
            raise FlowscopeError(f"dissect: {_said(errors.read())}")


def _pump(source: BinaryIO, target: BinaryIO) -> None:
    """Hands a capture to tshark as pcapng without the blocks that tshark counts as frames and flowscope does not."""
    annotator = new_annotator({}, "", frames_only=True)
    # tshark has had enough, or was stopped.
    with suppress(BrokenPipeError), target:
        while data := source.read(_CHUNK):
            target.write(annotator.feed(data))
        target.write(annotator.finish())


@contextmanager
def _ended(child: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """Stops a child process that is not done when the caller is."""
    try:
        yield
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()


@contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """The environment of Wireshark's programs: no settings of the user's, times in UTC."""
    with tempfile.TemporaryDirectory(prefix="flowscope-wireshark-") as folder:
        yield {**os.environ, "WIRESHARK_CONFIG_DIR": folder, "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def _said(stderr: bytes) -> str:
    """What a program said, on one line, without its greeting to root."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    told = [line for line in lines if line and "This could be dangerous" not in line and line.strip("^~ ")]
    return " ".join(told).removeprefix("tshark: ")[:600] or "it did not say why"


def main(path: str) -> int:
    """The child process of :func:`dissect`: prints every frame, dissected; returns its exit code."""
    try:
        import pyshark
    except ImportError as error:
        print(f"pyshark cannot be loaded ({error}): pip install pyshark", file=sys.stderr)
        return 2
    out = open(sys.stdout.fileno(), "w", encoding="utf-8", errors="replace", newline="\n", closefd=False)  # noqa: SIM115
    capture = pyshark.FileCapture(path, keep_packets=False, custom_parameters=["-n"])
    for packet in capture:
        out.write(str(packet).rstrip("\n").replace("\x1e", "") + "\n" + _END)
    # Only now does pyshark look at how tshark ended.
    capture.close()
    out.flush()
    return 0


if __name__ == "__main__":
    # Its parent checks what it says.
    try:
        sys.exit(main(sys.argv[1]))
    except BrokenPipeError:
        os._exit(0)
    except Exception as problem:
        print(f"pyshark failed: {type(problem).__name__}: {problem}", file=sys.stderr, flush=True)
        # Leaves at once: pyshark's destructor would fail in the same way, and print it.
        os._exit(2)
