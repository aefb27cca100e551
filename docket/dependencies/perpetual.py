"""Tasks that schedule themselves again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, Self, TypeAlias, get_args

from .. import clock
from ..errors import UsageError
from ..moments import check_duration, check_moment, clamped, moved
from ..numbers import spelled
from ..rules import Reschedule
from ..store import ONCE, chains, first_when
from ..transport import Client
from .base import CompletionHandler, TaskOutcome, copied

__all__ = ["Perpetual", "perpetual_is_live"]

ZERO = timedelta(0)

Missed: TypeAlias = Literal["skip", "once", "all"]

#: Of the runs that were missed, ``missed="all"`` makes up for so many.
MOST_MISSED = 1000


class Perpetual(CompletionHandler["Perpetual"]):
    """Run the task again ``every`` so long after each run began, or as it ends if that is later; under the same key.

    A run that fails is followed by the next one all the same; if the task has a Retry, by that one's attempts first.
    ``docket.cancel(key)`` ends the chain. ``automatic`` tasks need not be added: each worker that knows one schedules
    it, under its own name as the key, and again within a minute of the end of its chain.

    ``missed`` says what becomes of runs that were due while one ran, or while there was no worker: one at once in place
    of all of them ("once"), each of them, one after the other, but not more than the last thousand ("all"), or none:
    the next one is due a multiple of ``every`` after this one began ("skip").

    As a dependency its value decides, until the run ends, what comes next: ``every`` may be set for the next time,
    ``args`` and ``kwargs`` are the arguments of the next call.

    Raises: TypeError - ``every`` is no timedelta; UsageError (a ValueError) - it is below zero, or ``missed`` is none
    of the three.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    automatic: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    cancelled: bool
    missed: Missed

    def __init__(self, every: timedelta = ZERO, automatic: bool = False, *, missed: Missed = "once") -> None:
        self.every, self.automatic = every, automatic
        self.missed = _checked_missed(missed)
        self.args, self.kwargs = (), {}
        self.cancelled = False
        self._next_when: datetime | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "missed" not in state:  # pydocket's, as an argument of a call
            self.args, self.kwargs, self.missed = (), {}, "once"
        vars(self).update(state)

    async def __aenter__(self) -> Self:
        execution = self.execution.get()
        running = copied(self)
        running.args, running.kwargs = execution.args, execution.kwargs
        running.cancelled, running._next_when, running.next_run = False, None, None
        if ONCE in execution.extra_fields:
            running.cancel()
        return running

    @property
    def every(self) -> timedelta:
        """The time from the beginning of one run to the beginning of the next."""
        return vars(self)["every"]  # by which pydocket's instances have it

    @every.setter
    def every(self, every: timedelta) -> None:
        vars(self)["every"] = check_duration("every", every)

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
        when = (
            self._regularly(now, clamped(duration)) if self._next_when is None else max(self._next_when, now)
        )
        return Reschedule(when=when, attempt=1, call=(self.args, self.kwargs))

    def _regularly(self, now: datetime, duration: timedelta) -> datetime:
        """When the next run is due. It may have been due before now, if it is made up for."""
        every = self.every
        if not every or self.missed == "once":
            return max(moved(now, every - duration), now)
        if self.missed == "skip":
            return moved(now, every - duration % every)
        due = moved(self._due() or now, every)
        too_many = (now - due) // every - MOST_MISSED + 1
        return moved(due, too_many * every) if too_many > 0 else due

    def _due(self) -> datetime | None:
        """When the present call was due: a retry, or a limit that puts it off, moves its run."""
        execution = self.execution.get(None)
        return None if execution is None else first_when(execution.extra_fields) or execution.when

    async def on_complete(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Set ``next_run`` to the next run; return whether there is one.

        A subclass may override this and call it: ``next_run`` is placed whatever that returns.
        """
        self.next_run = self.following(outcome.duration)
        return self.next_run is not None


def _checked_missed(given: Any) -> Missed:
    if given not in get_args(Missed):
        raise UsageError(f'missed takes "skip", "once" or "all", not {spelled(given)}')
    return given


async def perpetual_is_live(docket: Any, redis: Client, key: str) -> bool:
    """Whether a run under ``key`` waits or runs, so that its chain goes on."""
    (chain,) = await chains(redis, docket.keys, [key])
    return chain.is_live
