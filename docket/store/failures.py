"""Reads and writes what is kept of failures: of each key the last one, for days, in a bounded number and size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import cast

from .. import clock
from ..moments import iso_text
from ..rules import Priority
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, naming
from .codec import Message, fields_of, state_event
from .failures_kept import FailureKept, FailuresKept, Wanted, epoch_ms
from .foreign import LARGEST, text
from .keys import Keys
from .lua import Call, run_each
from .schedule import NOT_GIVEN, Placed, epoch, placed_as, time_to_live

__all__ = ["FailureRow", "Failures"]

#: Rows of a list, and failures, that are read in one write; failures of a list at which a step of the sweep looks.
PAGE, SWEPT = 1000, 100

#: How long after it was due a next attempt is looked after whose failure is still listed.
OVERDUE = timedelta(minutes=1)

_SUMMARY = (b"m:function", b"type", b"error", b"failed_at")


@frozen(order=True)
class FailureRow:
    """A row of a list of failures: a moment (`epoch_ms`) and a key. In the order of the list."""

    at: int
    key: bytes


@define(eq=False)
class Failures:
    """The failures of one docket: ``kept`` is what this program wants to be kept.

    ``final`` lists those that are over, the newest first, and those of a chain that goes on; else those that are tried
    again, the soonest first.
    """

    client: Client
    keys: Keys
    kept: FailuresKept

    async def read(self, key: str) -> FailureKept | None:
        """The failure that is kept of a key. Raises: RedisError."""
        return (await self.read_all([key.encode()]))[0]

    async def read_all(self, keys: Sequence[bytes]) -> list[FailureKept | None]:
        """What is kept of each key; None of what is gone, over and older than what is kept, or no failure (I9)."""
        names = [self.keys.failure("").encode() + key for key in keys]
        replies = answers(await self.client.call_many([("HGETALL", name) for name in names]))
        oldest = self.kept.oldest(clock.now())
        found: list[FailureKept | None] = []
        for key, reply in zip(keys, replies, strict=True):
            one = None
            if not isinstance(reply, redis_errors.RedisError):
                one = FailureKept.of(text(key), fields_of(cast("list[bytes]", reply)))
            is_old = one is not None and one.next_at is None and epoch_ms(one.failed_at) < oldest
            found.append(None if is_old else one)
        return found

    async def page(
        self, wanted: Wanted, *, final: bool, after: FailureRow | None = None, oldest_first: bool = False
    ) -> list[FailureRow]:
        """The next rows of a list behind a row; none: there are no more.

        Those that are over are in the order of their moments, the newest first unless ``oldest_first``; those that
        are tried again the soonest first, whenever they failed.
        """
        name = self.keys.failures if final else self.keys.retrying
        backwards = final and not oldest_first
        least, most = 0, LARGEST
        if final:
            least = self.kept.oldest(clock.now())
            if wanted.since is not None:
                least = max(least, epoch_ms(wanted.since))
            if wanted.until is not None:
                most = epoch_ms(wanted.until)
        if after is not None:
            least, most = (least, after.at) if backwards else (after.at, most)
        size = PAGE
        while True:
            ends = (most, least, "BYSCORE", "REV") if backwards else (least, most, "BYSCORE")
            with naming(name, "sorted set"):
                reply = await self.client.call("ZRANGE", name, *ends, "LIMIT", 0, size, "WITHSCORES")
            flat = cast("list[bytes]", reply)
            rows = [FailureRow(int(float(at)), key) for key, at in zip(flat[::2], flat[1::2], strict=True)]
            fresh = [row for row in rows if after is None or (row < after if backwards else row > after)]
            if fresh or len(rows) < size:
                return fresh
            size *= 2  # all of one moment, and seen

    async def select(self, rows: Sequence[FailureRow], wanted: Wanted, *, final: bool) -> list[FailureRow]:
        """Those rows of a page whose failure is wanted."""
        if not wanted.looks and (final or (wanted.since is None and wanted.until is None)):
            return list(rows)
        found = zip(rows, await self.summaries(rows), strict=True)
        return [row for row, one in found if one is not None and wanted.admits(one)]

    async def summaries(self, rows: Sequence[FailureRow]) -> list[FailureKept | None]:
        """Of each row the task, the error and when it failed, and nothing else; None of what is gone."""
        names = [self.keys.failure("").encode() + row.key for row in rows]
        replies = answers(await self.client.call_many([("HMGET", name, *_SUMMARY) for name in names]))
        found: list[FailureKept | None] = []
        for row, reply in zip(rows, replies, strict=True):
            one = None
            if not isinstance(reply, redis_errors.RedisError):
                fields = zip(_SUMMARY, cast("list[bytes | None]", reply), strict=True)
                one = FailureKept.of(text(row.key), {name: each for name, each in fields if each is not None})
            found.append(one)
        return found

    async def retry_many(
        self, calls: Sequence[tuple[Message, bytes]], strikes: bytes
    ) -> list[Placed | redis_errors.RedisError]:
        """Place calls of failures anew, in one write, and remove the failures; each with when it failed, as it is kept.

        ``strikes`` as in `Schedule.place`. SUPERSEDED: it is not kept any more. With b"" the
        record has to be that of a failure still, of the generation of the message. An error stands in the place of
        what the server refuses.
        """
        now = clock.now()
        replies = await run_each(
            self.client, [self._retry(message, at, now, strikes) for message, at in calls]
        )
        return [
            reply if isinstance(reply, redis_errors.RedisError) else Placed.of(reply) for reply in replies
        ]

    def _retry(self, message: Message, failed_at: bytes, now: datetime, strikes: bytes) -> Call:
        due, when, event = placed_as(message, now)
        return script_calls.retry(
            self.keys,
            key=message.key,
            failed_at=failed_at,
            failed_generation=message.generation,
            when=epoch(message.when),
            due=due,
            state_event=event,
            known_strikes=strikes,
            ttl=NOT_GIVEN if message.ttl is ... else time_to_live(message.ttl),
            call=message.to_send(when),
        )

    async def discard_many(self, failures: Sequence[tuple[bytes, bytes]]) -> list[bool]:
        """Remove failures: each is a key and when it failed, as it is kept; b"" is whenever. Whether each was there.

        Raises: RedisError - some may be removed.
        """
        calls = [
            script_calls.discard_failure(self.keys, key=text(key), failed_at=failed_at)
            for key, failed_at in failures
        ]
        replies = await run_each(self.client, calls)
        for reply in replies:
            if isinstance(reply, redis_errors.RedisError):
                raise reply
        return [bool(cast("int", reply)) for reply in replies]

    async def promote(
        self, key: str, when: datetime, failed_at: bytes = b"", level: Priority | None = None
    ) -> bool:
        """Let what waits for its time under a key run at ``when`` instead; whether anything did wait.

        Without a ``level`` it keeps its own. With ``failed_at`` only the next attempt of the failure that is kept with
        that moment.
        """
        call = script_calls.promote(
            self.keys,
            key=key,
            failed_at=failed_at,
            now_epoch=epoch(when),
            now_text=iso_text(when),
            state_event=state_event(key, "scheduled", "when", iso_text(when)),
            level="" if level is None else level.value,
        )
        return bool(cast("int", await self.client.run(*call)))

    async def sweep(self) -> None:
        """Remove what is too old, and what is said to be tried again and is not any more."""
        passed, more = 0, 1
        while more:
            now = clock.now()
            call = script_calls.sweep_failures(
                self.keys,
                oldest=self.kept.oldest(now),
                latest=epoch_ms(now - OVERDUE),
                limit=SWEPT,
                passed=passed,
            )
            passed, more = cast("list[int]", await self.client.run(*call))
