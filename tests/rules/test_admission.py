"""How limits travel to the scripts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.numbers import LARGEST_FIELD
from docket.rules import SlotRule, pack

SECOND = timedelta(seconds=1)


def test_no_limits_are_an_empty_text() -> None:
    assert pack([], SECOND) == ""


def test_each_limit_is_its_number_and_its_name_with_the_length_in_bytes() -> None:
    assert pack([SlotRule("a", 2), SlotRule("ü: b", 3)], SECOND) == "1000 2:1:a3:5:ü: b"


def test_a_limit_higher_than_scripts_can_count_is_the_highest_that_they_can() -> None:
    assert pack([SlotRule("a", 10**30)], SECOND) == f"1000 {LARGEST_FIELD}:1:a"


@pytest.mark.parametrize(("microseconds", "ms"), [(1, 1), (1000, 1), (1600, 2)])
def test_a_lease_is_whole_milliseconds_and_at_least_one(microseconds: int, ms: int) -> None:
    assert pack([SlotRule("a", 1)], timedelta(microseconds=microseconds)) == f"{ms} 1:1:a"
