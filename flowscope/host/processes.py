"""What another process is doing."""

from __future__ import annotations


def waits(pid: int) -> bool:
    """It waits for something to do, rather than for its turn on a processor, a disk, or for ever.

    Where the system does not show that, it is taken to wait: most processes do.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as line:
            # The name in parentheses may hold anything (proc(5)).
            return line.read().rpartition(")")[2].split()[0] == "S"
    except (OSError, IndexError):
        return True
