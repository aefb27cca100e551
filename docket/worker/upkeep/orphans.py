"""Task groups whose parents are gone: whoever is in them is cancelled."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ...notification import Notification
from ...standins import redis_errors
from ...store import Groups, OpenGroup, Sweeping
from ...transport import is_outage
from ...values import define

__all__ = ["LOOK", "Orphans"]

logger = logging.getLogger("docket.worker")

#: How often somebody looks for groups whose parents are gone, on a real server.
LOOK = timedelta(seconds=10)

#: For how long a worker lets another one come first that looked the last time.
STAND_BACK = timedelta(seconds=1)

#: How many groups one look finds.
MOST = 100


@define(eq=False)
class Orphans:
    """Cancels who is in groups that are doomed, or whose parents are gone, until nobody is under way in them.

    On a real server each worker asks every ``period``, and whenever a group is doomed, whether a group is due, in one
    command while there is none; where one is, a worker that holds the lease looks after it. On memory:// nothing polls
    (I10): each worker asks when it is told, and when a group is due.
    """

    groups: Groups
    sweeping: Sweeping
    period: timedelta
    _told: Notification = attrs.field(init=False, factory=Notification)

    def look_again(self) -> None:
        """Look at once: a group is doomed, or may have been while nobody listened."""
        self._told.notify()

    async def run(self, answered: Callable[[], None]) -> None:
        """Look until cancelled or until Redis is lost."""
        is_memory = self.groups.client.is_memory
        is_first, is_well = True, True
        while True:
            seen = self._told.count
            if (due_in := await self.groups.first_due()) == 0:
                is_first = is_memory or await self.sweeping.hold_groups_lease(1.5 * self.period)
                is_well = not is_first or await self._look()
                if is_memory:
                    due_in = await self.groups.first_due()
            answered()
            is_told = is_memory and is_well
            seconds = due_in if is_told else self.period.total_seconds() * random.uniform(0.75, 1.25)
            with anyio.move_on_after(seconds):
                await self._told.wait_past(seen)
                if not is_first:  # whoever looked the last time looks at once, and most likely for all
                    await anyio.sleep(random.uniform(0, STAND_BACK.total_seconds()))

    async def _look(self) -> bool:
        """Look after the groups that are due, each of which is due later then; whether that was possible."""
        while True:
            found = await self.groups.due(MOST)
            looked = [await self._look_after(group) for group in found]
            if len(found) < MOST or not any(looked):
                return all(looked)

    async def _look_after(self, group: OpenGroup) -> bool:
        try:
            await self.groups.look_after(group, self.period)
        except redis_errors.RedisError as error:
            if is_outage(error):
                raise
            # Somebody keeps something else under one of its names, which harms no other group (I9).
            logger.warning("Task group %s cannot be looked after: %s", group.id, error)
            return False
        return True
