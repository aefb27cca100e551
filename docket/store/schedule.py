"""What clients write: placing, cancelling and clearing tasks."""

from __future__ import annotations

import enum
import functools
import logging
from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import attrs

from .. import clock
from ..moments import LAST_EPOCH, LONGEST, TimeToLive, iso_text
from ..rules import Cancellation, Disposition, ExecutionState, waiting_state
from ..standins import redis_errors
from ..transport import Client
from ..values import define, hot_value
from . import script_calls
from .codec import EXPIRES, LANE, SHARE, Message, end_fields, state_event
from .expiry import expires_of, without_expiry
from .keys import Keys
from .lua import Call, run_each
from .misuse import named_after

__all__ = [
    "ANY_STRIKES",
    "COMMON",
    "NOT_GIVEN",
    "InGroup",
    "Placed",
    "Schedule",
    "epoch",
    "how_placed",
    "milliseconds",
    "placed_as",
    "time_to_live",
]

logger = logging.getLogger("docket.docket")

#: Place whatever the strikes are: the caller has checked them, or its worker will.
ANY_STRIKES = b"*"

#: How a task is placed where no word about it stands for that, as in lib/how_placed.lua.
COMMON = b"1 0  0  0"

#: What lib/how_placed.lua calls `replace`, of a call that is to run once more after what its key has.
ONCE_MORE = 2

#: No time to live was given for a task: that of the docket where it ends counts.
NOT_GIVEN = "-"

_DISPOSITIONS = {
    b"OK": Disposition.SCHEDULED,
    b"EXISTS": Disposition.ALREADY_SCHEDULED,
    b"SUPERSEDED": Disposition.SUPERSEDED,
    b"STRIKES": Disposition.STRUCK,
    b"GONE": Disposition.SUPERSEDED,
    b"MEMBER": Disposition.ALREADY_SCHEDULED,
    b"CLOSED": Disposition.SUPERSEDED,
    b"EXPIRED": Disposition.EXPIRED,
    b"NEXT": Disposition.ONCE_MORE,
}


class InGroup(enum.Enum):
    """Why nothing was placed in a task group."""

    MEMBER = b"MEMBER"
    """The group has the key already, however it stands."""
    CLOSED = b"CLOSED"
    """The group takes nobody any more."""


_IN_GROUP = {word.value: word for word in InGroup}

_CANCELLATIONS = {
    b"CANCELLED": Cancellation.CANCELLED,
    b"ASKED": Cancellation.REQUESTED,
    b"OVER": Cancellation.ENDED,
    b"NOTHING": Cancellation.NOT_FOUND,
}


def epoch(when: datetime) -> str:
    """A moment as the text of its epoch seconds, to the microsecond as far as a double has it.

    The last moment is rounded down: above it there is none, and pydocket's clients could not read the record.
    """
    seconds = when.timestamp()
    if seconds > LAST_EPOCH:
        seconds = LAST_EPOCH
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


@functools.lru_cache
def milliseconds(duration: timedelta) -> int:
    """A duration in whole milliseconds, at least 1 unless it is zero or less; the longest there is if it is longer."""
    return max(1, round(min(duration, LONGEST) / timedelta(milliseconds=1))) if duration > timedelta(0) else 0


@functools.lru_cache
def time_to_live(ttl: timedelta | None) -> int | str:
    """How long a final record is kept, as scripts take it (lib/ending.lua): milliseconds, '' for ever."""
    return "" if ttl is None else milliseconds(ttl)


_QUEUED = ExecutionState.QUEUED
_WORDS = ExecutionState.SCHEDULED.value, _QUEUED.value


def placed_as(message: Message, now: datetime) -> tuple[int, str, str]:
    """Whether a message is due as it is placed, as scripts take it (1 or 0); its moment as text; its state event."""
    due, when = int(waiting_state(message.when, now) is _QUEUED), iso_text(message.when)
    return due, when, state_event(message.key, _WORDS[due], "when", when)


def how_placed(
    key: str,
    due: int,
    replace: int,
    rescheduled: bytes,
    expected: int,
    known_strikes: bytes,
    child_of: bytes = b"",
    expiry: bytes = b"",
) -> bytes:
    """How a task is to be placed, as lib/how_placed.lua reads it; ``replace`` as there."""
    is_reserved = Keys.is_reserved(key)
    if due and not (replace or rescheduled or expected or known_strikes or is_reserved or child_of or expiry):
        return b""  # most are
    how = b"%d %d %b %d %b %d" % (due, replace, rescheduled, expected, known_strikes, is_reserved)
    if expiry:
        return b"%b %b %b" % (how, child_of, expiry)
    return b"%b %b" % (how, child_of) if child_of else how


@hot_value
class Placed:
    """The result of placing a message, and the generation that the key has now.

    STRUCK: there are strikes that the caller has not read. It reads them, and decides.
    ``in_group`` says more where the call was to be the child of a group.
    """

    disposition: Disposition
    generation: int
    in_group: InGroup | None = None

    @classmethod
    def of(cls, reply: Any) -> Placed:
        word, generation = cast("bytes", reply).split()
        return cls(_DISPOSITIONS[word], int(generation), _IN_GROUP.get(word))


