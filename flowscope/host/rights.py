"""The right to capture, and giving it up: what parses packets needs none.

Capture programs run as the user who called, with the capability to open packet sockets and nothing else; this process
becomes that user before it reads the first byte.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from flowscope.errors import FlowscopeError

NET_ADMIN, NET_RAW = 12, 13
"""Numbers of the capabilities that capturing needs: CAP_NET_RAW, and CAP_NET_ADMIN for promiscuous mode (capabilities(7))."""  # noqa: E501


@dataclass(frozen=True, slots=True)
class User:
    """Who a process runs as."""

    name: str
    uid: int
    gid: int


def effective_capabilities(status: str = "/proc/self/status") -> int | None:
    """The effective capabilities of this process as a bit set, None where the system has none (not Linux)."""
    try:
        with open(status, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("CapEff:"):
                    return int(line.split()[1], 16)
    except OSError:
        pass
    return None


def may_capture() -> bool:
    """This process may open packet sockets."""
    held = effective_capabilities()
    return os.geteuid() == 0 if held is None else bool(held >> NET_RAW & 1)


def how_to_grant(program: str) -> str:
    """One sentence: what is missing, and how to grant it once, so that nobody needs to be root."""
    path = shutil.which(program) if program != "scapy" else None
    if path is None:
        return (
            "CAP_NET_RAW is missing: install dumpcap (Debian, Ubuntu: apt install wireshark-common) and grant it with "
            "`sudo setcap cap_net_raw,cap_net_admin=eip $(command -v dumpcap)`, or run under sudo"
        )
    real = os.path.realpath(path)
    return (
        f"CAP_NET_RAW is missing: grant it once with `sudo setcap cap_net_raw,cap_net_admin=eip {real}` "
        "and run flowscope as yourself, or run under sudo (flowscope itself then goes on as you)"
    )


def user_to_become(asked: str | None, environment: Mapping[str, str] = os.environ) -> User | None:
    """Who this process is to become when it is root: the one asked for, else who called sudo, else ``nobody``.

    Returns:
        None when it is not root, or is asked to stay it.

    Raises:
        FlowscopeError: there is no such user.
    """
    if os.geteuid() != 0:
        return None
    name = asked or environment.get("SUDO_UID") or "nobody"
    try:
        found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise FlowscopeError(f"there is no user {name} to become: name one with -Z USER") from None
    return None if found.pw_uid == 0 else User(found.pw_name, found.pw_uid, found.pw_gid)


def with_capture_rights(user: User | None) -> list[str]:
    """What to put before a command so that it runs as a user who may capture; empty when nobody is to be become."""
    if user is None:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise FlowscopeError(
            "setpriv (util-linux) is not installed: without it a capture program cannot run as "
            f"{user.name}; install it, or stay root with -Z root"
        )
    few = "-all,+net_raw,+net_admin"
    return [
        setpriv, f"--reuid={user.uid}", f"--regid={user.gid}", "--init-groups",
        f"--inh-caps={few}", f"--ambient-caps={few}", f"--bounding-set={few}", "--",
    ]  # fmt: skip


def become(user: User | None) -> None:
    """Gives up root for good, in all threads.

    Raises:
        FlowscopeError: it did not work; nothing must be parsed then.
    """
    if user is None:
        return
    os.initgroups(user.name, user.gid)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    os.environ["HOME"] = "/"
    if os.geteuid() != user.uid or (effective_capabilities() or 0) != 0:
        raise FlowscopeError(f"could not give up root for {user.name}: nothing was read")
