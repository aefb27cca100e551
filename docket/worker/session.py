"""The nest of one run of a worker. Nesting is the shutdown order: intake ends first, then work, then upkeep.

::

    run()                       the caller's cancellation reaches only the wait in here, and begins the drain
    └─ nest (shielded)
       └─ upkeep                lease refresher, heartbeat, listener
          └─ work               one child per claim
             └─ intake          reader, sweep, scheduler
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from .. import clock
from ..dependencies import Perpetual, get_dependency_parameters
from ..errors import DeliveryUnreadable, UnknownTask
from ..execution import Execution
from ..rules import StopReason
from ..store import Claims, Delivery, DueTasks, Unreadable
from .intake import Reader, Scheduler, Sweep
from .outage import Outages
from .roster import Roster, Running
from .runner import Runner
from .settings import Settings
from .upkeep import Heartbeat, Leases, Listener

if TYPE_CHECKING:
    from ..docket import Docket
    from .worker import Worker

__all__ = ["Session"]

logger = logging.getLogger("docket.worker")


class Session:
    """One run of a worker, from its start to the end of its drain.

    ``until_finished`` ends it when the docket has nothing left; ``limits`` says how often some keys may run.
    """

    def __init__(
        self, worker: Worker, settings: Settings, *, until_finished: bool = False, limits: Mapping[str, int] | None = None
    ) -> None:
        docket = worker.docket
        self.settings, self.docket, self.worker = settings, docket, worker
        self.until_finished = until_finished
        claims = Claims(docket.client, docket.keys, worker.name, docket.execution_ttl)
        self.roster = Roster()
        self.outages = Outages(settings.reconnection_delay, str(docket.client.address))
        self.scheduler = Scheduler(DueTasks(docket.client, docket.keys), settings.scheduling_resolution)
        self.reader = Reader(claims, self.roster, self.outages, self._start, self._free, self._concurrency)
        self.sweep = Sweep(
            claims, self.roster, self._start, self._free, self._concurrency, settings.redelivery_timeout
        )
        self.leases = Leases(claims, self.roster, settings.redelivery_timeout)
        self.heartbeat = Heartbeat(
            docket.liveness, worker.name, lambda: docket.tasks, docket.heartbeat_interval, self.scheduler
        )
        self.listener = Listener(claims, self.roster, self.scheduler, self.sweep)
        self.runner = Runner(
            docket, worker, claims, self.roster, self.outages, self.listener.recheck, None if limits is None else dict(limits)
        )
        self.claims = claims
        self._work: TaskGroup | None = None
        self._intake: anyio.CancelScope | None = None
        self._stopped = False
        self._nest_over = False

    # from outside ----------------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether the drain has begun."""
        return self._stopped

    def stop(self) -> None:
        """Take nothing new, finish what runs within ``shutdown_timeout``, then end."""
        self._stopped = True
        if self._intake is not None:
            self._intake.cancel()

    def hand_back(self) -> None:
        """Stop, and give back at once what runs."""
        self.stop()
        for running in self.roster:
            running.stop(StopReason.DRAIN)

    async def run(self) -> None:
        """Run until stopped, finished, or cancelled; drain in any case. Cancellation comes out after it (I6)."""
        over = anyio.Event()
        async with anyio.create_task_group() as outer:
            outer.start_soon(self._nest, over)
            try:
                await over.wait()
            finally:
                if not self._nest_over:
                    if self.roster:
                        logger.info("Shutdown requested, finishing %d active tasks...", len(self.roster))
                    self.stop()

    # the nest --------------------------------------------------------------------------------------------

    async def _nest(self, over: anyio.Event) -> None:
        try:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as upkeep:
                    for loop in (self.leases.run, self.heartbeat.run, self.listener.run):
                        upkeep.start_soon(self.outages.supervise, loop)
                    await self._work_and_intake(upkeep)
                    upkeep.cancel_scope.cancel()
        finally:
            self._nest_over = True
            over.set()
            with anyio.CancelScope(shield=True):
                await self.heartbeat.leave()

    async def _work_and_intake(self, upkeep: TaskGroup) -> None:
        async with anyio.create_task_group() as work:
            self._work = work
            async with anyio.create_task_group() as intake:
                self._intake = intake.cancel_scope
                if self._stopped:
                    intake.cancel_scope.cancel()
                intake.start_soon(self.reader.unblock_when_cancelled)
                for loop in (self._seed, self.scheduler.run, self.sweep.run, self.reader.run):
                    intake.start_soon(self.outages.supervise, loop)
                if self.until_finished:
                    intake.start_soon(self.outages.supervise, self._finish)
            upkeep.start_soon(self._drain_deadline)

    async def _drain_deadline(self) -> None:
        await anyio.sleep(self.settings.shutdown_timeout.total_seconds())
        if self.roster:
            logger.warning(
                "%d tasks did not finish within %s; handing them back", len(self.roster), self.settings.shutdown_timeout
            )
        self.hand_back()

    async def _finish(self) -> None:
        """Stop when the docket has nothing left that waits or runs, here or elsewhere."""
        # pydocket's workers tell nobody that they finished the last task, so there one has to look.
        recheck = None if self.docket.client.is_memory else self.settings.minimum_check_interval.total_seconds()
        while True:
            if not self.reader.idle:
                await self.reader.became_idle.wait()
            while self.roster:
                await self.roster.changed.wait()
            if self.reader.idle and not self.roster and not await self.claims.unfinished():
                self.stop()
                return
            with anyio.move_on_after(recheck):
                await self.listener.finished.wait()

    async def _seed(self) -> None:
        """See to it that automatic perpetual tasks are scheduled."""
        if not self.settings.schedule_automatic_tasks:
            return
        for name, function in list(self.docket.tasks.items()):
            for dependency in get_dependency_parameters(function).values():
                if isinstance(dependency, Perpetual) and dependency.automatic:
                    await self.docket.add(name, when=dependency.initial_when, key=name)()

    # claims ----------------------------------------------------------------------------------------------

    def _concurrency(self) -> int:
        return self.worker.concurrency

    def _free(self) -> int:
        return max(1, min(self.worker.concurrency - len(self.roster), self.settings.message_batch))

    def _start(self, taken: Sequence[Delivery | Unreadable]) -> None:
        assert self._work is not None
        for delivery in taken:
            if isinstance(delivery, Unreadable):
                logger.error("Message %s cannot be read: %s", delivery.message_id.decode(), delivery.reason)
                self._work.start_soon(self._set_aside, delivery)
            else:
                running = self._running(delivery)
                self.roster.add(running)
                self._work.start_soon(self.runner.run, running)

    async def _set_aside(self, unreadable: Unreadable) -> None:
        await self.outages.supervise(lambda: self.claims.set_aside(unreadable))

    def _running(self, delivery: Delivery) -> Running:
        message = delivery.message
        broken: Exception | None = None
        function = self.docket.tasks.get(message.function)
        if function is None:
            broken = UnknownTask(
                f"Unknown task {message.function!r} received - dropping; register it with "
                f"docket.register(...) or `--tasks module:collection` on worker {self.worker.name!r}"
            )
            logger.warning("%s", broken)
            function = self.docket.function_named(message.function)
        try:
            execution = Execution.of_message(
                self.docket, message, function, redelivered=delivery.redelivered, message_id=delivery.message_id
            )
        except Exception as error:  # unpickling runs foreign code: it may raise anything (I9)
            broken = DeliveryUnreadable(f"the arguments of task {message.function!r} cannot be unpickled: {error!r}")
            execution = Execution(
                self.docket, function, (), {}, message.key, message.when, message.attempt,
                function_name=message.function, generation=message.generation, message_id=delivery.message_id,
            )  # fmt: skip
        execution.worker = self.worker.name
        return Running(delivery, execution, broken, self.leases.trusted_from(clock.monotonic()))
