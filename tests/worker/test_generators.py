"""Generator functions that nobody could know as such when they became tasks: the run fails, and says why."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest

from docket import Docket, ExecutionState, Retry, Timeout
from tests.where import few_pairs
from tests.worker.conftest import a_worker, at_most, working

pytestmark = [pytest.mark.anyio, few_pairs]


def plain() -> Iterator[int]:
    yield 1


async def asynchronous() -> AsyncIterator[int]:
    yield 1


class Object:
    def __call__(self) -> Iterator[int]:
        yield 1


@functools.wraps(plain)
def hidden(*args: Any) -> Any:
    return plain(*args)


async def hidden_async(timeout: Timeout = Timeout(timedelta(minutes=1))) -> Any:
    return asynchronous()


async def hidden_plain_async() -> Any:
    return plain()


def coroutine_of_one() -> Any:
    return hidden_plain_async()


TASKS: dict[str, Callable[..., Any]] = {
    "plain": plain,
    "asynchronous": asynchronous,
    "object": Object(),
    "partial": functools.partial(plain),
    "hidden": hidden,
    "hidden_async": hidden_async,
    "hidden_plain_async": hidden_plain_async,
    "coroutine_of_one": coroutine_of_one,
}


@pytest.mark.parametrize("name", TASKS)
async def test_its_run_fails(docket: Docket, name: str) -> None:
    docket.tasks[name] = TASKS[name]
    async with working(a_worker(docket)):
        for _ in range(2):  # what is known of a function after its first run
            execution = await docket.add(name)()
            with pytest.raises(
                TypeError, match=rf"task '{name}' returned an? (async_)?generator, of which nothing has run"
            ):
                await execution.get_result(timeout=timedelta(seconds=15))


@pytest.mark.parametrize("name", TASKS)
async def test_so_it_does_where_no_results_are_kept(url: str, name: str) -> None:
    async with Docket("d", url, execution_ttl=timedelta(0)) as docket, at_most():
        docket.tasks[name] = TASKS[name]
        execution = await docket.add(name)()
        async with aclosing(execution.subscribe()) as events:
            await anext(events)
            async with working(a_worker(docket)):
                states = [event["state"] async for event in events if event["type"] == "state"]
        assert states[-1] == ExecutionState.FAILED


async def test_it_is_retried_as_any_failure(docket: Docket) -> None:
    attempts: list[int] = []

    async def task(retry: Retry = Retry(attempts=3)) -> Any:
        attempts.append(retry.attempt)
        return plain()

    execution = await docket.add(task)()
    async with working(a_worker(docket)):
        with pytest.raises(TypeError, match="of which nothing has run"):
            await execution.get_result(timeout=timedelta(seconds=15))
    assert attempts == [1, 2, 3]
