"""``flowscope doctor``: can this machine capture, and what listens on it?"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import Any

import click

from flowscope.cli.options import wants_colour
from flowscope.report.paint import Paint, painter


@click.command(
    "doctor",
    short_help="Can this machine capture? Is tshark here? Which ports listen?",
    epilog="""\b
Examples:
  flowscope doctor
  sudo flowscope doctor             (names the programs of all users)
  flowscope doctor --format json""",
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--no-color", is_flag=True, help="No colours (so does NO_COLOR).")
def command(format_: str, no_color: bool) -> int:
    """Look at this machine: capture programs and rights, interfaces, tshark, listening ports, conntrack.

    Exit code 0 when live capture can work, 2 when it cannot; the text says what is missing.
    """
    told = examine()
    if format_ == "json":
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(_text(told, painter(wants_colour(no_color)))) + "\n")
    return 0 if told["capture"]["possible"] else 2


def examine() -> dict[str, Any]:
    """Everything that doctor tells, as plain objects."""
    from flowscope.host.conntrack import readable
    from flowscope.host.interfaces import interfaces
    from flowscope.host.listeners import listeners
    from flowscope.host.rights import how_to_grant, may_capture

    programs = [{"name": name, **_program(name)} for name in ("dumpcap", "tcpdump", "tshark", "setpriv", "conntrack")]
    granted = [one["name"] for one in programs if one["name"] in ("dumpcap", "tcpdump") and one["may_capture"]]
    best = next((one["name"] for one in programs[:2] if one["path"]), "scapy")
    possible = may_capture() or bool(granted)
    tracked, why = readable()
    return {
        "capture": {
            "possible": possible,
            "program": granted[0] if granted and not may_capture() else best,
            "missing": None if possible else how_to_grant(best),
        },
        "programs": programs,
        "interfaces": [
            {"name": one.name, "up": one.up, "mtu": one.mtu, "addresses": list(one.addresses)}
            for one in interfaces().values()
        ],
        "listening": [
            {"protocol": one.protocol, "endpoint": one.text, "program": one.process, "pid": one.pid}
            for one in listeners()
        ],
        "conntrack": {"readable": tracked, "detail": why},
    }


def _program(name: str) -> dict[str, Any]:
    path = shutil.which(name)
    return {
        "path": path,
        "version": _version(path) if path else None,
        "may_capture": bool(path and _has_capability(path)),
    }


def _version(path: str) -> str | None:
    """The first version number that the program prints about itself."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+\.\d+(?:\.\d+)*", done.stdout + done.stderr)
    return found[0] if found else None


def _has_capability(path: str) -> bool:
    """The file has capabilities of its own and may be run; which ones, getcap knows where it is installed."""
    import os

    try:
        return bool(os.getxattr(os.path.realpath(path), "security.capability")) and os.access(path, os.X_OK)
    except (OSError, AttributeError):
        return False


def _text(told: dict[str, Any], paint: Paint) -> list[str]:
    from flowscope.report.layout import columns
    from flowscope.report.safe_text import safe_line

    capture = told["capture"]
    answer = f"yes, with {capture['program']}" if capture["possible"] else f"no. {capture['missing']}"
    lines = [f"{paint('Capture:', 'heading')} {paint(answer, 'good' if capture['possible'] else 'error')}"]
    lines += ["", paint("Programs", "heading")]
    lines += columns(
        ("  " + one["name"], one["version"] or ("?" if one["path"] else "not installed"), safe_line(one["path"] or ""))
        for one in told["programs"]
    )
    lines += ["", paint("Interfaces", "heading")]
    lines += columns(
        (
            "  " + safe_line(one["name"]),
            "up" if one["up"] else "down",
            f"MTU {one['mtu']}",
            safe_line(", ".join(one["addresses"])),
        )
        for one in told["interfaces"]
    )
    lines += ["", paint("Listening", "heading") if told["listening"] else f"{paint('Listening:', 'heading')} nothing"]
    lines += columns(
        (
            "  " + one["protocol"],
            one["endpoint"],
            safe_line(one["program"] or "a process of another user"),
            f"pid {one['pid']}" if one["pid"] else "",
        )
        for one in told["listening"]
    )
    return [*lines, "", f"{paint('Conntrack:', 'heading')} {told['conntrack']['detail']}"]
