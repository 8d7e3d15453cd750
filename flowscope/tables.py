"""The tables between the stages, column by column.

``FLOWS``, ``EVENTS``, ``MESSAGES``, ``ISSUES``, ``ADDRESSES`` and ``POINTS`` come from the core; ``LEGS`` and
``PATHS`` are made by :mod:`flowscope.nat`. Each is a mapping of column name to one sentence. Times are nanoseconds
UTC; an address is a number of the ``ADDRESSES`` table.
"""

from __future__ import annotations

FLOWS: dict[str, str] = {
    "flow": "number of the flow, stable, by first frame",
    "point": "number of the point where it was seen",
    "protocol": "IP protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6",
    "src": "address number of the initiator",
    "dst": "address number of the responder",
    "src_port": "port of the initiator (ICMP echo: the identifier)",
    "dst_port": "port of the responder (ICMP echo: the identifier)",
    "oriented_by": "how the initiator is known: 'syn', 'syn-ack', or 'first' (sender of the first packet)",
    "open": "true while the flow may still change",
    "first_ns": "time of the first packet",
    "last_ns": "time of the last packet",
    "first_capture": "capture of the first packet",
    "first_frame": "frame number of the first packet in its capture",
    "first_offset": "offset of that frame's record in the decompressed stream",
    "last_capture": "capture of the last packet",
    "last_frame": "frame number of the last packet in its capture",
    "last_offset": "offset of that frame's record in the decompressed stream",
    "state": "Zeek's conn_state (S0 S1 SF REJ S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH)",
    "history": "Zeek's history letters (s h a d f r c t w g ^), upper case from the initiator",
    "handshake_rtt_ns": "SYN to the ACK that completes the handshake, null when not all three were seen",
    "synack_ns": "SYN to SYN-ACK, null when not both were seen",
    "tunnel": "innermost tunnel the flow came out of, null outside of tunnels",
    "tunnel_id": "VXLAN or Geneve network identifier, GRE key, null outside of tunnels",
    "vlan": "outermost VLAN id of the first packet, null when untagged",
    "interface": "interface index of the first packet (Linux cooked v2), 0 otherwise",
    "truncated": "packets cut by the snap length",
    "icmp_errors": "ICMP errors seen that quote a packet of this flow",
    "community_id": "Community ID v1, null unless asked for",
}

HALF: dict[str, str] = {
    "packets": "packets",
    "bytes": "bytes on the wire, link layer included",
    "payload_bytes": "transport payload, repeats included",
    "retransmissions": "segments Wireshark marks as retransmission, fast and spurious included",
    "fast_retransmissions": "of these: fast",
    "spurious_retransmissions": "of these: spurious (already acknowledged)",
    "duplicates": "of these: the same packet captured again, not sent again",
    "out_of_order": "segments Wireshark marks as out of order",
    "duplicate_acks": "duplicate ACKs",
    "zero_windows": "segments that announce a zero window",
    "lost_segments": "times a segment was missing before this one",
    "acked_unseen": "ACKs of this half for data of the other that was not captured",
    "isn": "initial sequence number, from SYN or SYN-ACK; null when not seen",
    "base_seq": "lowest sequence number seen (the ISN when there was a SYN)",
    "next_seq": "sequence number after the highest byte seen",
    "last_ack": "highest acknowledgement number sent",
    "mss": "MSS option of the SYN",
    "window_scale": "window scale option of the SYN",
    "sack_permitted": "SACK-permitted option of the SYN",
    "syn_layout": "hash of the SYN's option order and window scale, without MSS and timestamps; null when cut",
    "syn_window": "window of the SYN",
    "syn_tsval": "TSval of the first SYN",
    "syn_ip_id": "IP identification of the first SYN",
    "syn_ttl": "TTL of the first SYN",
    "truncated": "packets cut by the snap length",
    "syns": "SYNs (rev: SYN-ACKs) seen, repeats included",
    "resets": "RST segments seen",
    "fins": "FIN segments seen",
    "first_ns": "time of the half's first packet, null when it has none",
    "last_ns": "time of the half's last packet, null when it has none",
    "first_data_ns": "time of the first payload, null when there was none",
    "last_data_ns": "time of the last payload, null when there was none",
    "ttl_min": "lowest TTL, null when the half has no packet",
    "ttl_max": "highest TTL, null when the half has no packet",
    "payload_digest": "64-bit digest of the first payload's first 64 bytes, null when there was none",
    "covered_bytes": "distinct payload bytes seen, by sequence number",
    "missing_bytes": "bytes between the lowest and highest sequence number that were not seen",
    "gaps": "holes in the sequence space at the end",
    "max_segment": "largest payload of one packet",
    "max_acked_segment": "largest payload that was acknowledged as sent",
    "packet_types": "bit set of Linux cooked packet types seen (bit 4: sent by the host itself), 0 when none",
}
"""Columns of one half; in ``FLOWS`` they stand as ``fwd_<name>`` and ``rev_<name>``."""

FLOWS |= {f"{half}_{name}": text for half in ("fwd", "rev") for name, text in HALF.items()}

EVENT_KINDS: tuple[str, ...] = (
    "syn", "syn-ack", "rst", "fin", "challenge-ack", "icmp-error", "retransmission", "gap", "data", "zero-window",
)  # fmt: skip
"""Kinds of events, by the number that stands in the ``kind`` column."""

