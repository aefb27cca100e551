"""The fallback task, which runs in place of tasks that the worker does not know."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any, cast

import attrs

from ..client import TaskFunction
from ..clock import monotonic
from ..dependencies import CurrentExecution, CurrentWorker, TaskLogger
from ..errors import BadSetting, UnknownTask
from ..execution import Execution
from ..paths import member_at
from ..values import define

__all__ = ["Drops", "default_fallback_task", "function_named"]

#: For so many seconds after its line the calls of an unknown task are counted, and for so many names.
SILENCE, MOST_NAMES = 60.0, 1000


@define(eq=False)
class Drops:
    """The calls of unknown tasks that a worker has dropped."""

    _since: dict[str, tuple[float, int]] = attrs.field(init=False, factory=dict[str, tuple[float, int]])
    """By the name of the task: the loop time of its last line, and how many calls were dropped after it."""

    def log(self, name: str, text: str, logger: logging.LoggerAdapter[logging.Logger]) -> None:
        """Log that a call was dropped, or count it for the next line."""
        now = monotonic()
        at, more = self._since.get(name, (-math.inf, 0))
        if now - at < SILENCE:
            self._since[name] = at, more + 1
            return
        if len(self._since) >= MOST_NAMES:
            self._since.clear()
        self._since[name] = now, 0
        logger.warning(
            "%s", f"{text}; {more} more calls of it were dropped since it was last said" if more else text
        )


async def default_fallback_task(
    *args: Any,
    execution: Execution[Any] = CurrentExecution(),
    logger: logging.LoggerAdapter[logging.Logger] = TaskLogger(),
    dropped_by: Any = CurrentWorker(),  # a Worker, which has this function
    **kwargs: Any,
) -> None:
    """Fail the run of an unknown task, and log how to register the task: for each name once in a minute.

    Raises: UnknownTask.
    """
    text = (
        f"Unknown task {execution.function_name!r} received - dropping. "
        "Register it with docket.register(function), or docket.register_collection('module:collection') "
        "(`--tasks module:collection` on the command line), before the worker runs; "
        "if it was renamed, give the function its old name, too (names=[...])"
    )
    dropped_by.drops.log(execution.function_name, text, logger)
    raise UnknownTask(text)


def function_named(path: str, setting: str) -> TaskFunction:
    """The function at ``"module.path:name"``; ``setting`` is what takes it.

    Raises: BadSetting - the path is not of that form, or names nothing callable; ImportError, AttributeError.
    """
    malformed = BadSetting(f"{setting} takes a function or 'module:function', not {path!r}")
    found: object = member_at(path, malformed)
    if not callable(found):
        raise BadSetting(f"{setting} {path!r} is {type(found).__name__}, not a function")
    return cast("Callable[..., Any]", found)
