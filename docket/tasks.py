"""The tasks that every docket knows: for trying things out, for health checks, for tests of a deployment."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import anyio

from . import clock
from .client import TaskFunction
from .dependencies import CurrentDocket, CurrentExecution, CurrentWorker, Retry, TaskLogger
from .errors import UsageError

if TYPE_CHECKING:
    from .docket import Docket
    from .execution import Execution
    from .worker import Worker

__all__ = ["fail", "peer_tasks", "sleep", "standard_tasks", "trace"]


async def trace(
    message: str,
    logger: logging.LoggerAdapter[logging.Logger] = TaskLogger(),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    execution: Execution[None] = CurrentExecution(),
) -> None:
    """Log a message, with where and how long ago it was due."""
    logger.info(
        "%s: %r added to docket %r %s ago now running on worker %r",
        message,
        execution.key,
        docket.name,
        clock.now() - execution.when,
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
        f"{message}: {execution.key} added to docket {docket.name} {clock.now() - execution.when} ago "
        f"now running on worker {worker.name}"
    )


async def sleep(seconds: float, logger: logging.LoggerAdapter[logging.Logger] = TaskLogger()) -> None:
    """Do nothing for a while."""
    logger.info("Sleeping for %s seconds", seconds)
    if math.isnan(seconds):
        raise UsageError(
            "sleep takes a number of seconds, not nan"
        )  # of which loops lose the order of their timers
    await anyio.sleep(seconds)


standard_tasks: list[TaskFunction] = [trace, fail, sleep]


async def _safeguard_wake(
    waiter_stream: str,
    max_concurrent: int,
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
) -> None:
    """Wake the waiters of a concurrency limit whose holders are gone; pydocket's workers schedule it as they park."""
    await docket.store.admissions.safeguard(waiter_stream, max_concurrent, worker.redelivery_timeout)


peer_tasks: dict[str, TaskFunction] = {"_safeguard_wake": _safeguard_wake}
"""Tasks that pydocket's workers expect every worker to know without registering them; not advertised."""
