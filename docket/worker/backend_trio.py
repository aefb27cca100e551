"""What only trio knows: the nurseries that a task has open, and the one that it is in."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import trio

from ..dependencies import current_execution
from .claim_tasks import ClaimTasks
from .roster import Running

__all__ = ["NurseryTasks"]


class NurseryTasks(ClaimTasks):
    """Claims as children of the work group. A body cannot raise ``trio.Cancelled`` by itself."""

    _nursery: trio.Nursery | None = None

    async def attend(self) -> None:
        self._nursery = trio.lowlevel.current_task().parent_nursery

    def let_go(self, holding_on: Sequence[Running]) -> None:
        executions = {id(running.execution): running for running in holding_on}
        if self._nursery is None:
            return
        for task in self._nursery.child_tasks:
            running = executions.get(id(task.context.get(current_execution)))
            if running is not None:
                _move_out(task, running)

    def leave_scopes_open(self) -> Sequence[str]:
        nurseries = trio.lowlevel.current_task().child_nurseries
        left = [task.name for nursery in nurseries for task in nursery.child_tasks]
        for nursery in nurseries:
            nursery.cancel_scope.cancel()
        # With one in this list the end of the task would be an error of the group around it: of all other claims.
        nurseries.clear()
        return left


def _move_out(task: Any, running: Running) -> None:
    """Move a task from the nursery of the claims to that of the tasks that a run of trio ends with.

    As ``nursery.start()`` moves one that has started; there is no public way to do so later. Its cancellation is taken
    back, since it would be delivered again at each checkpoint. The run of trio waits for it all the same.
    """
    root: Any = trio.lowlevel.current_root_task()
    with contextlib.suppress(AttributeError, IndexError):  # another trio: then the worker waits, too
        old: Any = task.parent_nursery
        new: Any = root.child_nurseries[1]  # of the system's tasks
        top = task._cancel_status
        while top is not old._cancel_status and top.parent is not old._cancel_status:
            top = top.parent
        scope = getattr(running.stopped_by, "_CancelScope__original", None)
        if scope is not None:
            scope._cancel_called = False
        if top is old._cancel_status:
            task._activate_cancel_status(new._cancel_status)
        else:
            top.parent = new._cancel_status
        task._parent_nursery = new
        new._children.add(task)
        old._children.remove(task)
        old._check_nursery_closed()
