"""The shared cases with rule files and logs made from their truth; others: ``python -m tests.cloud.lab_cases``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import analyze
from flowscope.findings import Verdict
from flowscope.nat.topology import Topology
from flowscope.nat.topology_file import read_topology
from tests.cloud.lab_cases import WRITERS, Case, join_figures, named, rules_of

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture
def case(request: pytest.FixtureRequest, truth: Path) -> Case:
    return Case(truth / "lab" / request.param)


@pytest.mark.parametrize("case", ["blocked-in-member", "probe-blocked"], indirect=True)
def test_a_rule_file_that_says_so_names_its_rule(case: Case, tmp_path: Path) -> None:
    (told,) = case.expected
    analysis = case.run(case.denied(tmp_path))
    one = named(analysis, str(told["subject"]))
    assert one is not None
    assert (one.facts["nsg"], one.facts["rule_name"], one.facts["priority"]) == ("shop-nsg", "the-rule", 300)
    # Both members drop the packets themselves, behind the interface that the captures see: a group did not.
    assert one.verdict is Verdict.UNDECIDED
    assert told["rule"] in rules_of(analysis)


@pytest.mark.parametrize("case", ["blocked-in-member"], indirect=True)
def test_a_rule_file_that_allows_explains_nothing(case: Case, tmp_path: Path) -> None:
    found = rules_of(case.run(case.allowed(tmp_path)))
    assert "nsg-deny" not in found
    assert "No rule explains this: open of shop-nsg lets it in." in found["blocked-traffic"][0].summary


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("case", ["blocked-in-member", "healthy-full-nat"], indirect=True)
def test_flow_logs_of_the_truth_join_whole_and_right(case: Case, tmp_path: Path, form: str) -> None:
    recall, precision, number = join_figures(case, tmp_path, form)
    assert number >= 50
    assert (recall, precision) == (1.0, 1.0)


def as_load_balancer(topology: Topology) -> dict[str, Any]:
    """A topology as ``az network lb show`` prints it."""
    (pool,), (front,) = topology.pools, topology.frontends
    assert pool.probe is not None
    return {
        "name": "lb",
        "frontendIpConfigurations": [{"id": "/f", "name": "f", "privateIpAddress": front.address}],
        "backendAddressPools": [{
            "id": "/p", "name": pool.name,
            "loadBalancerBackendAddresses": [{"name": one.name, "ipAddress": one.address} for one in pool.members],
        }],
        "probes": [{"id": "/h", "protocol": "Http", "port": pool.probe.port, "requestPath": pool.probe.path,
                    "intervalInSeconds": pool.probe.interval_s}],
        "loadBalancingRules": [{
            "name": front.name, "protocol": "Tcp", "frontendPort": front.port, "backendPort": pool.members[0].port,
            "frontendIpConfiguration": {"id": "/f"}, "backendAddressPool": {"id": "/p"}, "probe": {"id": "/h"},
        }],
    }  # fmt: skip


@pytest.mark.parametrize("case", ["closed-port"], indirect=True)
def test_a_definition_says_as_much_as_a_topology_file(case: Case, tmp_path: Path) -> None:
    file = case.folder / "topology.toml"
    points = file.read_text().partition("[[point]]")
    (tmp_path / "points.toml").write_text("".join(points[1:]))
    (tmp_path / "lb.json").write_text(json.dumps(as_load_balancer(read_topology(file))))
    given = [str(tmp_path / name) for name in ("lb.json", "points.toml")]
    by_file, by_definition = (analyze(case.captures, topology=topology).findings for topology in ([str(file)], given))
    assert [(one.key, one.verdict, one.count) for one in by_definition] == [
        (one.key, one.verdict, one.count) for one in by_file
    ]
    assert "closed-port" in {one.rule for one in by_definition}
