"""What people tell beside the captures: the balancer, its kind, and files of clouds and hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from flowscope.cloud.definition_files import NO_DEFINITIONS, Definitions, read_definitions
from flowscope.cloud.evidence_files import NO_FILES, CloudFiles, read_cloud_files
from flowscope.cloud.given import Given as GivenFile
from flowscope.cloud.given import given_of
from flowscope.cloud.service_tags import ServiceTags, read_service_tags
from flowscope.cloud.text import read_bytes
from flowscope.nat.profile import Profile
from flowscope.nat.profile_file import load_profile
from flowscope.nat.topology import Topology
from flowscope.settings import Settings


@dataclass(frozen=True, slots=True)
class Given:
    """What people told us beside the captures, read before the first of them."""

    topology: Topology
    """Empty when none was given."""
    profile: Profile | None = None
    """The kind of balancer."""
    tags: ServiceTags | None = None
    """Where services call from."""
    profile_file: GivenFile | None = None
    """The file of the balancer's kind; None when it comes with flowscope."""
    definitions: Definitions = NO_DEFINITIONS
    """The files that the topology came from, and what they cannot say."""
    cloud: CloudFiles = NO_FILES
    """Security rules, flow logs and lists of listeners."""
    translations: pl.DataFrame | None = None
    """What the translator's kernel says it did, see :data:`flowscope.nat.tracked.TRANSLATIONS`."""

    @classmethod
    def read(cls, topology: str | Sequence[str] | None, settings: Settings) -> Given:
        """Reads the files that a run names.

        Raises:
            TopologyError: the topology file is wrong.
            GivenFileError: another file is not what it should be.
        """
        defined = read_definitions([topology] if isinstance(topology, str) else topology or [])
        tags = read_service_tags(settings.service_tags) if settings.service_tags is not None else None
        profile = load_profile(settings.profile) if settings.profile is not None else None
        file = given_of("profile", read_bytes(profile.file), "profile") if profile and profile.file else None
        return cls(
            topology=defined.topology,
            profile=profile,
            profile_file=file,
            tags=tags,
            definitions=defined,
            cloud=read_cloud_files(settings, defined.topology, tags),
        )
