"""A topology as TOML, with the reason of every part as a comment: to be edited, and given back with ``--topology``.

Names and paths may come from packets and files, so every text is quoted and every comment stays on its line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from flowscope import __version__
from flowscope.nat.inferred import Inferred, Part, member_part, merged, point_part
from flowscope.nat.suggestions import suggestions
from flowscope.nat.topology import Member, Network, Pool, Probe, Snat, Topology
from flowscope.report.safe_text import safe_line

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.report.look import Look

_HEAD = (
    "# What flowscope {version} read from {captures}{given}.",
    "# Edit it and give it back: flowscope analyze CAPTURE... --topology FILE. Lines behind # are not used:",
    "# they are reasons, and values that are likely; take the # away where they are right.",
)
_DEFAULT_PROBE = Probe()
_DEFAULT_SNAT = Snat("")


def render(analysis: Analysis, out: BinaryIO, look: Look) -> None:
    """Writes what was given and what was inferred as one topology file; what was given wins."""
    count = len(analysis.captures)
    given = f" and from {safe_line(analysis.topology.file)}" if analysis.topology.file else ""
    captures = f"{count:,} capture{'' if count == 1 else 's'}"
    head = [line.format(version=__version__, captures=captures, given=given) for line in _HEAD]
    out.write("\n".join([*head, "", *topology_lines(analysis)]).encode() + b"\n")


def topology_lines(analysis: Analysis) -> list[str]:
    """The tables, without the file's head."""
    known, found = known_topology(analysis)
    lines = [f"# {safe_line(remark)}" for remark in found.remarks]
    if not (known or lines):
        lines = ["# No translated connection was seen: no frontend, no pool, no SNAT address."]
    for frontend in known.frontends:
        part: Part = ("frontend", frontend.name)
        fields = [
            ("name", quoted(frontend.name)),
            ("address", quoted(frontend.address)),
            ("port", str(frontend.port)),
            ("protocol", quoted(frontend.protocol)),
            ("pool", quoted(frontend.pool) if frontend.pool is not None else None),
            ("mode", quoted(frontend.mode)),
            ("idle_timeout_s", _number(frontend.idle_timeout_s)),
            ("proxy_protocol", quoted(frontend.proxy_protocol) if frontend.proxy_protocol != "none" else None),
        ]
        lines += ["", *_table("[[frontend]]", fields, part, found)]
    for pool in known.pools:
        lines += ["", *_pool(pool, found)]
    for snat in known.snats:
        lines += ["", *_table("[[snat]]", _snat(snat), ("snat", snat.address), found)]
    for hint in known.points:
        keys = ("file", "name", "node", "interface")
        fields = [(key, _optional(getattr(hint, key))) for key in keys]
        lines += ["", *_table("[[point]]", fields, point_part(hint), found)]
    return lines[1:] if lines and not lines[0] else lines


def known_topology(analysis: Analysis) -> tuple[Topology, Inferred]:
    """What was given and what was inferred, together; the guesses of the profile are among the others."""
    found = analysis.inferred
    known = merged(analysis.topology, found.topology)
    if analysis.profile is None:
        return known, found
    guesses = dict(found.guesses)
    for part, more in suggestions(analysis.profile, known).items():
        guesses[part] = (*guesses.get(part, ()), *more)
    return known, replace(found, guesses=guesses)


def quoted(text: str) -> str:
    """A TOML string; what would not show, or would move other text, is written as an escape."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(one) or _escaped(one) for one in text) + '"'


def _escaped(character: str) -> str:
    if safe_line(character) == character:
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def _table(
    head: str, fields: Iterable[tuple[str, str | None]], part: Part, found: Inferred, indent: str = ""
) -> list[str]:
    """A table with its reason above and its guesses below."""
    reason = found.reasons.get(part)
    lines = [f"{indent}# {safe_line(reason)}"] if reason else []
    lines += [f"{indent}{head}", *(f"{indent}{key} = {value}" for key, value in fields if value is not None)]
    for guess in found.guesses.get(part, ()):
        if not any(key == guess.key and value is not None for key, value in fields):
            lines.append(f"{indent}# {guess.key} = {_value(guess.value)}  # {safe_line(guess.reason)}")
    return lines


def _pool(pool: Pool, found: Inferred) -> list[str]:
    lines = ["[[pool]]", f"name = {quoted(pool.name)}", "members = ["]
    for member in pool.members:
        reason = found.reasons.get(member_part(pool.name, member.address, member.port))
        lines.append(f"    {_member(member)}," + (f"  # {safe_line(reason)}" if reason else ""))
    lines.append("]")
    if not pool.members:
        lines[-2:] = ["members = []"]
    if pool.probe is not None:
        lines += ["", *_table("[pool.probe]", _probe(pool.probe), ("probe", pool.name), found)]
    return lines


def _member(member: Member) -> str:
    name = f"name = {quoted(member.name)}, " if member.name != member.address else ""
    enabled = "" if member.enabled else ", enabled = false"
    return f"{{ {name}address = {quoted(member.address)}, port = {member.port}{enabled} }}"


def _probe(probe: Probe) -> list[tuple[str, str | None]]:
    def changed(key: str) -> str | None:
        value = getattr(probe, key)
        return None if value == getattr(_DEFAULT_PROBE, key) else _number(value)

    return [
        ("source", _networks(probe.source)),
        ("protocol", quoted(probe.protocol)),
        ("port", None if probe.port is None else str(probe.port)),
        ("path", quoted(probe.path) if probe.protocol != "tcp" or probe.path != "/" else None),
        ("interval_s", changed("interval_s")),
        ("timeout_s", changed("timeout_s")),
        ("policy", quoted(probe.policy)),
        *((key, changed(key)) for key in ("unhealthy_threshold", "healthy_threshold")),
        *((key, changed(key)) for key in ("sample_size", "successful_samples")),
    ]


def _snat(snat: Snat) -> list[tuple[str, str | None]]:
    first, last = snat.ports
    members = f"[{', '.join(map(quoted, snat.members))}]" if snat.members else None
    return [
        ("address", quoted(snat.address)),
        ("ports", quoted(f"{first}-{last}") if snat.ports != _DEFAULT_SNAT.ports else None),
        ("ports_per_member", _number(snat.ports_per_member)),
        ("members", members),
        ("inside", _networks(snat.inside)),
        ("fin_hold_s", _number(snat.fin_hold_s)),
        ("rst_hold_s", _number(snat.rst_hold_s)),
    ]


def _networks(networks: Iterable[Network]) -> str | None:
    """Prefixes as a list of texts, single addresses without their length; None for none."""
    texts = [str(one.network_address if one.prefixlen == one.max_prefixlen else one) for one in networks]
    return f"[{', '.join(map(quoted, texts))}]" if texts else None


def _value(value: str | float) -> str:
    return quoted(value) if isinstance(value, str) else _number(value) or "0"


def _optional(text: str | None) -> str | None:
    return None if text is None else quoted(text)


def _number(value: float | None) -> str | None:
    if value is None:
        return None
    return str(int(value)) if value == int(value) else repr(value)
