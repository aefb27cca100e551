"""From a delivery to the claim that is to run: which function, with which arguments, or why not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ... import clock
from ...errors import DeliveryLimitExceeded, DeliveryUnreadable, Untrusted
from ...execution import Execution
from ...rules import StopReason
from ...store import Delivery, Refused, Taken, Unreadable
from ...tasks import peer_tasks
from ...text import error_text
from ...values import define
from ..fallback import default_fallback_task
from ..places import Place
from ..reports.journal import log_refused
from ..reports.reporting import emit_refused, run_listeners
from ..roster import Running
from ..upkeep.blocked_loop import BlockedLoopRenewal
from ..upkeep.leases import Leases
from .runner import Runner

if TYPE_CHECKING:
    from ..worker import Worker

__all__ = ["Receiver"]

logger = logging.getLogger("docket.worker")


@define(eq=False)
class Receiver:
    """Makes claims of what one worker was delivered, and starts them."""

    worker: Worker
    runner: Runner
    leases: Leases
    blocked_loop: BlockedLoopRenewal
    stopping: Callable[[], bool]

    def start(self, taken: Sequence[Taken], began: float, places: int) -> None:
        """Start the claims of what was taken; ``began`` is the loop time at which the worker asked for it.

        So many as there are ``places`` begin. A blocking read of several lanes may bring more: they wait for a place.
        One that cannot be received is set aside; the others are received all the same (I9).
        """
        now, trusted_until = clock.now(), self.leases.trusted_until(began)
        subscribers, is_traced = run_listeners()
        received: list[Running] = []
        for one in taken:
            try:
                running = self._receive(one, began, trusted_until)
                if running is not None:
                    running.execution.started_at, running.subscribers = now, subscribers
                    running.is_traced = is_traced or bool(running.execution.extra_fields)
                    self.runner.hold(running)
                    if len(received) >= places:
                        running.place = Place(since=began)
                        self.runner.roster.places.step_aside(running.place)
                    received.append(running)
            except Exception as error:  # of this one
                if isinstance(one, Delivery):
                    self.runner.set_aside(_unreceivable(one, error))
                else:
                    logger.exception("Could not deal with a delivery that is not to run")
        if self.blocked_loop.is_resting:  # what begins now may be the last that the loop does for long
            self.blocked_loop.note_alive()
        # A body that begins in here may block the loop: by now the leases of all are renewed meanwhile (I3).
        for running in received:
            try:
                self.runner.start(running)
            except Exception as error:  # noqa: BLE001 - a task factory of others (I9)
                self.runner.set_aside(_unreceivable(running.delivery, error))

    def _receive(self, one: Taken, began: float, trusted_until: float) -> Running | None:
        """The claim to start; None where there is none."""
        if isinstance(one, Unreadable):
            self.runner.set_aside(one)
            return None
        if isinstance(one, Refused):
            log_refused(self.worker.docket, self.worker.name, one)
            emit_refused(self.worker.docket.name, self.worker.name, one)
            return None
        if (ours := self.runner.roster.get(one.fence.message_id)) is not None and ours.reason is None:
            ours.claimed_again(one, trusted_until)
            return None
        try:
            running = self._claim(one, began, trusted_until)
        except Untrusted as error:  # nothing of it was opened
            self.runner.set_aside(Unreadable.of(one, error))
            return None
        if self.stopping():  # it was on its way when the worker stopped
            running.stop(StopReason.DRAIN)
        return running

    def _claim(self, delivery: Delivery, began: float, trusted_until: float) -> Running:
        """The claim of a delivery. Arguments are unpickled only where they are needed: that runs foreign code."""
        worker, message = self.worker, delivery.message
        name = message.function
        function = worker.docket.tasks.get(name)
        if function is None:
            function = peer_tasks.get(name)
        unknown = function is None and worker.fallback_task is default_fallback_task
        args: tuple[Any, ...] = ()
        kwargs: dict[str, Any] = {}
        broken: Exception | None = None
        # Only workers that know a task judge it.
        if not unknown and delivery.deliveries > worker.max_deliveries:
            broken = DeliveryLimitExceeded(
                f"task {name!r} was begun {delivery.deliveries - 1} times, and each time its worker was gone before "
                f"the end (max_deliveries={worker.max_deliveries}); it is not run again"
            )
        elif not unknown:
            try:
                args, kwargs = worker.docket.payloads.open_call(message, function, to_run=True)
            except Untrusted:
                raise
            except DeliveryUnreadable as error:
                broken = error
        called = worker.fallback_task if function is None else function
        execution = Execution.of_message(
            worker.docket, message, called, args, kwargs, delivery.redelivered, delivery.fence.message_id
        )
        execution.claimed(delivery.fence)
        running = Running(delivery, execution, broken, began, trusted_until)
        running.unknown = unknown
        return running


def _unreceivable(delivery: Delivery, error: Exception) -> Unreadable:
    reason = DeliveryUnreadable(f"it cannot be received: {error_text(error)}")
    reason.__cause__ = error
    return Unreadable.of(delivery, reason)
