"""Health probes by hand: one prober, two members, whatever a test wants them to answer."""

from __future__ import annotations

from collections.abc import Sequence

from tests.rules.scene import TOPOLOGY, call, probe
from tests.wire import ACK, FIN, MS, PSH, RST, SYN, T0, Hop, Wire, accept

SECOND = 1_000_000_000
REQUEST = b"GET /up HTTP/1.1\r\nHost: vm\r\n\r\n"
PROBED = TOPOLOGY + (
    '\n[pool.probe]\nsource = ["168.63.129.16"]\nprotocol = "http"\nport = 9999\npath = "/up"\ninterval_s = 1\n'
    'timeout_s = 0.9\npolicy = "{policy}"\n'
)


def known(policy: str = "azure-lb", more: str = "") -> str:
    """The topology of the scene with its probe."""
    head, _, points = TOPOLOGY.partition("[[point]]")
    return head + PROBED[len(TOPOLOGY) :].format(policy=policy) + more + "\n[[point]]" + points


def response(status: str, body: bytes = b"") -> bytes:
    """A response with this status."""
    return b"HTTP/1.1 %s X\r\nContent-Length: %d\r\n\r\n" % (status.encode(), len(body)) + body


def ask(
    wire: Wire,
    hops: Sequence[Hop],
    time_ns: int,
    met: str,
    isn: int,
    *,
    close: int = FIN,
    upto: int | None = None,
    request: bytes = REQUEST,
    patient_ms: int = 900,
) -> None:
    """One HTTP probe.

    Args:
        wire: gets the packets.
        hops: where it is seen.
        time_ns: when it is sent.
        met: a status, or ``hang``, ``slow``, ``refuse``, ``garbage``, ``ignore``, ``lost`` (the SYN-ACK), ``reset`` (by
            the member after the request), ``tcp`` (no request).
        isn: of the prober.
        close: how the prober closes: FIN, or RST.
        upto: hops after which a packet gets lost, for ``ignore``; for ``lost`` the other way.
        request: what is asked.
        patient_ms: after which the prober gives up, for ``hang``.
    """
    step, answer = MS, isn + 77
    wire.packet(hops, time_ns, SYN, isn, upto=upto if met == "ignore" else None)
    if met == "ignore":
        return
    if met == "refuse":
        wire.packet(hops, time_ns + step, RST | ACK, 0, isn + 1, back=True, ip_id=0)
        return
    wire.packet(hops, time_ns + step, SYN | ACK, answer, isn + 1, back=True, upto=upto)
    if met == "lost":
        return
    wire.packet(hops, time_ns + 2 * step, ACK, isn + 1, answer + 1)
    sent, got = isn + 1, answer + 1
    if met != "tcp":
        wire.packet(hops, time_ns + 3 * step, PSH | ACK, sent, got, request)
        sent += len(request)
    if met == "reset":
        wire.packet(hops, time_ns + 4 * step, RST | ACK, got, sent, back=True)
        return
    data = {"hang": b"", "tcp": b"", "garbage": b"220 hello\r\n", "slow": response("200")}.get(met)
    data = response(met) if data is None else data
    if met == "slow":
        wire.packet(hops, time_ns + 900 * MS, FIN | ACK, sent, got)
        wire.packet(hops, time_ns + 1200 * MS, PSH | ACK, got, sent, data, back=True)
        wire.packet(hops, time_ns + 1200 * MS + step, RST, sent + 1)
        return
    if data:
        wire.packet(hops, time_ns + 4 * step, PSH | ACK, got, sent, data, back=True)
        got += len(data)
    late = patient_ms * MS if met == "hang" else 5 * step
    wire.packet(hops, time_ns + late, close | ACK if close == FIN else RST, sent, got)
    if close == FIN:
        wire.packet(hops, time_ns + late + step, FIN | ACK, got, sent + 1, back=True)


def rounds(wire: Wire, *scripts: Sequence[str], start_ns: int = T0, upto: int | None = None, close: int = FIN) -> None:
    """A probe a second of each member, in turn, by its script; ``-`` is none."""
    for member, script in enumerate(scripts):
        for at, met in enumerate(script):
            if met != "-":
                hops = probe(member, 50000 + 2 * at + member)
                when = start_ns + at * SECOND + member * 300 * MS
                ask(wire, hops, when, met, 10_000 * at + 100 * member + 5, close=close, upto=upto)


def arp(wire: Wire, point: str, *times_ns: int) -> None:
    """Who asks a host for its address and hears it: frames of a point that no connection reaches."""
    for at in times_ns:
        for kind, later in ((1, 0), (2, 20_000)):
            frame = bytes(12) + bytes.fromhex("08060001080006040000") + bytes([kind] * 2) + bytes(18)
            wire.frames.setdefault(point, []).append((at + later, frame, len(frame)))


def clients(wire: Wire, members: Sequence[int | None], *, each_ms: int = 200, first_port: int = 30000) -> None:
    """A call after the other, each served by a member; None stays unanswered before the balancer."""
    for at, member in enumerate(members):
        hops, when = call(member or 0, first_port + at), T0 + at * each_ms * MS + 7 * MS
        if member is None:
            for again in range(3):
                wire.packet(hops, when + (2**again - 1) * SECOND, SYN, 7_000_000 + 1000 * at, upto=1)
        else:
            accept(wire, hops, when, isn=7_000_000 + 1000 * at, answer=9_000_000 + 1000 * at)


def hello(server: bool) -> bytes:
    """A TLS 1.2 hello with nothing in it."""
    body = b"\x03\x03" + bytes(32) + b"\x00" + (b"\x00\x2f\x00" if server else b"\x00\x02\x00\x2f\x01\x00")
    handshake = bytes([2 if server else 1]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


def encrypted(length: int) -> bytes:
    """A TLS record of application data."""
    return b"\x17\x03\x03" + length.to_bytes(2, "big") + bytes(length)


def tls_rounds(answer: bytes, close: str) -> Wire:
    """Four probes inside TLS: what the member answers the request, and who closes (``prober``, ``member``,
    ``member-rst``)."""
    wire = Wire()
    for at in range(4):
        hops, when, sent, got = probe(0, 50000 + at), T0 + at * SECOND, 10_000 * at + 6, 10_000 * at + 5001
        wire.packet(hops, when, SYN, sent - 1)
        wire.packet(hops, when + MS, SYN | ACK, got - 1, sent, back=True)
        wire.packet(hops, when + 2 * MS, ACK, sent, got)
        turns = [(False, hello(server=False)), (True, hello(server=True)), (False, encrypted(200)), (True, answer)]
        for step, (back, payload) in enumerate(turns, 3):
            if payload and back:
                wire.packet(hops, when + step * MS, PSH | ACK, got, sent, payload, back=True)
                got += len(payload)
            elif payload:
                wire.packet(hops, when + step * MS, PSH | ACK, sent, got, payload)
                sent += len(payload)
        if close == "prober":
            wire.packet(hops, when + 8 * MS, FIN | ACK, sent, got)
        else:
            wire.packet(hops, when + 8 * MS, (RST if close == "member-rst" else FIN) | ACK, got, sent, back=True)
            wire.packet(hops, when + 9 * MS, FIN | ACK, sent, got + (close == "member"))
    return wire
