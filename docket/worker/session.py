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

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from .. import clock
from ..clock import monotonic
from ..dependencies import SharedHost, current_docket, current_worker
from ..rules import StopReason, only_one_of
from ..signals import signals
from ..store import misused
from ..text import error_text
from .intake.reader import Reader
from .intake.scheduler import Scheduler
from .intake.seeder import Seeder
from .intake.sweep import Sweep
from .reports.journal import log_holding_on, log_mishap, log_tasks
from .reports.reporting import Depths
from .roster import Roster, Running
from .runs.calling import Caller
from .runs.claim_tasks import claim_tasks
from .runs.gate import AdmissionGate
from .runs.leased import LeaseOver
from .runs.receiving import Receiver
from .runs.runner import Runner
from .runs.settling import Settling
from .runs.unknown import Unknown
from .settings import Settings
from .upkeep.blocked_loop import BlockedLoopRenewal
from .upkeep.heartbeat import Heartbeat
from .upkeep.late_progress import LateProgress
from .upkeep.leases import Leases
from .upkeep.listener import Listener
from .upkeep.outages import Loop, Outages
from .worker_dependencies import lifecycles

if TYPE_CHECKING:
    from ..docket import Docket
    from .worker import Worker

__all__ = ["Session"]

logger = logging.getLogger("docket.worker")

#: How many seconds what was handed back gets to close its dependencies and to be written.
GRACE = 3.0

