"""The keys of a server, for Python that works on them in place of a script: no words, no replies to encode.

A *twin* is a function that does what one Lua script does. The server knows no script: whoever sends one sends its twin
along, and vouches that the two do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from .replies import Reply
from .stream_values import MAX_ID, Group, StreamValue, parse_id, print_id
from .values import Hash, SortedSet

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

    def set(self, key: bytes, value: bytes, milliseconds: int | None = None) -> None:
        """SET, with PX if there are milliseconds."""
        self._keys.put(key, value)
        if milliseconds is not None:
            self._keys.expire_at(key, self._keys.now + milliseconds)

    def expire(self, key: bytes, milliseconds: int) -> None:
        """PEXPIRE of a key that is there."""
        self._keys.expire_at(key, self._keys.now + milliseconds)

    # Hashes
    def set_fields(self, key: bytes, fields: Mapping[bytes, bytes]) -> int:
        """HSET; returns how many fields are new."""
        value = self._keys.ensure(key, Hash)
        before = len(value)
        value.update(fields)
        self._keys.changed(key)
        return len(value) - before

    def drop_fields(self, key: bytes, *names: bytes) -> None:
        """HDEL."""
        value = self._keys.get(key, Hash)
        if value is None:
            return
        before = len(value)
        for name in names:
            value.pop(name, None)
        if len(value) != before:
            self._keys.shrunk(key, value)

    # Sorted sets
    def put_member(self, key: bytes, member: bytes, score: float) -> None:
        """ZADD."""
        self._keys.ensure(key, SortedSet).put(member, score)
        self._keys.changed(key)
        self._keys.ready(key)

    # Streams
    def add_entry(self, key: bytes, fields: list[bytes]) -> bytes:
        """XADD with the id ``*``, which it returns; the list belongs to the stream from now on."""
        keys = self._keys
        stream = keys.get(key, StreamValue) or StreamValue()
        number = stream.next_id(keys.now)
        stream.add(number, fields)
        keys.values[key] = stream
        keys.changed(key)
        keys.ready(key)
        return print_id(number)

    def waiting(self, stream: StreamValue, group: Group, count: int) -> list[int]:
        """The numbers of the entries that XREADGROUP would read next."""
        return stream.span(group.last + 1, MAX_ID, count) if stream.last > group.last else []

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

    # Channels
    def is_heard(self, channel: bytes) -> bool:
        """Whether somebody may listen to a channel: else a message needs not be made."""
        return channel in self._channels.by_name or bool(self._channels.by_pattern)


Twin: TypeAlias = "Callable[[Inside, list[bytes], list[bytes]], Reply | LeftToLua]"
"""Called with the keys and arguments of a script. Returns what the script would, or ``LEFT_TO_LUA``."""


class Script:
    """A script that is sent with its twin, if it has one."""

    __slots__ = ("text", "twin")

    def __init__(self, text: str, twin: Twin | None) -> None:
        self.text, self.twin = text, twin
