"""Azure's service tags: which address ranges a service uses, from the file that Microsoft publishes every week.

Read are the download (``ServiceTags_Public_DATE.json``), what ``az network list-service-tags`` and
``Get-AzNetworkServiceTag | ConvertTo-Json`` print, and answers of the REST interface. Regional tags (``Name.region``)
repeat the prefixes of the global one; ``AzureLoadBalancer``, ``Internet`` and ``VirtualNetwork`` are in no file. The
ranges change: a file older than the captures may lack some.

learn.microsoft.com: virtual-network/service-tags-overview (2021-04), frontdoor/origin-security (2023-10).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flowscope.cloud.given import Given, given_of
from flowscope.cloud.json_tree import Object, flat, items, objects, outermost, parse_json
from flowscope.cloud.text import read_bytes
from flowscope.cloud.unknown_form import what_it_is
from flowscope.errors import GivenFileError
from flowscope.nat.profile import Policy, Profile
from flowscope.nat.topology import Network

_PREFIXES = "addressprefixes"


@dataclass(frozen=True, slots=True)
class ServiceTags:
    """The ranges of one cloud's services at one time."""

    file: str
    """As the user named it."""
    cloud: str | None
    """``Public``, ``AzureGermany``, ...: clouds share no ranges."""
    change: str | None
    """Number of the list's version; a number in the download, a text in REST."""
    prefixes: Mapping[str, tuple[Network, ...]]
    """By name of the tag in small letters."""
    given: Given

    def ranges(self, profiles: Iterable[Profile]) -> tuple[tuple[Network, Policy], ...]:
        """Where the probers of these kinds of balancers call from, as far as a tag lists it."""
        named = [(one.probe.service_tag.value, one.probe.policy) for one in profiles if one.probe.service_tag]
        return tuple((network, policy) for tag, policy in named for network in self.prefixes.get(tag.lower(), ()))

    def missing(self, profiles: Iterable[Profile]) -> list[str]:
        """One sentence for each tag that these kinds of balancers need and the file has not."""
        tags = [one.probe.service_tag.value for one in profiles if one.probe.service_tag]
        return [
            f"{self.file} ({self.cloud or 'of an unnamed cloud'}, {len(self.prefixes):,} tags) has no tag {tag}: its "
            f"probers are not known by address; give the whole file of the cloud."
            for tag in dict.fromkeys(tags)
            if tag.lower() not in self.prefixes
        ]


def read_service_tags(path: str | os.PathLike[str]) -> ServiceTags:
    """The tags of a file.

    Raises:
        GivenFileError: it cannot be read, holds no tags, or a prefix of it is none.
    """
    data = read_bytes(path)
    tree = parse_json(data)
    tags = outermost(tree, lambda one: "name" in one and _PREFIXES in flat(one))
    if not tags:
        raise GivenFileError(
            data.path,
            f"{what_it_is(tree)}; service tags are wanted: download 'Azure IP Ranges and Service Tags' or save "
            "`az network list-service-tags --location REGION`",
        )
    prefixes = {str(tag["name"]).lower(): tuple(_networks(tag, data.path)) for tag in tags}
    head = next((one for one in objects(tree) if "cloud" in one or ("changenumber" in one and "values" in one)), {})
    count = sum(map(len, prefixes.values()))
    given = given_of("service-tags", data, "Azure service tags", tags=len(prefixes), prefixes=count)
    return ServiceTags(data.path, _text(head.get("cloud")), _text(head.get("changenumber")), prefixes, given)


def _networks(tag: Object, path: str) -> Iterable[Network]:
    for prefix in items(flat(tag), _PREFIXES):
        try:
            yield ipaddress.ip_network(prefix if isinstance(prefix, str) else "", strict=False)
        except ValueError:
            raise GivenFileError(
                path,
                f"tag {str(tag['name'])[:60]!r}: {str(prefix)[:60]!r} is no address prefix; download the file again",
            ) from None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and str(value) else None
