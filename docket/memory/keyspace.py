"""The keys: their values and expiry, the transactions that watch them and the blocked readers that wait for them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from .arguments import WRONG_TYPE
from .replies import ErrorReply
from .values import Hash, ListValue, Set, SortedSet, StreamValue, Value

__all__ = ["Keyspace", "Watcher"]

V = TypeVar("V", bytes, Hash, Set, ListValue, SortedSet, StreamValue)
Made = TypeVar("Made", Hash, Set, ListValue, SortedSet, StreamValue)


class Watcher(Protocol):
    """A session that WATCHes a key."""

    dirty: bool


class Keyspace:
    """``values`` may be read freely; every write goes through a method here or is followed by ``changed``.

    Keys that are due are removed before each command by ``expire_due``; during a command the time stands
    still, so no command meets an expired key.
    """

    __slots__ = ("_heap", "_waiting", "_watched", "expires", "now", "values")

    def __init__(self) -> None:
        self.now = 0  # milliseconds; frozen during a command, a script, an EXEC
        self.values: dict[bytes, Value] = {}
        self.expires: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []
        self._watched: dict[bytes, dict[Watcher, None]] = {}
        self._waiting: dict[bytes, dict[Callable[[], None], None]] = {}

    def get(self, key: bytes, kind: type[V]) -> V | None:
        """The value of ``key``, or None. Raises: WRONGTYPE - it is not a ``kind``."""
        value: Any = self.values.get(key)
        if value is None or type(value) is kind:
            return value
        raise ErrorReply(WRONG_TYPE)

    def ensure(self, key: bytes, kind: type[Made]) -> Made:
        """As ``get``, but makes an empty value if there is none; the caller fills it."""
        value: Any = self.values.get(key)
        if value is None:
            made = self.values[key] = kind()
            return made
        if type(value) is kind:
            return value
        raise ErrorReply(WRONG_TYPE)

    def put(self, key: bytes, value: Value, *, keep_ttl: bool = False) -> None:
        self.values[key] = value
        if self.expires and not keep_ttl:
            self.expires.pop(key, None)
        self.changed(key)

    def remove(self, key: bytes) -> bool:
        if self.values.pop(key, None) is None:
            return False
        self.expires.pop(key, None)
        self.changed(key)
        self.ready(key)
        return True

    def shrunk(self, key: bytes, value: Hash | Set | ListValue | SortedSet) -> None:
        """Note that members were removed; an aggregate that is empty then is no key any more."""
        if value:
            self.changed(key)
        else:
            self.remove(key)

    def changed(self, key: bytes) -> None:
        """Mark the transactions that WATCH the key as failed."""
        if self._watched:
            for watcher in list(self._watched.get(key, ())):
                watcher.dirty = True

    def ready(self, key: bytes) -> None:
        """Notify the blocked readers of the key that it may have something for them."""
        if self._waiting:
            for notify in list(self._waiting.get(key, ())):
                notify()

    def clear(self) -> None:
        for key in list(self.values):
            self.remove(key)
        self._heap.clear()

    # Expiry
    def expire_at(self, key: bytes, at: int) -> None:
        """Let an existing key expire at ``at`` (ms since the epoch); at once if that is past."""
        if at <= self.now:
            self.remove(key)
            return
        self.expires[key] = at
        if len(self._heap) > 2 * len(self.expires) + 64:  # mostly superseded: renewed leases, deleted keys
            self._heap = [(due, name) for name, due in self.expires.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (at, key))
        self.changed(key)

    def persist(self, key: bytes) -> bool:
        if self.expires.pop(key, None) is None:
            return False
        self.changed(key)
        return True

    def expire_due(self) -> None:
        heap = self._heap
        while heap and heap[0][0] <= self.now:
            at, key = heapq.heappop(heap)
            if self.expires.get(key) == at:
                self.remove(key)

    # Watching and waiting
    def watch(self, key: bytes, watcher: Watcher) -> None:
        self._watched.setdefault(key, {})[watcher] = None

    def unwatch(self, keys: Iterable[bytes], watcher: Watcher) -> None:
        for key in keys:
            watchers = self._watched.get(key, {})
            watchers.pop(watcher, None)
            if not watchers:
                self._watched.pop(key, None)

    def wait(self, keys: Iterable[bytes], notify: Callable[[], None]) -> None:
        for key in keys:
            self._waiting.setdefault(key, {})[notify] = None

    def unwait(self, keys: Iterable[bytes], notify: Callable[[], None]) -> None:
        for key in keys:
            waiting = self._waiting.get(key, {})
            waiting.pop(notify, None)
            if not waiting:
                self._waiting.pop(key, None)
