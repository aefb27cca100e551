"""Claims are tasks of the loop's own on asyncio, made by its task factory, whatever that does with them."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from docket import Depends, Docket, ExecutionState, Retry, Worker
from tests.durations import ms
from tests.where import on_asyncio
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, on_asyncio]

Factory = Callable[..., Any]


async def within(coro: Coroutine[Any, Any, Any]) -> Any:
    return await coro


def wrapping(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    """What a tracer does: each task runs a coroutine of its own around that which it was asked to run."""
    return asyncio.Task(within(coro), loop=loop, **options)


def traced(coro: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(within(coro), **options)


FACTORIES: dict[str, Factory] = {"wrapping": wrapping}
if sys.version_info >= (3, 12):
    FACTORIES |= {
        "eager": asyncio.eager_task_factory,
        "eager, wrapping": asyncio.create_eager_task_factory(traced),
    }


@pytest.fixture(params=FACTORIES)
def factory(request: pytest.FixtureRequest) -> Factory:
    return FACTORIES[request.param]


@asynccontextmanager
async def making_tasks(factory: Factory) -> AsyncGenerator[None]:
    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    try:
        yield
        assert loop.get_task_factory() is factory, "as it was"
    finally:
        loop.set_task_factory(None)


async def test_a_busy_worker_runs_and_ends_all_kinds_of_tasks_once(docket: Docket, factory: Factory) -> None:
    ran: Counter[int] = Counter()
    before = anyio.Event()

    async def opened(number: int) -> AsyncGenerator[int]:
        yield number

    async def at_once(number: int) -> int:
        ran[number] += 1
        return number

    async def slowly(number: int) -> int:
        ran[number] += 1
        await anyio.sleep(0)
        return number

    async def fails(number: int) -> int:
        ran[number] += 1
        raise ValueError(number)

    def in_a_thread(number: int) -> int:
        ran[number] += 1
        return number

    async def with_children(number: int) -> int:
        async def child() -> None:
            ran[number] += 1

        async with anyio.create_task_group() as group:
            group.start_soon(child)
        return number

    async def retried(number: int, retry: Retry = Retry(attempts=2, delay=ms(1))) -> int:
        if retry.attempt == 1:
            raise ValueError("once more")
        ran[number] += 1
        return number

    async def depends(number: int, event: anyio.Event = Depends(lambda: before)) -> int:
        ran[number] += 1
        return number

    tasks: list[Any] = [at_once, slowly, fails, in_a_thread, with_children, retried, depends]
    async with making_tasks(factory), at_most():
        executions = [await docket.add(tasks[n % len(tasks)])(n) for n in range(70)]
        await Worker(docket, concurrency=5).run_until_finished()
        for number, execution in enumerate(executions):
            await execution.sync()
            if number % len(tasks) == 2:
                assert execution.state is ExecutionState.FAILED
                with pytest.raises(ValueError, match=str(number)):
                    await execution.get_result()
            else:
                assert await execution.get_result() == number
    assert ran == Counter(range(70))


async def test_a_body_that_is_cancelled_or_exits_ends_its_own_run_only(
    docket: Docket, factory: Factory
) -> None:
    async def exits() -> None:
        sys.exit(3)

    async def exits_later() -> None:
        await anyio.sleep(0)
        sys.exit(3)

    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await anyio.sleep(0)

    async def innocent(number: int) -> int:
        await anyio.sleep(0)
        return number

    async with making_tasks(factory), at_most():
        guilty = [await docket.add(task)() for task in (exits, exits_later, cancels_itself)]
        executions = [await docket.add(innocent)(n) for n in range(9)]
        await Worker(docket, concurrency=4).run_until_finished()
        assert [await one.get_result() for one in executions] == list(range(9))
        states = []
        for one in guilty:
            await one.sync()
            states.append(one.state)
    assert states == [ExecutionState.FAILED, ExecutionState.FAILED, ExecutionState.CANCELLED]
