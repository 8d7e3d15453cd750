"""The errors flowscope raises on purpose; everything else is a bug.

Each message is one line that says what is wrong, where, and how to mend it.
"""

from __future__ import annotations


class FlowscopeError(Exception):
    """Nothing could be done: a wrong option, missing rights, an unusable file (exit code 2)."""


class CaptureError(FlowscopeError):
    """A capture could not be read at all."""


class TopologyError(FlowscopeError):
    """A topology file is wrong.

    Args:
        file: the topology file as the user named it.
        key: the key at fault, dotted, with list positions: ``pool[0].members[1].address``.
        expected: what should stand there.
    """

    def __init__(self, file: str, key: str, expected: str) -> None:
        self.file, self.key, self.expected = file, key, expected
        super().__init__(f"{file}: {key}: {expected}" if key else f"{file}: {expected}")


class GivenFileError(FlowscopeError):
    """A file given beside the captures (security rules, flow log, listeners, definition) cannot be used.

    Args:
        file: the file as the user named it.
        what: what is wrong with it and how to get a right one, in one line.
    """

    def __init__(self, file: str, what: str) -> None:
        self.file, self.what = file, what
        # Names in the file are the file's: they must not end the line, or paint the terminal.
        line = f"{file}: {what}"
        super().__init__("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line))
