"""What an operator should know of a task beside its state, in the words of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..execution import Execution

__all__ = ["remarks_of"]


def remarks_of(execution: Execution[Any]) -> list[str]:
    """``paused``, ``waits for LIMIT``, ``worker gone``, ``attempt 2`` and the like; none of most tasks."""
    found = {
        "unknown to a worker": execution.is_put_back,
        "paused": execution.is_paused,
        f"waits for {execution.waits_for}": execution.waits_for is not None,
        "worker gone": execution.worker_is_gone,
        "cancel requested": execution.cancel_requested,
        "has a task group open": execution.is_parent,
        f"attempt {execution.attempt}": execution.attempt > 1,
        f"begun {execution.times_begun} times": execution.times_begun > 1,
    }
    return [remark for remark, applies in found.items() if applies]
