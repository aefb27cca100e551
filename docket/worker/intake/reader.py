"""The reader: takes tasks from the stream, as many as the worker has capacity for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ...clock import monotonic
from ...notification import Notification
from ...store import Claims, Taken
from ...transport import Connection
from ...values import define
from ..roster import Roster
from .blocking_read import BlockingRead
from .lost_answers import LostAnswers
from .outbox import Outbox

__all__ = ["Reader", "Start"]

#: How long one blocking read waits. Each is a call of the server; nothing else depends on its length, since a worker
#: that stops unblocks its reader. On memory:// it waits without end: nothing polls there (I10).
READ_BLOCK = timedelta(seconds=5)
FOR_EVER = timedelta(0)

#: How long a reader waits to be told that the docket is resumed before it looks. On memory:// it is told for sure.
PAUSE_LOOK = timedelta(seconds=5)

#: How many seconds a reader that is to end waits for a server that does not answer. Tasks that the server was handing
#: out are redelivered.
LAST_ANSWER_SECONDS = 5.0

#: Tasks per script that takes them: each keeps the server for two or three milliseconds (tests/store/test_bounds.py).
TAKE_BATCH = 100

#: A worker that has waited for so many seconds for a free place takes few tasks at a time: they begin while the server
#: hands out the next ones, and from then on they end apart from each other. Taken together, tasks of one length leave
#: all places empty together, for as long as the server needs for all of them.
LEISURE_SECONDS = 0.02
FEW = 10

Start: TypeAlias = Callable[[Sequence[Taken], float, int], None]
"""Starts the tasks that were taken; the second argument is the loop time at which the server was asked for them, the
third for how many there are places: the others wait for theirs."""


@define(eq=False)
class Reader:
    """Takes tasks whenever the worker has capacity: abandoned ones in turns with those that wait on the stream.

    Nothing else of a worker takes tasks. ``batch`` is how many it takes at a time. What it asks for has places from
    then on (`Places.promise`): tasks that had stepped aside may come back before the answer does.
    """

    claims: Claims
    roster: Roster
    start: Start
    batch: int
    redelivery_timeout: timedelta
    outbox: Outbox
    is_idle: bool = attrs.field(init=False, default=False)
    """Whether the reader waits for tasks, as there are none, or as all are paused."""
    recovered: Notification = attrs.field(init=False, factory=Notification)
    """Notified when Redis answers again after it was lost or has refused: it may have lost everything."""
    lined_up: Notification = attrs.field(init=False, factory=Notification)
    """Notified when tasks were lined up since they are paused, and when all are."""
    _pauses: Notification = attrs.field(init=False, factory=Notification)
    """Notified when all tasks were paused, and when some may have been resumed."""
    _must_look: bool = attrs.field(init=False, default=False)
    """Whether all tasks may have been paused: a take is told, a blocking read is not."""
    _must_find_lanes: bool = attrs.field(init=False, default=False)
    """Whether there is a lane that the reader does not know."""
    _resumed: Notification = attrs.field(init=False, factory=Notification)
    """Notified when the reader takes again, after all tasks were paused."""
    _became_idle: Notification = attrs.field(init=False, factory=Notification)
    _has_begun: bool = attrs.field(init=False, default=False)
    _abandoned: list[bytes] = attrs.field(init=False, factory=list[bytes])
    _none_abandoned: Notification = attrs.field(init=False, factory=Notification)
    _taking: anyio.CancelScope | None = attrs.field(init=False, default=None)
    _blocking: BlockingRead = attrs.field(init=False)
    _lost_answers: LostAnswers = attrs.field(init=False)
    _has_leisure: bool = attrs.field(init=False, default=True)

    def __attrs_post_init__(self) -> None:
        self._blocking = BlockingRead(self.claims.client)
        self._lost_answers = LostAnswers(self.redelivery_timeout.total_seconds())

    async def run(self, answered: Callable[[], None]) -> None:
        """Read until cancelled or until Redis is lost."""
        await self.claims.create_group()
        if self._has_begun:
            self.recovered.notify()
        self._has_begun = True
        await self._claim_read()
        while True:
            await self._claim_lost()
            async with self.claims.client.dedicated() as connection:
                await self._blocking.use(connection)
                try:
                    await self._read(connection, answered)
                finally:
                    self.outbox.close()

    async def _read(self, connection: Connection, answered: Callable[[], None]) -> None:
        """Read until ``connection``, which waits in the server, is of no use any more."""
        is_drained = was_last = takes_over = False
        while True:
            if not is_drained:
                self.outbox.open()
            await self._wait_for_capacity()
            # Nothing was left a moment ago, and nothing has ended since that a take would write: wait in the server.
            is_drained = is_drained or (was_last and not self.outbox)
            if self._must_look:
                is_drained = await self._look()
            asked, count = monotonic(), self._promised()
            was_paused, pauses = self.is_paused, self._pauses.count
            is_look_due = self._lost_answers.is_look_due
            # In turns with what is new: a worker that has died may leave hundreds of parents that only wait, and what
            # these wait for may be new.
            takes_over = bool(self._abandoned) and not takes_over
            if is_drained or takes_over or is_look_due:
                self.outbox.close()
            if is_look_due:
                await self._claim_lost()
                continue
            if takes_over:
                taken, was_last, is_drained = await self._take_over(count), False, False
            elif not is_drained:
                taken = await self._take(count)
                is_drained, was_last = self._is_drained(taken, count)
            elif connection.is_usable():
                taken, asked = await self._wait(connection, count)
                is_drained, was_last = self._is_drained(taken, count)
            else:  # it was lost while it was not used, so this does not mean that the server is away now
                self.roster.places.keep_promise()
                return
            answered()
            if was_paused and not self.is_paused:
                self._resumed.notify()
            self._start(taken, asked, is_drained, count)
            if not connection.is_settled:
                return  # a read on it was cut off
            if self.is_paused:
                await self._wait_for_resume(pauses)
                is_drained = was_last = False

    async def _look(self) -> bool:
        """See what the reader was told to look at; False: there may be something to take."""
        self._must_look = False
        if self._must_find_lanes:
            self._must_find_lanes = False
            await self.claims.create_group()
        return False

    def _start(self, taken: Sequence[Taken], asked: float, is_drained: bool, count: int) -> None:
        if not is_drained:
            self.outbox.open()  # some may end as they begin
        self.start(taken, asked, count)
        self.roster.places.keep_promise()

    def _is_drained(self, taken: Sequence[Taken], count: int) -> tuple[bool, bool]:
        """Whether the stream had nothing, and whether it had no more, as what was taken of at most ``count`` shows."""
        lined_up = self.claims.lined_up
        if lined_up:
            self.lined_up.notify()
        return not taken and not lined_up, len(taken) + lined_up < count

    async def _wait_for_resume(self, seen: int) -> None:
        """Wait until tasks are resumed again, all of which are paused; nothing is taken, and what ends is written."""
        self.outbox.close()
        seconds = math.inf if self.claims.client.is_memory else PAUSE_LOOK.total_seconds()
        self.is_idle = True
        self._became_idle.notify()
        self.lined_up.notify()
        try:
            with anyio.move_on_after(min(seconds, self._lost_answers.seconds_to_look())):
                await self._pauses.wait_past(seen)
        finally:
            self.is_idle = False

    async def _wait_for_capacity(self) -> None:
        """Wait until the worker may run another task. The shutdown ends the reader here, and nowhere else."""
        was_full = self._room() <= 0
        while True:
            while self._room() <= 0:
                self.outbox.release()  # nothing is taken that they could leave with
                full = monotonic()
                await self.roster.freed.wait()
                self._has_leisure = monotonic() - full > LEISURE_SECONDS
            await checkpoint()  # those that end in the same turn of the loop leave together
            if self._room() > 0:
                break  # else one that had stepped aside has come back meanwhile
        if self.outbox and not was_full:
            self._has_leisure = False  # what was taken a moment ago has ended

    def _room(self) -> int:
        """How many more tasks the worker may run. The first ones in the outbox are settled as others are taken."""
        return self.roster.places.free + self.outbox.leaving

    def _promised(self) -> int:
        """How many tasks the server is to be asked for; they have their places from now on."""
        few = FEW if self._has_leisure else TAKE_BATCH
        count = int(min(self._room(), self.batch, few, self.claims.lanes.most))
        self.roster.places.promise(count)
        return count

    # ways to take tasks ----------------------------------------------------------------------------------

    async def _take(self, count: int) -> Sequence[Taken]:
        with self._lost_answers.request() as request:
            return await self._shielded(self.outbox.take(count, request))

    async def _take_over(self, count: int) -> Sequence[Taken]:
        ids, self._abandoned = self._abandoned[:count], self._abandoned[count:]
        if not self._abandoned:
            self._none_abandoned.notify()
        with self._lost_answers.request() as request:
            return await self._shielded(self.claims.take_over(ids, self.redelivery_timeout, asked=request))

    async def _wait(self, connection: Connection, count: int) -> tuple[Sequence[Taken], float]:
        """Wait in the server for tasks; return them, and the loop time after which they were claimed."""
        block = FOR_EVER
        if not self.claims.client.is_memory:
            seconds = min(READ_BLOCK.total_seconds(), self._lost_answers.seconds_to_look())
            block = timedelta(seconds=max(0.001, seconds))
        asked = monotonic()

        def come() -> None:
            nonlocal asked
            asked = monotonic()

        self.is_idle = True
        self._became_idle.notify()
        try:
            with self._lost_answers.request() as request:
                taken = await self._blocking.run(
                    lambda: self.claims.wait_for_tasks(connection, count, block, come=come, asked=request)
                )
                if not connection.is_settled:
                    self._lost_answers.lost(request)
        finally:
            self.is_idle = False
        return taken, asked

    async def _claim_read(self) -> None:
        """Claim tasks that a blocking read has brought before Redis was lost."""
        asked, request = monotonic(), self.claims.unclaimed
        taken = await self._shielded(self.claims.claim_read())
        self._start(taken, asked, is_drained=True, count=len(taken))
        self._lost_answers.found(request)

    async def _claim_lost(self) -> None:
        """Claim the tasks of lost answers, if a look is due: other workers leave them alone until their lease ends.

        The server knows which tasks these are (unheard.lua): no clocks are compared, and nothing is taken from another
        worker with the same name.
        """
        if not self._lost_answers.is_look_due:
            return
        requests = self._lost_answers.names()
        ours = [one.message_id for one in await self.claims.sweeping.look_at_ours()]
        unknown = [message_id for message_id in ours if message_id not in self.roster]
        while unknown:
            await self._wait_for_capacity()
            asked, count = monotonic(), self._promised()
            ids, unknown = unknown[:count], unknown[count:]
            with self._lost_answers.request() as request:
                taken = await self._shielded(self.claims.claim_unheard(ids, requests, asked=request))
            self._start(taken, asked, is_drained=True, count=count)
        self._lost_answers.looked()

    async def _shielded(self, taking: Awaitable[Sequence[Taken]]) -> Sequence[Taken]:
        """Await the end of a request that moves ownership: cut off, it would strand the tasks that it brings."""
        with anyio.CancelScope(shield=True) as self._taking:
            return await taking
        return ()  # the worker stopped, and the server did not answer for too long

    # for other loops -------------------------------------------------------------------------------------

    async def wait_idle(self) -> None:
        while not self.is_idle:
            await self._became_idle.wait()

    async def take_over(self, abandoned: Sequence[bytes]) -> None:
        """Take these deliveries over from their holders as there is capacity for them. Ends a blocking read."""
        self._abandoned = list(abandoned)
        await self._blocking.unblock()

    async def look_at_pauses(self) -> None:
        """Look at once whether all tasks are paused. Ends a blocking read."""
        self._must_look = True
        self._pauses.notify()
        await self._blocking.unblock()

    async def look_at_lanes(self) -> None:
        """Find out which lanes there are. Ends a blocking read."""
        self._must_find_lanes = self._must_look = True
        await self._blocking.unblock()

    def go_on(self) -> None:
        """Look at once whether all tasks are still paused, if they were."""
        self._pauses.notify()

    @property
    def is_paused(self) -> bool:
        """Whether all tasks are paused, as far as the reader knows."""
        return self.claims.is_paused

    async def wait_while_paused(self) -> None:
        while self.is_paused:
            await self._resumed.wait()

    @property
    def has_abandoned(self) -> bool:
        """Whether some of these deliveries wait for capacity."""
        return bool(self._abandoned)

    async def wait_for_no_abandoned(self) -> None:
        while self._abandoned:
            await self._none_abandoned.wait()

    async def unblock_when_needed(self) -> None:
        """End the blocking read whenever its place is wanted, and at the shutdown, from which it is shielded."""
        wanted, seen = self.roster.places.wanted, 0
        try:
            while True:
                await wanted.wait_past(seen)
                seen = wanted.count
                await self._blocking.unblock()
        finally:
            if self._taking is not None:
                self._taking.deadline = anyio.current_time() + LAST_ANSWER_SECONDS
            with anyio.CancelScope(shield=True):
                await self._blocking.unblock()
