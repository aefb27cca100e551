"""The scheduler: moves due tasks to the stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ... import clock
from ...clock import monotonic
from ...store import DueTasks
from ..roster import Notification

__all__ = ["Scheduler"]
DUE_BATCH = 100


@attrs.define(eq=False)
class Scheduler:
    """Moves due tasks to the stream: sleeps until the next due moment, and is woken by earlier additions.

    pydocket's clients wake nobody. The heartbeat sees what they add (`saw_first`), and for as long as such a one
    was seen lately the scheduler also looks every ``resolution``.
    """

    due: DueTasks
    resolution: timedelta
    remembered: timedelta = timedelta(minutes=10)
    _next_due: float | None = attrs.field(init=False, default=None)
    _unannounced: float | None = attrs.field(init=False, default=None)
    _announced: float | None = attrs.field(init=False, default=None)
    _shared_until: float = attrs.field(init=False, default=-math.inf)
    _wakes: Notification = attrs.field(init=False, factory=Notification)
    _has_looked: bool = attrs.field(init=False, default=False)

    def wake(self) -> None:
        """Look at once."""
        self._wakes.notify()

    def announced(self, when: str) -> None:
        """A task was added that is due at ``when`` (epoch seconds, as text)."""
        try:
            due = float(when)
        except ValueError:
            return  # not from us
        if math.isnan(due):
            return
        self._announced = due
        if due == self._unannounced:  # the heartbeat was faster than the announcement
            self._unannounced, self._shared_until = None, -math.inf
        if self._is_earlier(due):
            self._next_due = due
            self.wake()

    def saw_first(self, when: float | None) -> None:
        """The first queued task is due at ``when``; if nobody announced it, someone shares the docket."""
        if when is None or not self._has_looked or self.due.client.is_memory:
            return
        now = clock.timestamp()
        if self._is_earlier(when) and when != self._announced:
            self._next_due = self._unannounced = when
            self._shared_until = monotonic() + self.remembered.total_seconds()
            self.wake()
        elif when <= now:
            self.wake()  # the wall clock was set forward

    def _is_earlier(self, when: float) -> bool:
        return self._next_due is None or when < self._next_due

    async def run(self, answered: Callable[[], None]) -> None:
        self._has_looked = False  # nor has anybody heard what was announced during an outage
        while True:
            seen = self._wakes.count
            moved = await self.due.move(DUE_BATCH)
            answered()
            self._has_looked, self._next_due = True, moved.next_due
            now = clock.timestamp()
            if moved.next_due is not None and moved.next_due <= now:
                continue  # more than one batch is due
            limit = None if moved.next_due is None else moved.next_due - now
            if monotonic() < self._shared_until:
                resolution = self.resolution.total_seconds()
                limit = resolution if limit is None else min(limit, resolution)
            with anyio.move_on_after(limit):
                await self._wakes.wait_past(seen)
