"""A stream with its consumer groups: the values, and the counting behind XINFO's ``entries-read`` and
``lag``.

An entry's id is one integer here, ``milliseconds << 64 | sequence``: it sorts, and its neighbours are one
away.
"""

from __future__ import annotations

from collections.abc import Collection

from .ordered import Sorted
from .replies import ErrorReply, Reply

__all__ = [
    "INVALID_ID",
    "MAX_ID",
    "NO_ID_IS_LEFT",
    "Consumer",
    "Group",
    "PendingEntry",
    "StreamValue",
    "bound_id",
    "parse_id",
    "print_id",
]

MAX_ID = 2**128 - 1
SEQUENCE = 2**64 - 1
NO_ID_IS_LEFT = b"ERR The stream has exhausted the last possible ID, unable to add more items"
INVALID_ID = b"ERR Invalid stream ID specified as stream command argument"


def parse_id(text: bytes, sequence: int = 0) -> int:
    """``ms-seq``, or ``ms`` alone with ``sequence`` in place of the missing half."""
    milliseconds, dash, rest = text.partition(b"-")
    if not milliseconds.isdigit() or (dash and not rest.isdigit()):
        raise ErrorReply(INVALID_ID)
    high, low = int(milliseconds), int(rest) if dash else sequence
    if high > SEQUENCE or low > SEQUENCE:
        raise ErrorReply(INVALID_ID)
    return high << 64 | low


def print_id(number: int) -> bytes:
    return b"%d-%d" % (number >> 64, number & SEQUENCE)


def bound_id(text: bytes, *, upper: bool) -> int:
    """A bound of a range: ``-``, ``+``, an id, an incomplete id, or ``(id`` to leave the id itself out."""
    if text == b"-":
        return 0
    if text == b"+":
        return MAX_ID
    exclusive = text[:1] == b"("
    if not exclusive:
        return parse_id(text, SEQUENCE if upper else 0)
    number = parse_id(text[1:], SEQUENCE if upper else 0)
    if number == (0 if upper else MAX_ID):
        raise ErrorReply(b"ERR invalid %b ID for the interval" % (b"end" if upper else b"start"))
    return number - 1 if upper else number + 1


class Consumer:
    """One reader of a group."""

    __slots__ = ("name", "pending", "seen")

    def __init__(self, name: bytes, now: int) -> None:
        self.name, self.seen, self.pending = name, now, 0


class PendingEntry:
    """An entry that was delivered and is not acknowledged yet."""

    __slots__ = ("consumer", "count", "time")

    def __init__(self, consumer: Consumer, time: int, count: int) -> None:
        self.consumer, self.time, self.count = consumer, time, count


class Group:
    """A consumer group: where it has read to, and what is pending."""

    __slots__ = ("consumers", "entries_read", "last", "pending", "pending_ids")

    def __init__(self, last: int, entries_read: int | None) -> None:
        self.last, self.entries_read = last, entries_read
        self.consumers: dict[bytes, Consumer] = {}
        self.pending: dict[int, PendingEntry] = {}
        self.pending_ids: Sorted[int] = Sorted()

    def consumer(self, name: bytes, now: int) -> Consumer:
        """The consumer of that name, made if need be, seen now."""
        found = self.consumers.get(name)
        if found is None:
            found = self.consumers[name] = Consumer(name, now)
        found.seen = now
        return found

    def deliver(self, number: int, consumer: Consumer, now: int) -> PendingEntry:
        """Record a first delivery; an entry that is pending already (after XGROUP SETID) changes its consumer."""
        old = self.pending.get(number)
        if old is None:
            self.pending_ids.add(number)
        else:
            old.consumer.pending -= 1
        consumer.pending += 1
        fresh = self.pending[number] = PendingEntry(consumer, now, 1)
        return fresh

    def forget(self, number: int) -> bool:
        """Acknowledge an entry; whether it was pending."""
        old = self.pending.pop(number, None)
        if old is None:
            return False
        old.consumer.pending -= 1
        self.pending_ids.remove(number)
        return True


class StreamValue:
    """Entries by id, and the groups that read them."""

    __slots__ = ("added", "entries", "groups", "ids", "last", "max_deleted")

    def __init__(self) -> None:
        self.ids: Sorted[int] = Sorted()
        self.entries: dict[int, list[bytes]] = {}
        self.last = self.max_deleted = 0
        self.added = 0
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return len(self.entries)

    def add(self, number: int, fields: list[bytes]) -> None:
        self.ids.add(number)
        self.entries[number] = fields
        self.last = number
        self.added += 1

    def next_id(self, now: int) -> int:
        """The id ``*`` of a new entry at ``now`` (ms)."""
        if self.last == MAX_ID:
            raise ErrorReply(NO_ID_IS_LEFT)
        number = now << 64
        return number if number > self.last else self.last + 1

    def delete(self, number: int) -> bool:
        """XDEL of one id: leaves a tombstone."""
        if not self.discard(number):
            return False
        self.max_deleted = max(self.max_deleted, number)
        return True

    def discard(self, number: int) -> bool:
        """Remove without a tombstone, as trimming does."""
        if self.entries.pop(number, None) is None:
            return False
        self.ids.remove(number)
        return True

    def span(self, low: int, high: int, count: int | None, *, reverse: bool = False) -> list[int]:
        """Up to ``count`` ids from ``low`` to ``high``, both included."""
        if low > high or not self.entries:
            return []
        walk = self.ids.downward(high, low) if reverse else self.ids.upward(low, high)
        if count is None:
            return list(walk)
        found: list[int] = []
        for number in walk:
            found.append(number)
            if len(found) >= count:
                break
        return found

    def record(self, number: int) -> Reply:
        return [print_id(number), self.entries[number]]

    def records(self, numbers: list[int]) -> list[Reply]:
        entries = self.entries
        return [[print_id(number), entries[number]] for number in numbers]

    # The counters follow the server's own estimate: a group's logical read counter is valid as long as no tombstone
    # lies ahead of it; otherwise it is known only at the edges of the stream.
    def _tombstone_from(self, number: int) -> bool:
        return bool(self.entries) and number <= self.max_deleted and self.ids.first <= self.max_deleted

    def distance(self, number: int) -> int | None:
        """How many entries were ever added up to ``number``; None if unknown."""
        if not self.added:
            return 0
        if not self.entries and number <= self.last:
            return self.added
        if number >= self.last:
            return self.added if number == self.last else None
        first = self.ids.first
        if self.max_deleted < first:
            if number < first:
                return self.added - len(self.entries)
            if number == first:
                return self.added - len(self.entries) + 1
        return None

    def advance(self, group: Group, number: int) -> None:
        """Move the group on to ``number``, the entry that was delivered after its last one."""
        if group.entries_read is not None and not self._tombstone_from(number):
            group.entries_read += 1
        elif self.added:
            group.entries_read = self.distance(number)
        group.last = number

    def read(
        self, group: Group, consumer: bytes, numbers: Collection[int], now: int, *, noack: bool = False
    ) -> None:
        """Deliver entries that are new to the group; the consumer is made when it gets one."""
        reader = group.consumer(consumer, now)
        for number in numbers:
            self.advance(group, number)
            if not noack:
                group.deliver(number, reader, now)

    def lag(self, group: Group) -> int | None:
        """How many entries the group has still to read; None if unknown."""
        if not self.added:
            return 0
        if group.entries_read is not None and not self._tombstone_from(group.last):
            return self.added - group.entries_read
        read = self.distance(group.last)
        return None if read is None else self.added - read