#: How many seconds more what is cut off gets to end: after these nobody waits for it.
HOLDING_ON = 2.0

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
        store = docket.store
        self.settings, self.docket, self.worker = settings, docket, worker
        self.until_finished = until_finished
        self.claims = store.claims(worker.name)
        self.roster = Roster()
        self.outages = _outages(settings.reconnection_delay, docket, worker.name)
        self.scheduler = Scheduler(store.due, settings.scheduling_resolution)
        self.reader = Reader(
            self.claims,
            self.roster,
            lambda taken, began: self.receiver.start(taken, began),
            lambda: worker.concurrency,
            settings.message_batch,
            settings.redelivery_timeout,
        )
        self.sweep = Sweep(self.claims, self.roster, self.reader, settings.redelivery_timeout, store.expiry)
        self.leases = Leases(self.claims, self.roster, settings.redelivery_timeout)
        self.blocked_loop = BlockedLoopRenewal(self.leases, worker.name)
        self.heartbeat = Heartbeat(
            store.liveness, worker.name, lambda: docket.tasks, docket.heartbeat_interval, self.scheduler
        )
        self.listener = Listener(self.claims, self.roster, self.scheduler, self.sweep)
        self.settling = Settling(docket, self.claims, self.outages)
        self.caller = Caller(worker.dependencies)
        self.shared = SharedHost()
        self.late_progress = LateProgress()
        # Who runs until finished waits for nobody who may never come.
        patience = timedelta(0) if until_finished else settings.unknown_task_patience
        gate = AdmissionGate(
            self.claims.admissions, self.settling, worker.dependencies, settings.redelivery_timeout
        )
        self.runner = Runner(
            docket,
            self.roster,
            self.settling,
            self.listener,
            dict(limits) if limits else {},
            self.caller,
            gate,
            Unknown(docket, worker.name, self.settling, patience),
            self._crash,
        )
        around = (self.claims, self.outages, self.runner, self.leases, self.blocked_loop)
        self.receiver = Receiver(worker, *around, lambda: self._stopped)
        self.seeder = Seeder(docket, self.runner.limits, self.reader.began_again)
        self._work: TaskGroup | None = None
        self._intake: anyio.CancelScope | None = None
        self._stopped, self._nest_over, self._crashes = False, False, list[Exception]()
        self._draining, self._handing_back = anyio.Event(), anyio.Event()

    # from outside ----------------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether the drain has begun."""
        return self._stopped

    def stop(self) -> None:
        """Take nothing new, finish what runs within ``shutdown_timeout``, then end."""
        self._draining.set()
        if self._intake is not None:
            self._intake.cancel()
        if self._stopped:
            return
        self._stopped = True
        if self.roster:
            logger.info("Shutdown requested, finishing %d active tasks...", len(self.roster))

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
                        try:
                            self.stop()
                        except KeyboardInterrupt:  # one more Ctrl-C, in the midst of it
                            self.hand_back()
                            raise
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
            self.late_progress.share()
            with anyio.CancelScope(shield=True):
                try:
                    await self._upkeep()
                finally:
                    await self._settle_what_was_cut_off()
            if self._crashes:
                raise self._crashes[0]
        finally:
            self._nest_over = True
            over.set()
            await self.heartbeat.leave()

    async def _upkeep(self) -> None:
        async with anyio.create_task_group() as upkeep:
            for loop in (
                self._end_the_drain,
                self.leases.watch,
                self.blocked_loop.run,
                self.docket.client.follow,
            ):
                upkeep.start_soon(self._keep, loop)
            for loop in (
                self._prepare,
                self.leases.run,
                self.heartbeat.run,
                self.listener.run,
                self.late_progress.run,
                self._tell_depths,
            ):
                upkeep.start_soon(self._supervise, loop)
            async with anyio.create_task_group() as sharing:
                sharing.start_soon(self.shared.run)
                for lifecycle in lifecycles(self.docket, self.worker, self.worker.dependencies):
                    await self.shared.open(lifecycle)
                await self._work_and_intake([upkeep.cancel_scope, sharing.cancel_scope])
                await self._settle_what_was_cut_off()
                await self._close_shared(sharing.cancel_scope)
            upkeep.cancel_scope.cancel()

    async def _work_and_intake(self, around: list[anyio.CancelScope]) -> None:
        async with anyio.create_task_group() as work:
            self._work = work
            self.caller.tasks = claims = claim_tasks(work, [*around, work.cancel_scope])
            await work.start(claims.attend)
            async with anyio.create_task_group() as intake:
                self._intake = intake.cancel_scope
                if self._stopped:
                    intake.cancel_scope.cancel()
                intake.start_soon(self.reader.unblock_when_cancelled)
                for loop in (self.scheduler.run, self.sweep.run, self.reader.run):
                    intake.start_soon(self._supervise, loop)
                if self.settings.schedule_automatic_tasks:
                    for loop in (self.seeder.run, self.seeder.seed_again):
                        intake.start_soon(self._supervise, loop)
                if self.until_finished:
                    intake.start_soon(self._supervise, self._finish)
            claims.close()

    async def _supervise(self, loop: Loop) -> None:
        """Run a loop on the server for as long as it is needed. A bug in it ends the worker in order (I7)."""
        await self._keep(functools.partial(self.outages.supervise, loop))

    async def _keep(self, loop: Callable[[], Awaitable[object]]) -> None:
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - it comes out of the nest
            self._crash(error)

    def _crash(self, error: Exception) -> None:
        """End the worker by an error of its own. What it runs is handed back, which counts as no delivery."""
        if not self._crashes:
            logger.error("Worker %r ends: %s", self.worker.name, error_text(error))
        self._crashes.append(error)
        self.hand_back()

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
            await Depths(self.docket.name, self.docket.store.records, self.docket.heartbeat_interval).run(
                answered
            )

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
        await anyio.sleep(HOLDING_ON)
        self._let_go()

    def _let_go(self) -> None:
        """Wait no longer for what does not end although it is cancelled: nothing else can be done about it."""
        holding_on = [running for running in self.roster if not running.uninterruptible]
        for running in holding_on:
            log_holding_on(running, monotonic() - running.began)
        if holding_on:
            self.runner.detach(holding_on)

    async def _settle_what_was_cut_off(self) -> None:
        """Say the last word about what was cancelled while it closed its dependencies, or waited for the server.

        What was written already is not written again (I2).
        """
        cut_off, self.runner.cut_off = self.runner.cut_off, []
        if not cut_off:
            return
        settled: list[Running] = []

        async def settle(running: Running) -> None:
            try:
                await self.runner.settle_cut_off(running)
                settled.append(running)
            except LeaseOver:
                pass
            except Exception as error:  # noqa: BLE001 - of one claim; the others have their last word all the same (I9)
                log_mishap(running, error, "it will be redelivered")

        with anyio.move_on_after(LAST_WORDS):
            async with anyio.create_task_group() as last:
                for running in cut_off:
                    last.start_soon(settle, running)
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


def _outages(delay: timedelta, docket: Docket, worker: str) -> Outages:
    client = docket.client
    look = functools.partial(misused, client, docket.keys, worker)
    return Outages(delay, str(client.address), (docket.name, worker), look)
