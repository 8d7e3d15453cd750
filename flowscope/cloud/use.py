"""What of the given files had a part in the result: the list that the report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from flowscope.cloud.flow_log_join import join_flow_log
from flowscope.cloud.given import Given

if TYPE_CHECKING:
    from flowscope.cloud.definition_files import Definitions
    from flowscope.cloud.security_files import Security
    from flowscope.cloud.security_rules import Rule
    from flowscope.cloud.service_tags import ServiceTags
    from flowscope.window import Window


def described(addresses: pl.DataFrame, defined: Definitions, profile: Given | None) -> tuple[Given, ...]:
    """The files of ``--topology`` and ``--profile``, each with what of it is in the captures.

    Args:
        addresses: those of the captures.
        defined: what the files say.
        profile: the file of the balancer's kind, when it was a file.
    """
    there = set(addresses["text"]) if defined.given else set()
    found = []
    for given, named in zip(defined.given, defined.addresses, strict=True):
        here = len(named & there)
        used = [f"{here:,} of its {len(named):,} addresses are in the captures"] if here else []
        used += ["names points"] if given.read.get("points") else []
        found.append(given.noting(*used))
    if profile is not None:
        found.append(profile.noting("values of the balancer"))
    return tuple(found)


def given_files(window: Window, tags: ServiceTags | None = None) -> tuple[Given, ...]:
    """Every file that was given beside the captures, with what was used of it.

    Args:
        window: what was judged.
        tags: service tags, as given.
    """
    return (*_service_tags(window, tags), *_security(window), *_flow_logs(window), *_listening(window))


def _service_tags(window: Window, tags: ServiceTags | None) -> list[Given]:
    if tags is None:
        return []
    used = [f"{len(window.prober_ranges):,} ranges of probers"] if window.prober_ranges else []
    named = {name.lower() for one in window.cloud.security.sets for rule in one.rules for name in _names(rule)}
    known = sorted(named & tags.prefixes.keys())
    return [tags.given.noting(*used, *([f"ranges of {', '.join(known[:6])} in security rules"] if known else []))]


def _names(rule: Rule) -> tuple[str, ...]:
    return rule.source.names + rule.destination.names


def _security(window: Window) -> list[Given]:
    security = window.cloud.security
    if not security.files:
        return []
    hosts = _hosts(window, "src", "dst")
    found = []
    for file in security.files:
        path = file.given.path
        protected = [host for host in hosts if any(one.file == path for one in security.before(host)[0])]
        found.append(file.given.noting(*_sentences(security, path, protected)))
    return found


def _hosts(window: Window, *ends: str) -> list[str]:
    """Addresses of the legs' ends, by number."""
    numbers = pl.concat([window.legs[end] for end in ends]).unique().sort()
    return window.addresses["text"].gather(numbers).to_list()


def _sentences(security: Security, path: str, protected: list[str]) -> list[str]:
    mine = [one for one in security.sets if one.file == path]
    if not mine:
        return ["ties groups to addresses"]
    if path in security.ambiguous():
        return []
    if all(one.hosts is None for one in mine):
        return ["taken to stand in front of every member: the file does not say where it stands"]
    shown = ", ".join(protected[:4]) + (f" and {len(protected) - 4} more" if len(protected) > 4 else "")
    return [f"evaluated for {shown}"] if protected else []


def _listening(window: Window) -> list[Given]:
    """Lists of members: whose each is, as far as anyone says."""
    if not window.cloud.listening:
        return []
    ends = _hosts(window, "dst")
    found = []
    for one in window.cloud.listening:
        hosts = [end for end in ends if one.is_of(end)]
        if hosts:
            used = [f"of {', '.join(hosts[:4])}"]
        elif one.where is None and len(window.cloud.listening) == 1:
            used = ["taken for the list of any host that refuses: nothing in it says whose it is"]
        else:
            used = []
        if not one.complete and (used or not one.sockets):
            used.append("not the whole list (rights or options), so a port that is missing proves nothing")
        found.append(one.given.noting(*used))
    return found


def _flow_logs(window: Window) -> list[Given]:
    log = window.cloud.flow_log
    if not log:
        return []
    joined = join_flow_log(window, log)
    files = log.records["file"].gather(joined["record"])
    counts = dict(files.value_counts().iter_rows())
    return [
        given.noting(f"{counts[at]:,} records are of connections in the captures") if counts.get(at) else given
        for at, given in enumerate(log.files)
    ]
