"""A pipe that is kept while it is read."""

from __future__ import annotations

import io
import os
from pathlib import Path

from flowscope.capture.spool import Spool, spooled


def test_what_was_read_is_kept_until_the_end() -> None:
    with Spool(io.BytesIO(b"abcdef")) as spool:
        assert [spool.stream.read(4), spool.stream.read(4), spool.stream.read(4)] == [b"abcd", b"ef", b""]
        path = spooled(spool.stream)
        assert path is not None and Path(path).read_bytes() == b"abcdef"
    assert not os.path.exists(path)


def test_other_streams_are_not_kept() -> None:
    assert spooled(None) is None
    assert spooled(io.BytesIO(b"")) is None
