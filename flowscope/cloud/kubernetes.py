"""Kubernetes services and their endpoints (``kubectl get svc,endpointslices -o json`` or ``-o yaml``) as a topology.

A service's cluster address, external addresses and the addresses of its balancer become frontends; what its endpoint
slices (or the older Endpoints) list become members. Old dumps print the internal form, whose kinds are missing.

Source: Kubernetes API, core/v1 Service and Endpoints, discovery.k8s.io/v1 EndpointSlice (1.31).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flowscope.cloud.definition import Definition, address_of, port_of
from flowscope.cloud.json_tree import Object, items, objects, texts
from flowscope.nat.topology import Member, Mode

_SLICE_OF = "kubernetes.io/service-name"
Name = tuple[str, str]
"""Namespace and name."""


def read_services(tree: Any, known: Definition) -> int:
    """Adds the services of all files; returns how many objects of Kubernetes there were.

    Args:
        tree: all the files that were given.
        known: gets what they say.
    """
    services: list[Object] = []
    ends: dict[Name, _Ends] = {}
    for one in objects(tree):
        kind = _kind(one)
        if kind == "service":
            services.append(one)
        elif kind == "endpointslice":
            _slice(one, ends)
            known.count("endpoint slices")
        elif kind == "endpoints":
            _endpoints(one, ends)
            known.count("endpoints")
    known.count("services", len(services))
    known.count("endpoint addresses", sum(len({member.address for member in one.members()}) for one in ends.values()))
    for service in services:
        _service(service, ends, known)
    if ends and not services:
        for (namespace, name), mine in ends.items():
            known.pool(f"{namespace}/{name}", mine.members())
        known.say("endpoints without services: give `kubectl get services -o json` with another --topology, too")
    return len(services) + len(ends)


@dataclass(slots=True)
class _Ends:
    """Endpoints of one service, by name of the port."""

    ports: dict[str, dict[tuple[str, int], Member]] = field(default_factory=dict)
    protocols: dict[str, str] = field(default_factory=dict)

    def add(self, port: Object, address: str, name: str, ready: bool) -> None:
        """One address under one port."""
        number = port_of(port.get("port"))
        if number is not None:
            label = str(port.get("name") or "")
            self.ports.setdefault(label, {})[address, number] = Member(name, address, number, ready)
            self.protocols[label] = str(port.get("protocol") or "TCP").lower()

    def members(self, port: str | None = None) -> list[Member]:
        """Those under a port; all of them without one."""
        chosen = self.ports.values() if port is None else [self.ports.get(port, {})]
        return [member for one in chosen for member in one.values()]


def _kind(value: Object) -> str | None:
    named = str(value.get("kind") or "").lower()
    spec = value.get("spec")
    if named in ("service", "endpoints", "endpointslice"):
        # A reference has a kind, too, and nothing else that counts.
        return named if {"spec", "subsets", "endpoints", "metadata"} & value.keys() else None
    if named:
        return None
    if isinstance(spec, dict) and "clusterip" in spec and "ports" in spec:
        return "service"
    if "subsets" in value:
        return "endpoints"
    return "endpointslice" if "addresstype" in value and "endpoints" in value else None


def _name(value: Object) -> Name:
    head = value.get("metadata") if isinstance(value.get("metadata"), dict) else value
    assert isinstance(head, dict)
    return str(head.get("namespace") or "default"), str(head.get("name") or "service")


def _slice(value: Object, ends: dict[Name, _Ends]) -> None:
    namespace, name = _name(value)
    head = value.get("metadata")
    labels = head.get("labels") if isinstance(head, dict) else None
    service = str(labels.get(_SLICE_OF) or name) if isinstance(labels, dict) else name
    mine = ends.setdefault((namespace, service), _Ends())
    for endpoint in items(value, "endpoints"):
        conditions = endpoint.get("conditions") if isinstance(endpoint, dict) else None
        ready = not (isinstance(conditions, dict) and conditions.get("ready") is False)
        _add(
            mine,
            items(value, "ports"),
            texts(endpoint, "addresses") if isinstance(endpoint, dict) else [],
            endpoint,
            ready,
        )


def _endpoints(value: Object, ends: dict[Name, _Ends]) -> None:
    mine = ends.setdefault(_name(value), _Ends())
    for subset in items(value, "subsets"):
        for key, ready in (("addresses", True), ("notreadyaddresses", False)):
            for one in items(subset, key) if isinstance(subset, dict) else []:
                _add(mine, items(subset, "ports"), texts(one, "ip") if isinstance(one, dict) else [], one, ready)


def _add(mine: _Ends, ports: list[Any], addresses: list[str], endpoint: Any, ready: bool) -> None:
    target = endpoint.get("targetref") if isinstance(endpoint, dict) else None
    for text in addresses:
        address = address_of(text)
        label = str(target.get("name") or text) if isinstance(target, dict) else text
        for port in ports:
            if address is not None and isinstance(port, dict):
                mine.add(port, address, label, ready)


def _service(service: Object, ends: dict[Name, _Ends], known: Definition) -> None:
    spec = service.get("spec")
    if not isinstance(spec, dict):
        return
    namespace, name = _name(service)
    mine = ends.get((namespace, name))
    outside = _outside(service, spec)
    # Traffic from outside of the cluster gets the node's address unless the service asks for its own node only.
    masked = str(spec.get("externaltrafficpolicy") or "Cluster").lower() == "cluster"
    for port in items(spec, "ports"):
        number = port_of(port.get("port")) if isinstance(port, dict) else None
        if number is None:
            continue
        known.count("service ports")
        protocol = str(port.get("protocol") or "TCP").lower()
        if protocol not in ("tcp", "udp"):
            continue
        label = f"{namespace}/{name}:{port.get('name') or number}"
        pool = known.pool(label, mine.members(str(port.get("name") or ""))) if mine else None
        if pool is None:
            known.say(
                f"{label} has no endpoint with an address in the files (kubectl get endpointslices has them)"
                if mine is None
                else f"{label} has no endpoints: nothing stands behind it"
            )
        places: list[tuple[str, Mode]] = [(text, "dnat") for text in _inside(spec)]
        places += [(text, "dnat+snat" if masked else "dnat") for text in outside]
        for at, (address, mode) in enumerate(places):
            known.frontend(label if at == 0 else f"{label}@{address}", address, number, pool, mode, protocol=protocol)
        node = port_of(port.get("nodeport"))
        if node is not None:
            known.say(f"{label} is served on port {node} of every node, too; the nodes' addresses are not in the file")


def _inside(spec: Object) -> list[str]:
    return [address for text in texts(spec, "clusterip", "clusterips") if (address := address_of(text)) is not None]


def _outside(service: Object, spec: Object) -> list[str]:
    status = service.get("status")
    balancer = status.get("loadbalancer") if isinstance(status, dict) else None
    written = texts(spec, "externalips", "loadbalancerip")
    for one in items(balancer, "ingress") if isinstance(balancer, dict) else []:
        written += texts(one, "ip") if isinstance(one, dict) else []
    return [address for text in dict.fromkeys(written) if (address := address_of(text)) is not None]
