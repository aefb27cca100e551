"""Running tasks that wait for other tasks: what they need of the worker that runs them."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import attrs
from anyio import CancelScope, get_cancelled_exc_class

from ..parenthood import Tell
from ..rules import StopReason, names_in
from ..store import HELD_LIMITS, Fence
from ..values import define
from .places import Place
from .reports.reporting import emit_waits
from .roster import Roster, Running
from .upkeep.listener import Listener

__all__ = ["Parents"]

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

    def next_group(self) -> int:
        self.running.groups += 1
        return self.running.groups

    @asynccontextmanager
    async def seceded(self) -> AsyncGenerator[None]:
        running, places = self.running, self.parents.roster.places
        place = running.place = running.place or Place()
        if self._is_one_too_many(place):
            if running.uninterruptible or running.stopped_by is None:  # nothing can put it off
                yield
                return
            running.stop(StopReason.PUT_OFF)
        elif self.parents.stopping() and not running.uninterruptible:
            running.stop(StopReason.DRAIN)  # whoever runs it next finds the tasks that it waits for
        places.step_aside(place)
        self.parents.roster.freed.notify()
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

    def unfollow(self, channel: str) -> None:
        self.parents.listener.unfollow(channel, self.running)


@define(eq=False)
class Parents:
    """What one worker is to the tasks that it runs (`docket.parenthood.Host`), ``most`` of which may wait at a time."""

    roster: Roster
    listener: Listener
    most: int
    stopping: Callable[[], bool]
    _thread: int = attrs.field(init=False, factory=threading.get_ident)

    def parent(self, execution: Any) -> _Parent | None:
        # Context goes along into other threads, whose loops must not touch what is ours, and into tasks of the event
        # loop that outlive the body.
        if execution.message_id is None or threading.get_ident() != self._thread:
            return None
        running = self.roster.get(execution.message_id)
        if running is None or running.execution is not execution or running.settling:
            return None
        return _Parent(self, running)
