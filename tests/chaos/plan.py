"""The faults of a chaos session, all drawn in advance from a seed: the same seed, the same torment."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import attrs

__all__ = ["FAILOVERS", "NETWORK", "OPERATORS", "SERVER", "WORKERS", "Fault", "plan"]

#: Faults of each kind: name, shortest and longest duration in leases (0: it is a moment).
Kinds = dict[str, tuple[float, float]]

WORKERS: Kinds = {
    "kill worker": (0, 0),
    "kill two workers": (0, 0),
    "terminate worker": (0, 0),
    "terminate worker twice": (0, 0),
    "stop worker briefly": (0.1, 0.6),
    "stop worker": (1.1, 2.0),
}
"""What happens to worker processes."""

SERVER: Kinds = {
    "kill redis": (0.05, 0.3),
    "kill redis for long": (1.0, 1.5),
    "end redis": (0.05, 0.3),
    "stop redis": (0.1, 0.9),
    "kill clients": (0, 0),
    "kill subscribers": (0, 0),
    "pause clients": (0.1, 0.6),
    "pause writes": (0.1, 0.6),
    "refuse writes": (0.1, 0.5),
    "out of memory": (0.1, 0.5),
    "forget scripts": (0, 0),
}
"""What happens to a single server with an append-only file."""

NETWORK: Kinds = {
    "delay": (0.5, 1.0),
    "hang": (0.3, 1.7),
    "hang up": (0.3, 1.7),
    "hang down": (0.3, 1.7),
    "hang and cut": (0.3, 1.7),
    "cut": (0, 0),
    "cut up": (0, 0),
    "cut down": (0, 0),
    "refuse": (0.2, 1.0),
}
"""What happens between a process, or all of them, and the server. ``up`` is towards the server, ``down`` from it."""

OPERATORS: Kinds = {
    "pause a task": (0.2, 1.5),
    "pause all tasks": (0.1, 0.7),
    "die in a resume": (0.2, 1.0),
}
"""What an operator does, who works through every other fault."""

FAILOVERS: Kinds = {
    "kill master": (0, 0),
    "freeze master": (0.8, 1.2),
    "hand over": (0, 0),
    "kill clients": (0, 0),
}
"""What happens to a master, a replica and their sentinels."""


@attrs.frozen
class Fault:
    """One fault: ``at`` so many seconds after the torment began, for ``seconds``. ``target`` is a worker's slot, or
    for the network one more: that of the producers, or all."""

    at: float
    name: str
    target: int
    seconds: float


def plan(
    seed: int,
    seconds: float,
    tracks: Sequence[Kinds],
    *,
    workers: int,
    lease: float,
    calm: float,
) -> list[list[Fault]]:
    """For each track its faults, one after the other, within ``seconds``: rounds that have each kind once, shuffled.

    ``calm`` is the mean pause between two faults of a track. The first round is never cut off, so that each kind
    comes at least once: a session takes as long as that needs.
    """
    return [
        list(_faults(random.Random(f"{seed}-{at}"), seconds, kinds, workers, lease, calm))
        for at, kinds in enumerate(tracks)
    ]


def _faults(
    chance: random.Random, seconds: float, kinds: Kinds, workers: int, lease: float, calm: float
) -> Iterator[Fault]:
    now, first = 0.0, True
    while first or now < seconds:
        names = list(kinds)
        chance.shuffle(names)
        for name in names:
            now += calm * chance.uniform(0.5, 1.5)
            target, lasts = chance.randrange(workers + 2), lease * chance.uniform(*kinds[name])
            if not first and now + lasts > seconds:
                return
            yield Fault(round(now, 3), name, target, round(lasts, 3))
            now += lasts
        first = False
