"""The task that somebody asks about."""

from __future__ import annotations

from ..client import TaskFunction, name_of
from ..text import checked_name

__all__ = ["asked_task"]


def asked_task(task: TaskFunction | str | None) -> str | None:
    """The name of a task, which need not be registered; None for all of them.

    Raises: TypeError - no function and no name; UsageError (a ValueError) - a name that cannot be one.
    """
    if task is None:
        return None
    return checked_name(name_of(task) if callable(task) else task, "the name of a task")
