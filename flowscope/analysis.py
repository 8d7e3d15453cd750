"""The river in two functions: captures to tables; tables to paths, paths to findings. Read this first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

import polars as pl

from flowscope import __version__
from flowscope.capture.core import Frames
from flowscope.capture.file import Capture, read_captures
from flowscope.capture.points import Point, name_points
from flowscope.cloud.given import Given as GivenFile
from flowscope.cloud.use import described, given_files
from flowscope.findings import Finding
from flowscope.given import Given
from flowscope.nat.clocks import Clocks, read_clocks
from flowscope.nat.contradictions import contradictions
from flowscope.nat.datagrams import datagrams
from flowscope.nat.inference import infer_topology
from flowscope.nat.inferred import Inferred
from flowscope.nat.legs import leg_table, turn_legs, with_legs
from flowscope.nat.matching import join_legs
from flowscope.nat.numbers import with_numbers
from flowscope.nat.older import apart
from flowscope.nat.paths import with_paths
from flowscope.nat.places import places
from flowscope.nat.profile import UNTOLD, Profile
from flowscope.nat.profile_file import load_profiles
from flowscope.nat.proxies import all_joins, join_proxied
from flowscope.nat.proxy_offsets import across_proxies
from flowscope.nat.topology import Topology
from flowscope.nat.witnesses import given_up
from flowscope.probes.pools import PoolHealth
from flowscope.probes.replay import Health
from flowscope.rules import judge
from flowscope.rules.reset_origin import told_resets
from flowscope.settings import Settings
from flowscope.tables import PATHS
from flowscope.window import Window

if TYPE_CHECKING:
    from flowscope.graph.build import PathGraph


@dataclass(slots=True)
class Analysis:
    """Everything one run found out; the reports read nothing else."""

    captures: list[Capture]
    """In the order given."""
    points: list[Point]
    """By number."""
    flows: pl.DataFrame
    """Columns: :data:`flowscope.tables.FLOWS`, and ``leg``."""
    events: pl.DataFrame
    messages: pl.DataFrame
    issues: pl.DataFrame
    addresses: pl.DataFrame
    legs: pl.DataFrame
    """Columns: :data:`flowscope.tables.LEGS`."""
    paths: pl.DataFrame
    """Columns: :data:`flowscope.tables.PATHS`."""
    findings: list[Finding]
    """Worst first, with ids."""
    topology: Topology
    """As given; empty when none was."""
    inferred: Inferred
    """What the captures show of the balancer."""
    profile: Profile | None
    """The kind of balancer, as told; None when it was not."""
    settings: Settings
    problems: list[str]
    """Rules that crashed, contradictions between topology and captures: one sentence each."""
    judged: dict[str, int]
    """Rules that ran, and how many findings each has."""
    health: tuple[Health, ...] = ()
    """What each prober made of each member it asks."""
    pool_health: tuple[PoolHealth, ...] = ()
    """The members of each pool taken together."""
    given: tuple[GivenFile, ...] = ()
    """Files that were given beside the captures, and what of them was used."""
    version: str = __version__

    def graph(self) -> PathGraph:
        """The paths as a networkx graph, see :func:`flowscope.graph.build.path_graph`."""
        from flowscope.graph.build import path_graph

        return path_graph(self)

    def _repr_html_(self) -> str:
        """The analysis as a notebook shows it."""
        from flowscope.report.html.notebook import analysis_fragment

        return analysis_fragment(self)


def analyze(
    captures: Sequence[str | os.PathLike[str]],
    *,
    topology: str | Sequence[str] | None = None,
    settings: Settings | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    stdin: BinaryIO | None = None,
) -> Analysis:
    """Reads captures, follows every connection across its translators and names what is wrong.

    Args:
        captures: files, directories, or ``-`` for standard input.
        topology: topology files, or definitions that clouds and balancers print; without any, everything is inferred.
        settings: options of the run.
        progress: called with the bytes read so far and the bytes there are (None when unknown).
        stdin: what ``-`` reads, instead of the process's standard input.

    Raises:
        CaptureError: no capture could be read.
        TopologyError: the topology file is wrong.
        GivenFileError: a file given beside the captures is no such file.
    """
    settings = settings or Settings()
    given = Given.read(topology, settings)
    tables, read = read_captures([os.fspath(path) for path in captures], settings, progress, stdin)
    frames = Frames.of(tables)
    del tables
    return follow(frames, read, given, settings)


def follow(frames: Frames, captures: list[Capture], given: Given, settings: Settings) -> Analysis:
    """Follows the connections of one window and judges them; offline the window is everything, live what is held.

    Args:
        frames: what the core made of the captures.
        captures: what was read.
        given: what is known besides.
        settings: options of the run.
    """
    known, tags, told = given.topology, given.tags, given.profile or UNTOLD
    addresses, messages, point_table = frames.addresses, frames.messages, frames.points
    points = name_points(point_table, captures, settings.points, known)
    addresses = with_numbers(addresses, known.captured_members(point.node for point in points))

    flows = with_legs(frames.flows, messages, addresses, known)
    events = _events(frames.events, flows)
    messages = _turned(messages, flows["turned"])
    sent = datagrams(flows, events, messages)
    clocks = read_clocks(flows, events, sent, point_table)
    flows = clocks.correct(flows, "first_ns", "at_ns")
    events = clocks.correct(events, "time_ns", "at_ns")
    legs = leg_table(flows)
    sent = clocks.correct(sent, "time_ns", "at_ns")
    joins = join_legs(legs, flows, events, sent, clocks.islands, addresses, known, told, given.translations)
    astray = joins["turn"].drop_nulls().unique()
    if astray.len():
        flows = turn_legs(flows, astray)
        events = events.with_columns(half=pl.col("half") ^ pl.col("leg").is_in(astray.implode()).cast(pl.UInt8))
        messages = _turned(messages, flows["leg"].is_in(astray.implode()))
        legs = leg_table(flows)
    proxied = join_proxied(legs, flows, messages, addresses, known, joins.select("leg", "before"), clocks)
    behind = across_proxies(clocks, proxied, legs, flows, messages)
    if behind is not clocks:
        clocks = behind
        flows = clocks.correct(flows, "first_ns", "at_ns")
        events = clocks.correct(events, "time_ns", "at_ns")
        legs = leg_table(flows)
    paths = with_paths(flows, legs, all_joins(joins, proxied), events, messages, addresses, known, told).select(*PATHS)

    points = [_timed(point, clocks) for point in points]
    starts = clocks.corrected_ns(dict(point_table.select("point", "first_ns").iter_rows()))
    ends = clocks.corrected_ns(dict(point_table.select("point", "until_ns").iter_rows()))
    window = Window(
        captures=captures,
        points=points,
        point_table=point_table,
        flows=flows,
        events=events,
        messages=messages,
        addresses=addresses,
        legs=legs,
        paths=paths,
        places=places(flows, points, addresses, known, ends, starts),
        topology=known,
        profile=given.profile or UNTOLD,
        prober_ranges=tags.ranges(load_profiles()) if tags else (),
        cloud=given.cloud,
    )
    findings, judged, problems = judge(window, settings)
    health, pools, failed = _health(window)
    return Analysis(
        captures=captures,
        points=points,
        flows=flows,
        events=events,
        messages=window.messages,
        issues=frames.issues,
        addresses=addresses,
        legs=legs,
        paths=paths,
        findings=findings,
        topology=known,
        inferred=infer_topology(window),
        profile=given.profile,
        settings=settings,
        problems=[
            *_chosen(settings),
            *given_up(legs),
            *contradictions(window),
            *apart(window),
            *told_resets(window, findings),
            *problems,
            *failed,
            *(tags.missing(load_profiles()) if tags else ()),
            *given.definitions.unknown,
            *given.cloud.security.unplaced(),
        ],
        judged=judged,
        health=health,
        pool_health=pools,
        given=(*described(addresses, given.definitions, given.profile_file), *given_files(window, tags)),
    )


def _health(window: Window) -> tuple[tuple[Health, ...], tuple[PoolHealth, ...], list[str]]:
    """The replayed probes, or one sentence about why there are none: the rest is delivered all the same."""
    try:
        return window.health, window.pool_health, []
    except Exception as error:
        return (), (), [f"probes could not be read ({type(error).__name__}: {error}): please report this"]


def _chosen(settings: Settings) -> list[str]:
    """One sentence when a display filter chose the frames: what it leaves out cannot be told from what was lost."""
    if settings.display_filter is None:
        return []
    return [
        f"only frames that the display filter {settings.display_filter!r} selects were analysed: what it leaves out "
        "looks like silence or loss"
    ]


def _timed(point: Point, clocks: Clocks) -> Point:
    """The point with what is known of its clock."""
    clock = clocks.by_point.get(point.number)
    if clock is None:
        return point
    return replace(
        point,
        clock_offset_ns=clock.offset_ns,
        clock_error_ns=clock.error_ns if clock.known else None,
        clock_skew_ppm=round(clock.skew_ppm, 3) + 0.0,
        clock_drifts=clock.drifts,
        clock_steps=clock.steps,
    )


def _events(events: pl.DataFrame, flows: pl.DataFrame) -> pl.DataFrame:
    """Adds ``point`` and ``leg`` of the flow, and turns the half of flows that were turned."""
    # Flow numbers are row numbers: a gather, not a join.
    of_flow = events["flow"]
    events = events.with_columns(point=flows["point"].gather(of_flow), leg=flows["leg"].gather(of_flow))
    return _turned(events, flows["turned"])


def _turned(table: pl.DataFrame, flows: pl.Series) -> pl.DataFrame:
    """Turns the half of what belongs to these flows: true or false for each."""
    if not flows.any():
        return table
    return table.with_columns(half=pl.col("half") ^ flows.gather(table["flow"]).cast(pl.UInt8))
