"""What only asyncio knows: whether a CancelledError was raised by the body itself or asked for from outside.

On trio a body cannot raise ``trio.Cancelled`` by itself, so nothing like this is needed there.
"""

from __future__ import annotations

import asyncio

__all__ = ["cancelled_from_outside"]


def cancelled_from_outside() -> bool:
    """Whether somebody has called ``cancel()`` on the running task (as a loop that shuts down does)."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
