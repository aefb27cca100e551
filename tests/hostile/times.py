# ruff: noqa: E501 - a row is a line
"""Durations and moments that overflow whatever they are added to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from docket import (
    Cooldown,
    Debounce,
    Docket,
    Execution,
    ExponentialRetry,
    Perpetual,
    RateLimit,
    Retry,
    Timeout,
)
from docket.errors import UsageError
from tests.hostile.harness import KEY, End, Function, Row, fails, refused, returns, waits

__all__ = ["TIMES"]

TEN_THOUSAND_YEARS = timedelta(days=3_650_000)

EARLY, LATE = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))


def taking(make: Callable[[], Any]) -> Callable[[], Function]:
    """A task with a dependency that is made with it."""

    def made() -> Function:
        async def culprit(it: Any = make()) -> str:
            return "returned"

        return culprit

    return made


def at(when: datetime) -> Any:
    async def place(docket: Docket, function: Function) -> Execution[Any]:
        return await docket.add(function, when, KEY)()

    return place


def asking(ask: Callable[[Retry], object]) -> Callable[[], Function]:
    """A body that asks for its next attempt."""

    def made() -> Function:
        async def culprit(retry: Retry = Retry(attempts=2)) -> None:
            ask(retry)

        return culprit

    return made


def row(said: str, make: Callable[[], Function], end: End, **more: Any) -> Row:
    return Row(said=said, make=make, end=end, **more)


MAKERS: list[tuple[str, Callable[[timedelta], Any]]] = [
    ("RateLimit", lambda per: RateLimit(1, per=per)), ("Cooldown", Cooldown), ("Debounce", Debounce), ("Timeout", Timeout),
    ("Retry", lambda delay: Retry(attempts=2, delay=delay)), ("ExponentialRetry", lambda delay: ExponentialRetry(2, delay, delay)),
    ("a Retry's maximum age", lambda age: Retry(attempts=2, maximum_age=age)), ("Perpetual", Perpetual),
]  # fmt: skip

TIMES = [
    *(row(f"{name} of {duration.days} days", taking(lambda make=make, duration=duration: make(duration)), refused(UsageError), slow=duration is not timedelta.max) for name, make in MAKERS for duration in (timedelta.max, TEN_THOUSAND_YEARS, timedelta.min)),
    *(row(f"a moment at {when.isoformat()}", taking(lambda: None), end, place=at(when)) for when, end in (
        (datetime.max.replace(tzinfo=UTC), waits()), (datetime.max.replace(tzinfo=EARLY), waits()), (datetime.max.replace(tzinfo=LATE), refused(UsageError)),
        (datetime.min.replace(tzinfo=UTC), returns("returned")), (datetime.min.replace(tzinfo=LATE), returns("returned")), (datetime.min.replace(tzinfo=EARLY), refused(UsageError)),
        (datetime(9999, 1, 1, tzinfo=UTC), waits()), (datetime(1970, 1, 1, tzinfo=UTC), returns("returned")), (datetime(1900, 1, 1, tzinfo=UTC), returns("returned")),
    )),
    row("a next attempt after timedelta.max", asking(lambda retry: retry.after(timedelta.max)), fails(UsageError, times=2)),
    row("a next attempt at datetime.max in the west", asking(lambda retry: retry.at(datetime.max.replace(tzinfo=LATE))), fails(UsageError, times=2)),
]  # fmt: skip
