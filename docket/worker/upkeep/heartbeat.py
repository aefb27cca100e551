"""The heartbeat: says that the worker lives, and for which tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import timedelta

import anyio
import attrs
from redis.exceptions import RedisError

from ...clock import wait_for_ever
from ...store import Beat, Liveness
from ..intake.scheduler import Scheduler

logger = logging.getLogger("docket.worker")

__all__ = ["Heartbeat"]

#: How many seconds a worker that ends waits for a server that is to forget it.
LEAVING = 2.0


@attrs.define(eq=False)
class Heartbeat:
    """Says every ``interval`` that the worker lives, and every other time for which tasks."""

    liveness: Liveness
    worker: str
    tasks: Callable[[], Collection[str]]
    interval: timedelta
    scheduler: Scheduler
    _advertised: frozenset[str] | None = attrs.field(init=False, default=None)
    _last_beat: float | None = attrs.field(init=False, default=None)
    _warned: bool = attrs.field(init=False, default=False)
    _asked: bool = attrs.field(init=False, default=False)
    """Whether a beat was sent, and not heard to have come."""
    _complained: set[str] = attrs.field(init=False, factory=set[str])

    async def run(self, answered: Callable[[], None]) -> None:
        beats, self._last_beat = 0, None  # what was sent when the server went away is not known
        sparing = self.liveness.expiry > 3 * self.interval
        while True:
            tasks = frozenset(self.tasks())
            # The sets of tasks outlive several beats; refreshing them at every other one is half of the cost.
            refresh = not sparing or beats % 2 == 0 or tasks != self._advertised
            self._advertised = tasks | (self._advertised or frozenset())
            unsure, self._asked = self._asked, True
            beat = await self.liveness.beat(self.worker, tasks, tasks_too=refresh)
            self._asked = False
            answered()
            self._look_for_a_twin(beat, unsure=unsure)
            self._complain(beat)
            self.scheduler.note_first(beat.first_due)
            beats += 1
            if self.liveness.client.is_memory:
                await wait_for_ever()
            await anyio.sleep(self.interval.total_seconds())

    def _look_for_a_twin(self, beat: Beat, *, unsure: bool) -> None:
        """Warn if our entry changes without us. At the first beat it may be that of the process before this one.

        ``unsure``: or that of a beat of our own that was refused half-way.
        """
        expected = self._last_beat
        if self.liveness.client.is_memory:
            foreign = beat.seen is not None and not unsure
        else:
            foreign = expected is not None and beat.seen is not None and abs(beat.seen - expected) > 1e-4
        self._last_beat = beat.at
        if foreign and not self._warned:
            self._warned = True
            logger.warning(
                "There is another worker named %r on this docket; each task still runs once, "
                "but give every worker a name of its own to tell them apart",
                self.worker,
            )

    def _complain(self, beat: Beat) -> None:
        """Say once of each task that nobody can be told who knows it."""
        for problem in map(str, beat.problems):
            if problem not in self._complained:
                self._complained.add(problem)
                logger.warning("Nobody is told that worker %r knows a task: %s", self.worker, problem)

    async def leave(self) -> None:
        """Take the worker off the lists; a server that is away forgets it by itself."""
        if self._advertised is None:
            return
        with anyio.move_on_after(LEAVING, shield=True):
            try:
                await self.liveness.leave(self.worker, self._advertised)
            except RedisError as error:
                logger.debug("Could not take worker %s off the list: %s", self.worker, error)
