"""Capturing on an interface: the programs that do it, as command lines; and a small one made of scapy's sockets.

``dumpcap`` keeps up best. A ring it writes itself; otherwise it writes to standard output, as ``tcpdump`` does and,
where neither is installed, this module run as a program (``python -m flowscope.capture.live IFACE``). All of them run
as processes of their own: what parses packets has no rights to capture.
"""

from __future__ import annotations

import argparse
import ctypes
import re
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from flowscope.errors import FlowscopeError

PROGRAMS = ("dumpcap", "tcpdump", "scapy")
"""What can capture, the best first."""

_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_STATISTICS = struct.Struct("II")
_SO_ATTACH_FILTER = 26
#: What waits in the kernel when the capture is told to stop is written for so long; the rest is counted as lost.
_DRAIN_S = 8.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What to capture on one interface."""

    interface: str
    filter: str | None = None
    """A capture filter (BPF)."""
    promiscuous: bool = False
    buffer_mib: int = 64
    """What the kernel may hold while the program is busy."""
    count: int | None = None
    """Stop after so many packets."""
    ring: tuple[str, ...] = ()
    """``filesize:KB``, ``files:N``, ``duration:S``, ...: when to start a new file, as dumpcap's ``-b`` has them."""


def choose(asked: str | None) -> str:
    """The program to capture with: the one asked for, else the best that is installed.

    Raises:
        FlowscopeError: the one asked for is not installed.
    """
    if asked in ("dumpcap", "tcpdump") and shutil.which(asked) is None:
        raise FlowscopeError(f"{asked} is not installed (Debian, Ubuntu: apt install {_PACKAGE[asked]})")
    return asked or next((name for name in PROGRAMS[:2] if shutil.which(name)), "scapy")


_PACKAGE = {"dumpcap": "wireshark-common", "tcpdump": "tcpdump"}


def command_line(program: str, wish: Wish, path: str) -> list[str]:
    """The command that captures, to standard output; only a ring is written to files, named after ``path``.

    What dumpcap writes to a file it holds back for up to half a second; into a pipe it writes at once (seen with
    4.0.17: at most 0.75 s after the packet into a file, 0.23 s into a pipe).

    Raises:
        FlowscopeError: the program cannot do what is wished.
    """
    if wish.ring and program != "dumpcap":
        raise FlowscopeError("-b needs dumpcap, which is not installed (Debian, Ubuntu: apt install wireshark-common)")
    cooked = ["-y", "LINUX_SLL2"] if wish.interface == "any" and sys.platform == "linux" else []
    count = ["-c", str(wish.count)] if wish.count is not None else []
    if program == "dumpcap":
        line = ["dumpcap", "-i", wish.interface, *([] if wish.promiscuous else ["-p"]), "-B", str(wish.buffer_mib)]
        line += [*cooked, *count, *(["-f", wish.filter] if wish.filter else [])]
        return [*line, *(word for one in wish.ring for word in ("-b", one)), "-w", path if wish.ring else "-"]
    if program == "tcpdump":
        # The kernel hands packets over in blocks that may wait for a second; immediate mode does not wait.
        line = ["tcpdump", "-i", wish.interface, "-n", "-U", "--immediate-mode", *([] if wish.promiscuous else ["-p"])]
        line += ["-B", str(wish.buffer_mib * 1024), "-Z", "root", *cooked, *count]
        return [*line, "-w", "-", *([wish.filter] if wish.filter else [])]
    if wish.interface == "any":
        raise FlowscopeError("-i any needs dumpcap or tcpdump; scapy's sockets capture on one interface each")
    line = [sys.executable, "-m", "flowscope.capture.live", wish.interface, "--buffer-mib", str(wish.buffer_mib)]
    line += ["--promiscuous"] if wish.promiscuous else []
    return [*line, *count, *(["--filter", wish.filter] if wish.filter else [])]


def dropped(program: str, said: str) -> int | None:
    """Frames that a capture program's words say were lost, None when they say nothing of it."""
    if program == "dumpcap":
        lost = re.findall(r"received/dropped on interface .*?: \d+/(\d+)", said)
        return sum(map(int, lost)) if lost else None
    if program == "tcpdump":
        # It counts from its start whenever it is asked, so the last words hold.
        lost = [re.findall(rf"(\d+) packets? dropped by {where}", said)[-1:] for where in ("kernel", "interface")]
        return sum(int(one) for found in lost for one in found) if any(lost) else None
    lost = re.findall(r"lost (\d+)", said)
    return int(lost[-1]) if lost else None


