"""A balancer at play: random policies, random probes, and clients that are sent to whom it has in."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from flowscope.nat.topology import Probe
from flowscope.probes.chosen import Chosen, measured
from flowscope.probes.policies import POLICIES
from flowscope.probes.settings import MOST, candidates

SECOND = 1_000_000_000


@dataclass
class Play:
    """What happened, and what a capture shows of it."""

    policy: str
    setting: Probe
    interval_ns: int
    told: dict[int, list[tuple[int, bool | None]]] = field(default_factory=dict)
    """By member: its probes."""
    came: list[tuple[int, int, int]] = field(default_factory=list)
    """Time, member and client of each new connection."""
    refused: list[int] = field(default_factory=list)

    def changes(self, setting: Probe) -> dict[int, list[tuple[int, str]]]:
        """When each member goes down and comes back under a setting; all were up before."""
        return {member: list(changes(self.policy, setting, own)) for member, own in self.told.items()}

    def chosen(self) -> Chosen:
        """As flowscope measures it."""
        return measured(self.came, self.refused, frozenset(self.told), self.told)


def changes(policy: str, setting: Probe, told: list[tuple[int, bool | None]]) -> list[tuple[int, str]]:
    """Each change of a member that was up."""
    judge, before, found = POLICIES[policy](setting), "up", []
    for _ in range(MOST):
        judge.add(True)
    for time, good in told:
        state = judge.add(bool(good))
        if state != before:
            found.append((time, str(state)))
            before = state
    return found


def play(rng: random.Random, policy: str, per_interval: float) -> Play:
    """A pool of two to six members for 15 to 50 intervals.

    Args:
        rng: what all is drawn from.
        policy: its name; thresholds go up to 5, samples to 6.
        per_interval: new connections per interval, on average.
    """
    fair = [one for one in candidates(policy) if max(POLICIES[policy](one).turns) <= 5]
    size, interval = rng.randint(2, 6), rng.choice((0.3, 1, 5, 15, 30))
    done = Play(policy, rng.choice(fair), round(interval * SECOND))
    late, opens, probes = rng.choice((0.01, 0.1, 0.3)), rng.random() < 0.5, rng.randint(15, 50)
    turned = []
    for member in range(size):
        answers = [True] * probes if rng.random() < 0.3 else drawn(rng, probes)
        at = [round((n + member / size + rng.uniform(0.001, 0.01)) * done.interval_ns) for n in range(probes)]
        done.told[member] = list(zip(at, answers, strict=True))
        for time, state in changes(policy, done.setting, done.told[member]):
            turned.append((time + round(late * rng.uniform(0.5, 1) * done.interval_ns), member, state == "up"))
    send(rng, done, sorted(turned), per_interval, opens=opens, last_ns=probes * done.interval_ns)
    return done


def drawn(rng: random.Random, probes: int) -> list[bool]:
    """Good and bad probes in rows."""
    answers: list[bool] = []
    while len(answers) < probes:
        answers += [True] * rng.choice((1, 2, 4, 8, 12)) + [False] * rng.choice((1, 1, 2, 3, 5, 8))
    return answers[:probes]


def send(
    rng: random.Random,
    done: Play,
    turned: list[tuple[int, int, bool]],
    per_interval: float,
    *,
    opens: bool,
    last_ns: int,
) -> None:
    """Clients' connections, some weighted, some with affinity."""
    inside, last = dict.fromkeys(done.told, True), dict[int, int]()
    weights, keeps = {one: rng.choice((1, 1, 1, 3)) for one in done.told}, rng.choice((0, 0, 0, 0.9))
    time, at = 0, 0
    while (time := time + 1 + round(rng.expovariate(per_interval) * done.interval_ns)) < last_ns:
        while at < len(turned) and turned[at][0] <= time:
            inside[turned[at][1]] = turned[at][2]
            at += 1
        among = [one for one, state in inside.items() if state] or (list(inside) if opens else [])
        client = rng.randrange(5)
        if not among:
            done.refused.append(time)
            continue
        kept = last.get(client) in among and rng.random() < keeps
        last[client] = last[client] if kept else rng.choices(among, [weights[one] for one in among])[0]
        done.came.append((time, last[client], client))
