"""The lanes of a docket: the streams of levels, and from which of them a worker takes how much (lib/lanes.lua)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from ..notification import Notification
from ..rules import LEVELS, Priority
from ..values import define
from .keys import Keys
from .levels import lane_of, level_of_entry

__all__ = ["Lanes"]

#: Which part of what starts a level gets at least, as long as levels before it have something.
SHARE = 1 / 20

#: How many starts a level may be owed: one that had nothing for an hour does not hold up the others for long.
MOST_OWED = 2.0

_NORMAL = Priority.NORMAL


@define(eq=False)
class Lanes:
    """From which lanes one worker takes, in their order, and what the later ones are owed.

    A worker ``serves`` all levels, or some. As long as no other lane is ``there`` it takes from the stream of normal
    tasks alone.
    """

    keys: Keys
    serves: Sequence[Priority] = LEVELS
    there: frozenset[Priority] = frozenset()
    """The levels besides normal whose lanes are there, as far as the worker knows."""
    news: Notification = attrs.field(factory=Notification)
    """Notified where there is something to be told."""
    _owed: dict[Priority, float] = attrs.field(init=False, factory=dict[Priority, float])

    @property
    def levels(self) -> list[Priority]:
        """Those from which to take now."""
        return [level for level in self.serves if level is _NORMAL or level in self.there]

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

    def know(self, there: Iterable[Priority]) -> None:
        """These lanes are there."""
        told, self.there = self.told, frozenset(there)
        if told != self.told:
            self.news.notify()
        self._owed = {level: self._owed.get(level, 0.0) for level in self.levels[1:]}

    def streams(self) -> list[str]:
        """The streams from which to take now, in their order."""
        return [lane_of(self.keys, level) for level in self.levels]

    def to_read(self, count: int) -> int | str:
        """What take.lua is to read, at most ``count`` tasks."""
        if self.is_plain:
            return count
        owed = " ".join(f"{level.value}:{int(self._owed.get(level, 0.0))}" for level in self.levels)
        return f"{count} {owed}"

    def started(self, message_ids: Sequence[bytes]) -> None:
        """Count what begins: each later level earns a part of it, and has had what is its own."""
        if not self._owed or not message_ids:
            return
        levels = [level_of_entry(message_id) for message_id in message_ids]
        for level, owed in self._owed.items():
            earned = owed + SHARE * len(levels) - levels.count(level)
            self._owed[level] = min(max(earned, 0.0), MOST_OWED)
