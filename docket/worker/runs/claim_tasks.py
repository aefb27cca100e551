"""The tasks of the event loop in which claims run, and who it was where one of them is cancelled.

On trio they are children of the work group. On asyncio they are tasks of the loop's own, which one child of that
group attends to: what a body does to its task (cancels it, leaves a scope of anyio's open in it) ends with that task
there, where a child of a group would take the group along.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import anyio
import attrs
from anyio import get_cancelled_exc_class
from anyio.abc import TaskGroup, TaskStatus

from ...rules import is_a, leaves
from ...values import define
from ..roster import BodyScope, Running

__all__ = ["ClaimTasks", "Run", "claim_tasks"]

Run: TypeAlias = Callable[[Running], Coroutine[Any, Any, None]]


@define(eq=False)
class ClaimTasks:
    """Starts the tasks of one worker's claims in the group ``work``; ``scopes`` are the nest's, down to its own."""

    work: TaskGroup
    scopes: Sequence[anyio.CancelScope]
    cancelled: type[BaseException] = attrs.field(init=False, factory=get_cancelled_exc_class)
    """What a cancelled task is raised, on the running loop."""
    scope: Callable[[], BodyScope] = attrs.field(init=False, factory=lambda: type(anyio.CancelScope()))
    """Makes a cancel scope. anyio finds out again for each which loop runs: 3 us of the 100 that a task takes."""

    def is_over(self) -> bool:
        """Whether the loop is gone, and its remains are being collected."""
        raise NotImplementedError

    def time(self) -> float:
        """The time of the loop, as `docket.clock.monotonic`, which has to find out each time which loop runs."""
        raise NotImplementedError

    def start(self, run: Run, running: Running) -> None:
        """Run a claim, or continue one, once `attend` has begun; ``running.begins_in`` is its place until it begins.

        It may begin, and end, in here. An exception of ``run`` ends the worker.
        """
        raise NotImplementedError

    def ended(self, place: object, error: BaseException | None = None) -> None:
        """The task that began in this ``place`` ends now: the last that it does, be it with an ``error``."""
        raise NotImplementedError

    async def attend(self, *, task_status: TaskStatus[None]) -> None:
        """Attend to the tasks, as a child of ``work``. Ends once `close` was called and all of them have ended."""
        raise NotImplementedError

    def close(self) -> None:
        """Expect no new claims."""

    def detach(self, endless: Sequence[Running]) -> None:
        """Stop waiting for the tasks of these claims, and stop cancelling them."""
        raise NotImplementedError

    def concerns_the_worker(self, error: BaseException) -> bool:
        """Whether an exception of a claim is the worker's: Ctrl-C, or the worker itself is being cancelled."""
        if self.is_over():
            return True
        if not is_a(error, (BaseExceptionGroup, KeyboardInterrupt, self.cancelled)):  # as most
            return False
        parts = list(leaves(error))
        if any(is_a(part, KeyboardInterrupt) for part in parts):
            return True
        return any(is_a(part, self.cancelled) for part in parts) and self.cuts_off()

    def cuts_off(self) -> bool:
        """Whether the worker, or the end of the loop, cancels what is still running."""
        return any(scope.cancel_called for scope in self.scopes)

    def is_cancellation(self, error: BaseException) -> bool:
        """Whether ``error``, raised in the running task, means that this very task was cancelled."""
        return all(is_a(part, self.cancelled) for part in leaves(error))

    def is_cancelled(self) -> bool:
        """Whether code other than the worker's has cancelled the running task, which may not have noticed yet."""
        return False

    async def absorb(self) -> None:
        """Undo that cancellation of the running task."""

    def leave_scopes_open(self) -> Sequence[str]:
        """Cancel what the scopes hold that the running task, which ends, leaves open; return its tasks' names."""
        return ()


def claim_tasks(work: TaskGroup, scopes: Sequence[anyio.CancelScope]) -> ClaimTasks:
    """The implementation for the running loop."""
    if get_cancelled_exc_class().__module__.startswith("trio"):
        from .backend_trio import NurseryTasks as Tasks
    else:
        from .backend_asyncio import LoopTasks as Tasks
    return Tasks(work, scopes)
