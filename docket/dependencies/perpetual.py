"""Tasks that schedule themselves again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .. import clock
from ..rules import Reschedule
from .base import CompletionHandler, TaskOutcome

__all__ = ["Perpetual"]


class Perpetual(CompletionHandler["Perpetual"]):
    """Run the task again ``every`` so long after each run, failed or not, under the same key.

    ``automatic`` tasks need nobody to add them: every worker that knows one sees to it that it is scheduled, under
    its own name as the key. As a dependency its value can `cancel` the chain or `perpetuate` it with other arguments.
    """

    def __init__(self, every: timedelta = timedelta(0), automatic: bool = False) -> None:
        if every < timedelta(0):
            raise ValueError(f"every takes a duration from zero, not {every}")
        self.every, self.automatic = every, automatic
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.cancelled = False
        self._perpetuated = False

    async def __aenter__(self) -> Perpetual:
        execution = self.execution.get()
        running = type(self)(self.every, self.automatic)
        running.args, running.kwargs = execution.args, execution.kwargs
        return running

    @property
    def initial_when(self) -> datetime | None:
        """When an automatic task runs first; None: at once."""
        return None

    def cancel(self) -> None:
        """Let this run be the last one."""
        self.cancelled = True

    def perpetuate(self, *args: Any, **kwargs: Any) -> None:
        """Call the next run with these arguments."""
        self.args, self.kwargs = args, kwargs
        self._perpetuated = True

    def following(self) -> Reschedule | None:
        """The next run, or None where this was the last one."""
        if self.cancelled:
            return None
        call = (self.args, self.kwargs) if self._perpetuated else None
        return Reschedule(when=clock.now() + self.every, attempt=1, call=call)

    async def on_complete(self, execution: Any, outcome: TaskOutcome) -> bool:
        self.next_run = self.following()
        return self.next_run is not None
