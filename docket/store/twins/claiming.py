"""The twin of lib/claim_one.lua."""

from __future__ import annotations

from typing import TypeAlias

from ...memory import ErrorReply, Hash
from ..foreign import is_entry
from .events import event_of, json
from .numbers import whole
from .turn import Turn

__all__ = ["UNREADABLE", "Claimed", "Claimer"]

Claimed: TypeAlias = tuple[bytes, bytes | int, bytes | None]
"""What happened; which claim it is, or why it cannot be one; the time to live that was given for the task."""

UNREADABLE: Claimed = b"UNREADABLE", 0, None

NO_NUMBER = b"its record has a generation that is no number"

_OF_WAITING = (b"known", b"stream_id")
_OF_OTHERS = (*_OF_WAITING, b"asked")


class Claimer:
    """Claims deliveries in a turn, for the question ``asked``; slots are ``reserved`` for none of their runs."""

    __slots__ = ("_asked", "_how", "_turn")

    def __init__(self, turn: Turn, asked: bytes) -> None:
        self._turn, self._asked = turn, asked
        self._how = b',"worker":' + json(turn.worker) + b',"started_at":"' + turn.at + b'"'

    def claim(self, message_id: bytes, key: bytes, generation: bytes, *, first: bool = False) -> Claimed:
        """Claim one delivery, of which ``generation`` is a number; ``first`` as in the Lua."""
        try:
            return self._claim(message_id, key, generation, first)
        except ErrorReply as error:  # I9
            return b"BROKEN", error.text, None

    def _claim(self, message_id: bytes, key: bytes, generation: bytes, first: bool) -> Claimed:
        turn = self._turn
        inside, run = turn.inside, turn.prefix + b":runs:" + key
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
            b"worker": turn.worker,
            b"started_at": turn.at,
        }
        if self._asked:
            taken[b"asked"] = self._asked
        inside.set_fields(run, taken, without=_OF_WAITING if self._asked else _OF_OTHERS)
        turn.over.append(turn.prefix + b":progress:" + key)
        self._publish(key, b"running", self._how)
        return b"OK", claim, ttl

    def _refused(
        self, record: Hash | None, message_id: bytes, key: bytes, generation: bytes
    ) -> Claimed | None:
        """What is said of a delivery whose key was taken from it by a newer generation or a cancellation."""
        turn = self._turn
        current, state = (None, None) if record is None else (record.get(b"generation"), record.get(b"state"))
        if current != generation:
            live, mine = whole(current), int(generation)
            if current is not None and live is None:
                return b"BROKEN", NO_NUMBER, None
            if mine > 0 and (live is None or mine < live):
                turn.inside.acknowledge(turn.stream, turn.group, [message_id])
                return b"SUPERSEDED", 0, None
        if state == b"running" and record is not None and self._is_copy(record, message_id):
            turn.inside.acknowledge(turn.stream, turn.group, [message_id])
            return b"SUPERSEDED", 0, None
        if state != b"cancelled":
            return None
        turn.inside.acknowledge(turn.stream, turn.group, [message_id])
        self._publish(key, b"cancelled", b',"completed_at":"' + turn.at + b'"')
        return b"CANCELLED", 0, None

    def _is_copy(self, record: Hash, message_id: bytes) -> bool:
        """Whether another entry of the same key was claimed in this turn; all others that run are left to Lua."""
        other, turn = record.get(b"claim", b"").rpartition(b".")[0], self._turn
        if other == message_id or not is_entry(other):
            return False
        return turn.inside.deliveries(turn.stream, turn.group, other, turn.worker) is not None

    def _publish(self, key: bytes, state: bytes, how: bytes) -> None:
        inside, channel = self._turn.inside, self._turn.prefix + b":state:" + key
        if inside.is_heard(channel):
            inside.publish(channel, event_of(key, state, how))
