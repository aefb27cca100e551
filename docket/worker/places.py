"""The places of a worker: which of its claims count among the tasks that it runs at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sized
from datetime import timedelta

import anyio
import attrs

from ..notification import Notification
from ..rules import PUT_OFF
from ..values import define

__all__ = ["Place", "Places"]


@define(eq=False)
class Place:
    """The place of a task that has waited for other tasks."""

    since: float
    """The loop time since which it is for the task, where it is."""
    seconds: float = 0.0
    """For how long the task has had it before."""
    waits: int = 0
    """How many waits there are in it: a body may have several tasks of the event loop."""
    is_given_up: bool = False
    """Whether it is for others now."""
    is_told: bool = False
    """Whether telemetry was told that it is."""
    put_off_for: timedelta = PUT_OFF
    """For how long the task is put off, if it is."""
    returning: anyio.Event | None = None
    """Set once it has its place again, for which it waits in line; None: it does not."""


@define(eq=False)
class Places:
    """Counts the claims that ``running`` holds against ``concurrency``, without those that only wait (I14).

    A task that waits for other tasks steps aside, and waits for a place before it goes on. It gets one before anything
    new does. What the reader has asked the server for counts from then on, whether it comes or not.
    """

    running: Sized
    concurrency: Callable[[], int]
    aside: int = attrs.field(init=False, default=0)
    """How many claims do not count, those that wait for a place to go on in included."""
    wanted: Notification = attrs.field(init=False, factory=Notification)
    """Notified when a task could go on, if what the server has been asked for did not come."""
    _promised: int = attrs.field(init=False, default=0)
    _is_closed: bool = attrs.field(init=False, default=False)
    _returning: deque[Place] = attrs.field(init=False, factory=deque[Place])

    # for the reader --------------------------------------------------------------------------------------

    @property
    def free(self) -> int:
        """How many more tasks may be taken; below 1 if none."""
        return self.concurrency() - len(self.running) + self.aside - len(self._returning)

    def promise(self, count: int) -> None:
        """Keep so many places for what the server is being asked for."""
        if not self._is_closed:
            self._promised = count
        if self._returning:  # the concurrency was raised
            self._give()

    def keep_promise(self) -> None:
        """What the server was asked for has come, and runs, or does not come."""
        self._promised = 0
        self._give()

    def close(self) -> None:
        """Nothing new begins any more, whatever was asked for."""
        self._is_closed = True
        self.keep_promise()

    # for the roster --------------------------------------------------------------------------------------

    def left(self, place: Place | None) -> None:
        """A claim has ended, with this place if it has ever waited. Call it only while some are aside."""
        if place is not None and place.is_given_up:
            self._take_back(place)
        self._give()

    # for tasks that wait ---------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many tasks only wait for other tasks."""
        return self.aside - len(self._returning)

    def step_aside(self, place: Place) -> None:
        """Let others have a place."""
        place.waits += 1
        if place.returning is not None:  # what it goes on with is beside this wait
            self._returning.remove(place)
            place.returning.set()
            place.returning = None
        if not place.is_given_up:
            place.is_given_up = True
            self.aside += 1
        self._give()

    async def come_back(self, place: Place) -> None:
        """Wait for a place to go on in; not while there are other waits in it.

        Cancel: it goes on at once, and counts: what has the places may be what it is to stop.
        """
        place.waits -= 1
        if place.waits or not place.is_given_up:
            return
        returning = place.returning = anyio.Event()
        self._returning.append(place)
        self._give()
        if place.returning is not returning:
            return
        if self._promised:
            self.wanted.notify()
        try:
            await returning.wait()
        finally:
            if place.returning is returning:
                self._returning.remove(place)
                self._take_back(place)

    def come_back_at_once(self, place: Place) -> None:
        """Go on, whether there is a place or not; it counts from now on."""
        place.waits -= 1
        if place.is_given_up and not place.waits:
            self._take_back(place)

    def _give(self) -> None:
        """Give what is free to those that want to go on, in the order in which they came."""
        while self._returning and (
            len(self.running) - self.aside + self._promised < self.concurrency()
        ):  # what the reader has asked for has a place, too
            self._take_back(self._returning.popleft())

    def _take_back(self, place: Place) -> None:
        self.aside -= 1
        place.is_given_up = False
        if place.returning is not None:
            place.returning.set()
            place.returning = None
