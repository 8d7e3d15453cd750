"""The chain of custody: what was read, with which tool and options, and what came of it, each file with its digest.

The manifest names no host and no user, and its time is that of the captures, so the same input gives the same bytes.
Its last line is the digest of the manifest itself. Whoever can rewrite a folder can rewrite all digests in it: what the
manifest proves, it proves against a copy of that one line kept elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowscope.errors import FlowscopeError
from flowscope.evidence.options import option_files, options
from flowscope.report.safe_text import safe_unicode
from flowscope.report.times import SECOND, rfc3339_text

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.capture.file import Capture

NAME = "manifest.json"
SCHEMA = "flowscope-manifest/1"
_BLANK = "0" * 64
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"\n\}\n\Z')


def manifest(analysis: Analysis, folder: Path, outputs: Sequence[str], about: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The manifest of a folder.

    Args:
        analysis: what was found.
        folder: holds the outputs.
        outputs: their paths in it, with ``/`` between names.
        about: more to say of some of them.

    Returns:
        UTF-8 JSON.

    Raises:
        FlowscopeError: a file that an option names has changed since it was read.
    """
    document = {
        "schema": SCHEMA,
        "versions": versions(analysis),
        "time": run_time(analysis),
        "options": options(analysis),
        "inputs": _inputs(analysis),
        "outputs": [{"path": name, **digest_of(folder / name), **about.get(name, {})} for name in sorted(outputs)],
        "counts": _counts(analysis),
        "digest": _BLANK,
    }
    return sealed((json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n").encode())


def sealed(blank: bytes) -> bytes:
    """A manifest with its own digest, which is computed with zeros in its place."""
    before, _, after = blank.rpartition(_BLANK.encode())
    return before + hashlib.sha256(blank).hexdigest().encode() + after


def seal_holds(text: bytes) -> bool:
    """True when a manifest is as it was written."""
    match = _DIGEST.search(text)
    if match is None:
        return False
    blank = text[: match.start(1)] + _BLANK.encode() + text[match.end(1) :]
    return hashlib.sha256(blank).hexdigest().encode() == match[1]


def digest_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Size and SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}


def versions(analysis: Analysis) -> dict[str, str]:
    """What has a say in the result."""
    import polars

    known = {"flowscope": analysis.version, "polars": polars.__version__}
    if analysis.settings.display_filter is not None:
        from flowscope.capture.wireshark import version

        known["tshark"] = version("tshark")
    return known


def run_time(analysis: Analysis) -> str | None:
    """``SOURCE_DATE_EPOCH`` when that is set, else the time of the last frame; None when there is neither."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if epoch.isascii() and epoch.isdigit():
        return rfc3339_text(int(epoch) * SECOND)
    return rfc3339_text(max((one.last_ns for one in analysis.captures if one.last_ns is not None), default=None))


def _inputs(analysis: Analysis) -> list[dict[str, Any]]:
    captures = [
        {
            "path": safe_unicode(one.path),
            "kind": "capture",
            "bytes": _size(one),
            "sha256": one.sha256,
            "format": one.format,
            "compression": one.compression,
            **({} if one.converted_by is None else {"converted_by": one.converted_by}),
            "frames": one.frames,
            "issues": sum(issue["count"] for issue in one.issues),
        }
        for one in analysis.captures
    ]
    read = {one.path: one.sha256 for one in analysis.given}
    files = []
    for path in option_files(analysis):
        found = digest_of(path)
        if read.get(path, found["sha256"]) != found["sha256"]:
            raise FlowscopeError(f"{path}: has changed since it was read: start again")
        files.append({"path": safe_unicode(path), "kind": "option", **found})
    return [*captures, *files]


def _size(capture: Capture) -> int | None:
    """Bytes of a capture as it lies on disk, or as it came through the pipe."""
    path = capture.bytes_at if capture.path == "-" else capture.path
    return None if path is None or not os.path.isfile(path) else os.path.getsize(path)


def _counts(analysis: Analysis) -> dict[str, int]:
    return {
        "captures": len(analysis.captures),
        "points": len(analysis.points),
        "frames": sum(one.frames for one in analysis.captures),
        "issues": sum(issue["count"] for one in analysis.captures for issue in one.issues),
        "flows": analysis.flows.height,
        "paths": analysis.paths.height,
        "findings": len(analysis.findings),
        "problems": len(analysis.problems),
    }
