"""A docket with the tasks of tasks.py, workers beside the test and in other processes, and what became of keys."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, ExecutionState, Worker, clock
from docket.rules import FINAL, StopReason
from tests.house.tree import ROOT
from tests.task_groups import tasks

_names = itertools.count()

#: No test waits longer than this for anything.
PATIENCE = 40


@pytest.fixture
async def docket(url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket(f"groups-{next(_names)}", url) as docket:
        for task in tasks.every:
            docket.register(task)
        yield docket
        assert await groups_left(docket) == 0


@pytest.fixture
def soon_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers look after a second at a group whose parent left it doomed, not after ten."""
    monkeypatch.setattr("docket.task_group.leaving.DOOMED_LOOK", timedelta(seconds=1))


async def groups_left(docket: Docket) -> int:
    """How many groups are open, once those that are being left are closed."""
    async with docket.redis() as redis:
        for _ in range(150):
            if not (left := int(await redis.zcard(docket.keys.groups))):
                break
            await anyio.sleep(0.1)  # workers close them, and tell nobody
        return left


@asynccontextmanager
async def working(docket: Docket, *names: str, **settings: Any) -> AsyncGenerator[list[Worker]]:
    """Workers of these names ("w"), or their tasks are handed back at the end of the block."""
    workers = [Worker(docket, name, **settings) for name in names or ("w",)]
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(worker.run_forever)
            yield workers
            for worker in workers:
                worker.hand_back()


@contextmanager
def process(docket: Docket, role: str = "work", **settings: int) -> Generator[subprocess.Popen[bytes]]:
    """See process.py; it is killed at the end of the block."""
    command = [
        sys.executable, "-m", "tests.task_groups.process", role, docket.name, docket.url,
        *(f"{name}={value}" for name, value in settings.items()),
    ]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}) as started:
        try:
            yield started
        finally:
            started.kill()


@asynccontextmanager
async def elsewhere(docket: Docket, **settings: int) -> AsyncGenerator[None]:
    """A worker in another process; on memory://, which lives in this one, beside the test."""
    async with AsyncExitStack() as stack:
        if docket.client.is_memory:
            timeout = timedelta(milliseconds=settings.pop("redelivery_timeout", 300_000))
            await stack.enter_async_context(
                working(docket, "elsewhere", redelivery_timeout=timeout, **{"concurrency": 5, **settings})
            )
        else:
            stack.enter_context(anyio.fail_after(PATIENCE))
            stack.enter_context(process(docket, **settings))
        yield


@contextmanager
def coming_out() -> Generator[list[Exception]]:
    """The errors of the ExceptionGroup that comes out of the block."""
    errors: list[Exception] = []
    try:
        yield errors
    except ExceptionGroup as group:
        errors += group.exceptions
    else:
        raise AssertionError("nothing has come out")


def lose(worker: Worker) -> None:
    """Have a worker lose what it runs, as if its process had died."""
    session: Any = worker._session
    for running in session.roster:
        running.stop(StopReason.LOST)
    worker.hand_back()


def under(docket: Docket, key: str) -> Execution[Any]:
    """The execution of a key, which may be placed later."""
    return Execution(docket, tasks.double, (), {}, key, clock.now(), 1)


async def reached(docket: Docket, key: str, state: ExecutionState) -> None:
    """Wait until the run of a key, which may be placed later, has reached a state."""
    async for event in under(docket, key).subscribe():
        if event["type"] == "state" and event["state"] == state:
            return
    raise AssertionError(f"{key} has ended otherwise")


async def running(docket: Docket, *keys: str) -> None:
    for key in keys:
        await reached(docket, key, ExecutionState.RUNNING)


async def states(docket: Docket, *keys: str) -> list[str]:
    """How runs have ended, once they have."""
    found: list[str] = []
    for key in keys:
        with anyio.fail_after(PATIENCE):
            execution = under(docket, key)
            while execution.state not in FINAL:
                async for _ in execution.subscribe():
                    pass
        found.append(execution.state.value)
    return found
