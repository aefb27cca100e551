"""Many calls, spread evenly over a window of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, ParamSpec, overload

from . import clock
from .calls import TaskFunction, check_arguments, check_key, check_when
from .errors import UsageError
from .registry import name_of

if TYPE_CHECKING:
    from .docket import Docket
    from .execution import Execution

__all__ = ["Agenda"]

P = ParamSpec("P")

Item = tuple[TaskFunction | str, tuple[Any, ...], dict[str, Any], str | None]


class Agenda:
    """Calls to be spread over a window of time, in the order in which they were added.

    One agenda may be scattered on any docket, any number of times. Iterating gives
    ``(function or name, args, kwargs, key or None)``.
    """

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    @overload
    def add(self, function: Callable[P, Any], key: str | None = None) -> Callable[P, None]: ...
    @overload
    def add(self, function: str, key: str | None = None) -> Callable[..., None]: ...
    def add(self, function: TaskFunction | str, key: str | None = None) -> Callable[..., None]:
        """Add a call: ``agenda.add(function)(arguments)``. Without a key it gets a new one in every scatter.

        Raises: at once, TypeError for what is no task function or key; by the returned function, TypeError for
        arguments that do not fit. Those of a task given by name are checked by `scatter`, where its docket is known.
        """
        name = function if isinstance(function, str) else name_of(function)
        if key is not None:
            check_key(key)

        def adding(*args: Any, **kwargs: Any) -> None:
            if not isinstance(function, str):
                check_arguments(function, name, args, kwargs)
            self._items.append((function, args, kwargs, key))

        return adding

    def clear(self) -> None:
        """Remove every call."""
        self._items.clear()

    async def scatter(
        self,
        docket: Docket,
        over: timedelta,
        start: datetime | None = None,
        jitter: timedelta | None = None,
        *,
        seed: int | Random | None = None,
    ) -> list[Execution[Any]]:
        """Schedule every call on a docket: the first at ``start`` (now), the last ``over`` later, the rest between.

        A single call is put into the middle. ``jitter`` moves each by a random time of up to so much, back or forth,
        but not before ``start``; ``seed`` makes it the same each time. One round trip per thousand calls; what they
        come to is as with `Docket.add_many`.

        Raises: ValueError - ``over`` is not positive, ``jitter`` negative, ``start`` without a time zone; KeyError, a
        name that is not registered, and TypeError, arguments that do not fit a named task: the calls before that one
        have been scheduled, those after it not; as `Docket.add_many`.
        """
        _check_duration(over, "over", positive=True)
        if jitter is not None:
            _check_duration(jitter, "jitter", positive=False)
        if start is None:
            start = clock.now()
        else:
            check_when(start, "start")
        moments = _spread(
            len(self._items), start, over, jitter, seed if isinstance(seed, Random) else Random(seed)
        )
        calls: list[Any] = []
        try:
            for (function, args, kwargs, key), when in zip(self._items, moments, strict=True):
                calls.append(docket.call(function, when=when, key=key)(*args, **kwargs))
        except Exception:
            await docket.add_many(calls)
            raise
        return await docket.add_many(calls)


def _spread(
    count: int, start: datetime, over: timedelta, jitter: timedelta | None, random: Random
) -> Iterator[datetime]:
    for at in range(count):
        when = start + (over * at / (count - 1) if count > 1 else over / 2)
        if jitter is not None:
            when = max(start, when + random.uniform(-1, 1) * jitter)
        yield when


def _check_duration(duration: Any, name: str, *, positive: bool) -> None:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{name!r} takes a timedelta, not {type(duration).__name__}: {duration!r}")
    if duration < timedelta(0) or (positive and not duration):
        kind = "a positive duration" if positive else "a duration from zero"
        raise UsageError(f"{name!r} parameter must be {kind}, not {duration}")
