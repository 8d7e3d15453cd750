"""Namespaces, links and processes of one run: clients, a balancer, a switch and three members."""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from tests.lab.plan import Plan

REGISTRY = Path("/run/flowscope-lab")
NEEDS = ("ip", "nft", "conntrack", "tcpdump", "tshark", "ethtool", "nstat", "stdbuf")
PR_SET_PDEATHSIG = 1


def missing() -> str | None:
    """Why no lab can run here, or None."""
    if os.geteuid() != 0:
        return "the lab needs root"
    lacking = [tool for tool in NEEDS if not shutil.which(tool)]
    if lacking:
        return f"the lab needs {', '.join(lacking)}"
    probe = f"fs{secrets.token_hex(2)}-try"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode:
        return "the lab needs network namespaces"
    subprocess.run(["ip", "netns", "del", probe], check=True)
    return None


def signal_when_orphaned(number: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to send this process a signal when its parent ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)


def started(pid: int) -> str | None:
    """A process's start time in ticks: a recycled pid has another. None when it ended, waited for or not."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return words[19] if words[0] != "Z" else None
    return None


def remove(prefix: str) -> None:
    """Delete a prefix's namespaces, and end what still runs in them."""
    listed = subprocess.run(["ip", "netns", "list"], text=True, capture_output=True).stdout
    for name in (line.split()[0] for line in listed.splitlines() if line.startswith(f"{prefix}-")):
        pids = subprocess.run(["ip", "netns", "pids", name], text=True, capture_output=True).stdout
        for pid in pids.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    (REGISTRY / prefix).unlink(missing_ok=True)


def sweep() -> int:
    """Remove what killed runs left behind; returns how many. Runs whose owner lives are left alone."""
    stale = 0
    for entry in REGISTRY.glob("fs*") if REGISTRY.is_dir() else ():
        with contextlib.suppress(OSError, ValueError):
            pid, since = entry.read_text().split()
            if started(int(pid)) != since:
                remove(entry.name)
                stale += 1
    return stale


