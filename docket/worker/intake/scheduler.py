"""The scheduler: moves due tasks to the stream."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

import anyio
import attrs

from ... import clock
from ...clock import monotonic
from ...notification import Notification
from ...store import DueTasks
from ...values import define

__all__ = ["Scheduler"]

#: Tasks per script that moves them: each keeps the server for one or two milliseconds (tests/store/test_bounds.py).
DUE_BATCH = 100

#: For so long after a task that no client announced, the scheduler also looks at each ``resolution``.
SHARED = timedelta(minutes=10)


@define(eq=False)
class Scheduler:
    """Moves due tasks to the stream. Sleeps until the next one is due; an earlier task that is announced wakes it.

    pydocket's clients announce nothing. The heartbeat sees their tasks (`note_first`), and for a while after that the
    scheduler also looks every ``resolution``.
    """

    due: DueTasks
    resolution: timedelta
    #: The next three are moments at which a task is due, in epoch seconds.
    _next_due: float | None = attrs.field(init=False, default=None)
    _announced: float | None = attrs.field(init=False, default=None)
    _unannounced: float | None = attrs.field(init=False, default=None)
    #: The loop time until which the docket counts as shared with clients that announce nothing.
    _shared_until: float = attrs.field(init=False, default=-math.inf)
    _woken: Notification = attrs.field(init=False, factory=Notification)
    _has_looked: bool = attrs.field(init=False, default=False)
    #: Whether the server is being asked: what its answer says of the next task may be of before an announcement.
    _looks: bool = attrs.field(init=False, default=False)

    async def run(self, answered: Callable[[], None]) -> None:
        """Move due tasks until cancelled or until Redis is lost."""
        self._has_looked = False  # announcements during an outage were lost
        while True:
            seen, self._looks = self._woken.count, True
            moved = await self.due.move(DUE_BATCH)
            self._looks = False
            answered()
            self._has_looked, self._next_due = True, moved.next_due
            now = clock.timestamp()
            if moved.next_due is not None and moved.next_due <= now:
                continue  # more than one batch is due
            seconds = None if moved.next_due is None else moved.next_due - now
            if monotonic() < self._shared_until:
                resolution = self.resolution.total_seconds()
                seconds = resolution if seconds is None else min(seconds, resolution)
            with anyio.move_on_after(seconds):
                await self._woken.wait_past(seen)

    def wake(self) -> None:
        """Look at once."""
        self._woken.notify()

    def announce(self, when: str) -> None:
        """Wake if a task that is due at ``when`` (epoch seconds, as text) is earlier than all others."""
        try:
            due = float(when)
        except ValueError:
            return  # not from us
        if math.isnan(due):
            return
        self._announced = due
        if due == self._unannounced:  # the heartbeat was faster than the announcement
            self._unannounced, self._shared_until = None, -math.inf
        if self._looks:
            self.wake()
        elif self._is_earlier(due):
            self._next_due = due
            self.wake()

    def note_first(self, when: float | None) -> None:
        """Wake if the first task of the queue, due at ``when``, was not announced: pydocket's clients add tasks too."""
        if not self._has_looked or self.due.client.is_memory:
            return
        if when is not None and self._is_earlier(when) and when != self._announced:
            self._next_due = self._unannounced = when
            self._shared_until = monotonic() + SHARED.total_seconds()
            self.wake()
            return
        now = clock.timestamp()
        if any(due is not None and due <= now for due in (when, self._next_due)):
            self.wake()  # the wall clock was set forward, or that moment was announced of another task

    def _is_earlier(self, when: float) -> bool:
        return self._next_due is None or when < self._next_due
