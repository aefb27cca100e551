"""Tasks that schedule themselves again."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any, Self

from .. import clock
from ..moments import check_duration, check_moment, clamped, moved
from ..rules import Reschedule
from ..store import chains
from ..transport import Client
from .base import CompletionHandler, TaskOutcome

__all__ = ["Perpetual", "perpetual_is_live"]

ZERO = timedelta(0)


class Perpetual(CompletionHandler["Perpetual"]):
    """Run the task again ``every`` so long after each run began, or as it ends if that is later; under the same key.

    A run that fails is followed by the next one all the same; if the task has a Retry, by that one's attempts first.
    ``docket.cancel(key)`` ends the chain. ``automatic`` tasks need not be added: each worker that knows one schedules
    it, under its own name as the key, and again within a minute of the end of its chain.

    As a dependency its value decides, until the run ends, what comes next: ``every`` may be set for the next time,
    ``args`` and ``kwargs`` are the arguments of the next call.

    Raises: TypeError - ``every`` is no timedelta; UsageError (a ValueError) - it is below zero.
    """

    automatic: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    cancelled: bool

    def __init__(self, every: timedelta = ZERO, automatic: bool = False) -> None:
        self.every, self.automatic = every, automatic
        self.args, self.kwargs = (), {}
        self.cancelled = False
        self._next_when: datetime | None = None

    async def __aenter__(self) -> Self:
        execution = self.execution.get()
        running = copy.copy(self)
        running.args, running.kwargs = execution.args, execution.kwargs
        running.cancelled, running._next_when, running.next_run = False, None, None
        return running

    @property
    def every(self) -> timedelta:
        """The time from the beginning of one run to the beginning of the next."""
        return self._every

    @every.setter
    def every(self, every: timedelta) -> None:
        self._every = check_duration("every", every)

    @property
    def initial_when(self) -> datetime | None:
        """When an automatic task runs first; None: at once."""
        return None

    # for the task ----------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Let this run be the last one of the chain."""
        self.cancelled = True

    def perpetuate(self, *args: Any, **kwargs: Any) -> None:
        """Set the arguments of the next run.

        Raises: TypeError - the task cannot be called with them.
        """
        if (execution := self.execution.get(None)) is not None:
            execution.check_arguments(args, kwargs)
        self.args, self.kwargs = args, kwargs

    def after(self, delay: timedelta) -> None:
        """Let the next run begin ``delay`` from now; this once.

        Raises: TypeError, UsageError - ``delay`` is not a duration from zero.
        """
        self._next_when = moved(clock.now(), check_duration("delay", delay))

    def at(self, when: datetime) -> None:
        """Let the next run begin at ``when``, or at once if that has passed; this once.

        Raises: TypeError, UsageError - ``when`` is not an aware datetime.
        """
        self._next_when = check_moment("when", when)

    # for the worker --------------------------------------------------------------------------------------

    def following(self, duration: timedelta = ZERO) -> Reschedule | None:
        """The next run, after one of ``duration`` that has just ended; None if that was the last one."""
        if self.cancelled:
            return None
        now = clock.now()
        when = self._next_when or self._regularly(now, duration)
        return Reschedule(when=max(when, now), attempt=1, call=(self.args, self.kwargs))

    def _regularly(self, now: datetime, duration: timedelta) -> datetime:
        return moved(now, self.every - clamped(duration))

    async def on_complete(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Set ``next_run`` to the next run; return whether there is one.

        A subclass may override this and call it: ``next_run`` is placed whatever that returns.
        """
        self.next_run = self.following(outcome.duration)
        return self.next_run is not None


async def perpetual_is_live(docket: Any, redis: Client, key: str) -> bool:
    """Whether a run under ``key`` waits or runs, so that its chain goes on."""
    (chain,) = await chains(redis, docket.keys, [key])
    return chain.is_live
