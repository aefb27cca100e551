"""The keys of a server, for Python that works on them in place of a script: no words, no replies to encode.

A *twin* is a function that does what one Lua script does. The server knows no script: whoever sends one sends its twin
along, and vouches that the two do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from .replies import Reply
from .stream_values import MAX_ID, Group, StreamValue, parse_id, print_id
from .values import Hash, Set, SortedSet

if TYPE_CHECKING:
    from .channels import Channels
    from .keyspace import Keyspace

__all__ = ["LEFT_TO_LUA", "Inside", "LeftToLua", "Script", "Twin"]

Kind = TypeVar("Kind", bytes, Hash, SortedSet, StreamValue)


class LeftToLua:
    """The type of ``LEFT_TO_LUA``."""

    __slots__ = ()


LEFT_TO_LUA = LeftToLua()
"""What a twin returns that has written nothing and lets its script run: this call is a rare one."""


class Inside:
    """What a twin may do. Each method is the effect of one command, which it names.

    Keys and arguments are bytes, values the server's own: a twin only reads them.
    Raises: ErrorReply - the key holds another type, as the command's reply says.
    """

    __slots__ = ("_channels", "_keys", "delete", "get", "publish")

    def __init__(self, keys: Keyspace, channels: Channels) -> None:
        self._keys, self._channels = keys, channels
        # The methods themselves: a twin calls them many times.
        self.get = keys.get
        """The value of a key, which must be of the given type; None if there is none."""
        self.delete = keys.remove
        """DEL of a key; whether it was there."""
        self.publish = channels.publish
        """PUBLISH; see `is_heard`."""

    # Keys
    def is_a(self, key: bytes, kind: type[Kind]) -> bool:
        """Whether a key may be used as a ``kind``: it is one, or is not there."""
        value = self._keys.values.get(key)
        return value is None or type(value) is kind

    def count(self, key: bytes, kind: type[Set | SortedSet | StreamValue]) -> int | None:
        """SCARD, ZCARD or XLEN; None where the key holds another type."""
        value = self._keys.values.get(key)
        if value is None:
            return 0
        return len(value) if type(value) is kind else None

    def set(self, key: bytes, value: bytes, milliseconds: int | None = None) -> None:
        """SET, with PX if there are milliseconds."""
        self._keys.put(key, value)
        if milliseconds is not None:
            self._keys.expire_at(key, self._keys.now + milliseconds)

    def expire(self, key: bytes, milliseconds: int) -> None:
        """PEXPIRE of a key that is there."""
        self._keys.expire_at(key, self._keys.now + milliseconds)

    # Hashes
    def set_fields(self, key: bytes, fields: Mapping[bytes, bytes], *, without: Sequence[bytes] = ()) -> None:
        """HSET, and HDEL of other fields."""
        value = self._keys.ensure(key, Hash)
        value.update(fields)
        for name in without:
            value.pop(name, None)
        self._keys.changed(key)

    # Sorted sets
    def put_member(self, key: bytes, member: bytes, score: float) -> None:
        """ZADD."""
        value = self._keys.ensure(key, SortedSet)
        if value.scores.get(member) != score:
            value.put(member, score)
            self._keys.changed(key)

    def first_member(self, key: bytes) -> bytes | None:
        """The first of ZRANGE 0 0."""
        value = self._keys.get(key, SortedSet)
        return value.order.first[1] if value is not None else None

    # Streams
    def add_entry(self, key: bytes, fields: list[bytes]) -> bytes:
        """XADD with the id ``*``, which it returns; the list belongs to the stream from now on."""
        keys = self._keys
        stream = keys.ensure(key, StreamValue)
        number = stream.next_id(keys.now)
        stream.add(number, fields)
        keys.changed(key)
        keys.ready(key)
        return print_id(number)

    def waiting(self, stream: StreamValue, group: Group, count: int) -> list[int]:
        """The numbers of the entries that XREADGROUP with COUNT would read next."""
        if stream.last <= group.last:
            return []
        return stream.span(group.last + 1, MAX_ID, count if count > 0 else None)

    def read(self, stream: StreamValue, group: Group, consumer: bytes, numbers: Collection[int]) -> None:
        """XREADGROUP of entries that are `waiting`."""
        stream.read(group, consumer, numbers, self._keys.now)

    def acknowledge(self, key: bytes, group: bytes, ids: Sequence[bytes]) -> None:
        """XACK and XDEL."""
        stream = self._keys.get(key, StreamValue)
        if stream is None:
            return
        numbers = [parse_id(text) for text in ids]
        if (reading := stream.groups.get(group)) is not None:
            for number in numbers:
                reading.forget(number)
        gone = 0
        for number in numbers:
            gone += stream.delete(number)
        if gone:
            self._keys.changed(key)

    def deliveries(self, key: bytes, group: bytes, entry_id: bytes, consumer: bytes) -> int | None:
        """XPENDING of one entry: how often it was delivered; None where it is not pending with this consumer."""
        stream = self._keys.get(key, StreamValue)
        if stream is None or (reading := stream.groups.get(group)) is None:
            return None
        pending = reading.pending.get(parse_id(entry_id))
        return pending.count if pending is not None and pending.consumer.name == consumer else None

    def renew(self, key: bytes, group: bytes, entry_id: bytes, consumer: bytes) -> None:
        """XCLAIM with JUSTID of an entry that is pending with this consumer."""
        stream = self._keys.get(key, StreamValue)
        if stream is None or (reading := stream.groups.get(group)) is None:
            return
        number, now = parse_id(entry_id), self._keys.now
        if number in stream.entries:
            reading.consumer(consumer, now)
            reading.pending[number].time = now
        else:
            reading.forget(number)

    def last_id(self, key: bytes) -> bytes:
        """The id of the last entry of a stream; empty where there is none, or no stream."""
        value = self._keys.values.get(key)
        return print_id(value.ids.last) if type(value) is StreamValue and value.entries else b""

    # Channels
    def is_heard(self, channel: bytes) -> bool:
        """Whether somebody listens to a channel: else a message needs not be made."""
        return self._channels.is_heard(channel)


Twin: TypeAlias = "Callable[[Inside, list[bytes], list[bytes]], Reply | LeftToLua]"
"""Called with the keys and arguments of a script. Returns bytes, numbers, None and lists of its own of these, as the
script would, or ``LEFT_TO_LUA``."""


class Script:
    """A script that is sent with its twin, if it has one."""

    __slots__ = ("text", "twin")

    def __init__(self, text: str, twin: Twin | None) -> None:
        self.text, self.twin = text, twin
