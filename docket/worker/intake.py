"""What brings claims in: the stream reader, the redelivery sweep, the scheduler."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import cast

import anyio
import attrs
from anyio.lowlevel import checkpoint
from redis.exceptions import RedisError

from .. import clock
from ..store import Claims, Delivery, DueTasks, Unreadable
from ..transport import Connection
from .outage import Outages
from .roster import Condition, Roster

__all__ = ["Reader", "Scheduler", "Sweep"]

#: How long one blocking read waits. Each is a server call; nothing else depends on its length, since a worker that
#: stops unblocks its reader. A server in this process is waited for without end: nothing polls there (I10).
READ_BLOCK = timedelta(seconds=5)
FOR_EVER = timedelta(0)

#: Due tasks per script: it keeps the server for a few milliseconds.
DUE_BATCH = 250

Start = Callable[[Sequence[Delivery | Unreadable]], None]


@attrs.define(eq=False)
class Reader:
    """Takes what waits on the stream: a free slot first, then a read. ``start`` runs what was claimed."""

    claims: Claims
    roster: Roster
    outages: Outages
    start: Start
    free: Callable[[], int]
    """How many tasks may be taken now."""
    concurrency: Callable[[], int]
    idle: bool = attrs.field(init=False, default=False)
    """Whether the last read found nothing and the reader waits."""
    became_idle: Condition = attrs.field(init=False, factory=Condition)
    _read_ended: anyio.Event | None = attrs.field(init=False, default=None)
    _connection: Connection | None = attrs.field(init=False, default=None)
    _client_id: int = attrs.field(init=False, default=0)

    async def run(self) -> None:
        """Read until cancelled or until Redis is lost."""
        client = self.claims.client
        await self.claims.create_group()
        async with client.dedicated() as connection:
            self._client_id = cast("int", await connection.call("CLIENT", "ID"))
            self._connection = connection
            try:
                while True:
                    await self._read(connection)
            finally:
                self._connection = None

    async def _read(self, connection: Connection) -> None:
        await self.roster.wait_for_fewer_than(self.concurrency())
        await checkpoint()  # the one place where a shutdown ends the reader
        with anyio.CancelScope(shield=True):  # cut in half, a read would strand what it was given
            taken = await self.claims.take(self.free())
        self.outages.over()
        if not taken:
            taken = await self._wait(connection)
        self.start(taken)

    async def _wait(self, connection: Connection) -> Sequence[Delivery | Unreadable]:
        self.idle = True
        self.became_idle.notify()
        ended = self._read_ended = anyio.Event()
        block = FOR_EVER if self.claims.client.is_memory else READ_BLOCK
        try:
            with anyio.CancelScope(shield=True):
                return await self.claims.wait_for_tasks(connection, self.free(), block)
        finally:
            self.idle = False
            self._read_ended = None
            ended.set()

    async def unblock_when_cancelled(self) -> None:
        """Sleep until the shutdown, then end the blocking read that it does not reach."""
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await self._unblock()

    async def _unblock(self) -> None:
        # The request may overtake the read that it is to end, so it is repeated until the read has ended.
        while (ended := self._read_ended) is not None and self._connection is not None:
            try:
                await self.claims.client.call("CLIENT", "UNBLOCK", self._client_id)
            except RedisError:
                return  # lost, refused or not permitted: the read ends by itself, at the latest after READ_BLOCK
            with anyio.move_on_after(0.01):
                await ended.wait()


@attrs.define(eq=False)
class Sweep:
    """Takes over deliveries that nobody renews: their worker is gone.

    On a server of its own one worker of the fleet at a time sweeps, every quarter of ``timeout``. In this process
    nothing polls: a sweep comes when the oldest foreign delivery will be due, woken by foreign claims.
    """

    claims: Claims
    roster: Roster
    start: Start
    free: Callable[[], int]
    concurrency: Callable[[], int]
    timeout: timedelta
    foreign_claim: Condition = attrs.field(init=False, factory=Condition)
    _cursor: bytes = attrs.field(init=False, default=b"0-0")

    async def run(self) -> None:
        await self.claims.create_group()
        if self.claims.client.is_memory:
            await self._run_without_polling()
        interval = self.timeout / 4
        while True:
            if await self.claims.hold_sweep_lease(interval):
                await self._sweep()
            await anyio.sleep((interval * random.uniform(0.75, 1.25)).total_seconds())

    async def _run_without_polling(self) -> None:
        while True:
            await self._sweep()
            idle = await self.claims.oldest_idle(ours=self.roster.ids())
            if idle is None:
                await self.foreign_claim.wait()
                # What was claimed just now cannot be due before a whole timeout has passed.
                await anyio.sleep(self.timeout.total_seconds())
            else:
                await anyio.sleep(max((self.timeout - idle).total_seconds(), 0.001))

    async def _sweep(self) -> None:
        """Go once through everything that is pending."""
        while True:
            await self.roster.wait_for_fewer_than(self.concurrency())
            with anyio.CancelScope(shield=True):
                self._cursor, taken = await self.claims.sweep(
                    self.timeout, self.free(), self._cursor, ours=self.roster.ids()
                )
            self.start(taken)
            if self._cursor == b"0-0":
                return


@attrs.define(eq=False)
class Scheduler:
    """Moves due tasks to the stream: sleeps until the next due moment, and is woken by earlier additions.

    pydocket's clients wake nobody. The heartbeat sees what they add (`saw_first`), and for as long as such a one was
    seen lately the scheduler also looks every ``resolution``.
    """

    due: DueTasks
    resolution: timedelta
    remembered: timedelta = timedelta(minutes=10)
    _next_due: float | None = attrs.field(init=False, default=None)
    _shared_until: float = attrs.field(init=False, default=0.0)
    _woken: Condition = attrs.field(init=False, factory=Condition)
    _pending_wake: bool = attrs.field(init=False, default=False)

    def wake(self) -> None:
        """Look at once."""
        self._pending_wake = True
        self._woken.notify()

    def announced(self, when: float) -> None:
        """A task was added that is due at ``when`` (epoch seconds)."""
        if self._next_due is None or when < self._next_due:
            self.wake()

    def saw_first(self, when: float | None) -> None:
        """The first queued task is due at ``when``; if nobody announced it, someone shares the docket."""
        if when is not None and (self._next_due is None or when < self._next_due) and not self.due.client.is_memory:
            self._shared_until = clock.timestamp() + self.remembered.total_seconds()
            self.wake()

    async def run(self) -> None:
        while True:
            self._pending_wake = False
            moved = await self.due.move(DUE_BATCH)
            self._next_due = moved.next_due
            now = clock.timestamp()
            if moved.next_due is not None and moved.next_due <= now:
                continue  # more than one batch is due
            limit = None if moved.next_due is None else moved.next_due - now
            if now < self._shared_until:
                resolution = self.resolution.total_seconds()
                limit = resolution if limit is None else min(limit, resolution)
            with anyio.move_on_after(limit):
                while not self._pending_wake:
                    await self._woken.wait()
