"""Pausing a task, or a whole docket, and resuming it."""

from __future__ import annotations

import abc
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..client import AnyFunction, TaskFunction, name_of
from ..errors import UsageError
from ..signals import signals
from ..store import EVERY_TASK, DocketStore, TooManyPauses
from ..text import checked_name, printable
from ..values import frozen

__all__ = ["DocketPauses", "Pause"]

logger = logging.getLogger("docket.docket")


@frozen(kw_only=True)
class Pause:
    """A task that is paused, or all of them (``task`` is None).

    ``since`` is an aware datetime in UTC (None where something else is written there), ``reason`` and ``by`` are what
    was given. ``waiting`` is how many runs that workers would have begun wait for it; where all tasks are
    paused, how many are due.
    """

    task: str | None
    since: datetime | None
    reason: str = ""
    by: str = ""
    waiting: int = 0


class DocketPauses(abc.ABC):
    """The part of a `Docket` that pauses and resumes."""

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore: ...

    @abc.abstractmethod
    def labels(self) -> Mapping[str, str]: ...

    async def pause(
        self, task: TaskFunction | AnyFunction | str | None = None, *, reason: str = "", by: str = ""
    ) -> bool:
        """Have workers begin no more runs of a task, or of any (None). False: it was paused before, and that stays.

        In force, for all workers of docket's, once this has returned: what a worker takes from then on waits, in its
        order, until `resume`. What was taken before goes on. So does adding; retries and the next runs of perpetual
        tasks wait, too. A name need not be registered. ``reason`` and ``by`` are for those who read `pauses`.

        Raises: TypeError - no function and no name; UsageError (a ValueError) - a name that cannot be one, or more than
        500 tasks are paused; redis.exceptions.RedisError. Cancel: it may be paused or not.
        """
        name = _named(task)
        for what, text in ("reason", reason), ("by", by):
            if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(f"{what} is a str, not {type(text).__name__}")
        with signals.operation("docket.pause", lambda: self._pause_labels(name)):
            try:
                paused = await self.store.pauses.pause(name, reason, by)
            except TooManyPauses as error:
                raise UsageError(f"{error}: resume some of them, or pause all tasks") from None
        if paused:
            logger.info("Paused %s", _shown(name))
        return paused

    async def resume(self, task: TaskFunction | AnyFunction | str | None = None) -> int:
        """Have workers run a task again, or all of them (None). Return how many of those that waited were queued again.

        They are queued in their order, behind what is queued by then, in steps of a hundred. A task that is paused by
        itself stays so when all are resumed. Resuming what is not paused does nothing but finish a `resume` that was
        cut off.

        Raises: as `pause`. Cancel: the task is resumed; a worker queues what is left, within a quarter of its
        ``redelivery_timeout``.
        """
        name = _named(task)
        with signals.operation("docket.resume", lambda: self._pause_labels(name)) as span:
            was, moved = await self.store.pauses.resume(name)
            span.note("docket.batch.count", moved)
        if was:
            logger.info("Resumed %s, for which %d tasks waited", _shown(name), moved)
        return moved

    async def pauses(self) -> list[Pause]:
        """What is paused at this moment: all tasks first, then by name."""
        return [
            Pause(
                task=None if each.task == EVERY_TASK else each.task,
                since=each.since,
                reason=each.reason,
                by=each.by,
                waiting=each.waiting,
            )
            for each in await self.store.pauses.listed()
        ]

    def _pause_labels(self, name: str) -> Mapping[str, str]:
        return {**self.labels(), "docket.task": name}


def _named(task: Any) -> str:
    """The name of what is paused."""
    if task is None:
        return EVERY_TASK
    name = checked_name(name_of(task) if callable(task) else task, "the name of a task")
    if name == EVERY_TASK:
        raise UsageError(f"{EVERY_TASK!r} is no task; without one all of them are paused and resumed")
    return name


def _shown(name: str) -> str:
    return "all tasks" if name == EVERY_TASK else f"task {printable(name)!r}"