class World:
    """The nodes ``cli``, ``lb``, ``sw`` and the members; use as a context manager."""

    standing: ClassVar[list[World]] = []
    """Those of this process."""

    def __init__(self, plan: Plan, *, routed: bool = False, offloads: bool = True) -> None:
        """``routed`` sends traffic between members through the balancer; else they share a wire."""
        self.plan, self.routed, self.offloads = plan, routed, offloads
        self.prefix = f"fs{secrets.token_hex(3)}"
        self.nodes = ["cli", "lb", "sw", *(member.name for member in plan.members)]
        self.running: list[subprocess.Popen[str]] = []

    def __enter__(self) -> World:
        self.standing.append(self)
        REGISTRY.mkdir(exist_ok=True)
        (REGISTRY / self.prefix).write_text(f"{os.getpid()} {started(os.getpid())}")
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process of this world by its id, then remove its namespaces."""
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.wait()
        remove(self.prefix)
        if self in self.standing:
            self.standing.remove(self)

    def ns(self, node: str) -> str:
        """The namespace of a node."""
        return f"{self.prefix}-{node}"

    def ip(self, node: str, commands: str) -> None:
        """Run lines of ``ip`` commands in a node."""
        done = subprocess.run(
            ["ip", "-n", self.ns(node), "-batch", "-"], input=commands, text=True, capture_output=True
        )
        if done.returncode:
            raise RuntimeError(f"{node}: {done.stderr.strip()}\n{commands}")

    def run(self, node: str, argv: Iterable[str], stdin: str | None = None, timeout: float = 30) -> str:
        """Run a command in a node to its end; returns its output."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.ns(node), *argv], input=stdin, text=True, capture_output=True, timeout=timeout
        )
        if done.returncode:
            raise RuntimeError(f"{node}: {' '.join(argv)}: {done.stderr.strip()}\n{stdin or ''}")
        return done.stdout

    def spawn(self, node: str, argv: Iterable[str], **streams: object) -> subprocess.Popen[str]:
        """Start a process in a node; it dies with this one."""
        argv = ["ip", "netns", "exec", self.ns(node), *argv]
        process = subprocess.Popen(argv, text=True, preexec_fn=signal_when_orphaned, **streams)  # type: ignore[call-overload]
        self.running.append(process)
        return process

    def nft(self, node: str, ruleset: str) -> None:
        """Load an nftables ruleset in a node."""
        self.run(node, ["nft", "-f", "-"], stdin=ruleset)

    def sysctl(self, node: str, **values: int | str) -> None:
        """Set kernel settings of a node; dots are written as two underscores."""
        self.run(node, ["sysctl", "-qw", *(f"{key.replace('__', '.')}={value}" for key, value in values.items())])

    def _build(self) -> None:
        plan = self.plan
        for node in self.nodes:
            subprocess.run(["ip", "netns", "add", self.ns(node)], check=True, capture_output=True)
            self.sysctl(
                node,
                net__ipv4__conf__all__rp_filter=0,
                net__ipv4__conf__default__rp_filter=0,
                net__ipv4__conf__all__send_redirects=0,
                net__ipv4__conf__default__send_redirects=0,
                net__ipv4__conf__all__accept_redirects=0,
                net__ipv6__conf__all__disable_ipv6=int(plan.family == 4 or node == "sw"),
                net__ipv6__conf__default__disable_ipv6=int(plan.family == 4 or node == "sw"),
            )
        self.ip("cli", f"link add eth0 type veth peer name out0 netns {self.ns('lb')}\nlink set lo up\n")
        self.ip("lb", f"link add in0 type veth peer name lb netns {self.ns('sw')}\nlink set lo up\n")
        self.ip("sw", "link add br0 type bridge\nlink set br0 up\nlink set lb master br0 up\n")
        for n, member in enumerate(plan.members, 1):
            self.ip(member.name, f"link add eth0 type veth peer name port{n} netns {self.ns('sw')}\nlink set lo up\n")
            self.ip("sw", f"link set port{n} master br0 up\n")
        self._address()
        if not self.offloads:
            for node, device in [
                ("cli", "eth0"),
                ("lb", "out0"),
                ("lb", "in0"),
                *((m.name, "eth0") for m in plan.members),
            ]:
                self.no_offloads(node, device)

    def no_offloads(self, node: str, device: str) -> None:
        """Make a device carry only what fits its MTU, with full checksums."""
        self.run(node, ["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off", "tx", "off"])

    def _address(self) -> None:
        plan, six = self.plan, self.plan.family == 6
        end = " nodad" if six else ""
        out, inner, bits = plan.outside.prefixlen, plan.inside.prefixlen, plan.bits
        lines = [f"addr add {a}/{out} dev eth0{end}" for a in plan.clients]
        lines += [f"addr add {a}/{bits} dev eth0{end}" for a in plan.servers]
        lines += ["link set eth0 up", f"route add default via {plan.lb_out}"]
        lines += [
            f"route add {a}/{bits} via {plan.lb_out} src {plan.clients[0]}" for a in (plan.vip, plan.vip2, plan.snat)
        ]
        self.ip("cli", "\n".join(lines))
        lines = [f"addr add {plan.lb_out}/{out} dev out0{end}", f"addr add {plan.lb_in}/{inner} dev in0{end}"]
        lines += [f"addr add {a}/{bits} dev out0{end}" for a in (plan.vip, plan.vip2, plan.snat)]
        lines += [f"addr add {a}/{bits} dev in0{end}" for a in (plan.ilb, plan.prober)]
        lines += ["link set out0 up", "link set in0 up", f"route add {plan.remote} via {plan.clients[0]}"]
        self.ip("lb", "\n".join(lines))
        self.sysctl("lb", net__ipv4__ip_forward=1)
        if six:
            self.sysctl("lb", net__ipv6__conf__all__forwarding=1)
        for member in plan.members:
            size = bits if self.routed else inner
            lines = [f"addr add {member.address}/{size} dev eth0{end}", "link set eth0 up"]
            if self.routed:
                lines.append(f"route add {plan.lb_in} dev eth0")
            lines += [f"route add {plan.ilb}/{bits} via {plan.lb_in}", f"route add default via {plan.lb_in}"]
            self.ip(member.name, "\n".join(lines))
