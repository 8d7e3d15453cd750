"""Everything that was given about clouds and hosts, read once before the captures are judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from flowscope.cloud.flow_log import FlowLog, join_logs
from flowscope.cloud.flow_log_files import read_flow_log_file
from flowscope.cloud.listening import Listening
from flowscope.cloud.listening_files import read_listening_file
from flowscope.cloud.security_files import Security, join_security, read_security_file
from flowscope.cloud.security_rules import Network, network
from flowscope.cloud.service_tags import ServiceTags
from flowscope.nat.topology import Topology
from flowscope.settings import Settings


@dataclass(frozen=True, slots=True)
class CloudFiles:
    """The files of ``--nsg``, ``--flow-log`` and ``--listening``; empty without them."""

    security: Security = field(default_factory=Security)
    flow_log: FlowLog = field(default_factory=FlowLog)
    listening: tuple[Listening, ...] = ()

    def __bool__(self) -> bool:
        """True when anything says what a cloud let through."""
        return bool(self.security.files or self.flow_log)


NO_FILES = CloudFiles()


def read_cloud_files(settings: Settings, topology: Topology, tags: ServiceTags | None = None) -> CloudFiles:
    """Reads all of them.

    Args:
        settings: names the files.
        topology: knows the members' names.
        tags: what service tags of rules stand for.

    Raises:
        GivenFileError: one cannot be used.
    """
    places = member_places(topology)
    security = join_security([read_security_file(value) for value in settings.nsg], places)
    if tags is not None:
        security = replace(security, names=replace(security.names, known=tags.prefixes))
    log = join_logs([read_flow_log_file(path) for path in settings.flow_logs])
    return CloudFiles(security, log, tuple(read_listening_file(value, places) for value in settings.listening))


def member_places(topology: Topology) -> dict[str, tuple[Network, ...]]:
    """Addresses by the names of members and frontends."""
    found: dict[str, tuple[Network, ...]] = {}
    named = [(member.name, member.address) for pool in topology.pools for member in pool.members]
    for name, address in (*named, *((one.name, one.address) for one in topology.frontends)):
        one = network(address)
        if one is not None:
            found.setdefault(name, (one,))
    return found
