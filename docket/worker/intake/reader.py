"""The stream reader: the only one that takes tasks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias, cast

import anyio
import attrs
from anyio.lowlevel import checkpoint
from redis.exceptions import NoPermissionError, RedisError

from ... import clock
from ...clock import monotonic
from ...store import Claims, Taken
from ...transport import Connection
from ..roster import Notification, Roster
from .lost_answers import LostAnswers

__all__ = ["Reader", "Start"]

#: How long one blocking read waits. Each is a server call; nothing else depends on its length, since a worker
#: that stops unblocks its reader. A server in this process is waited for without end: nothing polls there (I10).
READ_BLOCK = timedelta(seconds=5)
FOR_EVER = timedelta(0)

#: How many seconds the server gets to end a blocking read before its connection is closed.
UNBLOCKING = 1.0

#: How many seconds a reader that is to end gives a server that does not answer; what it was handing out is redelivered.
LAST_ANSWER = 5.0

#: How often other tasks of the loop get a turn between a slot becoming free and the read that fills it, so that
#: one read fills the slots of all that end together. Measured: a tenth of the processor time of short tasks.
GATHERING = 4

#: Tasks per script that takes them, and per script that moves those that are due: each keeps the server for two or
#: three milliseconds (tests/store/test_bounds.py).
TAKE_BATCH = 100

Start: TypeAlias = Callable[[Sequence[Taken], float], None]
"""Runs what was taken; the second argument is the loop time at which it was asked for."""


@attrs.define(eq=False)
class Reader:
    """The only one that takes tasks: a free slot first, then what was abandoned, then what waits on the stream."""

    claims: Claims
    roster: Roster
    start: Start
    concurrency: Callable[[], int]
    batch: int
    redelivery_timeout: timedelta
    idle: bool = attrs.field(init=False, default=False)
    """Whether nothing is there to be taken, and the reader waits."""
    became_idle: Notification = attrs.field(init=False, factory=Notification)
    began_again: Notification = attrs.field(init=False, factory=Notification)
    """Notified when Redis was lost or refused, and answers again: it may have lost everything."""
    _has_begun: bool = attrs.field(init=False, default=False)
    _abandoned: list[bytes] = attrs.field(init=False, factory=list[bytes])
    _none_abandoned: Notification = attrs.field(init=False, factory=Notification)
    _read_ended: anyio.Event | None = attrs.field(init=False, default=None)
    _blocking: anyio.CancelScope | None = attrs.field(init=False, default=None)
    _taking: anyio.CancelScope | None = attrs.field(init=False, default=None)
    _unblockable: tuple[Connection, int] | None = attrs.field(init=False, default=None)
    _lost_answers: LostAnswers = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._lost_answers = LostAnswers(self.redelivery_timeout.total_seconds())

    async def run(self, answered: Callable[[], None]) -> None:
        """Read until cancelled or until Redis is lost."""
        await self.claims.create_group()
        if self._has_begun:
            self.began_again.notify()
        self._has_begun = True
        began, asked = monotonic(), self.claims.unclaimed
        self.start(await self._whole(self.claims.claim_read()), began)
        self._lost_answers.heard(asked)
        while True:
            await self._claim_unheard()
            async with self.claims.client.dedicated() as connection:
                number = await _client_id(connection)
                self._unblockable = None if number is None else (connection, number)
                await self._read(connection, answered)

    async def _read(self, connection: Connection, answered: Callable[[], None]) -> None:
        """Read for as long as there is something to use ``connection`` for, the one that waits in the server."""
        drained = False
        while True:
            await self.roster.wait_for_fewer_than(self.concurrency())
            for _ in range(GATHERING):
                await checkpoint()  # the one place where a shutdown ends the reader
            began = monotonic()
            if not self._lost_answers.seconds():
                await self._claim_unheard()
                continue
            if self._abandoned:
                taken = await self._take_over()
            elif not drained:
                taken = await self._take()
                drained = not taken
            elif connection.is_usable():
                taken, began = await self._wait(connection)
                drained = not taken
            else:
                return  # it was lost while it rested, which says nothing about the server of now
            answered()
            self.start(taken, began)
            if not connection.is_settled:
                return  # a read on it was cut short

    async def _claim_unheard(self) -> None:
        """Take what this worker was given when a connection was lost: for the others, it has a lease on that.

        Which that is, the server knows (unheard.lua): no clocks are compared, and nothing is taken from another
        worker of the same name.
        """
        if self._lost_answers.seconds():
            return
        questions = self._lost_answers.questions()
        ours = [one.message_id for one in await self.claims.sweeping.look_at_ours()]
        unheard = [message_id for message_id in ours if message_id not in self.roster]
        for at in range(0, len(unheard), TAKE_BATCH):
            began = monotonic()
            with self._lost_answers.asking() as asked:
                ids = unheard[at : at + TAKE_BATCH]
                taken = await self._whole(self.claims.claim_unheard(ids, questions, asked=asked))
            self.start(taken, began)
        self._lost_answers.looked()

    def _free(self) -> int:
        return max(1, min(self.concurrency() - len(self.roster), self.batch, TAKE_BATCH))

    async def _take(self) -> Sequence[Taken]:
        with self._lost_answers.asking() as asked:
            return await self._whole(self.claims.take(self._free(), asked=asked))

    async def _take_over(self) -> Sequence[Taken]:
        count = self._free()
        wanted, self._abandoned = self._abandoned[:count], self._abandoned[count:]
        if not self._abandoned:
            self._none_abandoned.notify()
        with self._lost_answers.asking() as asked:
            return await self._whole(self.claims.take_over(wanted, self.redelivery_timeout, asked=asked))

    async def _whole(self, taking: Awaitable[Sequence[Taken]]) -> Sequence[Taken]:
        """Hear out what moves ownership: cut in half, it would strand what it was given."""
        with anyio.CancelScope(shield=True) as self._taking:
            return await taking
        return ()  # it was stopped, and the server was silent for too long

    async def _wait(self, connection: Connection) -> tuple[Sequence[Taken], float]:
        block = FOR_EVER
        if not self.claims.client.is_memory:
            block = timedelta(
                seconds=max(0.001, min(READ_BLOCK.total_seconds(), self._lost_answers.seconds()))
            )
        taken: Sequence[Taken] = ()
        began = monotonic()

        def come() -> None:
            nonlocal began
            began = monotonic()

        ended = self._read_ended = anyio.Event()
        self.idle = True
        self.became_idle.notify()
        try:
            with self._lost_answers.asking() as asked:
                with anyio.CancelScope(shield=True) as self._blocking:
                    taken = await self.claims.wait_for_tasks(
                        connection, self._free(), block, come=come, asked=asked
                    )
                if not connection.is_settled:
                    self._lost_answers.lost(asked)
        finally:
            self.idle = False
            self._read_ended = self._blocking = None
            ended.set()
        return taken, began

    async def wait_idle(self) -> None:
        while not self.idle:
            await self.became_idle.wait()

    async def take_over(self, abandoned: Sequence[bytes]) -> None:
        """Have these deliveries taken over from their holders, as slots become free. Ends a blocking read."""
        self._abandoned = list(abandoned)
        await self._unblock()

    @property
    def has_abandoned(self) -> bool:
        """Whether some of these wait for a slot."""
        return bool(self._abandoned)

    async def wait_for_no_abandoned(self) -> None:
        while self._abandoned:
            await self._none_abandoned.wait()

    async def unblock_when_cancelled(self) -> None:
        """Sleep until the shutdown, then end the blocking read that it does not reach."""
        try:
            await clock.wait_for_ever()
        finally:
            if self._taking is not None:
                self._taking.deadline = anyio.current_time() + LAST_ANSWER
            with anyio.CancelScope(shield=True):
                await self._unblock()

    async def _unblock(self) -> None:
        ended, blocking = self._read_ended, self._blocking
        if ended is None or blocking is None:
            return
        with anyio.move_on_after(UNBLOCKING):
            # The request may overtake the read that it is to end, so it is repeated until the read has ended.
            while self._unblockable is not None and not ended.is_set():
                try:
                    await self.claims.client.unblock(*self._unblockable)
                except RedisError:
                    break
                with anyio.move_on_after(0.01):
                    await ended.wait()
        blocking.cancel()  # without effect on a read that has ended; else its connection is closed


async def _client_id(connection: Connection) -> int | None:
    """The number by which another connection can unblock this one; None where the server does not tell."""
    try:
        return cast("int", await connection.call("CLIENT", "ID"))
    except NoPermissionError:
        return None
