"""Subscriptions by channel and by pattern."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from re import split

from .arguments import glob
from .replies import encode
from .session import Session

__all__ = ["Channels"]


class Channels:
    """The subscribers of every channel and pattern; without subscribers neither exists.

    A forgotten connection unsubscribes wherever Python collects garbage, also in the midst of a loop over these.
    """

    __slots__ = ("_beginnings", "by_name", "by_pattern")

    def __init__(self) -> None:
        self.by_name: dict[bytes, dict[Session, None]] = {}
        self.by_pattern: dict[bytes, dict[Session, None]] = {}
        #: Each channel that a pattern matches begins with one of these, also of patterns that are gone. Most channels
        #: do not: one call tells, whatever there is.
        self._beginnings: tuple[bytes, ...] = ()

    def publish(self, channel: bytes, message: bytes) -> int:
        """Write the message to all subscribers; return how often."""
        count = 0
        subscribers = self.by_name.get(channel)
        if subscribers:
            encoded = encode([b"message", channel, message])
            for session in list(subscribers):
                session.write(encoded)
                count += 1
        for pattern, matching in (
            list(self.by_pattern.items()) if channel.startswith(self._beginnings) else ()
        ):
            if _matches(pattern, channel):
                encoded = encode([b"pmessage", pattern, channel, message])
                for session in list(matching):
                    session.write(encoded)
                    count += 1
        return count

    def is_heard(self, channel: bytes) -> bool:
        """Whether ``publish`` would write a message to anybody."""
        if channel in self.by_name:
            return True
        if not channel.startswith(self._beginnings):
            return False
        return any(_matches(pattern, channel) for pattern in list(self.by_pattern))

    def subscribe(self, session: Session, names: Iterable[bytes]) -> None:
        for name in names:
            session.channels[name] = None
            self.by_name.setdefault(name, {})[session] = None
            session.write(encode([b"subscribe", name, session.subscriptions]))

    def psubscribe(self, session: Session, patterns: Iterable[bytes]) -> None:
        for pattern in patterns:
            session.patterns[pattern] = None
            self.by_pattern.setdefault(pattern, {})[session] = None
            self._beginnings = tuple({*map(_beginning, self.by_pattern)})
            session.write(encode([b"psubscribe", pattern, session.subscriptions]))

    def unsubscribe(self, session: Session, names: list[bytes]) -> None:
        """Without names: from all. Each is confirmed, also one without a subscription."""
        for name in names or list(session.channels) or [None]:
            if name is not None:
                _drop(self.by_name, session.channels, name, session)
            session.write(encode([b"unsubscribe", name, session.subscriptions]))

    def punsubscribe(self, session: Session, patterns: list[bytes]) -> None:
        for pattern in patterns or list(session.patterns) or [None]:
            if pattern is not None:
                _drop(self.by_pattern, session.patterns, pattern, session)
            session.write(encode([b"punsubscribe", pattern, session.subscriptions]))

    def forget(self, session: Session) -> None:
        """Drop all subscriptions of a connection that has ended or was reset; writes nothing."""
        for name in list(session.channels):
            _drop(self.by_name, session.channels, name, session)
        for pattern in list(session.patterns):
            _drop(self.by_pattern, session.patterns, pattern, session)


def _matches(pattern: bytes, channel: bytes) -> bool:
    return glob(pattern).fullmatch(channel) is not None


@lru_cache(512)
def _beginning(pattern: bytes) -> bytes:
    """What each channel that matches a pattern begins with."""
    return split(rb"[*?\[\\]", pattern, maxsplit=1)[0]


def _drop(
    table: dict[bytes, dict[Session, None]], mine: dict[bytes, None], name: bytes, session: Session
) -> None:
    mine.pop(name, None)
    subscribers = table.get(name)
    if subscribers is not None:
        subscribers.pop(session, None)
        if not subscribers:
            del table[name]
