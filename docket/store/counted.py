"""What a minute or an hour saw of a task: numbers in a string, to which BITFIELD adds.

A block is a string of one slot for each minute of an hour, or for each hour of a day. A slot has, big-endian, four
numbers of runs (u32: completed, failed, retried, cancelled), the sums of how long they ran and how late they began
(u63, in µs), and how many ran up to each of `BOUNDS`, and longer (u32).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

import attrs

from ..transport import Argument
from ..values import define, frozen

__all__ = [
    "ALL_TASKS",
    "BOUNDS",
    "KINDS_OF_SLOTS",
    "STATES",
    "Depth",
    "EndState",
    "RunCounts",
    "Slots",
    "ended_in",
]

ALL_TASKS = "*"
"""The name under which all tasks are counted together."""

EndState: TypeAlias = Literal["completed", "failed", "retried", "cancelled"]
STATES: tuple[EndState, EndState, EndState, EndState] = "completed", "failed", "retried", "cancelled"
"""How a run may end, in the order of the slot."""
BOUNDS = tuple(0.001 * 4**power for power in range(11))
"""Seconds: the longest run that each part of the histogram counts."""

_SLOT = struct.Struct(">4I2Q12I")
_WORDS = (
    *(("u32", bit) for bit in range(0, 128, 32)), ("u63", 129), ("u63", 193),
    *(("u32", bit) for bit in range(256, 256 + 12 * 32, 32)),
)  # fmt: skip

#: As much as the server counts at once, and more than all runs of an hour can be late.
_MOST = 2**62

#: Of a slot the numbers of runs alone.
_ENDED = struct.Struct(">4I52x")

_DEPTH = struct.Struct(">4I")


@frozen
class Slots:
    """Blocks of one kind: each of ``count`` slots of ``seconds``."""

    kind: str
    seconds: int
    count: int

    def place(self, at: float) -> tuple[int, int]:
        """The block of a moment (epoch seconds), and its slot there."""
        return divmod(int(at) // self.seconds, self.count)

    def since(self, since: float, until: float) -> Iterator[tuple[float, int, int]]:
        """Each slot between two moments: when it begins, its block, and its number there."""
        for number in range(int(since) // self.seconds, int(until) // self.seconds + 1):
            yield (number * self.seconds, *divmod(number, self.count))


def ended_in(block: bytes, slots: Sequence[int]) -> int:
    """How many runs ended in some slots of a block, in whichever state."""
    whole = block.ljust((slots[-1] + 1) * _SLOT.size, b"\0")
    return sum(sum(_ENDED.unpack_from(whole, slot * _SLOT.size)) for slot in slots)


KINDS_OF_SLOTS = {"minute": Slots("minutes", 60, 60), "hour": Slots("hours", 3600, 24)}


@define(eq=False)
class RunCounts:
    """How many runs ended in which state, how long they ran and how late they began in all (seconds)."""

    states: list[int] = attrs.field(factory=lambda: [0] * 4)
    ran: float = 0.0
    late: float = 0.0
    parts: list[int] = attrs.field(factory=lambda: [0] * 12)
    """How many ran up to each of `BOUNDS`, and not up to the one before; the last one is longer than all."""

    def add(self, other: RunCounts) -> None:
        """Count what the other has, too."""
        self.states = [one + more for one, more in zip(self.states, other.states, strict=True)]
        self.parts = [one + more for one, more in zip(self.parts, other.parts, strict=True)]
        self.ran += other.ran
        self.late += other.late

    def words(self, slot: int) -> list[Argument]:
        """What BITFIELD adds to a slot of a block."""
        first, said = slot * _SLOT.size * 8, list[Argument]()
        numbers = (*self.states, round(self.ran * 1e6), round(self.late * 1e6), *self.parts)
        for (kind, bit), number in zip(_WORDS, numbers, strict=True):
            if number > 0:
                said += "INCRBY", kind, first + bit, min(number, _MOST)
        return said

    @classmethod
    def read(cls, block: bytes, slot: int) -> RunCounts:
        """What a slot has; nothing where the block ends before it."""
        part = block[slot * _SLOT.size : (slot + 1) * _SLOT.size].ljust(_SLOT.size, b"\0")
        numbers = _SLOT.unpack(part)
        return cls([*numbers[:4]], numbers[4] / 1e6, numbers[5] / 1e6, [*numbers[6:]])


@frozen(kw_only=True)
class Depth:
    """How many tasks were due, were scheduled for later, and ran: once in the minute ``at``.

    Those that wait for their turn are due: all of 1,000 values of each level, and one of each other. Those that wait
    for a concurrency limit, or for a task that is paused, are not counted.
    """

    at: datetime
    due: int
    later: int
    running: int

    @classmethod
    def read(cls, at: float, block: bytes, slot: int) -> Depth | None:
        """What was noted in the minute that is this slot of a block; None for nothing."""
        part = block[slot * _DEPTH.size : (slot + 1) * _DEPTH.size].ljust(_DEPTH.size, b"\0")
        noted, due, later, running = _DEPTH.unpack(part)
        if not noted:
            return None
        began = datetime.fromtimestamp(0, UTC) + timedelta(seconds=at)
        return cls(at=began, due=due, later=later, running=running)
