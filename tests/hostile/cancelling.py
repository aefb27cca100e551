# ruff: noqa: E501 - a row is a line
"""Cancellation that asyncio lets anybody ask for, of any task: of the body's own by itself, and by its helpers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import anyio

from docket import Depends, Perpetual, Retry
from docket.errors import AwaitedCancelled
from tests.hostile.harness import (
    ASYNCIO,
    End,
    Function,
    Row,
    cancelled,
    chain_goes_on,
    ends,
    fails,
    goes_on,
    returns,
    two_runs,
)

__all__ = ["CANCELLING"]


def row(said: str, body: Callable[[], Awaitable[Any]], end: End, **more: Any) -> Row:
    def made() -> Function:
        async def culprit() -> Any:
            return await body()

        return culprit

    return Row(said=said, make=made, end=end, on=ASYNCIO, **more)


def me() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


# by itself ----------------------------------------------------------------------------------------------------


async def and_returns() -> int:
    me().cancel()
    return 1


async def and_raises() -> NoReturn:
    me().cancel()
    raise ValueError("after it")


async def and_awaits() -> None:
    me().cancel()
    await asyncio.sleep(0)


async def and_awaits_more() -> str:
    me().cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
    return "went on"


async def many_times() -> None:
    for _ in range(20):
        me().cancel()
    await asyncio.sleep(0)


async def and_raises_it() -> NoReturn:
    raise asyncio.CancelledError


async def in_a_group() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 0)
        me().cancel()


async def the_group_around_a_child() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        me().cancel()


# by a helper ----------------------------------------------------------------------------------------------------


def helped(delay: float | None, wait: float | None, times: int = 1) -> Callable[[], Awaitable[str]]:
    """A helper cancels the body ``delay`` seconds later (None: in the next step); it waits for so long (None: not)."""

    async def body() -> str:
        loop, task = asyncio.get_running_loop(), me()
        for number in range(times):
            if delay is None:
                loop.call_soon(task.cancel)
            else:
                loop.call_later(delay * (number + 1), task.cancel)
        if wait is not None:
            await asyncio.sleep(wait)
        return "returned"

    return body


async def a_child_cancels_it() -> None:
    task = me()

    async def child() -> None:
        task.cancel()

    helper = asyncio.create_task(child())
    try:
        await asyncio.sleep(60)
    finally:
        await helper


# in what it depends on ------------------------------------------------------------------------------------------


def as_a_dependency_opens() -> Function:
    async def opens() -> int:
        me().cancel()
        return 1

    async def culprit(it: int = Depends(opens)) -> None:
        await asyncio.sleep(0)

    return culprit


def as_a_dependency_closes() -> Function:
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def closes() -> Any:
        yield
        me().cancel()

    async def culprit(it: int = Depends(closes)) -> None: ...

    return culprit


# what it awaits was cancelled -----------------------------------------------------------------------------------


async def awaits_what_was_cancelled() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def awaits_a_future_that_was_cancelled() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def gathers_what_was_cancelled() -> None:
    task = asyncio.create_task(asyncio.sleep(60))
    asyncio.get_running_loop().call_soon(task.cancel)
    await asyncio.gather(task, asyncio.sleep(0))


def retried_when_what_it_awaits_was_cancelled() -> Function:
    async def culprit(retry: Retry = Retry(attempts=2)) -> str:
        if retry.attempt == 1:
            await awaits_what_was_cancelled()
        return "went on"

    return culprit


def a_chain_of_such() -> Function:
    runs, first_was_seen = itertools.count(), anyio.Event()

    async def culprit(perpetual: Perpetual = Perpetual()) -> str:
        if not next(runs):
            await awaits_what_was_cancelled()
        await first_was_seen.wait()
        perpetual.cancel()
        return "went on"

    return two_runs(culprit, first_was_seen)


CANCELLING = [
    row("a body that cancels itself and returns", and_returns, ends()),
    row("a body that cancels itself and raises", and_raises, fails(ValueError)),
    row("a body that cancels itself and awaits", and_awaits, cancelled()),
    row("a body that cancels itself, swallows it and goes on", and_awaits_more, returns("went on")),
    row("a body that cancels itself many times", many_times, cancelled()),
    row("a body that raises CancelledError", and_raises_it, cancelled()),
    row("a body that cancels itself in a task group", in_a_group, cancelled()),
    row("a body that cancels itself in asyncio's task group", the_group_around_a_child, cancelled()),
    row("a helper that cancels the body in the next step", helped(None, 60), cancelled()),
    row("a helper that cancels the body when it has returned", helped(None, None), ends()),
    *(row(f"a helper that cancels the body {delay} s after it has returned", helped(delay, None), ends()) for delay in (0, 0.0005, 0.001, 0.002, 0.005)),
    row("a helper that cancels the body again and again", helped(0.0005, None, 30), ends()),
    row("a helper that cancels the body again and again while it waits", helped(0.0005, 60, 30), cancelled()),
    row("a child that cancels the body", a_child_cancels_it, cancelled()),
    Row(said="a body that is cancelled as a dependency opens", make=as_a_dependency_opens, end=ends(), on=ASYNCIO),
    Row(said="a body that is cancelled as a dependency closes", make=as_a_dependency_closes, end=ends(), on=ASYNCIO),
    row("a body that awaits what was cancelled", awaits_what_was_cancelled, fails()),
    row("a body that awaits a future that was cancelled", awaits_a_future_that_was_cancelled, fails()),
    row("a body that gathers what was cancelled", gathers_what_was_cancelled, fails()),
    Row(said="a body that awaits what was cancelled, and is retried", make=retried_when_what_it_awaits_was_cancelled, end=goes_on(), on=ASYNCIO),
    Row(said="a body that awaits what was cancelled, in a chain", make=a_chain_of_such, end=chain_goes_on(AwaitedCancelled, "somebody else had cancelled"), on=ASYNCIO),
]  # fmt: skip
