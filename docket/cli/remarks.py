"""What an operator should know of a task beside its state, in the words of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..rules import Priority

if TYPE_CHECKING:
    from ..execution import Execution
    from ..operating import TreeRun

__all__ = ["remarks", "remarks_of"]


def remarks_of(execution: Execution[Any]) -> list[str]:
    """``high priority``, ``paused``, ``waits for LIMIT``, ``attempt 2`` and the like; none of most tasks."""
    return remarks(
        execution,
        unknown=execution.is_put_back,
        paused=execution.is_paused,
        is_parent=execution.is_parent,
        has_successor=execution.has_successor,
    )


def remarks(
    run: Execution[Any] | TreeRun,
    *,
    paused: bool,
    unknown: bool = False,
    is_parent: bool = False,
    has_successor: bool = False,
) -> list[str]:
    """The same of a task as it is known in a tree, which says less."""
    found = {
        f"{run.priority.value} priority": run.priority is not Priority.NORMAL,
        "unknown to a worker": unknown,
        "paused": paused,
        f"waits for {run.waits_for}": run.waits_for is not None,
        f"waits for its turn: {run.waits_for_turn}": run.waits_for_turn is not None,
        "worker gone": run.worker_is_gone,
        "cancel requested": run.cancel_requested,
        "has a task group open": is_parent,
        "runs once more": has_successor,
        f"attempt {run.attempt}": run.attempt > 1,
        f"begun {run.times_begun} times": run.times_begun > 1,
    }
    return [remark for remark, applies in found.items() if applies]
