"""What was given beside the captures: each file with its hash, what it turned out to be, and what of it was used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from flowscope.cloud.text import GivenBytes

Option = Literal["topology", "nsg", "flow-log", "listening", "profile", "service-tags"]


@dataclass(frozen=True, slots=True)
class Given:
    """One file of the command line that is no capture."""

    option: Option
    """The option that named it, without dashes."""
    path: str
    """As named."""
    sha256: str
    kind: str
    """What it holds, by its content: the name of the command or format that prints it."""
    read: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """What was read of it, counted."""
    used: tuple[str, ...] = ()
    """What of it had a part in the result, one sentence each; empty when nothing had."""

    def noting(self, *used: str) -> Given:
        """The same file with more sentences about its use."""
        return replace(self, used=(*self.used, *used))


def given_of(option: Option, data: GivenBytes, kind: str, **read: int) -> Given:
    """The entry of a file that was read."""
    return Given(option, data.path, data.sha256, kind, MappingProxyType(read))


def split_where(value: str) -> tuple[str, str | None]:
    """File and place of ``FILE=WHERE``; a name of a file that holds ``=`` itself is a file.

    Args:
        value: as typed: WHERE is a member's name, an address or a prefix.
    """
    file, mark, where = value.rpartition("=")
    if not mark or not file or not where.strip() or os.path.exists(value):
        return value, None
    return file, where.strip()
