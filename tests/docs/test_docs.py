"""What the documents say works as it stands, and their pictures are there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))


@pytest.mark.usefixtures("core", "samples")
@pytest.mark.parametrize("page", [one for one in PAGES if ">>> " in one.read_text()], ids=lambda one: one.stem)
def test_examples(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DOCS.parent)
    done = doctest.testfile(str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert done.attempted > 10
    assert done.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda one: one.stem)
def test_pictures_are_there_and_small(page: Path) -> None:
    for name in re.findall(r"!\[[^]]+\]\(([^)]+)\)", page.read_text()):
        picture = DOCS / name
        assert picture.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", name
        assert picture.stat().st_size < 200_000, name
