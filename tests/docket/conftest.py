"""A docket on a fresh server of each kind, and tasks to put on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from docket import Docket, Worker

LATER = timedelta(days=3)


def later() -> datetime:
    return datetime.now(UTC) + LATER


async def add(a: int, b: int = 0) -> int:
    return a + b


async def nothing() -> None:
    pass


async def refuse(why: str) -> None:
    raise ValueError(why)


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    async with Docket("d", url) as docket:
        for task in add, nothing, refuse:
            docket.register(task)
        yield docket


async def work(docket: Docket) -> None:
    """Run everything that is due."""
    await Worker(docket).run_until_finished()


@asynccontextmanager
async def working(docket: Docket, name: str = "w") -> AsyncIterator[Worker]:
    """A worker beside the body."""
    worker = Worker(docket, name)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        try:
            yield worker
        finally:
            worker.stop()
            group.cancel_scope.cancel()
