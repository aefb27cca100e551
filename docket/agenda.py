"""Many calls, spread evenly over a window of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, ParamSpec, overload

from . import clock
from .client import TaskFunction, check_arguments, check_function, check_key, name_of
from .errors import UsageError
from .moments import (
    Expires,
    TimeToLive,
    check_duration,
    check_expires,
    check_moment,
    check_ttl,
    moved,
)
from .rules import IfRunning, Level, check_if_running, check_level
from .text import checked_name

if TYPE_CHECKING:
    from .docket import Docket
    from .execution import Execution
    from .task_group import TaskGroup

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
        self._kept: list[tuple[TimeToLive, Expires, Level, IfRunning]] = []

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    @overload
    def add(
        self,
        function: Callable[P, Any],
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[P, None]: ...
    @overload
    def add(
        self,
        function: str,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., None]: ...
    def add(
        self,
        function: TaskFunction | str,
        key: str | None = None,
        ttl: TimeToLive = ...,
        *,
        expires: Expires = None,
        priority: Level = None,
        if_running: IfRunning = "skip",
    ) -> Callable[..., None]:
        """Add a call: ``agenda.add(function)(arguments)``. Without a key it gets a new one in every scatter.
        ``ttl``, ``expires``, ``priority`` and ``if_running`` are as with `Docket.add`: a duration counts from when the
        call is due.

        Raises: at once, TypeError for what is no task function or key, and as `Docket.add`; by the returned function,
        TypeError for arguments that do not fit. Those of a task given by name are checked by `scatter`, where its
        docket is known.
        """
        name = (
            checked_name(function, "the name of a task") if isinstance(function, str) else name_of(function)
        )
        if not isinstance(function, str):
            check_function(function)
        if key is not None:
            key = check_key(key)
        check_ttl(ttl)
        check_expires(expires, None)
        level = check_level(priority)
        check_if_running(if_running, key)

        def adding(*args: Any, **kwargs: Any) -> None:
            if not isinstance(function, str):
                check_arguments(function, name, args, kwargs)
            self._items.append((function, args, kwargs, key))
            self._kept.append((ttl, expires, level, if_running))

        return adding

    def clear(self) -> None:
        """Remove every call."""
        self._items.clear()
        self._kept.clear()

    async def scatter(
        self,
        docket: Docket | TaskGroup,
        over: timedelta,
        start: datetime | None = None,
        jitter: timedelta | None = None,
        *,
        seed: int | Random | None = None,
    ) -> list[Execution[Any]]:
        """Schedule every call on a docket, or in a task group: the first at ``start`` (now), the last ``over`` later.

        A single call is put into the middle. ``jitter`` moves each by a random time of up to so much, back or forth,
        but not before ``start``; ``seed`` makes it the same each time. One round trip per thousand calls; what they
        come to is as with `Docket.add_many`.

        Raises: ValueError - ``over`` is not positive, ``jitter`` negative, ``start`` without a time zone, one of them
        out of the range of `docket.moments`; a call is to run once more, and this is a task group; KeyError, a name
        that is not registered, and TypeError, arguments that do not fit a named task: the calls before that one have
        been scheduled, those after it not; as `Docket.add_many`.
        """
        if isinstance(over, timedelta) and over <= timedelta(0):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"'over' parameter must be a positive duration, not {over}")
        check_duration("over", over)
        if any(if_running != "skip" for *_, if_running in self._kept):
            _check_is_no_group(docket)
        if jitter is not None:
            check_duration("jitter", jitter)
        if start is None:
            start = clock.now()
        else:
            check_moment("start", start)
        if moved(start, over) - start < over:
            raise UsageError(
                f"over={over} from start={start.isoformat()} on is beyond the last moment that there is"
            )
        moments = _spread(
            len(self._items), start, over, jitter, seed if isinstance(seed, Random) else Random(seed)
        )
        calls: list[Any] = []
        try:
            for (function, args, kwargs, key), kept, when in zip(
                self._items, self._kept, moments, strict=True
            ):
                ttl, expires, priority, if_running = kept
                more: dict[str, Any] = {} if if_running == "skip" else {"if_running": if_running}
                call = docket.call(
                    function, when=when, key=key, ttl=ttl, expires=expires, priority=priority, **more
                )
                calls.append(call(*args, **kwargs))
        except Exception:
            await docket.add_many(calls)
            raise
        return await docket.add_many(calls)


def _check_is_no_group(docket: Docket | TaskGroup) -> None:
    from .task_group import TaskGroup  # most programs open none

    if isinstance(docket, TaskGroup):
        raise UsageError(
            'a call with if_running="once_more" is for a docket: what follows a child of a task group is none of its '
            "children. Scatter such calls on the docket"
        )


def _spread(
    count: int, start: datetime, over: timedelta, jitter: timedelta | None, random: Random
) -> Iterator[datetime]:
    for at in range(count):
        when = start + over * (at / (count - 1) if count > 1 else 0.5)
        if jitter is not None:
            when = max(start, moved(when, random.uniform(-1, 1) * jitter))
        yield when
