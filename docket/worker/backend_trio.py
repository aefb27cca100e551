"""What only trio knows: the nurseries that a task has open."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from .claim_tasks import ClaimTasks

__all__ = ["NurseryTasks"]


class NurseryTasks(ClaimTasks):
    """Claims as children of the work group. A body cannot raise ``trio.Cancelled`` by itself."""

    def leave_scopes_open(self) -> Sequence[str]:
        nurseries = trio.lowlevel.current_task().child_nurseries
        left = [task.name for nursery in nurseries for task in nursery.child_tasks]
        for nursery in nurseries:
            nursery.cancel_scope.cancel()
        # With one in this list the end of the task would be an error of the group around it: of all other claims.
        nurseries.clear()
        return left
