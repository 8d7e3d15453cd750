"""How members are probed is read from recognised probes, and from a balancer's own calls at an even pace."""

from __future__ import annotations

import pytest

from flowscope.nat.inference import infer_topology
from flowscope.nat.topology import Probe
from tests.nat.balancers import Seen

FRONT = ("203.0.113.9", 443)
MEMBERS = ("10.1.0.4", "10.1.0.5")
AZURE = "168.63.129.16"


def pool(members: tuple[str, ...] = MEMBERS, proxied: bool = False) -> Seen:
    seen = Seen()
    for at, member in enumerate(members):
        client = ("198.51.100.7", 40000 + at)
        behind = ("10.1.0.1", 30000 + at) if proxied else client
        seen.path((client, FRONT), (behind, (member, 9443)), method="proxy-request" if proxied else "tuple")
    return seen


def probed(
    seen: Seen, source: str, members: tuple[str, ...] = MEMBERS, port: int = 8081, every_s: float = 2.0, count: int = 5,
    headers: tuple[str, ...] = ("Host: a",), late: int | None = None,
) -> Seen:  # fmt: skip
    for at in range(count):
        for member in members:
            extra = every_s * 0.9 if at == late else 0
            seen.path(((source, 50000 + len(seen.paths)), (member, port)), at_s=at * every_s + extra)
            seen.says("http-request", headers, "/healthz")
    return seen


def found(seen: Seen) -> Probe | None:
    return infer_topology(seen.window()).topology.pools[0].probe


def test_a_documented_prober() -> None:
    probe = found(probed(pool(), AZURE))
    assert probe is not None
    assert [str(one) for one in probe.source] == ["168.63.129.16/32"]
    assert (probe.protocol, probe.port, probe.path, probe.policy) == ("http", 8081, "/healthz", "azure-lb")
    assert (probe.interval_s, probe.timeout_s) == (2.0, 2.0)


def test_the_timeout_follows_the_interval_up_to_a_point() -> None:
    probe = found(probed(pool(), AZURE, every_s=60))
    assert probe is not None and (probe.interval_s, probe.timeout_s) == (60.0, 30.0)


def test_one_probe_late_does_not_change_the_pace() -> None:
    probe = found(probed(pool(), AZURE, count=9, late=4))
    assert probe is not None and probe.interval_s == 2.0


def test_too_few_to_tell() -> None:
    assert found(probed(pool(), AZURE, count=1)) is None
    probe = found(probed(pool(), AZURE, count=2))
    assert probe is not None and probe.interval_s == Probe().interval_s


def test_a_prober_known_by_its_words_leaves_its_address_to_clients() -> None:
    probe = found(probed(pool(), "192.0.2.8", headers=("User-Agent: Edge Health Probe",)))
    assert probe is not None
    assert (probe.policy, probe.source) == ("front-door", ())


def test_a_prefix_is_called_by_its_document() -> None:
    probe = found(probed(pool(), "35.191.7.7"))
    assert probe is not None
    assert [str(one) for one in probe.source] == ["35.191.0.0/16"]


def test_a_proxy_probes_from_its_own_address() -> None:
    probe = found(probed(pool(proxied=True), "10.1.0.1"))
    assert probe is not None
    assert ([str(one) for one in probe.source], probe.port, probe.policy) == (["10.1.0.1/32"], 8081, "generic")


@pytest.mark.parametrize("source", ["198.51.100.7", "10.1.0.1"])
def test_clients_and_uneven_calls_are_no_probes(source: str) -> None:
    seen = pool(proxied=True)
    for at_s in (0, 1, 5, 6, 20, 21):
        seen.path(((source, 51000 + at_s), (MEMBERS[0], 8081)), at_s=at_s)
    assert found(seen) is None
    assert found(probed(pool(proxied=True), "198.51.100.7")) is None
    assert found(probed(pool(proxied=True), "10.1.0.1", port=9443)) is None


def test_who_is_probed_like_the_others_is_a_member() -> None:
    seen = probed(pool(), AZURE, (*MEMBERS, "10.1.0.6"))
    inferred = infer_topology(seen.window())
    assert [member.address for member in inferred.topology.pools[0].members] == [*MEMBERS, "10.1.0.6"]
    assert inferred.reasons["member", "203.0.113.9:443 10.1.0.6:9443"] == (
        "Probed like the others; no call was seen to reach it."
    )


def test_a_proxy_checks_for_each_pool_apart() -> None:
    seen = pool(proxied=True)
    for at, member in enumerate(MEMBERS):
        client = ("198.51.100.9", 1 + at)
        seen.path((client, ("203.0.113.10", 80)), (("10.1.0.1", 1 + at), (member, 9443)), method="proxy-request")
    inferred = infer_topology(probed(seen, "10.1.0.1", every_s=0.5).window())
    assert [one.probe.interval_s for one in inferred.topology.pools if one.probe] == [1.0, 1.0]
    assert inferred.reasons["probe", "203.0.113.9:443"].endswith("every 0.5 s; these are the checks of 2 pools.")


def test_with_two_pools_nobody_knows_whose_it_is() -> None:
    seen = pool()
    client = ("198.51.100.8", 1)
    seen.path((client, ("203.0.113.10", 80)), (client, ("10.1.0.7", 80)))
    probed(seen, AZURE, (*MEMBERS, "10.1.0.6", "10.1.0.7"))
    members = {member.address for one in infer_topology(seen.window()).topology.pools for member in one.members}
    assert members == {*MEMBERS, "10.1.0.7"}


def test_probes_without_a_frontend_are_a_remark() -> None:
    inferred = infer_topology(probed(Seen(), AZURE).window())
    assert not inferred.topology
    assert inferred.remarks == (
        "10.1.0.4, 10.1.0.5: probed from 168.63.129.16 on port 8081, so members of a pool; no frontend of it was seen.",
    )


def test_an_even_caller_that_nobody_knows_is_a_remark() -> None:
    seen = probed(pool(), "192.0.2.8")
    inferred = infer_topology(seen.window())
    assert inferred.topology.pools[0].probe is None
    (remark,) = inferred.remarks
    assert remark.startswith("192.0.2.8 calls members on port 8081 every 2 s, as a prober or a monitor would;")
    assert infer_topology(probed(pool(), "192.0.2.8", port=9443).window()).remarks == ()
    assert infer_topology(probed(pool(), "192.0.2.8", MEMBERS[:1]).window()).remarks == ()
