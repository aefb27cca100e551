"""The redelivery sweep: finds deliveries, slots and consumers of workers that are gone, and what pydocket's leave."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ... import clock
from ...clock import monotonic
from ...notification import Notification
from ...rules import renewal_interval
from ...store import PENDING_PAGE, Claims
from ...values import define
from ..roster import Roster
from .reader import Reader

__all__ = ["Sweep"]

#: Abandoned deliveries that a sweep finds at most before it waits for the reader to take them over.
SWEEP_BATCH = 1000

#: A consumer is removed when its worker is dead and it has asked for nothing for so long.
CONSUMER_KEPT = timedelta(hours=1)

#: The time between two looks for such consumers, each of which lists all consumers in one step of the server, and for
#: failures that are too old.
RETIRE_INTERVAL = timedelta(minutes=10)


@define(eq=False)
class Sweep:
    """Looks for deliveries and slots that nobody renews, since their worker is gone. The reader takes deliveries over.

    On a real server one worker of the fleet at a time looks through all pending deliveries, a page at a time, at each
    renewal interval of a lease that lasts ``timeout``. On memory:// nothing polls (I10): a look comes when the oldest
    delivery of another worker is due, or after `look_again`. A worker without a heartbeat for ``expiry`` is dead.
    """

    claims: Claims
    roster: Roster
    reader: Reader
    timeout: timedelta
    expiry: timedelta
    _wanted: Notification = attrs.field(init=False, factory=Notification)
    _cursor: bytes = attrs.field(init=False, default=b"")
    """The id after which the next look begins. Another worker that sweeps next begins at the front."""
    _retire_at: float = attrs.field(init=False, default=-math.inf)

    def look_again(self) -> None:
        """Look, on memory://: another worker has claimed something, or this one left a claim to redelivery."""
        self._wanted.notify()

    async def run(self, answered: Callable[[], None]) -> None:
        """Sweep until cancelled or until Redis is lost."""
        await self.claims.create_group()
        if self.claims.client.is_memory:
            await self._run_without_polling(answered)
        interval = renewal_interval(self.timeout)
        while True:
            # A worker that has found more than it has room for leaves the next sweep, and so the rest, to others.
            if not self.reader.has_abandoned and await self.claims.sweeping.hold_lease(interval):
                await self._sweep()
            answered()
            with anyio.move_on_after((interval * random.uniform(0.75, 1.25)).total_seconds()):
                if self._cursor:  # there may be more
                    await self.reader.wait_for_no_abandoned()
                else:
                    await clock.wait_for_ever()

    async def _run_without_polling(self, answered: Callable[[], None]) -> None:
        taken_over = False
        while True:
            seen = self._wanted.count
            self._cursor = b""
            idle = await self._sweep()
            answered()
            if idle is None and taken_over:
                # What is not begun again still holds its slots, by leases that began later than that of the delivery.
                taken_over = False
                with anyio.move_on_after(self.timeout.total_seconds() + 0.001):
                    await self._wanted.wait_past(seen)
            elif idle is None:
                await self._wanted.wait_past(seen)
                # A delivery that was claimed just now cannot be due before a whole timeout has passed.
                await anyio.sleep(self.timeout.total_seconds())
            elif idle < self.timeout:
                await anyio.sleep((self.timeout - idle).total_seconds() + 0.001)
            else:  # found, and not taken over yet
                taken_over = True
                await self.reader.wait_while_paused()
                await self.roster.wait_for_place()
                await anyio.sleep(0.001)

    async def _sweep(self) -> timedelta | None:
        """Sweep once, from the cursor on; return the longest idle time of a delivery of others."""
        abandoned, longest = await self._find_abandoned()
        if abandoned and not self.reader.is_paused:
            await self.reader.take_over(abandoned)
        await self.claims.admissions.sweep()
        await self.claims.pauses.finish_resuming()
        await self.claims.sweeping.place_successors()
        await self.claims.look_after_turns()
        await self._retire()
        return longest

    async def _find_abandoned(self) -> tuple[list[bytes], timedelta | None]:
        abandoned: list[bytes] = []
        longest: timedelta | None = None
        while True:
            page = await self.claims.sweeping.look(self._cursor)
            for pending in page:
                # A task that runs here is not run twice because its renewal is late.
                if pending.message_id not in self.roster:
                    longest = max(longest or pending.idle, pending.idle)
                    if pending.idle >= self.timeout:
                        abandoned.append(pending.message_id)
            is_last = len(page) < PENDING_PAGE
            self._cursor = b"" if is_last else page[-1].message_id
            if is_last or len(abandoned) >= SWEEP_BATCH:
                return abandoned, longest

    async def _retire(self) -> None:
        """Remove consumers, and failures, that nobody needs any more; seldom."""
        if monotonic() >= self._retire_at:
            self._retire_at = monotonic() + RETIRE_INTERVAL.total_seconds()
            await self.claims.sweeping.retire_consumers(max(CONSUMER_KEPT, 2 * self.timeout), self.expiry)
            await self.claims.failures.sweep()
