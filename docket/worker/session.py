"""One run of a worker: the nest of its task groups. Nesting is the shutdown order.

::

    run()                       the caller's cancellation reaches only the wait in here, and begins the drain
    └─ nest (shielded)
       └─ upkeep                leases, heartbeat, listener, drain; ends last
          └─ sharing            host of what tasks share; closes it
             └─ work            one child per claim
                └─ intake       reader, sweep, scheduler, expiry, seeder; ends first
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread
from anyio.abc import TaskGroup

from .. import clock
from ..dependencies import SharedHost, current_docket, current_worker
from ..errors import BadSetting
from ..parenthood import current_host
from ..rules import alone, renewal_interval
from ..signals import signals
from ..standins import load_errors
from ..store import EVERY_TASK, misused
from ..text import error_text, printable
from .drain import CLOSING, Drain
from .intake.expiry import Expiry
from .intake.outbox import Outbox
from .intake.reader import Reader
from .intake.scheduler import Scheduler
from .intake.seeder import Seeder
from .intake.sweep import Sweep
from .parents import Parents
from .reports.journal import log_tasks
from .reports.ledger import Ledger
from .reports.reporting import Depths, emit_began
from .roster import Roster
from .runs.admission_gate import AdmissionGate
from .runs.calling import Caller
from .runs.claim_tasks import claim_tasks
from .runs.endings import Endings
from .runs.hooks import Hooks
from .runs.receiving import Receiver
from .runs.refusals import Refusals, UnknownTasks
from .runs.runner import Runner
from .runs.turn_gate import TurnGate
from .settings import Settings
from .upkeep.blocked_loop import BlockedLoopRenewal
from .upkeep.catalogue import Catalogue
from .upkeep.health import Health
from .upkeep.heartbeat import Heartbeat
from .upkeep.late_progress import LateProgress
from .upkeep.leases import Leases
from .upkeep.listener import Listener
from .upkeep.orphans import LOOK, Orphans
from .upkeep.outages import Loop, Outages
from .upkeep.tending import Tending
from .worker_dependencies import lifecycles

if TYPE_CHECKING:
    from .worker import Worker

__all__ = ["Session"]

logger = logging.getLogger("docket.worker")

#: How often a worker that runs until finished asks whether it is. docket's own clients and workers announce what may
#: finish a docket; pydocket's do not.
RECHECK = timedelta(seconds=1)

#: So many seconds after its start a worker loads the errors of Redis: one that ends before has no need of them.
LOADS_AFTER = 1.0


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
        docket, store = worker.docket, worker.docket.store
        timeout, client = settings.redelivery_timeout, docket.client
        self.settings, self.docket, self.worker = settings, docket, worker
        self.until_finished = until_finished
        self.claims, self.roster = (
            store.claims(worker.name, settings.lanes),
            Roster(lambda: worker.concurrency),
        )
        self.outages = Outages(
            settings.reconnection_delay,
            str(client.address),
            (docket.name, worker.name),
            functools.partial(misused, client, docket.keys, worker.name),
        )
        # intake
        self.scheduler = Scheduler(store.due, settings.scheduling_resolution)
        self.outbox = Outbox(
            self.claims,
            self.roster,
            lambda running, settled: self.runner.settled(running, settled),
            lambda running: self.runner.settle_alone(running),
        )
        self.reader = Reader(
            self.claims,
            self.roster,
            lambda taken, asked, places: self.receiver.start(taken, asked, places),
            settings.message_batch,
            timeout,
            self.outbox,
        )
        self.sweep = Sweep(self.claims, self.roster, self.reader, timeout, store.expiry)
        # upkeep
        self.leases = Leases(self.claims, self.roster, timeout)
        self.blocked_loop = BlockedLoopRenewal(self.leases, worker.name)
        self.catalogue = Catalogue(store.catalogue, worker.name, lambda: docket.tasks)
        finished = self.reader.lined_up  # or does not end by itself any more
        self.orphans = Orphans(store.groups, self.claims.sweeping, min(LOOK, renewal_interval(timeout)))
        self.ledger = Ledger(store.ledger, worker.name)
        self.expiry = Expiry(
            store.expiring, (docket.name, worker.name), lambda: docket.tasks, self.ledger.note_expired
        )
        self.listener = Listener(
            self.claims, self.roster, self.scheduler, self.sweep, self.orphans, self.expiry, finished
        )
        self.tending = Tending()
        self.parents = Parents(
            self.roster,
            self.listener,
            self.tending,
            store.groups,
            settings.max_waiting,
            lambda: self.stopping,
        )
        self.late_progress = LateProgress()
        self.health = Health(self.outages, self.leases, lambda: self.stopping, store.expiry)
        # runs
        self.shared = SharedHost()
        self.caller = Caller(worker.dependencies)
        # A worker that runs until finished does not wait for workers that may never come.
        patience = timedelta(0) if until_finished else settings.unknown_task_patience
        refusals = Refusals(
            docket,
            self.claims,
            self.outages,
            UnknownTasks(docket, worker.name, self.outages, patience),
            AdmissionGate(self.claims.admissions, self.outages, worker.dependencies, timeout),
            TurnGate(self.claims, self.outages),
            dict(limits) if limits else {},
        )
        self.runner = Runner(
            docket,
            self.claims,
            self.roster,
            self.outages,
            self.listener,
            refusals,
            self.caller,
            Endings(store, self.claims),
            Hooks(worker.on_run_ended),
            self.outbox,
            self.ledger,
            self._crash,
        )
        news = self.claims.lanes.news
        self.drain = Drain(settings.shutdown_timeout, self.roster, self.runner, news)
        self.heartbeat = Heartbeat(
            store.liveness,
            worker.name,
            lambda: docket.tasks,
            docket.heartbeat_interval,
            self.scheduler,
            self.outages,
            lambda: self.drain.lasts,
            self.claims.lanes,
            news,
            self.catalogue.changed,
        )
        self.receiver = Receiver(
            worker, self.runner, self.leases, self.blocked_loop, lambda: self.drain.has_begun
        )
        self.seeder = Seeder(docket, refusals.limits, self.reader.recovered)
        self._crashes: list[Exception] = []
        self._is_finished = False

    @property
    def stopping(self) -> bool:
        """Whether the drain has begun."""
        return self.drain.has_begun

    def stop(self) -> None:
        """Take nothing new, finish what runs within ``shutdown_timeout``, then end."""
        self.drain.begin()

    def hand_back(self) -> None:
        """Stop, and queue again at once what runs."""
        self.drain.hand_back()

    async def run(self) -> None:
        """Run until stopped, finished, or cancelled; drain in any case. Cancellation comes out after the drain (I6)."""
        log_tasks(self.worker.name, self.docket.tasks)
        self.health.begin()
        ended = anyio.Event()
        with alone():
            async with anyio.create_task_group() as outer:
                outer.start_soon(self._run_shielded, ended)
                try:
                    await ended.wait()
                except (anyio.get_cancelled_exc_class(), KeyboardInterrupt):
                    self._interrupted()
                    await self._wait_again(ended)
                    raise

    async def _wait_again(self, ended: anyio.Event) -> None:
        """Wait for the end of a drain, which a further interruption shortens: ``Task.cancel()`` or Ctrl-C.

        Scopes do not reach this wait: one is cancelled only once, and how many are around it says nothing.
        """
        with anyio.CancelScope(shield=True):
            while not ended.is_set():
                try:
                    await ended.wait()
                except (anyio.get_cancelled_exc_class(), KeyboardInterrupt):  # the first one comes out (I6)
                    self._interrupted()

    def _interrupted(self) -> None:
        """Do as the caller's cancellation asks, and as a signal does: stop; or hand back, if the drain has begun."""
        try:
            if self.stopping:
                if self.roster:
                    logger.info("Cancelled again, handing back what runs")
                self.hand_back()
            else:
                self.stop()
        except KeyboardInterrupt:  # another Ctrl-C in here
            self.hand_back()

    async def _run_shielded(self, ended: anyio.Event) -> None:
        try:
            current_docket.set(self.docket)  # for every task that is started from here on
            current_worker.set(self.worker)
            current_host.set(self.parents)
            self.shared.share()
            self.late_progress.share()
            with anyio.CancelScope(shield=True):
                try:
                    await self._nest()
                finally:
                    await self.drain.settle_cut_off()
            if self._crashes:
                raise self._crashes[0]
        finally:
            ended.set()
            await self.heartbeat.leave()
            if self.drain.has_begun and not self._is_finished:
                logger.info("Worker %r stopped", self.worker.name)

    # the nest --------------------------------------------------------------------------------------------

    async def _nest(self) -> None:
        emit_began(self.docket.name, self.worker.name, self.docket.tasks)
        async with anyio.create_task_group() as upkeep:  # ends last: leases outlive claims (I3)
            self._start_upkeep(upkeep)
            async with anyio.create_task_group() as sharing:  # closes what tasks share after the last of them
                sharing.start_soon(self.shared.run)
                for lifecycle in lifecycles(self.docket, self.worker, self.worker.dependencies):
                    await self.shared.open(lifecycle)
                async with anyio.create_task_group() as work:  # one child per claim
                    scopes = [group.cancel_scope for group in (upkeep, sharing, work)]
                    self.caller.tasks = claims = claim_tasks(work, scopes)
                    self.drain.work = work.cancel_scope
                    await work.start(claims.attend)
                    async with anyio.create_task_group() as intake:  # ends first: the drain cancels it
                        self.drain.intake = intake.cancel_scope
                        if self.drain.has_begun:
                            intake.cancel_scope.cancel()
                        self._start_intake(intake)
                    claims.close()
                await self.drain.settle_cut_off()
                await self._close_shared(sharing.cancel_scope)
            upkeep.cancel_scope.cancel()
        await self.ledger.write_last()

    def _start_upkeep(self, upkeep: TaskGroup) -> None:
        for run in (
            self.drain.run,
            self.leases.watch,
            self.blocked_loop.run,
            self.parents.run,
            self.docket.client.follow,
        ):
            upkeep.start_soon(self._keep, run)
        for loop in (
            self._prepare,
            self.leases.run,
            self.heartbeat.run,
            self.catalogue.run,
            self.listener.run,
            self.orphans.run,
            self.tending.run,
            self.late_progress.run,
            self.ledger.run,
            self._load_errors,
            self._report_depths,
        ):
            upkeep.start_soon(self._supervise, loop)

    def _start_intake(self, intake: TaskGroup) -> None:
        loops: list[Loop] = [self.scheduler.run, self.expiry.run, self.sweep.run, self.reader.run]
        if self.settings.schedule_automatic_tasks:
            loops += self.seeder.run, self.seeder.seed_after_outages
        if self.until_finished:
            loops.append(self._stop_when_finished)
        intake.start_soon(self.reader.unblock_when_needed)
        for loop in loops:
            intake.start_soon(self._supervise, loop)

    async def _supervise(self, loop: Loop) -> None:
        """Run a loop, again after each disruption of Redis. A bug in it ends the worker in order (I7)."""
        await self._keep(functools.partial(self.outages.supervise, loop))

    async def _keep(self, run: Callable[[], Awaitable[object]]) -> None:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - the session raises it, at its end
            self._crash(error)

    def _crash(self, error: Exception) -> None:
        """End the worker with an error of its own. Its tasks are handed back, so this does not count as a delivery."""
        if not self._crashes:
            logger.error("Worker %r ends: %s", self.worker.name, error_text(error))
        self._crashes.append(error)
        self.hand_back()

    async def _close_shared(self, sharing: anyio.CancelScope) -> None:
        """Close what is shared. What is still being opened is cancelled after a while: nobody needs it any more."""
        self.shared.close()
        with anyio.move_on_after(CLOSING):
            await self.shared.wait_until_idle()
            return
        sharing.cancel()

    # loops -----------------------------------------------------------------------------------------------

    async def _prepare(self, answered: Callable[[], None]) -> None:
        await self.claims.prepare()

    async def _load_errors(self, _: Callable[[], None]) -> None:
        """Load what the first error of Redis needs, unless the worker ends before.

        An outage may leave no file descriptor to import it with, and would block the loop meanwhile.
        """
        limiter = CapacityLimiter(1)
        is_loaded = clock.is_virtual()  # where there is no server
        while not is_loaded:
            await anyio.sleep(LOADS_AFTER)
            with suppress(ImportError, OSError):
                await to_thread.run_sync(load_errors, limiter=limiter)
                is_loaded = True

    async def _report_depths(self, answered: Callable[[], None]) -> None:
        """Report how full the docket is, if a subscriber asks for it. Not in virtual time, which polling slows."""
        if any(each.wants_depths() for each in signals.subscribers) and not clock.is_virtual():
            store = self.docket.store
            depths = Depths(self.docket.name, store.records, store.liveness, self.docket.heartbeat_interval)
            await depths.run(answered)

    async def _stop_when_finished(self, answered: Callable[[], None]) -> None:
        """Stop once nothing waits or runs on the docket, here or elsewhere."""
        has_said = is_endless = False
        serves_all = self.claims.lanes.serves_all
        recheck = max(RECHECK, self.settings.minimum_check_interval).total_seconds()
        if self.settings.schedule_automatic_tasks:
            await self.seeder.wait_seeded()
        while True:
            await self.reader.wait_idle()
            await self.roster.wait_empty()
            if not self.reader.is_idle:
                continue
            seen = self.listener.finished.count
            unfinished = await self.claims.unfinished()
            answered()
            if not unfinished and self.reader.is_idle and not self.roster:
                self._is_finished = not self.stopping
                self.stop()
                return
            if (
                not unfinished
            ):  # the reader began to look meanwhile: nobody says so again when it finds nothing
                continue
            has_said = has_said or await self._said_that_it_waits()
            if not serves_all:
                is_endless = await self._is_endless(again=is_endless)
            with anyio.move_on_after(None if self.docket.client.is_memory and serves_all else recheck):
                await self.listener.finished.wait_past(seen)

    async def _is_endless(self, *, again: bool) -> bool:
        """Whether tasks are due of levels that no live worker serves.

        Raises: BadSetting - ``again``, so that it is not for a worker that begins just now.
        """
        unserved = (await self.docket.store.listing.counts()).unserved
        if again and unserved:
            names, served = (
                ", ".join(level.value for level in some) for some in (unserved, self.worker.lanes)
            )
            raise BadSetting(
                f"worker {self.worker.name!r} serves {served} and is to run until the docket is finished, but "
                f"there are tasks of {names}, which no live worker serves: give it these in lanes, too, or start "
                "another worker that serves them"
            )
        return bool(unserved)

    async def _said_that_it_waits(self) -> bool:
        """Log what is paused, if that is what the docket is not finished for."""
        paused = [
            f"{'all tasks' if pause.task == EVERY_TASK else printable(pause.task)} ({pause.waiting} waiting)"
            for pause in await self.claims.pauses.listed()
            if pause.waiting
        ]
        if paused:
            logger.info(
                "Worker %r waits for what is paused to be resumed: %s", self.worker.name, ", ".join(paused)
            )
        return bool(paused)
