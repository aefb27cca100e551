"""The fallback task, which runs in place of tasks that the worker does not know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, cast

from ..client import TaskFunction, member_at
from ..dependencies import CurrentExecution, TaskLogger
from ..errors import BadSetting, UnknownTask
from ..execution import Execution

__all__ = ["default_fallback_task", "function_named"]


async def default_fallback_task(
    *args: Any,
    execution: Execution[Any] = CurrentExecution(),
    logger: logging.LoggerAdapter[logging.Logger] = TaskLogger(),
    **kwargs: Any,
) -> None:
    """Fail the run of an unknown task, and log how to register the task.

    Raises: UnknownTask.
    """
    text = (
        f"Unknown task {execution.function_name!r} received - dropping. "
        "Register it with docket.register(function), or docket.register_collection('module:collection') "
        "(`--tasks module:collection` on the command line), before the worker runs; "
        "if it was renamed, give the function its old name, too (names=[...])"
    )
    logger.warning("%s", text)
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
