from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.plan import Plan
from tests.lab.world import World, missing, sweep

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import sys, time
from tests.lab.plan import Plan
from tests.lab.world import World
world = World(Plan(5)).__enter__()
child = world.spawn("cli", ["sleep", "60"])
print(world.prefix, child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def namespaces() -> None:
    if reason := missing():
        pytest.skip(reason)


def names(prefix: str) -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], text=True, capture_output=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.startswith(prefix)]


@pytest.mark.parametrize("family", [4, 6])
def test_a_world_connects_its_nodes_and_leaves_nothing(family: int) -> None:
    plan = Plan(3, family)
    with World(plan) as world:
        assert plan.lb_out in world.run("cli", ["ip", "route", "get", plan.vip])
        for member in plan.members:
            assert plan.lb_in in world.run(member.name, ["ip", "route", "get", plan.clients[0]])
        assert len(names(world.prefix)) == 6
    assert names(world.prefix) == []


def test_two_worlds_of_one_seed_do_not_meet() -> None:
    with World(Plan(3)) as one, World(Plan(3)) as two:
        assert one.prefix != two.prefix
        assert len(names(one.prefix)) == len(names(two.prefix)) == 6


def test_what_a_killed_run_left_is_swept() -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLD], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    assert process.stdout
    prefix, child = process.stdout.readline().split()
    sweep()
    assert len(names(prefix)) == 6, "a run whose owner lives is left alone"
    process.kill()
    process.wait()
    assert sweep() >= 1
    assert names(prefix) == []
    assert not Path(f"/proc/{child}/cmdline").exists() or "sleep" not in Path(f"/proc/{child}/cmdline").read_text()


def test_seeds_differ_and_repeat() -> None:
    assert Plan(1).members == Plan(1).members
    assert len({(Plan(seed).vip, Plan(seed).data_port, Plan(seed).members[0].address) for seed in range(20)}) == 20
