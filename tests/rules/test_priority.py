"""Levels as they are given."""

from __future__ import annotations

from typing import Any

import pytest

from docket import Docket, Priority, Worker
from docket.errors import BadSetting
from docket.rules import LEVELS, check_lanes, check_priority

HIGH, NORMAL, LOW = Priority


def test_the_levels_are_in_the_order_in_which_they_are_served() -> None:
    assert [level.value for level in LEVELS] == ["high", "normal", "low"]


@pytest.mark.parametrize("level", list(Priority))
def test_a_level_is_given_by_its_name_too(level: Priority) -> None:
    assert check_priority(level) is check_priority(level.value) is level


@pytest.mark.parametrize(
    ("given", "served"),
    [
        (("high", "normal"), (HIGH, NORMAL)),
        (["low", Priority.HIGH], (HIGH, LOW)),
        ({NORMAL}, (NORMAL,)),
        (iter(Priority), LEVELS),
    ],
    ids=["names", "mixed", "set", "iterator"],
)
def test_lanes_are_served_in_the_order_of_their_levels(given: Any, served: tuple[Priority, ...]) -> None:
    assert check_lanes(given) == served
    if not hasattr(given, "__next__"):
        assert Worker(Docket(url="memory://lanes"), lanes=given).lanes == served


def test_a_worker_serves_all_levels_unless_it_is_told_otherwise() -> None:
    assert Worker(Docket(url="memory://lanes")).lanes == LEVELS


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ((), "lanes is empty: a worker serves one level at least; leave it out for all of them"),
        (("high", "urgent"), "each of lanes takes 'high', 'normal' or 'low', not 'urgent'"),
        (("low", "high", Priority.LOW), "lanes has the level 'low' more than once"),
        ("high", r"lanes takes several levels, like \['high', 'normal'\], not 'high'"),
        (Priority.HIGH, r"lanes takes several levels, like \['high', 'normal'\], not "),
        (7, r"lanes takes several levels, like \['high', 'normal'\], not 7"),
    ],
    ids=["none", "unknown", "twice", "name", "level", "number"],
)
def test_lanes_that_are_none_are_refused(given: Any, complaint: str) -> None:
    with pytest.raises(BadSetting, match=f"^{complaint}"):
        Worker(Docket(url="memory://lanes"), lanes=given)
