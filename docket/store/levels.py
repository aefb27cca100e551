"""What messages, and the ids of entries, say of levels.

A message of another level than normal says so in a field. What is due of it has a stream of its own, a *lane*, beside
that of the docket; and the ids of its entries say that they are of this lane.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..rules import LEVELS, Priority
from .codec import LANE
from .keys import Keys

__all__ = ["any_leveled", "lane_of", "level_of", "level_of_entry", "with_level"]

_NORMAL = Priority.NORMAL
_BY_FIELD = {level.value.encode(): level for level in LEVELS if level is not _NORMAL}

#: The first digit of the number of an entry, where that has 15: no server gives one that long.
_BY_DIGIT = {"1": Priority.HIGH, "2": Priority.LOW}
_DIGITS = 15


def level_of(extra: Mapping[bytes, bytes]) -> Priority:
    """The level of a message, by its further fields; one that is none of ours counts as normal."""
    return _BY_FIELD.get(extra.get(LANE, b""), _NORMAL)


def with_level(extra: Mapping[bytes, bytes], level: Priority) -> Mapping[bytes, bytes]:
    """The further fields of a message of this level."""
    if level is not _NORMAL:
        return {**extra, LANE: level.value.encode()}
    return {name: each for name, each in extra.items() if name != LANE} if LANE in extra else extra


def level_of_entry(entry: bytes | str) -> Priority:
    """The level of the lane that an entry is on, by its id."""
    text = entry.decode(errors="replace") if isinstance(entry, bytes) else entry
    number = text.partition("-")[2]
    return _BY_DIGIT.get(number[0], _NORMAL) if len(number) == _DIGITS else _NORMAL


def lane_of(keys: Keys, level: Any) -> str:
    """The stream of what is due of a level."""
    return keys.stream if level is _NORMAL else keys.lane(level.value)


def any_leveled(depths: Mapping[Priority, int]) -> bool:
    """Whether there is anything of another level than normal."""
    return any(depth for level, depth in depths.items() if level is not _NORMAL)
