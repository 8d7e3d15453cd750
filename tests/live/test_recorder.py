"""A pipe that is copied into a file: when all that came through it is there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from flowscope.live.growing import Growing
from flowscope.live.recorder import Recorder


def soon(done: Callable[[], bool]) -> bool:
    """Whether something comes true within seconds."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.005)
    return False


def test_it_is_drained_when_all_is_in_the_file(tmp_path: Path) -> None:
    file = Growing(str(tmp_path / "a.pcap"), "a", 0)
    out, into = os.pipe()
    recorder = Recorder(out, file)
    recorder.start()
    assert soon(lambda: recorder.drained), "nothing came"
    for size in (10, 100_000, 3):
        os.write(into, bytes(size))
        assert soon(lambda: recorder.drained)
    assert os.path.getsize(file.path) == 100_013
    os.close(into)
    recorder.join(5)
    assert recorder.drained and recorder.error is None


def test_it_is_not_drained_while_it_has_bytes_in_its_hands(tmp_path: Path) -> None:
    file = Growing(str(tmp_path / "a.pcap"), "a", 0)
    out, into = os.pipe()
    recorder = Recorder(out, file, limit_bytes=1000)
    recorder.start()
    # It may not start again before the first bytes were read.
    os.write(into, bytes(1000))
    assert soon(lambda: os.path.getsize(file.path) == 1000)
    assert not recorder.drained
    os.write(into, bytes(5))
    time.sleep(0.1)
    assert not recorder.drained, "bytes wait in the pipe"
    file.read()
    assert soon(lambda: recorder.drained)
    assert os.path.getsize(file.path) == 5
    os.close(into)
    recorder.join(5)
