"""What a rule may read: the tables of one run, and words for what stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import polars as pl

from flowscope.capture.file import Capture
from flowscope.capture.points import Point
from flowscope.cloud.evidence_files import NO_FILES, CloudFiles
from flowscope.nat.numbers import address_numbers
from flowscope.nat.places import Place
from flowscope.nat.profile import UNTOLD, Profile
from flowscope.nat.topology import Topology
from flowscope.probes.asked import Key, Series
from flowscope.probes.held import at_members, held_calls
from flowscope.probes.pools import PoolHealth, pool_health
from flowscope.probes.presumed import presumed_members
from flowscope.probes.read import read_probes
from flowscope.probes.recognise import Known, Ranges, recognised
from flowscope.probes.replay import Health, replay
from flowscope.snat.usage import PortUse, port_use

Way = Literal["calls", "answers"]


@dataclass
class Window:
    """A stretch of traffic to be judged: offline everything, live what changed and what is still open."""

    captures: Sequence[Capture]
    points: Sequence[Point]
    point_table: pl.DataFrame
    """The core's table of points."""
    flows: pl.DataFrame
    """With ``leg`` and ``at_ns`` (first packet on the reference clock); row number = flow number."""
    events: pl.DataFrame
    """With ``leg``, ``point`` and ``at_ns``."""
    messages: pl.DataFrame
    addresses: pl.DataFrame
    legs: pl.DataFrame
    paths: pl.DataFrame
    places: dict[int, Place]
    topology: Topology
    profile: Profile = UNTOLD
    """The kind of balancer, as told with ``--profile``; without it a profile in which every value is None."""
    prober_ranges: Ranges = ()
    """Where probes come from, as told with ``--service-tags``."""
    cloud: CloudFiles = NO_FILES
    """Security rules and flow logs that were given; empty without them."""

    def address(self, number: int) -> str:
        """The text of an address number."""
        return str(self.addresses["text"][number])

    def endpoint(self, number: int, port: int) -> str:
        """``10.0.0.4:8080`` or ``[2001:db8::1]:443``."""
        text = self.address(number)
        return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"

    def called(self, number: int, port: int | None = None) -> str:
        """The topology's name for an address (of what serves the port, where several do), else the address."""
        return self.topology.name_of(self.address(number), port) or self.address(number)

    def names(self, numbers: Iterable[int]) -> dict[str, str]:
        """Address text to name, for those of the addresses that have one."""
        texts = sorted({self.address(number) for number in numbers})
        return {text: name for text in texts if (name := self.topology.name_of(text))}

    def point_name(self, number: int) -> str:
        """The label of a point, for people."""
        return next((point.name for point in self.points if point.number == number), str(number))

    @cached_property
    def known_probers(self) -> Known:
        """What was told of probers, beside what clouds document."""
        return Known(self.topology, self.profile, self.prober_ranges)

    @cached_property
    def recognised(self) -> pl.DataFrame:
        """The paths that are probes: columns as in :data:`flowscope.probes.recognise.PROBES`."""
        return recognised(self.at_members, self.addresses, self.messages, self.flows, self.known_probers)

    @cached_property
    def _probe_paths(self) -> pl.Series:
        return self.recognised["path"]

    @cached_property
    def probes(self) -> pl.DataFrame:
        """Paths of recognised probers; ``backend`` is the member."""
        return self.at_members.filter(pl.col("path").is_in(self._probe_paths.implode()))

    @cached_property
    def held(self) -> pl.DataFrame:
        """Calls to a frontend's address that members hold: columns as in :data:`flowscope.probes.held.HELD`."""
        return held_calls(self.paths, self.flows, self.places, self.addresses, self.topology)

    @cached_property
    def at_members(self) -> pl.DataFrame:
        """The paths, with the member as ``backend`` where it took a call in a frontend's name."""
        return at_members(self.paths, self.held)

    @cached_property
    def probed(self) -> tuple[pl.DataFrame, dict[Key, Series]]:
        """What became of each probe (:data:`flowscope.probes.read.READINGS`), and the series they form."""
        return read_probes(self)

    @cached_property
    def health(self) -> tuple[Health, ...]:
        """What the probers made of their probes, by member, port and prober."""
        return replay(self)

    @cached_property
    def pool_health(self) -> tuple[PoolHealth, ...]:
        """The members of each pool taken together."""
        return pool_health(self)

    @cached_property
    def judgeable(self) -> pl.DataFrame:
        """TCP paths that are no probes, with ``last_leg`` and ``first_leg``."""
        clients = ~pl.col("path").is_in(self._probe_paths.implode())
        return self.paths.filter(pl.col("protocol") == 6, clients).with_columns(
            first_leg=pl.col("legs").list.first(), last_leg=pl.col("legs").list.last()
        )

    @cached_property
    def members(self) -> frozenset[tuple[int, int]]:
        """Endpoints (address number, port) that are members: from the topology, else where translated paths end."""
        if self.topology.pools:
            listed = [member for pool in self.topology.pools for member in pool.members]
            number = address_numbers(self.addresses, (one.address for one in listed))
            return frozenset((number[one.address], one.port) for one in listed if one.address in number)
        moved = self.paths.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
        return frozenset(moved.select("backend", "backend_port").unique().iter_rows())

    @cached_property
    def presumed_members(self) -> dict[tuple[int, int], bool]:
        """Endpoints taken for members as they are probed, see :func:`flowscope.probes.presumed.presumed_members`."""
        return presumed_members(self)

    @cached_property
    def member_addresses(self) -> frozenset[int]:
        """Addresses of the members."""
        return frozenset(address for address, _ in self.members)

    @cached_property
    def frontend_addresses(self) -> frozenset[int]:
        """Addresses of the frontends: from the topology, else what translated paths called."""
        if self.topology.frontends:
            return frozenset(address_numbers(self.addresses, (one.address for one in self.topology.frontends)).values())
        return frozenset(self.paths.filter(pl.col("frontend").is_not_null())["frontend"].unique())

    @cached_property
    def one_way(self) -> dict[int, Way]:
        """Points that saw one direction of all connections, by mirror port or filter: what they lack says nothing.

        What acknowledges shows that there was an answer, or a call, which did not pass.
        """
        asked, answered = pl.col("fwd_packets") > 0, pl.col("rev_packets") > 0
        seen = (
            self.flows.lazy()
            .filter(pl.col("protocol") == 6)
            .group_by("point")
            .agg(
                both=(asked & answered).any(),
                calls=(~answered & (pl.col("fwd_syns") > 0) & pl.col("fwd_last_ack").is_not_null()).any(),
                answers=(~asked & pl.col("rev_last_ack").is_not_null()).any(),
            )
            .filter(~pl.col("both"), pl.col("calls") != pl.col("answers"))
            .select("point", "calls")
            .collect()
        )
        return {point: "calls" if calls else "answers" for point, calls in seen.sort("point").iter_rows()}

    @cached_property
    def port_use(self) -> PortUse:
        """Ports of the SNAT addresses: how many are in use, and who got none."""
        return port_use(self)

    @cached_property
    def served(self) -> frozenset[tuple[int, int]]:
        """Endpoints (address number, port) that are frontends: from the topology, else what translated paths called."""
        seen = self.paths.filter(pl.col("frontend").is_not_null(), pl.col("backend").is_not_null())
        found = set(seen.select("frontend", "frontend_port").unique().iter_rows())
        number = address_numbers(self.addresses, (one.address for one in self.topology.frontends))
        listed = {(number[one.address], one.port) for one in self.topology.frontends if one.address in number}
        return frozenset(found | listed)

    @cached_property
    def cut_points(self) -> pl.DataFrame:
        """Points with frames that the snap length cut (columns of :data:`flowscope.tables.POINTS`)."""
        return self.point_table.filter(pl.col("truncated") > 0).sort("point")

    @cached_property
    def members_frame(self) -> pl.DataFrame:
        """The members as columns ``backend`` and ``backend_port``, to join paths with."""
        schema = {"backend": pl.UInt32, "backend_port": pl.UInt16}
        return pl.DataFrame(sorted(self.members), schema=schema, orient="row")

    @cached_property
    def _flows_by_leg(self) -> dict[int, list[int]]:
        return dict(self.legs.select("leg", "flows").iter_rows())

    def flows_of_legs(self, legs: Iterable[int]) -> pl.DataFrame:
        """The flows that these legs consist of."""
        numbers = sorted({flow for leg in legs for flow in self._flows_by_leg[leg]})
        return self.flows[numbers]

    def points_on(self, address: int) -> list[Place]:
        """Points that stand on the host with this address, sure ones first."""
        found = [place for place in self.places.values() if address in place.hosts]
        return sorted(found, key=lambda place: (not place.sure, place.point))
