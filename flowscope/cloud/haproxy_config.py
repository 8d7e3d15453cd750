"""HAProxy's configuration as a topology: binds become frontends, servers members, checks probes.

Settings come from the ``defaults`` section before (or the one that is named), ``listen`` is both sides, and a split
configuration is read in the order of its files.

Source: HAProxy 2.8 configuration manual: sections 2 to 5, bind, server and default-server options, send-proxy.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from itertools import pairwise

from flowscope.cloud.definition import Definition, address_of, port_of
from flowscope.nat.topology import Member, Probe

_SECTIONS = ("global", "defaults", "frontend", "backend", "listen")
_OTHERS = ("resolvers", "peers", "userlist", "mailers", "cache", "program", "http-errors", "ring", "log-forward", "fcgi-app", "crt-list", "traces")  # fmt: skip # noqa: E501
_UNITS = {"us": 1e-6, "ms": 1e-3, "": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SEND = {"send-proxy": "v1", "send-proxy-v2": "v2", "send-proxy-v2-ssl": "v2", "send-proxy-v2-ssl-cn": "v2"}


def looks_like_haproxy(text: str) -> bool:
    """True when two kinds of its lines stand there: a section, and something that sections hold."""
    section = re.search(rf"(?m)^({'|'.join(_SECTIONS)})(\s+[^=\s\[]+)*\s*(#.*)?$", text)
    content = re.search(
        r"(?m)^\s+(bind|server|mode|timeout|option|log|maxconn|daemon|default_backend|balance)(\s|$)", text
    )
    return bool(section and content)


@dataclass(slots=True)
class _Section:
    """One section, with what it took over from its defaults."""

    kind: str
    name: str
    mode: str = "tcp"
    check_http: bool = False
    path: str = "/"
    client_s: float | None = None
    check_s: float | None = None
    server_options: list[str] = field(default_factory=list)
    binds: list[str] = field(default_factory=list)
    servers: list[list[str]] = field(default_factory=list)
    backends: list[str] = field(default_factory=list)


def read_configuration(text: str, known: Definition) -> int:
    """Adds what a configuration says; returns how many sections it has.

    Args:
        text: all of its files, one after the other.
        known: gets what they say.
    """
    sections = _parse(text)
    proxies = [one for one in sections if one.kind in ("frontend", "backend", "listen")]
    known.count("sections", len(sections))
    for kind, what in (("frontend", "frontends"), ("backend", "backends"), ("listen", "listens")):
        known.count(what, sum(one.kind == kind for one in proxies))
    known.count("binds", sum(len(_binds(bind)) for one in proxies for bind in one.binds))
    known.count("servers", sum(len(one.servers) for one in proxies))
    behind = {one.name: one for one in proxies if one.kind in ("backend", "listen")}
    pools: dict[tuple[str, int | None], str | None] = {}
    for one in proxies:
        if one.kind == "backend":
            continue
        chosen = (
            one
            if one.kind == "listen" and one.servers
            else next((behind[name] for name in one.backends if name in behind), None)
        )
        if len(set(one.backends)) > 1:
            known.say(
                f"frontend {one.name} chooses among {', '.join(dict.fromkeys(one.backends))}; the first is taken for "
                "its pool"
            )
        for address, port in (end for bind in one.binds for end in _binds(bind)):
            pool = _pool(chosen, port, pools, known) if chosen is not None else None
            _frontend(one, chosen, address, port, pool, known)
    for one in behind.values():
        if all(name != one.name for name, _ in pools):
            _pool(one, None, pools, known)
    return len(sections)


def _frontend(
    front: _Section, back: _Section | None, address: str | None, port: int | None, pool: str | None, known: Definition
) -> None:
    if port is None:
        known.say(f"{front.name}: a bind without a port that can be read (a range, a variable, a socket)")
        return
    if address is None:
        known.say(
            f"{front.name} listens on port {port} of every address of its host, which the file does not name; "
            "give it as a [[frontend]] table"
        )
        return
    kinds = {_proxy_protocol(words, back.server_options) for words in back.servers} if back is not None else set()
    sends = kinds.pop() if len(kinds) == 1 else "none"
    if kinds:
        known.say(f"{front.name}: some of its servers get a PROXY header and some do not")
    known.frontend(
        f"{front.name}:{port}", address, port, pool, "proxy", idle_timeout_s=front.client_s, proxy_protocol=sends
    )


def _pool(
    back: _Section, port: int | None, pools: dict[tuple[str, int | None], str | None], known: Definition
) -> str | None:
    # Servers without a port are called on the one that the client called.
    own = port if any(_end(words[1])[1] is None for words in back.servers) else None
    key = (back.name, own)
    if key not in pools:
        members = [member for words in back.servers if (member := _member(words, back, port, known)) is not None]
        pools[key] = known.pool(back.name, members, _probe(back))
    return pools[key]


def _member(words: list[str], back: _Section, port: int | None, known: Definition) -> Member | None:
    name, end, options = words[0], words[1], [*back.server_options, *words[2:]]
    host, own = _end(end)
    address = address_of(host)
    if address is None:
        known.say(f"{back.name}: server {name} is {host}, a name; its address is not in the file")
        return None
    if own is None and port is None:
        known.say(f"{back.name}: server {name} has no port of its own, and no frontend that is known calls it")
        return None
    return Member(name, address, int(own or port or 0), "disabled" not in options or "enabled" in options)


def _probe(back: _Section) -> Probe | None:
    checked = [[*back.server_options, *words[2:]] for words in back.servers]
    checked = [options for options in checked if "check" in options and "no-check" not in options]
    if not checked:
        return None
    options = checked[0]
    interval = _seconds(_value(options, "inter")) or 2.0
    secure = "check-ssl" in options or ("ssl" in options and _value(options, "port") is None)
    return Probe(
        protocol=("https" if secure else "http") if back.check_http else "tcp",
        port=port_of(_value(options, "port")),
        path=back.path,
        interval_s=interval,
        timeout_s=back.check_s or interval,
        policy="generic",
        unhealthy_threshold=_count(_value(options, "fall")) or 3,
        healthy_threshold=_count(_value(options, "rise")) or 2,
    )


def _count(text: str | None) -> int | None:
    """A number of probes; None where the text is none, and HAProxy would not have started."""
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else None


def _proxy_protocol(words: list[str], shared: list[str]) -> str:
    found = "none"
    for option in [*shared, *words[2:]]:
        found = _SEND.get(option, "none" if option in ("no-send-proxy", "no-send-proxy-v2") else found)
    return found


def _parse(text: str) -> list[_Section]:
    sections: list[_Section] = []
    named: dict[str, _Section] = {}
    defaults = _Section("defaults", "")
    now: _Section | None = None
    for line in text.split("\n"):
        words = _words(line)
        if not words:
            continue
        if words[0] in _SECTIONS and not line[:1].isspace():
            name = words[1] if len(words) > 1 and words[1] != "from" else ""
            origin = dict(pairwise(words)).get("from")
            parent = named.get(origin, defaults) if origin else defaults
            now = _Section(words[0], name)
            if words[0] in ("frontend", "backend", "listen"):
                _inherit(now, parent)
                if len(words) > 2 and words[2] != "from" and words[0] != "backend":
                    now.binds.append(words[2])
            elif words[0] == "defaults":
                if origin:
                    _inherit(now, parent)
                defaults = now
                named[name] = now
            sections.append(now)
        elif words[0] in _OTHERS and not line[:1].isspace():
            now = None
        elif now is not None:
            _line(now, words)
    return sections


def _line(now: _Section, words: list[str]) -> None:
    """One line of a section."""
    key, rest = words[0], words[1:]
    if key == "bind" and rest:
        now.binds.append(rest[0])
    elif key == "server" and len(rest) > 1:
        now.servers.append(rest)
    elif key == "default-server":
        now.server_options = [*now.server_options, *rest]
    elif key in ("default_backend", "use_backend") and rest:
        now.backends = [*now.backends, rest[0]] if key == "use_backend" else [rest[0], *now.backends]
    elif key == "mode" and rest:
        now.mode = rest[0]
    elif key == "option" and rest[:1] == ["httpchk"]:
        now.check_http = True
        now.path = next((word for word in rest[1:] if word.startswith("/")), now.path)
    elif key == "http-check" and rest[:1] == ["send"]:
        now.check_http, now.path = True, _value(rest, "uri") or now.path
    elif key == "timeout" and len(rest) > 1:
        if rest[0] == "client":
            now.client_s = _seconds(rest[1])
        elif rest[0] == "check":
            now.check_s = _seconds(rest[1])


def _inherit(now: _Section, parent: _Section) -> None:
    now.mode, now.check_http, now.path = parent.mode, parent.check_http, parent.path
    now.client_s, now.check_s = parent.client_s, parent.check_s
    now.server_options = list(parent.server_options)


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        return list(lexer)
    except ValueError:
        # An open quote: what stands before it still counts.
        return line.split("#", 1)[0].split()


def _binds(bind: str) -> list[tuple[str | None, int | None]]:
    """Address (None for all) and port (None when it is none) of each end of a bind."""
    found: list[tuple[str | None, int | None]] = []
    for part in bind.split(","):
        if part.startswith(("/", "unix@", "abns@", "fd@", "quic")):
            found.append((None, None))
            continue
        host, port = _end(part)
        if "-" in part.rsplit(":", 1)[-1]:
            first, last = (port_of(one) for one in part.rsplit(":", 1)[-1].split("-", 1))
            ports: list[int | None] = list(range(first, last + 1)) if first and last and last - first < 64 else [None]
        else:
            ports = [port]
        any_ = host in ("", "*", "0.0.0.0", "::")
        found += [(None if any_ else address_of(host), one) for one in ports]
    return found


def _end(text: str) -> tuple[str, int | None]:
    """Host and port of ``ADDRESS:PORT``, ``ipv4@ADDRESS``, ``[ADDRESS]:PORT`` or a bare address."""
    bare = re.sub(r"^(ipv4|ipv6|udp|udp4|udp6|tcp|tcp4|tcp6)@", "", text)
    match = re.fullmatch(r"\[(?P<six>[^\]]*)\](?::(?P<p>.*))?|(?P<host>.*?)(?::(?P<port>[^:]*))?", bare)
    assert match is not None
    if match["six"] is not None:
        return match["six"], port_of(match["p"])
    if address_of(bare) is not None:
        return bare, None
    return match["host"], port_of(match["port"])


def _value(words: list[str], key: str) -> str | None:
    """The word after the last ``key``."""
    found = None
    for one, following in pairwise(words):
        found = following if one == key else found
    return found


def _seconds(text: str | None) -> float | None:
    match = re.fullmatch(r"([0-9]+)(us|ms|s|m|h|d|)", text or "")
    number = int(match[1]) * _UNITS[match[2]] if match else 0.0
    return number if number > 0 else None