EVENTS: dict[str, str] = {
    "flow": "flow it belongs to",
    "kind": "number of the kind, see EVENT_KINDS",
    "half": "0 from the initiator, 1 from the responder",
    "capture": "capture that holds the frame",
    "frame": "frame number in its capture",
    "offset": "offset of the frame's record in the decompressed stream",
    "time_ns": "time of the frame",
    "seq": "raw sequence number (ICMP echo: its own, ICMP error: of the quoted segment)",
    "ack": "raw acknowledgement number",
    "length": "payload bytes",
    "flags": "TCP flags",
    "window": "window field, not scaled",
    "ttl": "TTL or hop limit",
    "ip_id": "IPv4 identification",
    "tsval": "TSval, 0 without timestamps",
    "packet_type": "Linux cooked packet type, 255 when the link layer has none",
    "interface": "interface index (Linux cooked v2), else 0",
    "digest": "64-bit digest of the first 64 payload bytes, 0 without payload",
    "peer": "address number of the sender of an ICMP error, else null",
    "icmp": "ICMP type * 256 + code of an ICMP error, else null",
}

MESSAGES: dict[str, str] = {
    "flow": "flow it was read from",
    "half": "0 from the initiator, 1 from the responder",
    "kind": "'http-request', 'http-response', 'proxy-v1', 'proxy-v2', 'tls-client-hello', 'tls-server-hello', "
    "'dns-query', 'dns-response', 'quic-initial', 'quic-0rtt', 'quic-handshake', 'quic-retry', "
    "'quic-version-negotiation'",
    "capture": "capture of the first byte",
    "first_frame": "frame of the first byte",
    "first_ns": "time of the first byte",
    "last_frame": "frame of the last byte",
    "last_ns": "time of the last byte",
    "method": "HTTP method, or type of a DNS question",
    "target": "HTTP request target, or name of a DNS question",
    "status": "HTTP status code, or RCODE of a DNS response",
    "headers": "list of 'name: value', only those that rules or joins read, names as sent",
    "body_bytes": "length of the HTTP body as far as it was seen",
    "wire_bytes": "length on the wire of an HTTP message or PROXY header, up to the end of the segment where it was "
    "cut; 0 for other kinds",
    "src": "PROXY: source endpoint as text; an address alone where the header was cut before its port",
    "dst": "PROXY: destination endpoint as text, or an address alone",
    "sni": "TLS server name",
    "token": "TLS random (hex), PROXY unique id or TLV text, DNS id (hex), QUIC destination connection id (hex): what "
    "both legs may share",
    "complete": "false when the capture or a gap cut the message",
}

ISSUES: dict[str, str] = {
    "capture": "capture it was met in",
    "kind": "kebab-case name",
    "frame": "frame number, 0 when it is not about one frame",
    "offset": "offset in the decompressed stream",
    "detail": "one sentence with the numbers",
    "count": "how many of this kind the row stands for",
}

ADDRESSES: dict[str, str] = {
    "address": "number, from 0",
    "text": "canonical text, RFC 5952 for IPv6",
    "ip_version": "4 or 6",
    "high": "upper 64 bits of the address in 16 bytes (IPv4 mapped, ::ffff:a.b.c.d)",
    "low": "lower 64 bits",
}

POINTS: dict[str, str] = {
    "point": "number, from 0",
    "ring": "ring number of its captures",
    "interface": "index of the interface in the file where it was first seen",
    "name": "interface name, null when the file gives none",
    "description": "interface description, null when the file gives none",
    "link_type": "LINKTYPE number",
    "frames": "frames captured there",
    "packets": "of these: decoded up to TCP, UDP or ICMP",
    "truncated": "of these: cut by the snap length",
    "truncated_capture": "capture of the first frame that was cut, null when none was",
    "truncated_frame": "its frame number",
    "truncated_ns": "its time",
    "truncated_length": "bytes that were kept of it",
    "first_ns": "time of the first frame",
    "last_ns": "time of the last frame",
    "until_ns": "until when it was captured: the last frame, or the end that the file states (pcapng statistics)",
    "dropped": "frames that the kernel or the capturing program lost, as the files say",
    "set_back_ns": "how far its clock was set back at most while it captured, 0 when it was not",
}

LEGS: dict[str, str] = {
    "leg": "number of the leg, by corrected first time",
    "protocol": "IP protocol number",
    "src": "address number of the initiator",
    "src_port": "its port",
    "dst": "address number of the responder",
    "dst_port": "its port",
    "flows": "list of the flows that are this leg at its points, upstream first",
    "tunnels": "list of the tunnels its packets were in at some point ('vxlan 42'); empty outside of tunnels",
}

PATHS: dict[str, str] = {
    "path": "number of the path, by corrected first time, then client",
    "protocol": "IP protocol number",
    "legs": "list of leg numbers in packet order",
    "client": "address number: source of the first leg",
    "client_port": "its port",
    "frontend": "address number: destination of the first leg when translated, else null",
    "frontend_port": "its port",
    "snat": "address number: source of the last leg when it is not the client's, else null",
    "snat_port": "its port",
    "backend": "address number: destination of the last leg",
    "backend_port": "its port",
    "outcome": "established, reset, idle-closed, refused, rejected, half-open, unanswered, unknown",
    "method": "what joined the legs: single, tuple, isn, shift, payload, proxy-protocol, proxy-request, timing",
    "confidence": "0 to 1",
    "ambiguous": "true when another join fits as well",
    "requests": "requests that this pair of connections carried, null unless a proxy's requests joined them",
    "margin": "bits by which the weakest join beats the next best one, null when there was no join",
    "runner_up": "leg that would have been joined instead, null when there is none",
    "reasons": "what the weakest join rests on, as a list of texts; empty when there was no join",
    "first_ns": "corrected time of the first packet",
}
