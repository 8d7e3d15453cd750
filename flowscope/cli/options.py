"""Options that every command which reads captures shares, and what they amount to."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from flowscope.cli.times import parse_time
from flowscope.cloud.given import split_where
from flowscope.findings import Severity
from flowscope.report.look import Look
from flowscope.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Request:
    """One command as typed."""

    captures: tuple[str, ...]
    topology: tuple[str, ...]
    settings: Settings
    format: str
    output: str | None
    """File to write, None for stdout."""
    look: Look
    fail_on: Severity | None
    quiet: bool
    verbose: int

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is read: nothing may be written over it."""
        settings = self.settings
        placed = (split_where(one)[0] for one in (*settings.nsg, *settings.listening))
        single = filter(None, (settings.profile, settings.service_tags))
        return (*self.captures, *self.topology, *single, *placed, *settings.flow_logs)


def _split(ctx: click.Context, param: click.Parameter, value: str | None) -> frozenset[str] | None:
    """Rule names with commas between them."""
    return None if value is None else frozenset(name.strip() for name in value.split(",") if name.strip())


def _pairs(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Pairs of file and name from ``FILE=NAME``; a file name may hold ``=`` itself."""
    pairs = []
    for value in values:
        file, _, name = value.rpartition("=")
        if not file or not name.strip():
            raise click.BadParameter(f"{value!r} is not FILE=NAME, for example 'vm1.pcap=vm1' or 'ring_*=lb'")
        pairs.append((file, name.strip()))
    return tuple(pairs)


_CAPTURES = click.argument("captures", nargs=-1, required=True, metavar="CAPTURE...")

_SHARED = (
    click.option(
        "--topology",
        multiple=True,
        metavar="FILE",
        help="What you know of the load balancer: TOML, or its definition as az, aws, kubectl or HAProxy have it.",
    ),
    click.option(
        "--point",
        "points",
        multiple=True,
        metavar="FILE=NAME",
        callback=_pairs,
        help="Name the point of a file, or of a ring of files.",
    ),
    click.option("--profile", metavar="NAME|FILE", help="The kind of load balancer: azure-lb, nftables, ..."),
    click.option("--service-tags", metavar="FILE", help="Azure's service tags (JSON): where Front Door probes from."),
    click.option(
        "--nsg",
        multiple=True,
        metavar="FILE[=WHERE]",
        help="Security rules as az or aws prints them (JSON); WHERE: whom they protect.",
    ),
    click.option("--flow-log", "flow_logs", multiple=True, metavar="FILE", help="Flow log of the cloud."),
    click.option(
        "--listening",
        multiple=True,
        metavar="FILE[=WHERE]",
        help="What a host listens on, as ss, netstat or lsof prints it; WHERE: whose it is.",
    ),
    click.option("-o", "--output", metavar="FILE", help="Write to FILE, not to the terminal."),
    click.option("--brief", is_flag=True, help="Leave out the lists of flows and paths."),
    click.option("--hash", "hash_", is_flag=True, help="SHA-256 of every capture."),
    click.option("--select", metavar="RULE,...", callback=_split, help="Judge by these rules only."),
    click.option("--ignore", metavar="RULE,...", callback=_split, help="Leave these rules out."),
    click.option("--from", "from_", metavar="TIME", help="Only frames from this time on."),
    click.option("--to", metavar="TIME", help="Only frames up to this time."),
    click.option("-Y", "display_filter", metavar="FILTER", help="Only frames of a Wireshark display filter (tshark)."),
    click.option("-c", "count", metavar="COUNT", type=click.IntRange(min=1), help="At most COUNT frames of a capture."),
    click.option(
        "--fail-on",
        type=click.Choice([one.value for one in Severity]),
        help="Exit with 1 when a confirmed or likely finding is this bad, or worse.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="No progress, no warnings."),
    click.option("-v", "--verbose", count=True, help="Say more on stderr."),
    click.option("--no-color", is_flag=True, help="No colours (so does NO_COLOR)."),
    click.option("--utc", is_flag=True, help="Show and read times as UTC, not local time."),
)


def reads_captures(
    formats: Sequence[str], default: str = "text", *, without: Collection[str] = ()
) -> Callable[[Callable[..., int]], Command]:
    """Gives a command the shared arguments and options; it receives them as one :class:`Request`.

    Options that the command declares itself, below this decorator, come after it by name.

    Args:
        formats: choices of ``--format``; without any the command has no such option.
        default: what is written without it.
        without: shared options that make no sense for the command, by parameter name; its own have other names.
    """

    def decorate(command: Callable[..., int]) -> Any:
        own = {one.name for one in getattr(command, "__click_params__", ())}

        @functools.wraps(command)
        def call(**values: Any) -> int:
            extra = {name: values.pop(name) for name in own}
            return command(_request({**dict.fromkeys(without), **values}), **extra)

        chosen = click.option(
            "--format", "format_", type=click.Choice(list(formats)), default=default, show_default=True, help="Output."
        )
        decorated: Any = call
        offered = (*_SHARED[:2], *([chosen] if formats else []), *_SHARED[2:])
        for option in reversed((_CAPTURES, *offered)):
            decorated = option(decorated)
        decorated.__click_params__ = [one for one in decorated.__click_params__ if one.name not in without]
        return decorated

    return decorate


def _request(values: dict[str, Any]) -> Request:
    utc = values["utc"]
    settings = Settings(
        points=values["points"],
        select=_rules(values["select"], "--select"),
        ignore=_rules(values["ignore"], "--ignore") or frozenset(),
        from_ns=None if values["from_"] is None else parse_time(values["from_"], utc),
        to_ns=None if values["to"] is None else parse_time(values["to"], utc),
        max_frames=values["count"],
        hash=values["hash_"],
        profile=values["profile"],
        display_filter=values["display_filter"],
        service_tags=values["service_tags"],
        nsg=values["nsg"],
        flow_logs=values["flow_logs"],
        listening=values["listening"],
    )
    if settings.from_ns is not None and settings.to_ns is not None and settings.from_ns > settings.to_ns:
        raise click.BadParameter("--from is later than --to")
    output = None if values["output"] == "-" else values["output"]
    return Request(
        captures=values["captures"],
        topology=values["topology"],
        settings=settings,
        format=values.get("format_", ""),
        output=output,
        look=Look(
            brief=values["brief"],
            colour=output is None and wants_colour(values["no_color"]),
            utc=utc,
            verbose=values["verbose"] > 0,
            width=_width(output),
        ),
        fail_on=Severity(values["fail_on"]) if values["fail_on"] else None,
        quiet=values["quiet"],
        verbose=values["verbose"],
    )


def _width(output: str | None) -> int:
    """Columns of a report: as many as read well, fewer on a terminal that has fewer."""
    usual, screen = Look().width, screen_width()
    return usual if output is not None or screen is None else max(40, min(usual, screen))


def screen_width() -> int | None:
    """Columns of the terminal that stdout is; None where it is none."""
    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None


def wants_colour(no_color: bool) -> bool:
    """True when stdout is a terminal that shows colours, and nobody asked for none."""
    return not no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


def _rules(names: frozenset[str] | None, option: str) -> frozenset[str] | None:
    """The rules of an option, each of them known."""
    if names is None:
        return None
    from flowscope.cli.rules import known_rule

    for name in sorted(names):
        known_rule(name, option)
    return names
