"""The twin of lib/claim_one.lua."""

from __future__ import annotations

from typing import TypeAlias

from ...memory import ErrorReply, Hash, Inside
from .events import event_of, json
from .numbers import whole

__all__ = ["UNREADABLE", "Claimed", "Claimer"]

Claimed: TypeAlias = tuple[bytes, bytes | int, bytes | None]
"""What happened; which claim it is, or why it cannot be one; the time to live that was given for the task."""

UNREADABLE: Claimed = b"UNREADABLE", 0, None

NO_NUMBER = b"its record has a generation that is no number"

_OF_WAITING = (b"known", b"stream_id")
_OF_OTHERS = (*_OF_WAITING, b"asked")


class Claimer:
    """Claims deliveries for one worker at one moment; slots are ``reserved`` for none of their runs.

    Names of progress that is over are added to ``over``, for the caller to delete.
    """

    __slots__ = (
        "_asked",
        "_group",
        "_how",
        "_inside",
        "_over",
        "_prefix",
        "_started_at",
        "_stream",
        "_worker",
    )

    def __init__(
        self,
        inside: Inside,
        prefix: bytes,
        stream: bytes,
        group: bytes,
        worker: bytes,
        started_at: bytes,
        asked: bytes,
        over: list[bytes],
    ) -> None:
        self._inside, self._prefix, self._stream, self._group = inside, prefix, stream, group
        self._worker, self._started_at, self._asked, self._over = worker, started_at, asked, over
        self._how = b',"worker":' + json(worker) + b',"started_at":"' + started_at + b'"'

    def claim(self, message_id: bytes, key: bytes, generation: bytes, *, first: bool = False) -> Claimed:
        """Claim one delivery, of which ``generation`` is a number; ``first`` as in the Lua."""
        try:
            return self._claim(message_id, key, generation, first)
        except ErrorReply as error:  # I9
            return b"BROKEN", error.text, None

    def _claim(self, message_id: bytes, key: bytes, generation: bytes, first: bool) -> Claimed:
        inside, run = self._inside, self._prefix + b":runs:" + key
        record = inside.get(run, Hash)
        if (refused := self._refused(record, message_id, key, generation)) is not None:
            return refused
        claim, mark = 1, message_id + b"."
        before = ttl = None
        if record is not None:
            before, ttl = record.get(b"claim"), record.get(b"ttl")
        if record is not None and before is not None and before.startswith(mark):
            if first and record.get(b"asked", self._asked) != self._asked:
                return b"LOST", 0, None
            claim = (whole(before[len(mark) :]) or 0) + 1
        taken = {
            b"state": b"running",
            b"claim": mark + b"%.14g" % claim,  # as Lua writes a number
            b"worker": self._worker,
            b"started_at": self._started_at,
        }
        if self._asked:
            taken[b"asked"] = self._asked
        inside.set_fields(run, taken, without=_OF_WAITING if self._asked else _OF_OTHERS)
        self._over.append(self._prefix + b":progress:" + key)
        self._publish(key, b"running", self._how)
        return b"OK", claim, ttl

    def _refused(
        self, record: Hash | None, message_id: bytes, key: bytes, generation: bytes
    ) -> Claimed | None:
        """What is said of a delivery whose key was taken from it by a newer generation or a cancellation."""
        current, state = (None, None) if record is None else (record.get(b"generation"), record.get(b"state"))
        if current != generation:
            live, mine = whole(current), int(generation)
            if current is not None and live is None:
                return b"BROKEN", NO_NUMBER, None
            if mine > 0 and (live is None or mine < live):
                self._inside.acknowledge(self._stream, self._group, [message_id])
                return b"SUPERSEDED", 0, None
        if state != b"cancelled":
            return None
        self._inside.acknowledge(self._stream, self._group, [message_id])
        self._publish(key, b"cancelled", b',"completed_at":"' + self._started_at + b'"')
        return b"CANCELLED", 0, None

    def _publish(self, key: bytes, state: bytes, how: bytes) -> None:
        channel = self._prefix + b":state:" + key
        if self._inside.is_heard(channel):
            self._inside.publish(channel, event_of(key, state, how))
