"""The nest of one run of a worker. Nesting is the shutdown order: intake ends first, then work, then upkeep.

::

    run()                       the caller's cancellation reaches only the wait in here, and begins the drain
    └─ nest (shielded)
       └─ upkeep                lease refresher and watch, standby (a thread), heartbeat, listener, late progress,
       │                 drain deadline
          └─ sharing            host of what tasks share
             └─ work            one child per claim
                └─ intake       reader, sweep, scheduler, seeder
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from .. import clock
from ..dependencies import SharedHost, current_docket, current_worker
from ..rules import StopReason, Verdict
from ..signals import signals
from ..store import Claims, DueTasks, Refused, Taken, Unreadable, misused
from .belated import Belated
from .calling import Caller
from .gate import Gate
from .given import lifecycles
from .groups import only_one_of
from .intake import Reader, Scheduler, Sweep
from .journal import log_refused, log_tasks
from .outage import Outages
from .receiving import Receiver
from .reporting import Depths, tell_refused
from .roster import Roster, Running
from .runner import Runner
from .seeding import Seeder
from .settings import Settings
from .settling import LeaseOver, Settling
from .standby import Standby
from .unknown import Unknown
from .upkeep import Heartbeat, Leases, Listener

if TYPE_CHECKING:
    from ..docket import Docket
    from .worker import Worker

__all__ = ["Session"]

logger = logging.getLogger("docket.worker")

#: How many seconds what was handed back gets to close its dependencies and to be written.
GRACE = 3.0

#: How many seconds there are to write what did not end within these.
LAST_WORDS = 1.5

#: How often a worker that runs until finished asks whether it is; ends that docket's own clients and workers
#: bring about are announced, those by pydocket's are not.
RECHECK = timedelta(seconds=1)


class Session:
    """One run of a worker, from its start to the end of its drain.

    ``until_finished`` ends it when the docket has nothing left; ``limits`` says how often some keys may run.
    """

    def __init__(
        self,
        worker: Worker,
        settings: Settings,
        *,
        until_finished: bool = False,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        docket = worker.docket
        client, keys = docket.client, docket.keys
        self.settings, self.docket, self.worker = settings, docket, worker
        self.until_finished = until_finished
        self.claims = Claims(client, keys, worker.name, docket.execution_ttl)
        self.roster = Roster()
        self.outages = _outages(settings.reconnection_delay, docket, worker.name)
        self.scheduler = Scheduler(
            DueTasks(client, keys, docket.execution_ttl), settings.scheduling_resolution
        )
        self.reader = Reader(
            self.claims,
            self.roster,
            self._start,
            lambda: worker.concurrency,
            settings.message_batch,
            settings.redelivery_timeout,
        )
        self.sweep = Sweep(
            self.claims, self.roster, self.reader, settings.redelivery_timeout, docket.liveness.expiry
        )
        self.leases = Leases(self.claims, self.roster, settings.redelivery_timeout)
        self.standby = Standby(self.leases, worker.name)
        self.heartbeat = Heartbeat(
            docket.liveness, worker.name, lambda: docket.tasks, docket.heartbeat_interval, self.scheduler
        )
        self.listener = Listener(self.claims, self.roster, self.scheduler, self.sweep)
        self.settling = Settling(docket, self.claims, self.outages)
        self.caller = Caller(worker.dependencies)
        self.shared = SharedHost()
        self.belated = Belated()
        # Who runs until finished waits for nobody who may never come.
        patience = timedelta(0) if until_finished else settings.unknown_task_patience
        self.receiver = Receiver(worker)
        gate = Gate(self.claims.admissions, self.settling, worker.dependencies, settings.redelivery_timeout)
        self.runner = Runner(
            docket,
            self.roster,
            self.settling,
            self.listener,
            dict(limits) if limits else {},
            self.caller,
            gate,
            Unknown(docket, worker.name, self.settling, patience),
        )
        self.seeder = Seeder(docket, self.runner.limits, self.reader.began_again)
        self._work: TaskGroup | None = None
        self._intake: anyio.CancelScope | None = None
        self._stopped = False
        self._draining, self._handing_back = anyio.Event(), anyio.Event()
        self._nest_over = False

    # from outside ----------------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether the drain has begun."""
        return self._stopped

    def stop(self) -> None:
        """Take nothing new, finish what runs within ``shutdown_timeout``, then end."""
        if self._stopped:
            return
        self._stopped = True
        if self.roster:
            logger.info("Shutdown requested, finishing %d active tasks...", len(self.roster))
        self._draining.set()
        if self._intake is not None:
            self._intake.cancel()

    def hand_back(self) -> None:
        """Stop, and give back at once what runs."""
        self.stop()
        self._handing_back.set()
        for running in self.roster:
            running.stop(StopReason.DRAIN)

    async def run(self) -> None:
        """Run until stopped, finished, or cancelled; drain in any case. Cancellation comes out after it (I6)."""
        log_tasks(self.worker.name, self.docket.tasks)
        over = anyio.Event()
        try:
            async with anyio.create_task_group() as outer:
                outer.start_soon(self._nest, over)
                try:
                    await over.wait()
                finally:
                    if not self._nest_over:
                        self.stop()
        except BaseExceptionGroup as group:
            if (only := only_one_of(group)) is None:
                raise
            raise only from only.__cause__

    # the nest --------------------------------------------------------------------------------------------

    async def _nest(self, over: anyio.Event) -> None:
        try:
            current_docket.set(self.docket)  # for every task that is started from here on
            current_worker.set(self.worker)
            self.shared.share()
            self.belated.share()
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as upkeep:
                    upkeep.start_soon(self._stand_guard)
                    upkeep.start_soon(self._end_the_drain)
                    upkeep.start_soon(self.leases.watch)
                    upkeep.start_soon(self.standby.run)
                    upkeep.start_soon(self.docket.client.follow)
                    upkeep.start_soon(self.outages.supervise, self._prepare)
                    for loop in (
                        self.leases.run, self.heartbeat.run, self.listener.run, self.belated.run, self._tell_depths,
                    ):  # fmt: skip
                        upkeep.start_soon(self.outages.supervise, loop)
                    async with anyio.create_task_group() as sharing:
                        sharing.start_soon(self.shared.run)
                        for lifecycle in lifecycles(self.docket, self.worker, self.worker.dependencies):
                            await self.shared.open(lifecycle)
                        await self._work_and_intake()
                        await self._settle_what_was_cut_off()
                        await self._close_shared(sharing.cancel_scope)
                    upkeep.cancel_scope.cancel()
        finally:
            self._nest_over = True
            over.set()
            await self.heartbeat.leave()

    async def _work_and_intake(self) -> None:
        async with anyio.create_task_group() as work:
            self._work = work
            async with anyio.create_task_group() as intake:
                self._intake = intake.cancel_scope
                if self._stopped:
                    intake.cancel_scope.cancel()
                intake.start_soon(self.reader.unblock_when_cancelled)
                for loop in (self.scheduler.run, self.sweep.run, self.reader.run):
                    intake.start_soon(self.outages.supervise, loop)
                if self.settings.schedule_automatic_tasks:
                    for loop in (self.seeder.run, self.seeder.seed_again):
                        intake.start_soon(self.outages.supervise, loop)
                if self.until_finished:
                    intake.start_soon(self.outages.supervise, self._finish)

    async def _close_shared(self, hosting: anyio.CancelScope) -> None:
        """Let the host close everything; what is still being opened, for nobody any more, is not waited for."""
        self.shared.close()
        with anyio.move_on_after(GRACE):
            await self.shared.wait_until_idle()
            return
        hosting.cancel()

    async def _tell_depths(self, answered: Callable[[], None]) -> None:
        """Tell how full the docket is, to who wants that looked at; in a virtual time nobody has the time to."""
        if any(each.wants_depths() for each in signals.subscribers) and not clock.is_virtual():
            await Depths(self.docket.name, self.docket.records, self.docket.heartbeat_interval).run(answered)

    async def _stand_guard(self) -> None:
        """Be the task by which the runner on asyncio knows that the loop cancels everything."""
        if anyio.get_cancelled_exc_class().__module__.startswith("asyncio"):
            from .backend_asyncio import Sentinel

            self.caller.sentinel = Sentinel()
        await clock.wait_for_ever()

    async def _prepare(self, answered: Callable[[], None]) -> None:
        await self.claims.prepare_hand_back()

    async def _end_the_drain(self) -> None:
        """From the stop on, let work end; not from the end of intake, which may wait for a slow server."""
        await self._draining.wait()
        with anyio.move_on_after(self.settings.shutdown_timeout.total_seconds()):
            await self._handing_back.wait()
        if self.roster:
            logger.warning("Handing back %d tasks that have not finished", len(self.roster))
        self.hand_back()
        await anyio.sleep(GRACE)
        threads = sum(running.uninterruptible for running in self.roster)
        if threads:
            logger.warning("Waiting for %d tasks in threads, which nothing can interrupt", threads)
            await self.roster.wait_until_interruptible()
            await anyio.sleep(GRACE)
        if self._work is not None:
            self._work.cancel_scope.cancel()

    async def _settle_what_was_cut_off(self) -> None:
        """Say the last word about what was cancelled while it closed its dependencies, or waited for the server.

        What was written already is not written again (I2).
        """
        if not (cut_off := self.runner.cut_off):
            return
        settled: list[Running] = []

        async def settle(running: Running, verdict: Verdict) -> None:
            with contextlib.suppress(LeaseOver):
                await self.settling.settle(running, verdict)
                settled.append(running)

        with anyio.move_on_after(LAST_WORDS):
            async with anyio.create_task_group() as last:
                for running, verdict in cut_off:
                    last.start_soon(settle, running, verdict)
        if left := len(cut_off) - len(settled):
            logger.warning("%d tasks cannot be handed back; they will be redelivered", left)

    async def _finish(self, answered: Callable[[], None]) -> None:
        """Stop when the docket has nothing left that waits or runs, here or elsewhere."""
        recheck = max(RECHECK, self.settings.minimum_check_interval).total_seconds()
        if self.settings.schedule_automatic_tasks:
            await self.seeder.wait_seeded()
        while True:
            await self.reader.wait_idle()
            await self.roster.wait_empty()
            if not self.reader.idle:
                continue
            seen = self.listener.finished.count
            unfinished = await self.claims.unfinished()
            answered()
            if not unfinished and self.reader.idle and not self.roster:
                self.stop()
                return
            with anyio.move_on_after(None if self.docket.client.is_memory else recheck):
                await self.listener.finished.wait_past(seen)

    # claims ----------------------------------------------------------------------------------------------

    def _start(self, taken: Sequence[Taken], began: float) -> None:
        work = self._work
        assert work is not None
        now, trusted_until = clock.now(), self.leases.trusted_from(began)
        for delivery in taken:
            if isinstance(delivery, Unreadable):
                logger.error("Message %s is set aside: %s", delivery.message_id.decode(), delivery.reason)
                work.start_soon(self.outages.supervise, self._setting_aside(delivery))
                continue
            if isinstance(delivery, Refused):
                log_refused(self.docket, self.worker.name, delivery)
                tell_refused(self.docket.name, self.worker.name, delivery)
                continue
            if (ours := self.roster.get(delivery.message_id)) is not None and ours.reason is None:
                ours.claimed_again(delivery, trusted_until)
                continue
            running = self.receiver.received(delivery, began=began, trusted_until=trusted_until)
            running.execution.started_at = now
            if self._stopped:  # was on its way when the worker stopped
                running.stop(StopReason.DRAIN)
            self.roster.add(running)
            self.runner.gate.line_up(running)
            work.start_soon(self.runner.run, running, name=delivery.message.function)
        if self.standby.resting:  # what begins now may be the last that the loop does for long
            self.standby.rouse()

    def _setting_aside(self, unreadable: Unreadable) -> Callable[[Callable[[], None]], Any]:
        async def set_aside(answered: Callable[[], None]) -> None:
            await self.claims.set_aside(unreadable)

        return set_aside


def _outages(delay: timedelta, docket: Docket, worker: str) -> Outages:
    client = docket.client
    look = functools.partial(misused, client, docket.keys, worker)
    return Outages(delay, str(client.address), (docket.name, worker), look)
