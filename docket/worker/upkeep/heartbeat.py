"""The heartbeat: writes that the worker lives, and which tasks it knows."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta

import anyio
import attrs

from ...clock import monotonic
from ...notification import Notification
from ...standins import redis_errors
from ...store import Beat, Lanes, Liveness
from ...values import define
from ..intake.scheduler import Scheduler
from .outages import Outages
from .server_time import ServerTime

logger = logging.getLogger("docket.worker")

__all__ = ["Heartbeat"]

#: How many seconds a worker that ends waits for the server to remove it from the lists.
LEAVE_SECONDS = 2.0

#: How often a beat writes the lists of tasks anew: prunes them, and pushes back their ends, which are an hour away.
LISTS_SECONDS = 600.0

#: So many beats of a worker that begins ask for the server's time, which shows a namesake at once.
FIRST_BEATS = 2


@define(eq=False)
class Heartbeat:
    """Writes every ``interval`` that the worker lives, and less often which tasks it knows.

    Most beats are two plain commands: they go by the server's time as the script has returned it (`ServerTime`).
    As soon as the worker ``drains`` one more beat says so, and each one after that.
    """

    liveness: Liveness
    worker: str
    tasks: Callable[[], Collection[str]]
    interval: timedelta
    scheduler: Scheduler
    outages: Outages
    drains: Callable[[], bool]
    lanes: Lanes
    """Which levels the worker serves, to be told where that is said."""
    news: Notification
    """Notified when there is something to be told at once."""
    changed: Notification = attrs.field(factory=Notification)
    """Notified where the tasks are others than those of the beat before."""
    _time: ServerTime = attrs.field(init=False, factory=ServerTime)
    _known: frozenset[str] | None = attrs.field(init=False, default=None)
    _advertised: frozenset[str] | None = attrs.field(init=False, default=None)
    """All tasks that some beat has named."""
    _told: int = attrs.field(init=False, default=0)
    """How much of the news some beat has told."""
    _lists_due: float = attrs.field(init=False, default=-math.inf)
    """The loop time at which the script writes the lists of tasks again."""
    _last_beat: float | None = attrs.field(init=False, default=None)
    _is_unanswered: bool = attrs.field(init=False, default=False)
    """Whether a beat was sent to which no answer came."""
    _logged_namesake: bool = attrs.field(init=False, default=False)
    _logged_problems: set[str] = attrs.field(init=False, factory=set[str])

    async def run(self, answered: Callable[[], None]) -> None:
        """Beat until cancelled or until Redis is lost."""
        beats, self._last_beat = 0, None  # whether the server has the last beat before an outage is not known
        self._lists_due = -math.inf
        # The lists of tasks go by the same age as the worker itself. They are named so often that one beat may fail.
        rarely = max(1, round(self.liveness.expiry / self.interval) - 1)
        while True:
            unsure, self._is_unanswered = self._is_unanswered, True
            beat = await self._beat(beats, beats % rarely == 0)
            self._is_unanswered = False
            answered()
            self._note_full(beat)
            self._look_for_a_namesake(beat, unsure=unsure)
            self._log_problems(beat)
            self.scheduler.note_first(beat.first_due)
            beats += 1
            await self._wait()

    async def _wait(self) -> None:
        """Until the next beat is due (never on memory://), or there is something of which no beat has told."""
        lasting = self.liveness.client.is_memory
        with anyio.move_on_after(math.inf if lasting else self.interval.total_seconds()):
            await self.news.wait_past(self._told)

    async def _beat(self, beats: int, tasks_too: bool) -> Beat:
        """Write beat number ``beats`` of this connection."""
        tasks, began = frozenset(self.tasks()), monotonic()
        if tasks != self._known:
            self.changed.notify()
        write_lists = tasks != self._known or began >= self._lists_due
        drains, serves = self.drains(), self.lanes.told
        is_news, self._told = self._told != self.news.count, self.news.count
        self._known, self._advertised = tasks, tasks | (self._advertised or frozenset())
        at = None if write_lists or is_news or beats < FIRST_BEATS else self._time.now()
        if at is not None:
            with suppress(redis_errors.OutOfMemoryError):  # the script renews what is there all the same
                beat = await self.liveness.beat_again(
                    self.worker, at, tasks if tasks_too else (), drains=drains, serves=serves
                )
                if beat.was_forgotten:
                    self._lists_due = -math.inf
                return beat
        beat = await self.liveness.beat(
            self.worker, tasks, tasks_too=write_lists or tasks_too, drains=drains, serves=serves
        )
        self._time.read(beat.at, began)
        if write_lists:
            self._lists_due = began + LISTS_SECONDS
        return beat

    def _note_full(self, beat: Beat) -> None:
        """Take a full server for an outage, though it takes our beats: it refuses nearly all else."""
        if beat.refused is not None:
            self.outages.failed(self, beat.refused)
        else:
            self.outages.recovered(self)

    def _look_for_a_namesake(self, beat: Beat, *, unsure: bool) -> None:
        """Warn if another worker changes our entry. At the first beat the entry may be that of an earlier process.

        ``unsure``: it may also be that of a beat of our own which was written, but not answered.
        """
        expected = self._last_beat
        if self.liveness.client.is_memory:  # where our beats do not differ
            foreign = expected is None and beat.seen is not None and not unsure
        else:
            foreign = expected is not None and beat.seen is not None and abs(beat.seen - expected) > 1e-4
        self._last_beat = beat.at
        if foreign and not self._logged_namesake:
            self._logged_namesake = True
            logger.warning(
                "There is another worker named %r on this docket; each task still runs once, "
                "but give every worker a name of its own to tell them apart",
                self.worker,
            )

    def _log_problems(self, beat: Beat) -> None:
        """Log once for each task that the server cannot list it."""
        for problem in map(str, beat.problems):
            if problem not in self._logged_problems:
                self._logged_problems.add(problem)
                logger.warning("Cannot publish that worker %r knows a task: %s", self.worker, problem)

    async def leave(self) -> None:
        """Remove the worker from the lists. A server that is away removes it later, by itself."""
        if self._advertised is None:
            return
        with anyio.move_on_after(LEAVE_SECONDS, shield=True):
            try:
                await self.liveness.leave(self.worker, self._advertised, self.lanes.told)
            except redis_errors.RedisError as error:
                logger.debug("Could not remove worker %s from the list: %s", self.worker, error)
