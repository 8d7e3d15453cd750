"""The kernel's own table of translations, where this machine is the translator and we may read it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

_TABLE = "/proc/net/nf_conntrack"
_PROTOCOLS = {"tcp": 6, "udp": 17}
_FIELD = re.compile(r"\b(src|dst|sport|dport)=(\S+)")

End = tuple[str, int]
Pair = tuple[int, End, End]
"""Protocol number, source and destination of packets."""


@dataclass(frozen=True, slots=True)
class Translation:
    """One tracked connection: as it comes in, and as it goes out."""

    before: Pair
    after: Pair

    @property
    def translated(self) -> bool:
        """Any address or port was changed."""
        return self.before != self.after


def parse(text: str) -> list[Translation]:
    """Reads the table as ``/proc/net/nf_conntrack``, ``conntrack -L`` and ``conntrack -E`` print it; skips other lines.

    A line has the tuple of the first packet and the tuple that answers are to have: the answer's destination and source
    are source and destination on the far side.
    """
    return [found for line in text.splitlines() if (found := _entry(line)) is not None]


def _entry(line: str) -> Translation | None:
    words = line.split()
    protocol = next((_PROTOCOLS[word] for word in words[:4] if word in _PROTOCOLS), None)
    fields = _FIELD.findall(line)
    if protocol is None or [name for name, _ in fields] != ["src", "dst", "sport", "dport"] * 2:
        return None
    try:
        values = [value for _, value in fields]
        first, answer = [((values[at], int(values[at + 2])), (values[at + 1], int(values[at + 3]))) for at in (0, 4)]
    except ValueError:
        return None
    return Translation((protocol, *first), (protocol, answer[1], answer[0]))


def read_table() -> list[Translation]:
    """The table of this network namespace.

    Raises:
        OSError: it cannot be read; the message says why.
    """
    try:
        with open(_TABLE, encoding="utf-8", errors="replace") as table:
            return parse(table.read())
    except FileNotFoundError:
        pass
    if shutil.which("conntrack") is None:
        raise OSError("the kernel shows no table and the program conntrack is not installed")
    done = subprocess.run(["conntrack", "-L"], capture_output=True, text=True, errors="replace", timeout=10)
    if done.returncode != 0:
        raise OSError(done.stderr.strip().splitlines()[0] if done.stderr.strip() else "conntrack -L failed")
    return parse(done.stdout)


def readable() -> tuple[bool, str]:
    """Whether the table can be read, and one sentence about it."""
    try:
        table = read_table()
    except (OSError, subprocess.SubprocessError) as error:
        return False, f"not readable ({str(error).lower()})"
    moved = sum(one.translated for one in table)
    return True, f"readable, {len(table):,} connections, {moved:,} of them translated"


def contradicted(
    after: Mapping[Pair, Collection[Pair]], joins: Iterable[tuple[Pair, Sequence[Pair]]]
) -> tuple[int, list[tuple[Pair, Pair, Pair]]]:
    """Compares joins of legs with what the kernel did.

    Args:
        after: what packets became, by what they were; a tuple may have been used more than once.
        joins: the first leg of each path, and those that follow it.

    Returns:
        How many joins the kernel confirms; and those it contradicts, with what it did instead.
    """
    confirmed, wrong = 0, []
    for first, others in joins:
        known = after.get(first, ())
        if any(one in known for one in others):
            confirmed += 1
        elif known:
            wrong.append((first, others[-1], min(known)))
    return confirmed, wrong
