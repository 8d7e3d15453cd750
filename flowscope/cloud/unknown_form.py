"""What a file is that an option cannot use, in words that lead to the right one."""

from __future__ import annotations

from typing import Any

from flowscope.cloud.json_tree import objects

#: Keys that only one kind of file has, what such a file is, and the option that takes it.
_KINDS = (
    ("flowtuples", "a flow log: give it with --flow-log"),
    ("securityrules", "security rules: give them with --nsg"),
    ("effectivesecurityrules", "effective security rules: give them with --nsg"),
    ("ippermissions", "security groups: give them with --nsg"),
    ("loadbalancingrules", "a load balancer's definition: give it with --topology"),
    ("loadbalancerarn", "a load balancer's definition: give it with --topology"),
    ("targetgrouparn", "target groups: give them with --topology"),
    ("healthprobesettings", "a definition of Front Door: give it with --topology"),
    ("clusterip", "Kubernetes services: give them with --topology"),
)


def what_it_is(tree: Any) -> str:
    """What a JSON value is, as far as its keys say; for the end of an error line."""
    if tree in ([], {}, None):
        return "is an empty list: the command found nothing or failed"
    keys = {key for one in objects(tree) for key in one}
    if not keys:
        return "has values without keys (output of --query or of another --output?)"
    for key, what in _KINDS:
        if key in keys:
            return f"is {what}"
    shown = sorted(keys)[:6]
    return f"is none that is known (keys: {', '.join(shown)[:80]})"
