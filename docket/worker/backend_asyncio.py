"""What only asyncio knows: who has cancelled a task.

On trio a body cannot raise ``trio.Cancelled`` by itself, so nothing like this is needed there.
"""

from __future__ import annotations

import asyncio

__all__ = ["Sentinel"]


class Sentinel:
    """The task in which this is made: one that nobody cancels but a loop that shuts down and cancels them all.

    Its cancel scopes must not be cancelled before the tasks have ended that ask.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()

    def loop_shuts_down(self) -> bool:
        """Whether the loop cancels every task. If not, the running task is no longer cancelled after this."""
        if self._task is not None and (self._task.done() or self._task.cancelling()):
            return True
        running = asyncio.current_task()
        while running is not None and running.cancelling():
            running.uncancel()
        return False
