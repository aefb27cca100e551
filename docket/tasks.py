"""The tasks that every docket knows: for trying things out, for health checks, for tests of a deployment."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from .calls import TaskFunction
from .dependencies import CurrentDocket, CurrentExecution, CurrentWorker, Retry, TaskLogger

if TYPE_CHECKING:
    from .docket import Docket
    from .execution import Execution
    from .worker import Worker

__all__ = ["fail", "sleep", "standard_tasks", "trace"]


async def trace(
    message: str,
    logger: logging.LoggerAdapter[logging.Logger] = TaskLogger(),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    execution: Execution[None] = CurrentExecution(),
) -> None:
    """Log a message with where and when it was added and run."""
    logger.info(
        "%s: %r added to docket %r for %s, run by worker %r",
        message,
        execution.key,
        docket.name,
        execution.when.isoformat(),
        worker.name,
    )


async def fail(
    message: str,
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    execution: Execution[None] = CurrentExecution(),
    retry: Retry = Retry(attempts=2),
) -> None:
    """Raise an exception, twice."""
    raise Exception(
        f"{message}: {execution.key!r} on docket {docket.name!r}, run by worker {worker.name!r}, "
        f"attempt {retry.attempt} of {retry.attempts}"
    )


async def sleep(seconds: float, logger: logging.LoggerAdapter[logging.Logger] = TaskLogger()) -> None:
    """Do nothing for a while."""
    logger.info("Sleeping for %s seconds", seconds)
    await anyio.sleep(seconds)


standard_tasks: list[TaskFunction] = [trace, fail, sleep]
