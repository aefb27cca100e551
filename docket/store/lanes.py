"""The lanes of a docket: the streams of levels, and from which of them a worker takes how much (lib/lanes.lua)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs

from ..notification import Notification
from ..rules import LEVELS, Priority
from ..values import define
from .keys import Keys
from .levels import NORMAL_LANE, TURNS, lane_of_entry, level_of_lane, stream_of_lane

__all__ = ["MOST_DRAWN", "Lanes"]

#: Which part of what starts a level gets at least, as long as levels before it have something.
SHARE = 1 / 20

#: How many starts a level may be owed: one that had nothing for an hour does not hold up the others for long.
MOST_OWED = 2.0

#: How far what takes turns may be ahead of the other tasks of its level, or behind them, in the halves that each has.
MOST_UNEVEN = 1.0

#: How many tasks a script draws at most, each by some ten commands.
MOST_DRAWN = 40

_NORMAL = Priority.NORMAL


@define(eq=False)
class Lanes:
    """From which lanes one worker takes, in their order, and what the later ones are owed.

    A worker ``serves`` all levels, or some. As long as no other lane is ``there`` it takes from the stream of normal
    tasks alone.
    """

    keys: Keys
    serves: Sequence[Priority] = LEVELS
    there: frozenset[str] = frozenset()
    """The lanes besides the stream of normal tasks that are there, as far as the worker knows."""
    news: Notification = attrs.field(factory=Notification)
    """Notified where there is something to be told."""
    _owed: dict[Priority, float] = attrs.field(init=False, factory=dict[Priority, float])
    """How many starts each later level is owed."""
    _uneven: dict[Priority, float] = attrs.field(init=False, factory=dict[Priority, float])
    """By how many starts those that take turns are behind the others of their level."""

    @property
    def names(self) -> list[str]:
        """Those from which to take now."""
        lanes = (level.value + kind for level in self.serves for kind in ("", TURNS))
        return [lane for lane in lanes if lane == NORMAL_LANE or lane in self.there]

    @property
    def most(self) -> float:
        """How many tasks may be asked for at a time."""
        return MOST_DRAWN if self.with_turns else math.inf

    @property
    def with_turns(self) -> tuple[str, ...]:
        """The levels of which some tasks take turns, or did."""
        return tuple(level.value for level in LEVELS if level.value + TURNS in self.there)

    @property
    def is_plain(self) -> bool:
        """Whether the worker takes from the stream of normal tasks, and from nothing else."""
        return not self.there and _NORMAL in self.serves

    @property
    def serves_all(self) -> bool:
        return len(self.serves) == len(LEVELS)

    @property
    def told(self) -> str:
        """What the worker says of the levels that it serves; nothing as long as it serves all, and has no lanes."""
        return "" if self.serves_all and not self.there else ",".join(level.value for level in self.serves)

    @property
    def to_make(self) -> list[str]:
        """The levels whose lanes are made if they are not there: one that serves some has to wait for something."""
        return [] if self.serves_all else [level.value for level in self.serves if level is not _NORMAL]

    def know(self, there: Iterable[str]) -> None:
        """These lanes are there."""
        told, self.there = self.told, frozenset(there)
        if told != self.told:
            self.news.notify()
        levels = list(dict.fromkeys(level_of_lane(lane) for lane in self.names))
        self._owed = {level: self._owed.get(level, 0.0) for level in levels}
        self._uneven = {level: self._uneven.get(level, 0.0) for level in levels}

    def streams(self) -> list[str]:
        """The streams from which to take now, in their order."""
        return [stream_of_lane(self.keys, lane) for lane in self.names]

    def to_read(self, count: int) -> int | str:
        """What take.lua is to read, at most ``count`` tasks."""
        if self.is_plain:
            return count
        levels = " ".join(
            f"{level.value}:{int(owed)}:{self._half_of_turns(level)}" for level, owed in self._owed.items()
        )
        return f"{count} {levels}"

    def _half_of_turns(self, level: Priority) -> str:
        """What is taken of the turns of a level before its other tasks, as lib/read_lanes.lua has it."""
        names = self.names
        if level.value + TURNS not in names:
            return "-"
        return f"{self._uneven[level]:g}" if level.value in names else "+"

    def started(self, message_ids: Sequence[bytes]) -> None:
        """Count what begins: each later level earns a part of it, and has had its own; so does each half of one."""
        if self.is_plain or not message_ids:
            return
        lanes = [lane_of_entry(message_id) for message_id in message_ids]
        for level, owed in self._owed.items():
            others, in_turns = lanes.count(level.value), lanes.count(level.value + TURNS)
            earned = 0.0 if level is self.serves[0] else SHARE * len(lanes)
            self._owed[level] = min(max(owed + earned - others - in_turns, 0.0), MOST_OWED)
            before = self._uneven[level]
            least = min(before, -MOST_UNEVEN)
            self._uneven[level] = min(max(before + (others - in_turns) / 2, least), MOST_UNEVEN)

    def lined_up(self, message_id: bytes) -> None:
        """One that has started was put in its row instead: ten such come before one that has had its turn.

        If they counted as what begins, each of those that somebody has added by name would begin before the next one
        of them is looked at, so that their rows never had more than one.
        """
        level = level_of_lane(lane_of_entry(message_id))
        if level in self._uneven:
            self._uneven[level] = max(self._uneven[level] - 1 / 2 + SHARE, -MOST_DRAWN / 2)
