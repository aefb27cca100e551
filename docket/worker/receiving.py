"""From a delivery to the claim that is to be run: which function, with which arguments, or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from ..errors import DeliveryLimitExceeded, DeliveryUnreadable
from ..execution import Execution
from ..store import Delivery
from ..tasks import peer_tasks
from .fallback import default_fallback_task
from .roster import Running

if TYPE_CHECKING:
    from .worker import Worker

__all__ = ["Receiver"]


@attrs.define(eq=False)
class Receiver:
    """Makes claims of what one worker was delivered."""

    worker: Worker

    def received(self, delivery: Delivery, *, began: float, trusted_until: float) -> Running:
        """The claim of a delivery. Arguments are unpickled only where they are needed: that runs foreign code."""
        worker, message = self.worker, delivery.message
        name = message.function
        function = worker.docket.tasks.get(name) or peer_tasks.get(name)
        unknown = function is None and worker.fallback_task is default_fallback_task
        broken: Exception | None = None
        execution: Execution[Any] | None = None
        if not unknown and delivery.deliveries > worker.max_deliveries:  # those who know a task judge it
            broken = DeliveryLimitExceeded(
                f"task {name!r} was begun {delivery.deliveries - 1} times, and each time its worker was gone before "
                f"the end (max_deliveries={worker.max_deliveries}); it is not run again"
            )
        elif not unknown:
            try:
                execution = Execution.of_message(
                    worker.docket,
                    message,
                    function or worker.fallback_task,
                    redelivered=delivery.redelivered,
                    message_id=delivery.message_id,
                )
            except Exception as error:  # noqa: BLE001 - unpickling runs foreign code: it may raise anything (I9)
                broken = DeliveryUnreadable(f"the arguments of task {name!r} cannot be unpickled: {error!r}")
        if execution is None:
            execution = Execution(
                worker.docket, function or worker.fallback_task, (), {}, message.key, message.when,
                message.attempt, None, delivery.redelivered, name, message.generation, delivery.message_id,
            )  # fmt: skip
            execution.extra_fields = message.extra
        execution.claimed(worker.name, delivery.claim)
        running = Running(delivery, execution, broken, began=began, trusted_until=trusted_until)
        running.unknown = unknown
        return running
