"""UDP programs that run inside namespaces: a server that answers, clients that ask; both print what they saw.

    python udp_peers.py serve ADDRESS PORT...            answers everything but heartbeats, until killed
    python udp_peers.py ping FROM TO COUNT               ICMP echo with the same bytes each time
    python udp_peers.py ask FROM TO SEED dns:PORT:COUNT quic:PORT:COUNT beat:PORT:COUNT plain:PORT:COUNT

A line is JSON: ``me``, ``peer``, ``kind`` and ``mark``, a value that is in that datagram only (heartbeats have none).
"""

from __future__ import annotations

import contextlib
import json
import random
import selectors
import socket
import struct
import sys
import time


def dns(rng: random.Random) -> bytes:
    """A question with an EDNS record."""
    labels = b"".join(bytes([len(word)]) + word for word in (b"host%d" % rng.randrange(4), b"example", b"net"))
    head = struct.pack("!6H", rng.randrange(65536), 0x0100, 1, 0, 0, 1)
    return head + labels + b"\0" + struct.pack("!HH", 1, 1) + b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0)


def quic(rng: random.Random) -> bytes:
    """What begins like an Initial of version 1 and is as long as one."""
    ids = bytes([8]) + rng.randbytes(8) + bytes([0])
    return bytes([0xC0 | rng.randrange(4)]) + struct.pack("!I", 1) + ids + b"\0\x44\x9e" + rng.randbytes(1180)


def answer(data: bytes, rng: random.Random) -> bytes | None:
    """What a server says to that."""
    if data.startswith(b"alive"):
        return None
    if data[0] & 0x80 and len(data) > 1000:
        # To the id that the client chose for itself: an empty one.
        return (
            bytes([0xC0])
            + struct.pack("!I", 1)
            + bytes([0, 8])
            + rng.randbytes(8)
            + b"\0\x44\x9e"
            + rng.randbytes(1180)
        )
    if data[2:4] == b"\x01\0":
        return data[:2] + b"\x81\x80" + data[4:6] + b"\0\1\0\0\0\1" + data[12:] + b"\xc0\x0c" + bytes(14)
    return b"you said " + data


def tell(me: tuple[str, int], peer: tuple[str, int], data: bytes) -> None:
    """Prints one line."""
    mark = None if data.startswith(b"alive") else data[:40].hex()
    print(json.dumps({"me": me[:2], "peer": peer[:2], "mark": mark, "time_ns": time.time_ns()}), flush=True)


def serve(address: str, ports: list[int]) -> None:
    """Answers on these ports until the end."""
    rng = random.Random(f"{address} {ports}")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    waiting = selectors.DefaultSelector()
    for port in ports:
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.bind((address, port))
        waiting.register(one, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in waiting.select():
            one = key.fileobj
            assert isinstance(one, socket.socket)
            data, peer = one.recvfrom(4096)
            tell(one.getsockname(), peer, data)
            reply = answer(data, rng)
            if reply is not None:
                one.sendto(reply, peer)


def ask(source: str, target: str, seed: str, plans: list[str]) -> None:
    """Asks from a new socket each time, several at once."""
    rng = random.Random(seed)
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    calls = [(kind, int(port)) for kind, port, count in (plan.split(":") for plan in plans) for _ in range(int(count))]
    rng.shuffle(calls)
    held = []
    for kind, port in calls:
        one = socket.socket(family, socket.SOCK_DGRAM)
        one.bind((source, 0))
        one.settimeout(0.05)
        one.connect((target, port))
        data = {"dns": dns, "quic": quic, "beat": lambda _: b"alive", "plain": lambda r: r.randbytes(30)}[kind](rng)
        one.send(data)
        tell(one.getsockname(), (target, port), data)
        held.append(one)
        if kind == "quic":
            with contextlib.suppress(OSError):
                one.recv(4096)
                one.send(bytes([0x40]) + rng.randbytes(60))
        if len(held) == 8:
            for old in held:
                with contextlib.suppress(OSError):
                    old.recv(4096)
                old.close()
            held.clear()
    time.sleep(0.3)


def ping(source: str, target: str, count: int) -> None:
    """Sends echo requests as Windows does: the alphabet, nothing that differs but the number."""
    one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    one.bind((source, 0))
    for number in range(1, count + 1):
        body = b"abcdefghijklmnopqrstuvwabcdefghi"
        head = struct.pack("!BBHHH", 8, 0, 0, 1, number)
        total = sum(struct.unpack(f"!{(len(head) + len(body)) // 2}H", head + body))
        total = (total & 0xFFFF) + (total >> 16)
        check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
        one.sendto(head[:2] + struct.pack("!H", check) + head[4:] + body, (target, 0))
        time.sleep(0.03)


if __name__ == "__main__":
    if sys.argv[1] == "ping":
        ping(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    elif sys.argv[1] == "serve":
        serve(sys.argv[2], [int(port) for port in sys.argv[3:]])
    else:
        ask(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
