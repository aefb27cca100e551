"""The redelivery sweep: finds deliveries and slots that nobody renews."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ... import clock
from ...clock import monotonic
from ...dependencies import LEASE_RENEWAL_FACTOR
from ...store import PENDING_PAGE, Claims
from ..roster import Notification, Roster
from .reader import Reader

__all__ = ["Sweep"]

#: Abandoned deliveries that a sweep finds at most before it waits for the reader to take them over.
SWEEP_BATCH = 1000

#: A consumer is removed when its worker is dead and it has asked for nothing for so long. Looking for such lists all
#: consumers in one step, so it is not done more often than this either.
CONSUMER_KEPT = timedelta(hours=1)
RETIRING = timedelta(minutes=10)


@attrs.define(eq=False)
class Sweep:
    """Looks for deliveries and slots that nobody renews: their worker is gone. The reader takes over the deliveries.

    On a server of its own one worker of the fleet at a time looks, every quarter of ``timeout``, at the whole list
    of pending deliveries, a page at a time. In this process nothing polls: a look comes when the oldest foreign
    delivery will be due, woken by foreign claims. A worker that was not seen for ``expiry`` is dead.
    """

    claims: Claims
    roster: Roster
    reader: Reader
    timeout: timedelta
    expiry: timedelta
    _wanted: Notification = attrs.field(init=False, factory=Notification)
    _cursor: bytes = attrs.field(init=False, default=b"")
    """The id behind which the next look begins. Who sweeps next, instead of this worker, begins at the front."""
    _retires_at: float = attrs.field(init=False, default=-math.inf)

    def look_again(self) -> None:
        """Look where nothing polls: another worker has claimed something, or this one left a claim to redelivery."""
        self._wanted.notify()

    async def run(self, answered: Callable[[], None]) -> None:
        await self.claims.create_group()
        if self.claims.client.is_memory:
            await self._run_without_polling(answered)
        interval = self.timeout / LEASE_RENEWAL_FACTOR
        while True:
            # Who has found more than it has room for leaves the next sweep, and with it the rest, to others.
            if not self.reader.has_abandoned and await self.claims.sweeping.hold_lease(interval):
                await self._sweep()
            answered()
            with anyio.move_on_after((interval * random.uniform(0.75, 1.25)).total_seconds()):
                if self._cursor:  # there may be more
                    await self.reader.wait_for_no_abandoned()
                else:
                    await clock.wait_for_ever()

    async def _run_without_polling(self, answered: Callable[[], None]) -> None:
        while True:
            seen = self._wanted.count
            self._cursor = b""
            idle = await self._sweep()
            answered()
            if idle is None:
                await self._wanted.wait_past(seen)
                # What was claimed just now cannot be due before a whole timeout has passed.
                await anyio.sleep(self.timeout.total_seconds())
            elif idle < self.timeout:
                await anyio.sleep((self.timeout - idle).total_seconds() + 0.001)
            else:  # found, and not taken over yet
                await self.roster.wait_for_fewer_than(self.reader.concurrency())
                await anyio.sleep(0.001)

    async def _sweep(self) -> timedelta | None:
        """Look from the cursor on; return the longest time for which anything of others was not renewed."""
        abandoned: list[bytes] = []
        longest: timedelta | None = None
        while True:
            page = await self.claims.sweeping.look(self._cursor)
            for pending in page:
                # Being late with what we are at work on is no reason to run it twice.
                if pending.message_id not in self.roster:
                    longest = max(longest or pending.idle, pending.idle)
                    if pending.idle >= self.timeout:
                        abandoned.append(pending.message_id)
            is_last = len(page) < PENDING_PAGE
            self._cursor = b"" if is_last else page[-1].message_id
            if is_last or len(abandoned) >= SWEEP_BATCH:
                break
        if abandoned:
            await self.reader.take_over(abandoned)
        await self.claims.admissions.sweep()
        if monotonic() >= self._retires_at:
            self._retires_at = monotonic() + RETIRING.total_seconds()
            await self.claims.sweeping.retire_consumers(max(CONSUMER_KEPT, 2 * self.timeout), self.expiry)
        return longest
