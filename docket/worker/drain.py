"""The drain: ends the intake and then the work of a worker that stops, in bounded time."""

from __future__ import annotations

import logging
from datetime import timedelta

import anyio
import attrs

from ..clock import monotonic
from ..notification import Notification
from ..rules import StopReason
from ..values import define
from .reports.journal import log_detached, log_unwritten
from .roster import Roster, Running
from .runs.leased import LeaseOver
from .runs.runner import Runner

__all__ = ["CLOSING", "Drain"]

logger = logging.getLogger("docket.worker")

#: Seconds that tasks which are handed back get to close their dependencies and to be written.
CLOSING = 3.0

#: Seconds that tasks which are cancelled after that get to end. Those that do not are detached.
UNWINDING = 2.0

#: Seconds that it may take to settle what was cut off by then.
SETTLING = 1.5


@define(eq=False)
class Drain:
    """Ends the intake and the work of one worker, in steps:

    - `begin`: intake ends, so nothing new is taken; the bodies that run may finish. Those that only wait for the
      children of a group are stopped at once, and their tasks are queued again.
    - ``timeout`` later, or at `hand_back`: the bodies that still run are stopped, and their tasks are queued again.
    - `CLOSING` later: work is cancelled, dependencies that have not closed included. Plain functions that run in
      threads are waited for first, since nothing can interrupt them.
    - `UNWINDING` later: tasks that swallow their cancellation are detached from the nest.
    - after the end of work: `settle_cut_off`.
    """

    timeout: timedelta
    roster: Roster
    runner: Runner
    news: Notification
    """Notified where others are to see this worker drain."""
    intake: anyio.CancelScope | None = attrs.field(init=False, default=None)
    work: anyio.CancelScope | None = attrs.field(init=False, default=None)
    """The scopes to end; None before they are opened."""
    has_begun: bool = attrs.field(init=False, default=False)
    lasts: bool = attrs.field(init=False, default=False)
    """Whether something ran as it began, so that others can see this worker drain."""
    _begun: anyio.Event = attrs.field(init=False, factory=anyio.Event)
    _handing_back: anyio.Event = attrs.field(init=False, factory=anyio.Event)

    def begin(self) -> None:
        """End the intake. Without effect once the drain has begun."""
        self._begun.set()
        if self.intake is not None:
            self.intake.cancel()
        if self.has_begun:
            return
        self.has_begun = True
        self.roster.places.close()
        for running in self.roster:
            if running.would_find and running.only_waits:
                running.stop(StopReason.DRAIN)
        if self.roster:
            logger.info("Shutdown requested, finishing %d active tasks...", len(self.roster))
            self.lasts = True
            self.news.notify()

    def hand_back(self) -> None:
        """Begin, and stop at once what runs."""
        self.begin()
        self._handing_back.set()
        for running in self.roster:
            running.stop(StopReason.DRAIN)

    async def run(self) -> None:
        """Wait for the beginning, then end the work. Does not wait for the end of intake: the server may be slow."""
        await self._begun.wait()
        with anyio.move_on_after(self.timeout.total_seconds()):
            await self._handing_back.wait()
        if self.roster:
            logger.warning("Handing back %d tasks that have not finished", len(self.roster))
        self.hand_back()
        await anyio.sleep(CLOSING)
        await self._wait_for_threads()
        if self.work is not None:
            self.work.cancel()
        await anyio.sleep(UNWINDING)
        self._detach_the_rest()

    async def _wait_for_threads(self) -> None:
        if threads := sum(running.uninterruptible for running in self.roster):
            logger.warning("Waiting for %d tasks in threads, which nothing can interrupt", threads)
            await self.roster.wait_until_interruptible()
            await anyio.sleep(CLOSING)

    def _detach_the_rest(self) -> None:
        """Stop waiting for tasks that do not end although they are cancelled."""
        endless = [running for running in self.roster if not running.uninterruptible]
        for running in endless:
            if not running.settled:  # else it is a hook that does not end, and nothing is handed back
                log_detached(running, monotonic() - running.began)
        if endless:
            self.runner.detach(endless)

    async def settle_cut_off(self) -> None:
        """Settle the claims that were cancelled while their dependencies closed, or while they waited for the server.

        What is written already is not written again (I2).
        """
        cut_off = self.runner.take_cut_off()
        if not cut_off:
            return
        settled: list[Running] = []

        async def settle(running: Running) -> None:
            try:
                await self.runner.settle_cut_off(running)
                settled.append(running)
            except LeaseOver:
                pass
            except Exception as error:  # noqa: BLE001 - of one claim; the others are settled all the same (I9)
                log_unwritten(running, error, "it will be redelivered")

        with anyio.move_on_after(SETTLING):
            async with anyio.create_task_group() as group:
                for running in cut_off:
                    group.start_soon(settle, running)
        if left := len(cut_off) - len(settled):
            logger.warning("%d tasks cannot be handed back; they will be redelivered", left)
