"""The samples are what their rows of lineage say."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

CAPTURES = Path(__file__).resolve().parent.parent / "captures"
FOLDERS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", FOLDERS)
def test_every_file_is_pinned(name: str) -> None:
    folder = CAPTURES / name
    pinned = dict(reversed(line.split("  ", 1)) for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    assert set(pinned) == files
    for file, digest in pinned.items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest


def test_every_folder_has_a_row() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|", (CAPTURES / "README.md").read_text(), re.MULTILINE)
    assert sorted(rows) == FOLDERS


def test_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in CAPTURES.rglob("*")) < 5_000_000
