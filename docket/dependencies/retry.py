"""Further attempts after a failure."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn, Self, TypeAlias, TypedDict, Unpack, cast

from .. import clock
from ..errors import UsageError
from ..moments import check_duration, check_moment, clamped, moved
from ..numbers import spelled
from ..rules import Reschedule, RetryPolicy
from ..store import first_when
from .base import FailureHandler, TaskOutcome, copied

__all__ = ["ExponentialRetry", "ForcedRetry", "Retry"]

ErrorTypes: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
Jitter: TypeAlias = float | Literal["full"]

ZERO = timedelta(0)
SECOND = timedelta(seconds=1)
MAXIMUM = timedelta(seconds=64)


class Options(TypedDict, total=False):
    """The options of every kind of `Retry`, by name."""

    jitter: Jitter
    on: ErrorTypes
    never_on: ErrorTypes
    maximum_age: timedelta | None


class ForcedRetry(Exception):
    """Raised by a task to request another attempt (`Retry.after`, `Retry.at`)."""


class Retry(FailureHandler["Retry"]):
    """Run a failed task again, up to ``attempts`` runs in all (None: for ever), ``delay`` apart.

    With ``minimum_delay`` and ``maximum_delay`` in place of ``delay`` the pauses double, as those of an
    `ExponentialRetry`. As a dependency its value has ``attempt``, the number of the present run, from 1, and
    ``delay``, the pause that follows it.

    ``jitter`` shortens each pause at random by up to this fraction of it, from 0 to 1; "full" is 1. ``on`` are the
    types of exceptions that are retried (default: all), ``never_on`` those that are not, even if ``on`` has them; an
    ExceptionGroup is retried if each of the exceptions in it is. No attempt begins later than ``maximum_age`` after the
    first one was due.

    Raises: TypeError - a wrong type; UsageError (a ValueError) - a value out of range.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    attempts: int | None
    delay: timedelta
    attempt: int
    # What pydocket's do not have, which may come as arguments of a call.
    maximum_delay: timedelta | None = None
    jitter: float = 0.0
    on: tuple[type[BaseException], ...] = (BaseException,)
    never_on: tuple[type[BaseException], ...] = ()
    maximum_age: timedelta | None = None
    _asked: datetime | None = None

    def __init__(
        self,
        attempts: int | None = 1,
        delay: timedelta = ZERO,
        *,
        minimum_delay: timedelta | None = None,
        maximum_delay: timedelta | None = None,
        jitter: Jitter = 0.0,
        on: ErrorTypes = BaseException,
        never_on: ErrorTypes = (),
        maximum_age: timedelta | None = None,
    ) -> None:
        self.attempts = _checked_attempts(attempts)
        self.delay, self.maximum_delay = check_duration("delay", delay), None
        if minimum_delay is not None or maximum_delay is not None:
            if delay:
                raise UsageError("Retry takes either delay, or minimum_delay and maximum_delay, not both")
            self.delay, self.maximum_delay = _checked_range(minimum_delay, maximum_delay)
        self.jitter = _checked_jitter(jitter)
        self.on, self.never_on = _checked_types("on", on), _checked_types("never_on", never_on)
        self.maximum_age = None
        if maximum_age is not None:
            self.maximum_age = check_duration("maximum_age", maximum_age, positive=True)
        self.attempt = 1
        self._asked = None

    @classmethod
    def forever(cls, delay: timedelta = ZERO, **options: Unpack[Options]) -> Self:
        """Without a limit of attempts; ``options`` are those of the constructor."""
        return cls(None, delay, **options)

    async def __aenter__(self) -> Self:
        running = copied(self)
        running.attempt = self.execution.get().attempt
        if self.maximum_delay is not None:
            running.delay = self.policy().delay_after(running.attempt)
        running._asked = running.next_run = None
        return running

    # for the task ----------------------------------------------------------------------------------------

    def after(self, delay: timedelta) -> NoReturn:
        """End this run and ask for another one after ``delay``, for as long as there are attempts left.

        Raises: ForcedRetry - let it out of the task; TypeError, UsageError - ``delay`` is none.
        """
        self.at(moved(clock.now(), check_duration("delay", delay)))

    def at(self, when: datetime) -> NoReturn:
        """End this run and ask for another one at ``when``, or at once if that has passed. Raises as `after`."""
        self._asked = check_moment("when", when)
        raise ForcedRetry(f"another attempt was asked for at {when.isoformat()}")

    def in_(self, delay: timedelta) -> NoReturn:
        """The same as `after`."""
        self.after(delay)

    # for the worker --------------------------------------------------------------------------------------

    def policy(self) -> RetryPolicy:
        """The rule by which it decides."""
        return RetryPolicy(
            attempts=self.attempts,
            delay=self.delay,
            maximum_delay=self.maximum_delay,
            jitter=self.jitter,
            on=self.on,
            never_on=self.never_on,
            maximum_age=self.maximum_age,
        )

    def retrying(self, error: BaseException | None, execution: Any) -> Reschedule | None:
        """The next attempt after a run of ``execution`` that failed with ``error``; None if there is none."""
        policy, now = self.policy(), clock.now()
        if error is not None and not policy.concerns(error, asked=ForcedRetry):
            return None
        first = first_when(execution.extra_fields) or execution.when
        when = self._asked or moved(now, policy.shortened(clamped(self.delay), random.random()))
        if not policy.allows(execution.attempt, at=max(when, now), first=first):
            return None
        remembered = None if self.maximum_age is None else first
        return Reschedule(when=max(when, now), attempt=execution.attempt + 1, first=remembered)

    async def handle_failure(self, execution: Any, outcome: TaskOutcome) -> bool:
        """Set ``next_run`` to the next attempt; return whether there is one.

        A subclass may override this and call it: ``next_run`` is placed whatever that returns.
        """
        self.next_run = self.retrying(outcome.exception, execution)
        return self.next_run is not None


