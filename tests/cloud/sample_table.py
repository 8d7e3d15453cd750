"""What is read of each file of a folder: ``python -m tests.cloud.sample_table FOLDER`` prints the table."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flowscope.cloud.definition_files import read_definitions
from flowscope.cloud.flow_log_files import read_flow_log_file
from flowscope.cloud.given import Given
from flowscope.cloud.listening_files import read_listening_file
from flowscope.cloud.security_files import read_security_file
from flowscope.cloud.service_tags import read_service_tags
from flowscope.errors import FlowscopeError

OPTIONS = {
    "azure-nsg": "nsg", "aws-net": "nsg", "azure-flow": "flow-log", "aws-flow": "flow-log", "listeners": "listening",
    "azure-lb": "topology", "aws-elb": "topology", "kubernetes": "topology", "haproxy": "topology",
    "service-tags": "service-tags",
}  # fmt: skip
"""The option that takes the files of a folder."""


@dataclass
class Row:
    """One file."""

    path: Path
    option: str
    kind: str = ""
    read: dict[str, int] = field(default_factory=dict)
    said: str = ""


def _given(option: str, path: str) -> Given:
    if option == "nsg":
        return read_security_file(path).given
    if option == "flow-log":
        return read_flow_log_file(path)[0]
    if option == "listening":
        return read_listening_file(path, {}).given
    return read_service_tags(path).given if option == "service-tags" else read_definitions([path]).given[0]


def rows(paths: Iterable[Path]) -> list[Row]:
    """What each file gives, or the line that refuses it."""
    found = []
    for path in paths:
        row = Row(path, OPTIONS[path.parent.name])
        try:
            given = _given(row.option, str(path))
            row.kind, row.read = given.kind, dict(given.read)
        except FlowscopeError as error:
            row.said = str(error).removeprefix(f"{path}: ")
        found.append(row)
    return found


def main() -> None:
    """Prints the table."""
    folder = Path(sys.argv[1])
    for row in rows(sorted(path for path in folder.glob("*/*") if path.parent.name in OPTIONS)):
        counts = ", ".join(f"{number:,} {what}" for what, number in row.read.items())
        print(f"{row.path.parent.name}/{row.path.name:36} --{row.option:10} {row.kind or row.said[:60]}: {counts}")


if __name__ == "__main__":
    main()
