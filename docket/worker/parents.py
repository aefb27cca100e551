"""Running tasks that wait for other tasks: what they need of the worker that runs them."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import anyio
import attrs
from anyio import CancelScope, get_cancelled_exc_class

from ..clock import monotonic
from ..notification import Notification
from ..parenthood import Keeping, Tell, Tend, never
from ..rules import PUT_OFF, Priority, StopReason, names_in
from ..store import HELD_LIMITS, Fence, Groups, level_of
from ..values import define
from .opened import Opened
from .places import Place
from .reports.reporting import emit_waits
from .roster import Roster, Running
from .upkeep.listener import Listener
from .upkeep.tending import Tending

__all__ = ["Parents"]

#: For how many seconds a task may wait that is one too many.
GRACE = 1.0

#: The part of a worker's places that those it has put off have, as they begin anew, in the long run. The others are for
#: what they wait for, and for tasks that wait for none.
SHARE = 0.5

_ELSEWHERE = StopReason.DRAIN, StopReason.PUT_OFF, StopReason.LOST


@define(eq=False)
class _Parent:
    """See `docket.parenthood.Parent`."""

    parents: Parents
    running: Running

    @property
    def key(self) -> str:
        return self.running.delivery.message.key

    @property
    def fence(self) -> Fence:
        return self.running.delivery.fence

    @property
    def goes_on_elsewhere(self) -> bool:
        return self.running.reason in _ELSEWHERE

    @property
    def holds(self) -> frozenset[str]:
        delivery = self.running.delivery
        of_parents = delivery.message.extra.get(HELD_LIMITS, b"").decode(errors="replace")
        return names_in(delivery.slots) | names_in(of_parents)

    @property
    def priority(self) -> Priority:
        return level_of(self.running.delivery.message.extra)

    def open_group(self, name: str | None) -> str:
        running = self.running
        running.groups = running.groups or Opened()
        return running.groups.place(name)

    def left_group(self, place: str) -> None:
        assert self.running.groups is not None  # it was opened
        self.running.groups.left(place)

    def keep_children(self, group_id: str) -> None:
        assert self.running.groups is not None  # it was opened
        kept = self.running.groups.kept
        if not kept and self.parents.groups.keep_every is not None:
            self.parents.tending.begin(
                _keeping(self.running), self.running, Keeping(self.parents.groups, kept).tend
            )
        if group_id not in kept:
            kept.append(group_id)

    @asynccontextmanager
    async def seceded(self, finds: Callable[[], bool] = never) -> AsyncGenerator[None]:
        running, places = self.running, self.parents.roster.places
        place = running.place = running.place or Place(since=running.began)
        if not place.is_given_up:
            place.seconds += monotonic() - place.since
        is_one_too_many = self._is_one_too_many(place)
        if is_one_too_many and (running.uninterruptible or running.stopped_by is None):
            yield  # nothing can put it off, so it keeps its place
            place.since = monotonic()
            return
        running.waits = (*running.waits, finds)
        if running.would_find and self.parents.stopping() and not running.uninterruptible:
            running.stop(StopReason.DRAIN)
        places.step_aside(place)
        self.parents.roster.freed.notify()
        if is_one_too_many:
            self.parents.put_off_later(running)
        self._tell(place)
        try:
            yield
        except get_cancelled_exc_class():
            places.come_back_at_once(place)
            raise
        except BaseException:
            await self._come_back(place)
            raise
        else:
            await self._come_back(place)
        finally:
            left = list(running.waits)
            left.remove(finds)
            running.waits = tuple(left)
            place.since = monotonic()
            self._tell(place)

    def _tell(self, place: Place) -> None:
        """Tell telemetry whether it only waits."""
        if place.is_told is not place.is_given_up:
            place.is_told = place.is_given_up
            emit_waits(self.running, 1 if place.is_told else -1)

    def _is_one_too_many(self, place: Place) -> bool:
        """Whether as many wait as may, without this one."""
        if place.is_given_up or self.running.reason is not None:  # what is stopped may wait as it ends
            return False
        return self.parents.roster.places.waiting >= self.parents.most

    async def _come_back(self, place: Place) -> None:
        places = self.parents.roster.places
        if self.running.reason is not None:  # it ends, and what has the places may be what it is to stop
            places.come_back_at_once(place)
        else:
            await places.come_back(place)

    @contextmanager
    def patient(self, scope: CancelScope) -> Generator[None]:
        running = self.running
        running.patient = (*running.patient, scope)
        if running.reason in _ELSEWHERE:
            scope.cancel()
        try:
            yield
        finally:
            running.patient = tuple(each for each in running.patient if each is not scope)

    async def follow(self, channel: str, tell: Tell) -> None:
        await self.parents.listener.follow(channel, self.running, tell)

    def have_tended(self, channel: str, tend: Tend) -> None:
        self.parents.tending.begin(channel, self.running, tend)

    def unfollow(self, channel: str) -> None:
        self.parents.listener.unfollow(channel, self.running)
        self.parents.tending.end(channel, self.running)


@define(eq=False)
class Parents:
    """What one worker is to the tasks that it runs (`docket.parenthood.Host`).

    ``most`` of them may wait at a time. One more is put off, unless it goes on within `GRACE`: who has begun anew and
    finds that what it waits for has ended must not be put off for asking.
    """

    roster: Roster
    listener: Listener
    tending: Tending
    groups: Groups
    most: int
    stopping: Callable[[], bool]
    _thread: int = attrs.field(init=False, factory=threading.get_ident)
    _late: deque[tuple[float, Running]] = attrs.field(init=False, factory=deque[tuple[float, Running]])
    """Those that are to be put off, each with the loop time at which."""
    _next: float = attrs.field(init=False, default=-math.inf)
    """The loop time at which another that is put off may begin anew, at the earliest."""
    _more: Notification = attrs.field(init=False, factory=Notification)

    def __attrs_post_init__(self) -> None:
        self.roster.left = self._left

    def _left(self, running: Running) -> None:
        self.tending.end(_keeping(running), running)

    async def run(self) -> None:
        """Put off who waits although it is one too many, until cancelled."""
        while True:
            while not self._late:
                await self._more.wait()
            at, running = self._late.popleft()
            await anyio.sleep_until(at)
            if running.only_waits and running.reason is None and self.roster.places.waiting > self.most:
                assert running.place is not None  # it has given up one
                running.place.put_off_for = self._turn(running.place.seconds)
                running.stop(StopReason.PUT_OFF)

    def _turn(self, seconds: float) -> timedelta:
        """In what time one may begin anew that takes a place for so many seconds, beside others that were put off."""
        now = monotonic()
        turn = max(self._next, now + PUT_OFF.total_seconds())
        self._next = turn + seconds / (SHARE * self.roster.places.concurrency())
        return timedelta(seconds=turn - now)

    def put_off_later(self, running: Running) -> None:
        self._late.append((monotonic() + GRACE, running))
        self._more.notify()

    def parent(self, execution: Any) -> _Parent | None:
        # Context goes along into other threads, whose loops must not touch what is ours, and into tasks of the event
        # loop that outlive the body.
        if execution.message_id is None or threading.get_ident() != self._thread:
            return None
        running = self.roster.get(execution.message_id)
        if running is None or running.execution is not execution or running.settling:
            return None
        return _Parent(self, running)


def _keeping(running: Running) -> str:
    """What stands for its children among what is tended to; no channel has that name."""
    return f"children of {running.delivery.fence.message_id!r}"
