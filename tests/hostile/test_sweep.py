"""A native cancellation at every step of a claim's life ends that run, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import ConcurrencyLimit, Depends, Docket, ExecutionState, Retry, Timeout, Worker
from tests.hostile.harness import DOCKET, NAME, PATIENCE, Function

pytestmark = pytest.mark.anyio

#: No claim lives so many steps.
MANY = 300


class Stepping(Coroutine[Any, Any, Any]):
    """A coroutine that counts the steps of its task, and has the task cancelled at one of them."""

    def __init__(self, inner: Coroutine[Any, Any, Any], sweep: Sweep) -> None:
        self._inner, self._sweep = inner, sweep

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def send(self, value: Any) -> Any:
        with self._sweep.step():
            return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        with self._sweep.step():
            return self._inner.throw(*error)

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


class Sweep:
    """Cancels tasks of the culprit's name at their ``number``-th step: in it, or between it and the next one."""

    def __init__(self, *, between: bool) -> None:
        self.between = between
        self.number = self.count = 0

    @contextmanager
    def step(self) -> Generator[None]:
        task = asyncio.current_task()
        mine = task is not None and task.get_name() == NAME
        if not mine:
            yield
            return
        self.count += 1
        at_this_one = self.count == self.number
        if at_this_one and not self.between:
            task.cancel()
        try:
            yield
        finally:
            if at_this_one and self.between:
                asyncio.get_running_loop().call_soon(task.cancel)

    @contextmanager
    def swept(self) -> Generator[None]:
        loop = asyncio.get_running_loop()

        def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
            return asyncio.Task(Stepping(coro, self), loop=loop, **options)

        loop.set_task_factory(factory)
        try:
            yield
        finally:
            loop.set_task_factory(None)


def plain() -> Function:
    async def culprit() -> str:
        return "returned"

    return culprit


def in_steps() -> Function:
    async def culprit() -> str:
        for _ in range(3):
            await anyio.sleep(0)
        await anyio.sleep(0.001)
        return "returned"

    return culprit


def failing() -> Function:
    async def culprit() -> str:
        await anyio.sleep(0)
        raise ValueError("the body")

    return culprit


def with_children() -> Function:
    async def culprit() -> str:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0.001)
            group.start_soon(anyio.sleep, 0)
        return "returned"

    return culprit


def with_dependencies() -> Function:
    @asynccontextmanager
    async def opens() -> Any:
        await anyio.sleep(0)
        yield "opened"
        await anyio.sleep(0)

    async def culprit(
        it: str = Depends(opens),
        retry: Retry = Retry(attempts=2),
        timeout: Timeout = Timeout(timedelta(seconds=9)),
    ) -> str:
        await anyio.sleep(0)
        return it

    return culprit


def limited() -> Function:
    async def culprit(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> str:
        await anyio.sleep(0)
        return "returned"

    return culprit


def in_a_thread() -> Function:
    def culprit() -> str:
        return "returned"

    return culprit


def counted(culprit: Function, begins: list[str]) -> Function:
    """The same, noting each time that it begins."""

    @functools.wraps(culprit)
    async def on_the_loop(*args: Any, **kwargs: Any) -> Any:
        begins.append("culprit")
        return await culprit(*args, **kwargs)

    @functools.wraps(culprit)
    def in_its_thread(*args: Any, **kwargs: Any) -> Any:
        begins.append("culprit")
        return culprit(*args, **kwargs)

    return on_the_loop if inspect.iscoroutinefunction(culprit) else in_its_thread


BODIES: list[Callable[[], Function]] = [
    plain, in_steps, failing, with_children, with_dependencies, limited, in_a_thread,
]  # fmt: skip


@pytest.mark.parametrize(
    "anyio_backend", [("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})]
)
@pytest.mark.parametrize("between", [False, True], ids=["in a step", "between two steps"])
@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
async def test_a_run_that_is_cancelled_at_any_step_ends_and_nothing_else(
    body: Callable[[], Function], between: bool, url: str, anyio_backend: Any
) -> None:
    sweep, ran, over = Sweep(between=between), list[str](), anyio.Event()

    async def innocent() -> str:
        ran.append("innocent")
        await over.wait()
        return "innocent"

    begins: list[str] = []
    culprit = counted(body(), begins)
    culprit.__name__ = NAME
    with anyio.fail_after(PATIENCE), sweep.swept():
        async with Docket(DOCKET, url) as docket, anyio.create_task_group() as group:
            worker = Worker(docket, "worker")
            beside = await docket.add(innocent)()
            group.start_soon(worker.run_forever)
            for number in itertools.count(1):
                sweep.number, sweep.count = number, 0
                begins.clear()
                execution = await docket.add(culprit, key=f"{number}")()
                with contextlib.suppress(Exception):
                    await execution.get_result()
                await execution.sync()
                assert execution.state in (
                    ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED,
                )  # fmt: skip
                assert len(begins) <= (2 if body is with_dependencies else 1)  # which has a Retry
                assert number < MANY
                if sweep.count < number:
                    break  # its life was over before
            over.set()
            assert await beside.get_result() == "innocent"
            worker.stop()
    assert ran == ["innocent"]
    assert number > 1, "its steps were not counted"
