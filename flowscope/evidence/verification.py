"""Is a report still as it was written? Every byte of it, and nothing else."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from flowscope.errors import FlowscopeError
from flowscope.evidence.manifest import NAME, SCHEMA, digest_of, seal_holds

Difference = tuple[str, str]
"""A file, and what is different: ``changed``, ``missing``, ``additional``, ``unreadable: ...``."""


def verify(folder: str, captures: Sequence[str] = ()) -> list[Difference]:
    """What differs between a report and its manifest.

    Args:
        folder: the report.
        captures: inputs to be compared as well, by their content.

    Returns:
        Nothing when all is as it was written.

    Raises:
        FlowscopeError: there is no report in the folder.
    """
    path = Path(folder)
    if not path.is_dir():
        raise FlowscopeError(f"{folder}: no such folder")
    if not (path / NAME).is_file():
        raise FlowscopeError(f"{folder}: no {NAME} in it: not a report of `flowscope report`, or a part of one")
    try:
        known = read_manifest(path)
    except FlowscopeError as error:
        return [(NAME, f"changed: {error}")]
    return [*differences(path, known), *_inputs(known, captures)]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a report.

    Raises:
        FlowscopeError: it is not as it was written.
        OSError: it cannot be read.
    """
    text = (folder / NAME).read_bytes()
    if not seal_holds(text):
        raise FlowscopeError("its own digest does not fit")
    known = json.loads(text)
    if known.get("schema") != SCHEMA:
        raise FlowscopeError(f"it is no {SCHEMA}")
    assert isinstance(known, dict)
    return known


def differences(folder: Path, known: dict[str, Any]) -> Iterator[Difference]:
    """Files of a folder that its manifest does not describe as they are, by name."""
    expected = {one["path"]: one for one in known["outputs"]}
    there = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    folders = {parent.as_posix() for name in expected for parent in Path(name).parents} | {"evidence"}
    for name in sorted(expected.keys() | there.keys() - {NAME}):
        path = there.get(name)
        if path is None:
            yield name, "missing"
        elif name in expected:
            yield from _compared(name, path, expected[name])
        elif path.is_symlink() or not path.is_dir() or name not in folders:
            yield name, "additional"


def _compared(name: str, path: Path, expected: dict[str, Any]) -> Iterator[Difference]:
    try:
        # A link may lead to the right bytes today and to others tomorrow.
        if not stat.S_ISREG(path.lstat().st_mode):
            yield name, "changed: no regular file"
            return
        found = digest_of(path)
    except OSError as error:
        yield name, f"unreadable: {(error.strerror or str(error)).lower()}"
        return
    if found["bytes"] != expected["bytes"]:
        yield name, f"changed: {found['bytes']:,} bytes, written were {expected['bytes']:,}"
    elif found["sha256"] != expected["sha256"]:
        yield name, f"changed: SHA-256 {found['sha256']}, written was {expected['sha256']}"


def _inputs(known: dict[str, Any], captures: Sequence[str]) -> Iterator[Difference]:
    digests = {one["sha256"] for one in known["inputs"]}
    for path in captures:
        try:
            if digest_of(path)["sha256"] not in digests:
                yield path, "is none of the report's inputs"
        except OSError as error:
            yield path, f"unreadable: {(error.strerror or str(error)).lower()}"
