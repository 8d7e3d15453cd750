"""Reads profiles: those that come with flowscope, by name, and a user's own, by file; every key is checked.

The folder ``profiles`` is listed, so a profile is added by adding its file.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from flowscope.errors import FlowscopeError, TopologyError
from flowscope.nat.profile import (
    FIELDS,
    Fact,
    Fate,
    Forgetting,
    Hairpin,
    Hold,
    Idle,
    Outcome,
    Policy,
    Ports,
    Probing,
    Profile,
    Selection,
    Source,
)
from flowscope.nat.topology import Mode
from flowscope.nat.topology_table import TableReader

Value = TypeVar("Value")
Read = Callable[[TableReader], "Value | None"]

_MODES: tuple[Mode, ...] = ("dnat", "dnat+snat", "dsr", "proxy")
_FATES: tuple[Fate, ...] = ("same", "lowered", "shifted", "new")
_FORGETTING: tuple[Forgetting, ...] = ("silent", "rst-both", "rst-sender")
_SELECTIONS: tuple[Selection, ...] = ("lowest-free", "random", "keep-or-scan")
_POLICIES: tuple[Policy, ...] = ("azure-lb", "front-door", "aws-nlb", "gcp", "generic")
_OUTCOMES: tuple[Outcome, ...] = ("mismatch", "local", "works")


@cache
def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with flowscope, sorted."""
    found = (entry.name for entry in files("flowscope.nat").joinpath("profiles").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


@cache
def load_profiles() -> tuple[Profile, ...]:
    """All profiles that come with flowscope, by name."""
    return tuple(_own(name) for name in profile_names())


def load_profile(name_or_file: str) -> Profile:
    """The profile of this name, or of this file.

    Raises:
        FlowscopeError: there is no such profile, or a key of the file is wrong.
    """
    if name_or_file in profile_names():
        return _own(name_or_file)
    called = {alias: profile for profile in load_profiles() for alias in profile.aliases}
    if name_or_file in called:
        return called[name_or_file]
    if not os.path.isfile(name_or_file):
        names = sorted([*profile_names(), *called])
        close = difflib.get_close_matches(name_or_file, names, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
        raise FlowscopeError(f"there is no profile or file {name_or_file!r}: {hint}")
    try:
        with open(name_or_file, "rb") as opened:
            text = opened.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FlowscopeError(f"{name_or_file}: not UTF-8 text (byte {error.start}); a profile is TOML") from None
    except OSError as error:
        raise FlowscopeError(f"{name_or_file}: cannot be read: {error.strerror or error}") from None
    return parse_profile(text, name_or_file, name_or_file)


def parse_profile(text: str, shown: str, file: str | None = None) -> Profile:
    """The profile in a TOML text.

    Args:
        text: the TOML.
        shown: the name to use in errors.
        file: the user's file, None for a profile of flowscope.

    Raises:
        FlowscopeError: it is no TOML, or a key of it is wrong.
    """
    try:
        return _ProfileReader(tomllib.loads(text), shown).profile(file)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FlowscopeError(f"{shown}: not valid TOML: {error}") from None
    except TopologyError as error:
        raise FlowscopeError(str(error)) from None


def _own(name: str) -> Profile:
    text = files("flowscope.nat").joinpath("profiles", f"{name}.toml").read_text("utf-8")
    return parse_profile(text, f"{name}.toml")


class _ProfileReader:
    """One profile file, table by table."""

    def __init__(self, content: dict[str, Any], file: str) -> None:
        self._root = TableReader(file, "", content)
        self._sources: dict[str, Source] = {}

    def profile(self, file: str | None) -> Profile:
        root = self._root
        for source in root.tables("source"):
            self._sources[source.text("key")] = Source(source.text("page"), source.text("date"))
            source.done()
        profile = Profile(
            name=root.text("name"),
            title=root.text("title"),
            file=file,
            aliases=root.texts("aliases"),
            mode=self._fact(root, "mode", lambda one: one.choice("value", _MODES, "dnat")),
            survives=self._survives(root.table("survives")),
            idle=self._idle(root.table("idle")),
            hold=self._hold(root.table("hold")),
            ports=self._ports(root.table("ports")),
            probe=self._probe(root.table("probe")),
            hairpin=self._hairpin(root.table("hairpin")),
        )
        root.done()
        return profile

    def _fact(self, table: TableReader, key: str, read: Read[Value]) -> Fact[Value] | None:
        """One value with its source: ``{ value = 240, source = "page", confirmed = false }``."""
        inner = table.table(key)
        if inner is None:
            return None
        value, source = read(inner), inner.text("source")
        if not inner.has("value") or value is None:
            inner.wrong("value", "a value; the key is missing")
        if source not in self._sources:
            inner.wrong(
                "source", f"the key of a [[source]] table ({', '.join(self._sources) or 'there is none'})", source
            )
        fact = Fact(value, self._sources[source], inner.flag("confirmed", True))
        inner.done()
        return fact

    def _seconds(self, table: TableReader, key: str) -> Fact[float] | None:
        return self._fact(table, key, lambda one: one.seconds("value", None))

    def _count(self, table: TableReader, key: str) -> Fact[int] | None:
        return self._fact(table, key, lambda one: one.count("value", None))

    def _survives(self, table: TableReader | None) -> dict[str, Fact[Fate]]:
        if table is None:
            return {}
        found: dict[str, Fact[Fate]] = {}
        for name in FIELDS:
            fate: Fact[Fate] | None = self._fact(table, name, lambda one: one.choice("value", _FATES, "same"))
            if fate is not None:
                found[name] = fate
        table.done()
        return found

    def _idle(self, table: TableReader | None) -> Idle:
        if table is None:
            return Idle()
        idle = Idle(
            tcp_s=self._seconds(table, "tcp_s"),
            udp_s=self._seconds(table, "udp_s"),
            tcp_shortest_s=self._seconds(table, "tcp_shortest_s"),
            tcp_longest_s=self._seconds(table, "tcp_longest_s"),
            then=self._fact(table, "then", lambda one: one.choice("value", _FORGETTING, "silent")),
            then_on_request=self._fact(
                table, "then_on_request", lambda one: one.choice("value", _FORGETTING, "silent")
            ),
        )
        table.done()
        return idle

    def _hold(self, table: TableReader | None) -> Hold:
        if table is None:
            return Hold()
        keys = ("fin_s", "rst_s", "half_open_s", "udp_s")
        hold = Hold(**{key: self._seconds(table, key) for key in keys})
        table.done()
        return hold

    def _ports(self, table: TableReader | None) -> Ports:
        if table is None:
            return Ports()
        ports = Ports(
            range=self._fact(table, "range", lambda one: one.port_range("value", (1, 65535))),
            per_address=self._count(table, "per_address"),
            per_destination=self._count(table, "per_destination"),
            block=self._count(table, "block"),
            selection=self._fact(table, "selection", lambda one: one.choice("value", _SELECTIONS, "random")),
            allocation=self._fact(table, "allocation", _allocation),
        )
        table.done()
        return ports

    def _probe(self, table: TableReader | None) -> Probing:
        if table is None:
            return Probing()
        probe = Probing(
            policy=table.choice("policy", _POLICIES, "generic"),
            source=self._fact(table, "source", lambda one: one.networks("value")),
            service_tag=self._fact(table, "service_tag", lambda one: one.text("value")),
            header=self._fact(table, "header", lambda one: tuple(text.lower() for text in one.texts("value"))),
            interval_s=self._seconds(table, "interval_s"),
            timeout_s=self._seconds(table, "timeout_s"),
            longest_timeout_s=self._seconds(table, "longest_timeout_s"),
            unhealthy_threshold=self._count(table, "unhealthy_threshold"),
            healthy_threshold=self._count(table, "healthy_threshold"),
            healthy_status=self._fact(table, "healthy_status", lambda one: one.text("value")),
        )
        table.done()
        return probe

    def _hairpin(self, table: TableReader | None) -> Hairpin:
        if table is None:
            return Hairpin()
        hairpin = Hairpin(self._fact(table, "outcome", lambda one: one.choice("value", _OUTCOMES, "mismatch")))
        table.done()
        return hairpin


def _allocation(table: TableReader) -> tuple[tuple[int, int], ...]:
    rows = []
    for row in table.tables("value"):
        up_to, ports = row.count("members", None), row.count("ports", None)
        if up_to is None or ports is None:
            row.wrong("members" if up_to is None else "ports", "a whole number from 1; the key is missing")
        row.done()
        rows.append((up_to, ports))
    return tuple(sorted(rows))
