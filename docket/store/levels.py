"""What messages, and the ids of entries, say of levels.

A message of another level than normal says so in a field. What is due of it has a stream of its own, a *lane*, beside
that of the docket; and the ids of its entries say that they are of this lane. What has been drawn in its turn
(lib/turns.lua) has a lane beside that of its level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..rules import LEVELS, Priority
from .codec import LANE
from .keys import Keys

__all__ = [
    "LANES",
    "NORMAL_LANE",
    "TURNS",
    "any_leveled",
    "by_level",
    "lane_of_entry",
    "level_of",
    "level_of_entry",
    "level_of_lane",
    "stream_of_lane",
    "stream_with",
    "with_level",
]

_NORMAL = Priority.NORMAL
_BY_FIELD = {level.value.encode(): level for level in LEVELS if level is not _NORMAL}

#: The first digit of the number of an entry, where that has 15: no server gives one that long. The moment before it has
#: thirteen, from 2001 on (lib/stream_of.lua).
_BY_DIGIT = {"1": "high", "2": "low", "3": "high-turns", "4": "normal-turns", "5": "low-turns"}
_DIGITS = 15
_SHORTEST = 25

TURNS = "-turns"
NORMAL_LANE = _NORMAL.value

#: The names of all lanes, and of the stream among them, in the order of their levels.
LANES = tuple(level.value + kind for level in LEVELS for kind in ("", TURNS))


def level_of(extra: Mapping[bytes, bytes]) -> Priority:
    """The level of a message, by its further fields; one that is none of ours counts as normal."""
    return _BY_FIELD.get(extra.get(LANE, b""), _NORMAL)


def with_level(extra: Mapping[bytes, bytes], level: Priority) -> Mapping[bytes, bytes]:
    """The further fields of a message of this level."""
    if level is not _NORMAL:
        return {**extra, LANE: level.value.encode()}
    return {name: each for name, each in extra.items() if name != LANE} if LANE in extra else extra


def lane_of_entry(entry: bytes | str) -> str:
    """The lane that an entry is on, by its id."""
    text = entry.decode(errors="replace") if isinstance(entry, bytes) else entry
    number = text.partition("-")[2]
    is_lane = len(number) == _DIGITS and len(text) >= _SHORTEST
    return _BY_DIGIT.get(number[0], NORMAL_LANE) if is_lane else NORMAL_LANE


def level_of_lane(lane: str) -> Priority:
    """The level whose tasks a lane has."""
    return Priority(lane.removesuffix(TURNS))


def level_of_entry(entry: bytes | str) -> Priority:
    """The level of the lane that an entry is on, by its id."""
    return level_of_lane(lane_of_entry(entry))


def stream_of_lane(keys: Keys, lane: str) -> str:
    """The stream of a lane."""
    return keys.stream if lane == NORMAL_LANE else keys.lane(lane)


def stream_with(keys: Keys, entry: bytes | str) -> str:
    """The stream that an entry is on."""
    return stream_of_lane(keys, lane_of_entry(entry))


def by_level(counts: Iterable[tuple[str, int]]) -> dict[Priority, int]:
    """How many there are of each level, by how many are in each lane."""
    found = dict.fromkeys(LEVELS, 0)
    for lane, count in counts:
        found[level_of_lane(lane)] += count
    return found


def any_leveled(depths: Mapping[Priority, int]) -> bool:
    """Whether there is anything of another level than normal."""
    return any(depth for level, depth in depths.items() if level is not _NORMAL)
