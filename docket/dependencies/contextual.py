"""Dependencies from the context of the run: the docket, the worker, the execution, its key and a logger."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from uncalled_for import CallArgument

from ..errors import UsageError
from .base import Dependency, current_docket, current_execution, current_worker

if TYPE_CHECKING:
    from ..docket import Docket
    from ..execution import Execution
    from ..worker import Worker

__all__ = ["CurrentDocket", "CurrentExecution", "CurrentWorker", "TaskArgument", "TaskKey", "TaskLogger"]

T = TypeVar("T")


class FromContext(Dependency[T], Generic[T]):
    """A value from the context of the running task."""

    def __init__(self, read: Callable[[], T], made_by: Callable[[], T]) -> None:
        self._read, self._made_by = read, made_by

    def __reduce__(self) -> tuple[Callable[[], T], tuple[()]]:
        """It can be an argument of a call; what it reads in this process stays here."""
        return self._made_by, ()

    async def __aenter__(self) -> T:
        try:
            return self._read()
        except LookupError:
            raise UsageError(
                "only what a running task depends on can ask for its execution, key, logger, docket or worker; "
                "what is Shared lives longer than one task and can ask for the docket and the worker"
            ) from None


def CurrentDocket() -> Docket:
    """The docket that the task runs on."""
    return cast("Docket", FromContext(current_docket.get, CurrentDocket))


def CurrentWorker() -> Worker:
    """The worker that runs the task."""
    return cast("Worker", FromContext(current_worker.get, CurrentWorker))


def CurrentExecution() -> Execution[Any]:
    """The execution of the task."""
    return cast("Execution[Any]", FromContext(current_execution.get, CurrentExecution))


def TaskKey() -> str:
    """The key of the task."""
    return cast("str", FromContext(_key, TaskKey))


def _key() -> str:
    return str(current_execution.get().key)


def TaskArgument(parameter: str | None = None, optional: bool = False) -> Any:
    """An argument of the task's call, for dependencies of it: by name, or by the name of its own parameter."""
    return CallArgument(parameter, optional)


class _TaskLoggerAdapter(logging.LoggerAdapter[logging.Logger]):
    """Adds the labels of the execution to every record."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


def TaskLogger() -> logging.LoggerAdapter[logging.Logger]:
    """A logger named ``docket.task.<name>`` whose records carry the execution's labels."""
    return cast("logging.LoggerAdapter[logging.Logger]", FromContext(_logger, TaskLogger))


def _logger() -> logging.LoggerAdapter[logging.Logger]:
    execution = current_execution.get()
    labels = {**current_docket.get().labels(), **current_worker.get().labels(), **execution.specific_labels()}
    return _TaskLoggerAdapter(_logger_of(execution), labels)


def _logger_of(execution: Execution[Any]) -> logging.Logger:
    """The logger of a task's name. Python keeps every logger for ever, so only registered names get a lasting one.

    A fallback task may run under any name that others made up.
    """
    name = f"docket.task.{execution.function_name}"
    if execution.function_name in execution.docket.tasks or name in logging.root.manager.loggerDict:
        return logging.getLogger(name)
    logger = logging.Logger(name)
    logger.parent = logging.getLogger("docket.task")
    return logger