def _main(arguments: Sequence[str] | None = None) -> int:
    """Captures with scapy's sockets and writes a pcap to standard output."""
    parser = argparse.ArgumentParser(prog="python -m flowscope.capture.live", description=_main.__doc__)
    parser.add_argument("interface")
    parser.add_argument("--filter")
    parser.add_argument("--promiscuous", action="store_true")
    parser.add_argument("--buffer-mib", type=int, default=64)
    parser.add_argument("-c", dest="count", type=int)
    options = parser.parse_args(arguments)
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: stopped.append(number))
    from scapy.config import conf

    # scapy says on import what it misses; only errors matter here.
    conf.verb = 0
    from scapy.arch.linux import L2ListenSocket

    listening = L2ListenSocket(
        iface=options.interface, promisc=options.promiscuous, filter=options.filter, monitor=None
    )
    return _copy(listening, options.count, stopped, options.buffer_mib)


def _copy(listening: object, count: int | None, stopped: list[int], buffer_mib: int) -> int:
    from scapy.config import conf
    from scapy.utils import RawPcapWriter

    kernel: socket.socket = listening.ins  # type: ignore[attr-defined]
    # The forced size needs CAP_NET_ADMIN; the plain one is cut to what the system allows.
    for option in (33, socket.SO_RCVBUF):
        try:
            kernel.setsockopt(socket.SOL_SOCKET, option, buffer_mib << 20)
            break
        except OSError:
            continue
    kernel.settimeout(0.2)
    # Until it was bound it heard every interface.
    _lost(kernel)
    link_type = conf.l2types.layer2num.get(listening.LL, 1)  # type: ignore[attr-defined]
    writer = RawPcapWriter(sys.stdout.buffer, linktype=link_type, nano=True, sync=True)
    writer.write_header(None)
    sys.stdout.buffer.flush()
    print(f"listening, link type {link_type}", file=sys.stderr, flush=True)

    def copy() -> bool:
        """Writes the next frame, if there is one."""
        try:
            _, data, moment = listening.recv_raw()  # type: ignore[attr-defined]
        except (TimeoutError, BlockingIOError, InterruptedError):
            return False
        if data:
            seconds, rest = divmod(round(float(moment) * 1e9) if moment else time.time_ns(), 1_000_000_000)
            writer.write_packet(data, sec=seconds, usec=rest, caplen=len(data), wirelen=len(data))
        return bool(data)

    lost, seen, told = 0, 0, time.monotonic()
    while not stopped and (count is None or seen < count):
        seen += copy()
        if time.monotonic() - told > 1:
            lost, told = lost + _lost(kernel), time.monotonic()
            sys.stdout.buffer.flush()
            print(f"lost {lost}", file=sys.stderr, flush=True)
    if stopped:
        # Nothing more comes in; what came before is written.
        _close_door(kernel)
        kernel.setblocking(False)
        end = time.monotonic() + _DRAIN_S
        while time.monotonic() < end and copy():
            pass
        lost += _thrown_away(kernel)
    sys.stdout.buffer.flush()
    print(f"lost {lost + _lost(kernel)}", file=sys.stderr, flush=True)
    return 0


def _close_door(kernel: socket.socket) -> None:
    """Lets no further frame into a packet socket: a filter of one instruction, ``return 0`` (packet(7), socket(7))."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
    kernel.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def _thrown_away(kernel: socket.socket) -> int:
    """Empties a packet socket; returns how many frames were in it."""
    count = 0
    with suppress(OSError):
        while True:
            kernel.recv(1)
            count += 1
    return count


def _lost(kernel: socket.socket) -> int:
    """Frames lost since the last call: the kernel counts anew when it was asked (packet(7), PACKET_STATISTICS)."""
    told = kernel.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
    return int(_STATISTICS.unpack(told)[1])


if __name__ == "__main__":
    try:
        sys.exit(_main())
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
