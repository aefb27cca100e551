"""A seed stands for one torment, and each torment has every kind of fault."""

from __future__ import annotations

from itertools import pairwise

from tests.chaos.plan import NETWORK, OPERATORS, SERVER, WORKERS, plan

TRACKS = (WORKERS, SERVER, NETWORK, OPERATORS)


def of(seed: int, seconds: float = 10) -> object:
    return plan(seed, seconds, TRACKS, workers=4, lease=2.0, calm=0.5)


def test_the_same_seed_is_the_same_torment() -> None:
    assert of(1) == of(1)
    assert of(1) != of(2)


def test_each_kind_comes_at_least_once_however_short_the_session() -> None:
    faults = plan(1, 0, TRACKS, workers=4, lease=2.0, calm=0.5)
    assert [sorted(fault.name for fault in track) for track in faults] == [sorted(kinds) for kinds in TRACKS]


def test_faults_of_a_track_follow_each_other_with_pauses() -> None:
    for track in plan(1, 60, TRACKS, workers=4, lease=2.0, calm=0.5):
        for one, following in pairwise(track):
            assert following.at >= one.at + one.seconds + 0.24
        assert track[-1].at + track[-1].seconds <= 60
