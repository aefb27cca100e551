"""Async generators that a body drops, on trio: they are closed, though not while they may hold a nursery open."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from typing import Any

import anyio
import pytest
import trio

from docket import Docket, Worker
from docket.errors import ScopeLeftOpen
from tests.hostile.harness import PATIENCE
from tests.where import on_trio

pytestmark = [pytest.mark.anyio, on_trio, pytest.mark.filterwarnings("ignore::ResourceWarning")]


class Numbers:
    """A generator that says when it was closed."""

    def __init__(self) -> None:
        self.closed = anyio.Event()

    async def __call__(self) -> AsyncGenerator[int]:
        try:
            while True:
                yield 1
        finally:
            self.closed.set()


async def run(docket: Docket, task: Any) -> Any:
    execution = await docket.add(task)()
    with anyio.fail_after(PATIENCE):
        await Worker(docket, "worker").run_until_finished()
    return await execution.get_result()


async def test_one_that_is_dropped_is_closed_at_once(url: str) -> None:
    numbers = Numbers()

    async def drops() -> str:
        async for _ in numbers():
            break
        await numbers.closed.wait()
        return "closed"

    async with Docket("dropping", url) as docket:
        assert await run(docket, drops) == "closed"


async def test_one_that_is_dropped_beside_an_open_group_is_closed_after_the_task(url: str) -> None:
    numbers = Numbers()

    async def drops() -> bool:
        generator = numbers()
        await anext(generator)
        async with anyio.create_task_group():
            del generator
            await anyio.sleep(0.01)
            return numbers.closed.is_set()

    async with Docket("dropping", url) as docket:
        assert await run(docket, drops) is False
        with anyio.fail_after(PATIENCE):
            await numbers.closed.wait()


async def test_a_child_of_the_body_may_drop_one_that_holds_a_nursery(url: str) -> None:
    async def holds() -> AsyncGenerator[int]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            yield 1

    async def child() -> None:
        async for _ in holds():
            break
        await anyio.sleep(0.01)

    async def drops() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    async with Docket("dropping", url) as docket:
        with pytest.raises(ExceptionGroup) as raised:
            await run(docket, drops)
        assert "Nursery stack corrupted" in str(raised.value.exceptions[0])

        async def after() -> str:
            return "after"

        assert await run(docket, after) == "after"


async def test_what_a_generator_does_as_it_closes_is_done_though_it_held_a_nursery(url: str) -> None:
    closed = anyio.Event()

    async def holds() -> AsyncGenerator[int]:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                yield 1
        finally:
            closed.set()

    async def drops() -> None:
        async for _ in holds():
            break
        await anyio.sleep(0.01)

    async with Docket("dropping", url) as docket:
        with pytest.raises(ScopeLeftOpen, match="sleep_forever"):
            await run(docket, drops)
        with anyio.fail_after(PATIENCE):
            await closed.wait()


async def test_a_worker_leaves_the_hooks_of_the_loop_as_they_were(url: str) -> None:
    before = sys.get_asyncgen_hooks()

    async def nothing() -> None: ...

    async with Docket("dropping", url) as docket:
        async with anyio.create_task_group() as group:
            one, other = Worker(docket, "one"), Worker(docket, "other")
            group.start_soon(one.run_forever)
            group.start_soon(other.run_forever)
            await (await docket.add(nothing)()).get_result()
            one.stop()
            await (await docket.add(nothing)()).get_result()
            other.stop()
    assert sys.get_asyncgen_hooks() == before
