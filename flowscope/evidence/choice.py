"""Which frames prove a finding: those it cites, the connections it is about, and the traffic that makes the contrast.

An absence proves nothing by itself: that a member is silent shows only beside packets that the same point did see, and
that all ports are taken shows only when every flow that holds one is there. So whole connections are taken, at every
point of their paths, nearest to the finding first, until :data:`MOST_FRAMES` are reached.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from flowscope.tables import EVENT_KINDS

if TYPE_CHECKING:
    from flowscope.analysis import Analysis
    from flowscope.findings import Finding

MOST_FRAMES = 10_000
"""Frames of one evidence file."""
#: Of these, frames of the finding's own connections while there is contrast to show.
_MOST_OWN = 6_000
MOST_OF_FLOW = 2_500
"""Frames of one connection at one point; a long transfer shows no more after that."""
_ALL = 1 << 62
#: Frames that open a connection: SYN, SYN-ACK, ACK.
_BEGIN = 3
#: Events that end a connection, and how many frames of one connection at one point that usually is.
_ENDS, _USUAL_ENDS = ("fin", "rst", "icmp-error"), 2
#: Frames of contrast of the same hosts, and of the other members behind the same frontends, unless the finding counts
#: what these do (:data:`_COUNTING`).
_MOST_OF_HOSTS, _MOST_OF_POOL = 600, 400

#: Rules that compare or count the connections of all hosts concerned.
_COUNTING_PORTS = frozenset({"snat-exhaustion", "snat-pressure", "snat-port-collision"})
_COUNTING = _COUNTING_PORTS | {"uneven-pool", "all-members-down", "member-out-of-rotation"}


@dataclass(slots=True)
class Choice:
    """Frames to be read again: whole flows, and single frames."""

    flows: dict[int, str] = field(default_factory=dict)
    """Flow number, and why its frames are there."""
    cited: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    """Capture and frame number of single frames, and what each shows."""
    begins: set[int] = field(default_factory=set)
    """Of the flows, those of which only the first frames are wanted, and how they end."""
    frames: int = 0
    """How many they will be, at most."""

    most: int = _ALL
    """Frames of one flow."""
    cap: int = _ALL
    """Frames of the whole."""

    def most_of(self, flow: int) -> int:
        """How many frames of a flow are wanted."""
        return _BEGIN if flow in self.begins else self.most

    def take(self, flows: Iterable[tuple[int, int]], why: str, limit: int) -> bool:
        """Adds the flows of one connection (number, packets) when they fit below the limit."""
        new = [(flow, min(packets, MOST_OF_FLOW)) for flow, packets in flows if flow not in self.flows]
        cost = sum(packets for _, packets in new)
        if self.frames + cost > limit:
            return False
        self.flows |= {flow: why for flow, _ in new}
        self.frames += cost
        return True


class Chooser:
    """Chooses the frames of findings, flows and paths of one analysis.

    Args:
        analysis: what was found.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        flows = analysis.flows
        self._packets: list[int] = (flows["fwd_packets"] + flows["rev_packets"] + flows["icmp_errors"]).to_list()
        self._flows_of_leg: dict[int, list[int]] = dict(analysis.legs.select("leg", "flows").iter_rows())
        self._legs_of_path: dict[int, list[int]] = dict(analysis.paths.select("path", "legs").iter_rows())
        self._ends = analysis.paths.select(
            "path",
            "first_ns",
            "backend",
            "backend_port",
            hosts=pl.concat_list("client", "frontend", "snat", "backend").list.drop_nulls(),
            last_ns=_last(analysis),
        )

    def finding(self, finding: Finding) -> Choice:
        """What proves a finding."""
        choice = self._bounds(cited(finding))
        own = self._own_paths(finding)
        label = "a connection that this finding explains"
        hosts = self._subject_hosts(finding)
        same, pool = self._related(own, hosts), self._related(own, self._pool_hosts(hosts))
        counting = finding.rule in _COUNTING
        limit = MOST_FRAMES if not (same or pool) or counting else _MOST_OWN
        if finding.rule in _COUNTING_PORTS and self._cost([*own, *same, *pool]) > MOST_FRAMES:
            # What fails is shown by a few of its kind; what holds the ports must be there whole.
            self._outline(choice, own, label, MOST_FRAMES // 4)
            self._outline(choice, [*same, *pool, *own], "a connection that is counted", MOST_FRAMES)
            return choice
        left = [path for path in own if not choice.take(self._of_path(path), label, limit)]
        for flow in finding.flows:
            choice.take([self._sized(flow)], label, limit)
        for path in self._spanning():
            choice.take(self._of_path(path), "contrast: shows that this point saw traffic then", MOST_FRAMES)
        for most, paths, whose in ((_MOST_OF_HOSTS, same, "the same hosts"), (_MOST_OF_POOL, pool, "the same pool")):
            limit = MOST_FRAMES if counting else min(MOST_FRAMES, choice.frames + most)
            for path in paths:
                choice.take(self._of_path(path), f"contrast: other traffic of {whose}", limit)
        for path in left:
            choice.take(self._of_path(path), label, MOST_FRAMES)
        return choice

    def _bounds(self, choice: Choice) -> Choice:
        """Adds the first and the last frame of each capture, whatever they are: a point that saw nothing else ran."""
        for one in self._analysis.captures:
            for number, which in ((1, "first"), (one.frames, "last")):
                if one.frames:
                    choice.cited.setdefault((one.id, number), [f"contrast: the {which} frame that was captured there"])
        choice.frames = len(choice.cited)
        return choice

    def _cost(self, paths: Iterable[int]) -> int:
        return sum(min(packets, MOST_OF_FLOW) for path in paths for _, packets in self._of_path(path))

    def _outline(self, choice: Choice, paths: Iterable[int], why: str, limit: int) -> None:
        """Takes only how connections begin and end: when many must be counted, that they exist, and how long."""
        for path in paths:
            flows = [flow for flow, _ in self._of_path(path) if flow not in choice.flows]
            cost = sum(min(self._packets[flow], _BEGIN + _USUAL_ENDS) for flow in flows)
            if choice.frames + cost <= limit:
                choice.frames += cost
                choice.flows |= dict.fromkeys(flows, f"{why}: how it begins and ends")
                choice.begins |= set(flows)
        ends = self._analysis.events.filter(
            pl.col("flow").is_in(sorted(choice.begins)), pl.col("kind").is_in([EVENT_KINDS.index(one) for one in _ENDS])
        )
        room = MOST_FRAMES - len(choice.cited) - sum(min(self._packets[flow], _BEGIN) for flow in choice.begins)
        for place in ends.sort("at_ns", "flow").select("capture", "frame").head(max(room, 0)).iter_rows():
            choice.cited.setdefault(place, ["how a connection ends that is counted"])

    def path(self, path: int) -> Choice:
        """All frames of a path, at every point.

        Raises:
            KeyError: there is no such path.
        """
        return Choice({flow: f"path {path}" for flow, _ in self._of_path(path)})

    def flow(self, flow: int) -> Choice:
        """All frames of a flow.

        Raises:
            KeyError: there is no such flow.
        """
        if not 0 <= flow < len(self._packets):
            raise KeyError(flow)
        return Choice({flow: f"flow {flow}"})

    def _own_paths(self, finding: Finding) -> list[int]:
        """The finding's paths, those with cited frames first, then by time."""
        paths = self._analysis.paths
        legs = self._analysis.flows["leg"]
        shown = {legs[item.flow] for item in finding.evidence if item.flow is not None}
        mine = set(finding.paths)
        if not mine:
            about = {legs[flow] for flow in finding.flows} | shown
            mine = set(_with_legs(paths, about))
        first = set(_with_legs(paths, shown)) & mine
        times = paths.filter(pl.col("path").is_in(list(mine))).sort("first_ns", "path")["path"].to_list()
        return sorted(times, key=lambda path: path not in first)

    def _related(self, own: list[int], hosts: Collection[int]) -> list[int]:
        """Paths of these hosts that the finding does not explain: nearest in time first, every service in turn."""
        mine = self._ends.filter(pl.col("path").is_in(own))
        others = self._ends.filter(
            ~pl.col("path").is_in(own), pl.col("hosts").list.eval(pl.element().is_in(sorted(hosts))).list.any()
        )
        if not others.height:
            return []
        first = mine["first_ns"].min() if mine.height else None
        last = mine["last_ns"].max() if mine.height else None
        away = pl.max_horizontal(
            pl.lit(0, pl.Int64),
            pl.lit(first, pl.Int64) - pl.col("last_ns"),
            pl.col("first_ns") - pl.lit(last, pl.Int64),
        )
        others = others.sort(away, "first_ns", "path")
        turn = pl.int_range(pl.len()).over("backend", "backend_port")
        return others.sort(turn, maintain_order=True)["path"].to_list()

    def _subject_hosts(self, finding: Finding) -> list[int]:
        """Address numbers of the subject: of its endpoints, of a pool's members and frontends, of a path's ends."""
        topology, texts = self._analysis.topology, set()
        for key, value in finding.subject.items():
            for one in value if isinstance(value, list) else [value]:
                texts.add(_host(one))
                if key == "pool":
                    texts |= {member.address for pool in topology.pools if pool.name == one for member in pool.members}
                    texts |= {frontend.address for frontend in topology.frontends if frontend.pool == one}
        found = self._analysis.addresses.filter(pl.col("text").is_in(sorted(texts)))["address"].to_list()
        if not found:
            mine = self._ends.filter(pl.col("path").is_in(list(finding.paths)))
            found = mine["hosts"].explode().unique().sort().to_list()
        return found

    def _pool_hosts(self, hosts: Collection[int]) -> list[int]:
        """Frontends that lead to these hosts, the members behind them, and what else their clients and probers call."""
        topology, paths = self._analysis.topology, self._analysis.paths
        texts = set(self._analysis.addresses.filter(pl.col("address").is_in(sorted(hosts)))["text"])
        pools = {pool.name for pool in topology.pools if any(member.address in texts for member in pool.members)}
        mates = {member.address for pool in topology.pools if pool.name in pools for member in pool.members}
        mates |= {frontend.address for frontend in topology.frontends if frontend.pool in pools}
        callers = paths.filter(pl.col("backend").is_in(sorted(hosts)))["client"].unique()
        called = paths.filter(pl.col("client").is_in(sorted({*callers, *hosts})))["backend"].drop_nulls().unique()
        fronts = paths.filter(pl.col("backend").is_in(called.implode()))["frontend"].drop_nulls().unique().sort()
        behind = paths.filter(pl.col("frontend").is_in(fronts.implode()))["backend"].drop_nulls().unique()
        known = self._analysis.addresses.filter(pl.col("text").is_in(sorted(mates)))["address"]
        return sorted({*fronts, *behind, *called, *known})

    def _spanning(self) -> Iterator[int]:
        """The first and the last path of every point: they show how long it captured."""
        flows, paths = self._analysis.flows, self._analysis.paths
        for _, here in flows.group_by("point", maintain_order=True):
            ends = here.sort("last_ns", "flow")
            for leg in dict.fromkeys((here["leg"][0], ends["leg"][-1])):
                yield from sorted(_with_legs(paths, {leg}))[:1]

    def _of_path(self, path: int) -> list[tuple[int, int]]:
        flows = dict.fromkeys(flow for leg in self._legs_of_path[path] for flow in self._flows_of_leg[leg])
        return [self._sized(flow) for flow in flows]

    def _sized(self, flow: int) -> tuple[int, int]:
        return flow, self._packets[flow]


def cited(finding: Finding) -> Choice:
    """The frames that a finding cites, and no others."""
    choice = Choice(most=MOST_OF_FLOW, cap=MOST_FRAMES)
    for item in finding.evidence[:MOST_FRAMES]:
        choice.cited.setdefault((item.capture, item.frame), []).append(item.note)
    choice.frames = len(choice.cited)
    return choice


def _last(analysis: Analysis) -> pl.Series:
    """When the last flow of each path ended."""
    flows = analysis.flows.select(flow="flow", end=pl.col("at_ns") + pl.col("last_ns") - pl.col("first_ns"))
    legs = analysis.legs.select("leg", flow="flows").explode("flow").join(flows, "flow").group_by("leg").agg(pl.col("end").max())  # fmt: skip # noqa: E501
    paths = analysis.paths.select("path", leg="legs").explode("leg").join(legs, "leg", how="left")
    ends = paths.group_by("path").agg(pl.col("end").max())
    return analysis.paths.select("path").join(ends, "path", how="left", maintain_order="left")["end"]


def _with_legs(paths: pl.DataFrame, legs: set[int]) -> list[int]:
    found = paths.filter(pl.col("legs").list.eval(pl.element().is_in(sorted(legs))).list.any())
    return found["path"].to_list()


def _host(endpoint: str) -> str:
    """The address of ``10.0.0.4:80``, ``[2001:db8::1]:443``, or of a bare address."""
    if endpoint.startswith("["):
        return endpoint[1:].partition("]")[0]
    return endpoint.partition(":")[0] if endpoint.count(":") == 1 else endpoint