@define(eq=False)
class Schedule:
    """Writes of clients to one docket.

    ``ttl`` is how long a final record is kept, ``travels`` what a task has of that whose message gives nothing.
    """

    client: Client
    keys: Keys
    ttl: timedelta | None
    travels: TimeToLive = ...

    def _placing(
        self,
        message: Message,
        now: datetime,
        replace: int,
        strikes: bytes,
        rescheduled: bytes = b"",
        expected: int = 0,
        child_of: str = "",
    ) -> Call:
        due, when, event = placed_as(message, now)
        ttl = message.ttl
        if ttl is ... and not rescheduled and not expected:  # what continues a chain keeps what that has
            ttl = self.travels
        expiry = b""
        if EXPIRES in message.extra:
            if rescheduled:  # it has begun
                message = attrs.evolve(message, extra=without_expiry(message.extra))
            else:
                expiry = self._if_expired(message, now)
        how = how_placed(message.key, due, replace, rescheduled, expected, strikes, child_of.encode(), expiry)
        return script_calls.schedule(
            self.keys,
            key=message.key,
            when=epoch(message.when),
            state_event=event,
            ttl=NOT_GIVEN if ttl is ... else time_to_live(ttl),
            how=how or (COMMON if LANE in message.extra or SHARE in message.extra else b""),
            call=message.to_send(when),
        )

    def _if_expired(self, message: Message, now: datetime) -> bytes:
        """What the end of a call needs that has expired before it is placed, as lib/how_placed.lua reads it."""
        moment = expires_of(message.extra, now) or now
        return f"{time_to_live(self.ttl)} {now.isoformat()} {moment.isoformat()}".encode()

    async def place(
        self,
        message: Message,
        *,
        replace: bool,
        once_more: bool = False,
        rescheduled: bytes = b"",
        expected: int = 0,
        strikes: bytes = ANY_STRIKES,
        child_of: str = "",
    ) -> Placed:
        """Place one message; with ``replace``, instead of what its key has; with ``once_more``, after that, if it runs.

        ``strikes`` is the id of the last strike that the caller has read, empty for none: nothing is written if
        there is another.
        ``rescheduled`` is the id of a delivery of this key that ends with the placing. ``expected`` is the
        generation that the key must have for it, 0 for any. ``child_of`` is the id of the open group whose child it
        is to be: see `Placed.in_group`.
        Raises: redis.exceptions.RedisError - the server could not be reached (then the task may or may not
        have been placed) or refused.
        Cancel: the task may or may not have been placed.
        """
        how = ONCE_MORE if once_more else int(replace)
        placing = self._placing(message, clock.now(), how, strikes, rescheduled, expected, child_of)
        try:
            return Placed.of(await self.client.run(*placing))
        except redis_errors.ResponseError as error:
            raise await self._named(error, message.key) from error

    async def _named(self, error: redis_errors.RedisError, key: str) -> redis_errors.RedisError:
        """The error of a write about a task; it names the key that the server does not."""
        names = self.keys.run(key), self.keys.parked(key), self.keys.progress(key), self.keys.successor(key)
        own = {**dict.fromkeys(names, "hash"), self.keys.successors: "zset"}
        return await named_after(error, self.client, self.keys, own)

    async def place_many(
        self,
        messages: Sequence[Message],
        *,
        replace: bool,
        once_more: Container[int] = (),
        strikes: bytes = ANY_STRIKES,
        child_of: str = "",
    ) -> list[Placed | redis_errors.RedisError]:
        """Place messages in order, in one write; where the server refuses one, its error is in its place.

        ``once_more`` has the numbers of those that are to run after what their keys have, if that runs.
        """
        now = clock.now()
        calls = [
            self._placing(message, now, ONCE_MORE if at in once_more else replace, strikes, child_of=child_of)
            for at, message in enumerate(messages)
        ]
        replies = await run_each(self.client, calls)
        return [
            await self._named(reply, message.key)
            if isinstance(reply, redis_errors.RedisError)
            else Placed.of(reply)
            for reply, message in zip(replies, messages, strict=True)
        ]

    async def cancel(self, key: str, failed_at: bytes = b"") -> Cancellation:
        """Cancel what waits under ``key`` and ask the worker where it runs.

        With ``failed_at`` only the next attempt of what has failed then, as it is kept; else NOT_FOUND.
        """
        at = clock.now().isoformat()
        try:
            reply = await self.client.run(
                *script_calls.cancel(
                    self.keys,
                    key=key,
                    completed_at=at,
                    ttl_ms=time_to_live(self.ttl),
                    state_event=state_event(key, "cancelled", *end_fields(at)),
                    failed_at=failed_at,
                )
            )
        except redis_errors.ResponseError as error:
            raise await self._named(error, key) from error
        if reply == b"CANCELLED":
            logger.info("Cancelled waiting task %r", key)
        return _CANCELLATIONS[cast("bytes", reply)]

    async def clear(self, batch: int) -> int:
        """Cancel everything that waits, ``batch`` tasks per step; return how many that were."""
        keys, total, start = self.keys, 0, b"-"
        ttl = time_to_live(self.ttl)
        while start:
            try:
                reply = await self.client.run(
                    *script_calls.clear(
                        self.keys,
                        completed_at=clock.now().isoformat(),
                        ttl_ms=ttl,
                        limit=batch,
                        start=start,
                    )
                )
            except redis_errors.ResponseError as error:
                raise await named_after(error, self.client, keys, {}) from error
            count, start = cast("tuple[int, bytes]", reply)
            total += count
        return total