class ExponentialRetry(Retry):
    """Run a failed task again, up to ``attempts`` runs in all (None: for ever), after pauses that double.

    The first pause is ``minimum_delay``, none is longer than ``maximum_delay``. The other options, and what is
    raised, are those of `Retry`.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    def __init__(
        self,
        attempts: int | None = 1,
        minimum_delay: timedelta = SECOND,
        maximum_delay: timedelta = MAXIMUM,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(attempts, minimum_delay=minimum_delay, maximum_delay=maximum_delay, **options)

    @classmethod
    def forever(
        cls, delay: timedelta = SECOND, maximum_delay: timedelta = MAXIMUM, **options: Unpack[Options]
    ) -> Self:
        """Without a limit of attempts; ``delay`` is the first pause, ``options`` are those of the constructor."""
        return cls(None, delay, maximum_delay, **options)


def _checked_attempts(given: Any) -> int | None:
    if given is None:
        return None
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"attempts takes a whole number or None, not {type(given).__name__}: {given!r}")
    if given < 1:
        raise UsageError(f"attempts takes a whole number from 1, or None for no limit, not {spelled(given)}")
    return given


def _checked_range(minimum: timedelta | None, maximum: timedelta | None) -> tuple[timedelta, timedelta]:
    first = check_duration("minimum_delay", SECOND if minimum is None else minimum)
    last = check_duration("maximum_delay", MAXIMUM if maximum is None else maximum)
    if last < first:
        if last != MAXIMUM:  # the default: nobody has asked for it
            raise UsageError(f"maximum_delay={last} is shorter than minimum_delay={first}")
        last = first
    return first, last


def _checked_jitter(given: Any) -> float:
    if given == "full":
        return 1.0
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError(
            f'jitter takes a fraction from 0 to 1 or "full", not {type(given).__name__}: {given!r}'
        )
    if not 0 <= given <= 1:
        raise UsageError(f'jitter takes a fraction from 0 to 1 or "full", not {given}')
    return float(given)


def _checked_types(name: str, given: Any) -> tuple[type[BaseException], ...]:
    types = cast("tuple[Any, ...]", given if isinstance(given, tuple) else (given,))
    for each in types:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            raise TypeError(f"{name} takes types of exceptions, not {each!r}")
    return types
