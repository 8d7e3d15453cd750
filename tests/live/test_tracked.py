"""The kernel's table while we watch: what is kept of it, how much, and what it says of joins."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.host.conntrack import parse
from flowscope.live import tracked
from flowscope.live.tracked import Tracked
from flowscope.nat.tracked import TRANSLATIONS
from tests.nat.test_tracked import FRONTEND, MEMBER, OUTSIDE, said, twins

Ends = tuple[tuple[str, int], tuple[str, int]]


def line(before: Ends, after: Ends) -> str:
    """An entry as the kernel prints it: the first packet, and the answer that is expected."""
    (src, sport), (dst, dport) = before
    (back_dst, back_dport), (back_src, back_sport) = after
    answer = f"src={back_src} dst={back_dst} sport={back_sport} dport={back_dport}"
    return f"tcp 6 60 SYN_RECV src={src} dst={dst} sport={sport} dport={dport} {answer} use=1"


def read(monkeypatch: pytest.MonkeyPatch, *lines: str) -> Tracked:
    """A run on a machine whose table is this one and that has no conntrack program."""
    monkeypatch.setattr(tracked, "read_table", lambda: parse("\n".join(lines)))
    monkeypatch.setattr(tracked.shutil, "which", lambda name: None)
    made = Tracked()
    made.begin()
    return made


FIRST: Ends = (("192.0.2.1", 5000), FRONTEND)
SECOND: Ends = (("192.0.2.2", 5000), FRONTEND)
BEHIND: Ends = (OUTSIDE, MEMBER)


def test_only_what_was_translated_is_kept_and_the_newest_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracked, "_MOST", 3)
    moved = [line((("192.0.2.1", port), FRONTEND), (("192.0.2.1", port), MEMBER)) for port in range(1, 6)]
    kept = read(monkeypatch, line(FIRST, FIRST), *moved).table
    assert kept.columns == list(TRANSLATIONS)
    assert kept["src_port"].to_list() == [3, 4, 5]
    assert set(kept["dst_b"]) == {MEMBER[0]}


def test_a_join_is_confirmed_and_another_contradicted(
    core: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysis = twins(tmp_path, said((SECOND, BEHIND)))
    assert read(monkeypatch, line(SECOND, BEHIND)).check(analysis) == (1, [])
    elsewhere: Ends = (OUTSIDE, ("10.1.0.5", 9443))
    count, (wrong,) = read(monkeypatch, line(SECOND, elsewhere), line(FIRST, BEHIND)).check(analysis)
    assert count == 0
    assert "192.0.2.2:5000 to 203.0.113.9:443 was translated to 10.1.0.1:20000 to 10.1.0.5:9443" in wrong


def test_a_machine_that_shows_no_table_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError("permission denied")

    monkeypatch.setattr(tracked, "read_table", refuse)
    made = Tracked()
    made.begin()
    assert not made.table.height
