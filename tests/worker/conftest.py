"""A docket on a fresh server of each kind, and workers that run for as long as a block."""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, Worker

_names = itertools.count()

#: No test waits longer than this for anything; all of them wait for events.
PATIENCE = 20


@pytest.fixture
async def docket(url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket(f"work-{next(_names)}", url) as docket:
        yield docket


@asynccontextmanager
async def working(*workers: Worker, patience: float = PATIENCE) -> AsyncGenerator[None]:
    """Workers at work; stopped without a drain when the block is left."""
    with anyio.fail_after(patience):
        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(worker.run_forever)
            yield
            for worker in workers:
                worker.hand_back()


@asynccontextmanager
async def at_most(seconds: float = PATIENCE) -> AsyncGenerator[None]:
    with anyio.fail_after(seconds):
        yield


def a_worker(docket: Docket, name: str = "worker", **settings: Any) -> Worker:
    return Worker(docket, name, **settings)


async def drained(docket: Docket, execution: Execution[Any]) -> Execution[Any]:
    """The execution after a worker has run everything."""
    async with at_most():
        await Worker(docket, "worker").run_until_finished()
    await execution.sync()
    return execution


@contextmanager
def nothing_recorded() -> Iterator[None]:
    """What logging handlers keep (those of pytest keep every record) is theirs."""
    logger = logging.getLogger("docket")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)
