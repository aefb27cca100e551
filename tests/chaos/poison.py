"""Poisonous bodies: each does something that is to harm nobody else, and has an end that it must come to.

A body notes in the ledger that it began and, before it does its deed, that it ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NoReturn

import anyio

from docket import ConcurrencyLimit, CurrentExecution, Depends, Perpetual, Retry
from docket.execution import Execution
from tests.chaos.tasks import Deliberate, noted

__all__ = ["DEEDS", "POISONS", "ends_of"]

AnExecution = Execution[Any]

#: How it may end: the state, and what `get_result` raises or returns there.
Ends = dict[str, Any]

FAILED: Ends = {"failed": "ExecutionFailed"}

#: Nobody can tell a body that was about to return from one that ended by its cancellation.
EITHER: Ends = {"completed": None, "cancelled": None}


class Unspeakable(Exception):
    def __str__(self) -> NoReturn:
        raise SystemExit("spoken to")

    __repr__ = __str__


class Unpicklable(Exception):
    def __reduce__(self) -> NoReturn:
        raise SystemExit("pickled")


class Bomb:
    """Unpickles to the end of the program."""

    def __reduce__(self) -> Any:
        return exits, ()


def exits() -> NoReturn:
    raise SystemExit("unpickled")


def on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


def me() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


# Deeds -------------------------------------------------------------------------------------------------------------


async def raises_system_exit() -> None:
    raise SystemExit(3)


async def raises_generator_exit() -> None:
    raise GeneratorExit


async def raises_text_that_nobody_can_write() -> None:
    raise ValueError("cannot read \udcff.txt")


async def raises_what_cannot_be_shown() -> None:
    raise Unspeakable


async def raises_what_cannot_be_pickled() -> None:
    raise Unpicklable("as it was")


async def raises_groups_in_groups() -> None:
    error: Exception = ValueError("the innermost")
    for _ in range(5000):
        error = ExceptionGroup("around", [error])
    raise error


async def returns_what_cannot_be_pickled() -> Any:
    return threading.Lock()


async def has_a_child_that_exits() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(raises_system_exit)


async def held() -> AsyncGenerator[int]:
    with anyio.fail_after(3600):
        yield 1


async def held_with_a_child() -> AsyncGenerator[int]:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield 1


async def leaves_a_scope_open() -> None:
    async for _ in held():
        break


async def leaves_a_group_open() -> None:
    generator = held_with_a_child()
    await anext(generator)


async def cancels_itself() -> None:
    if on_asyncio():
        me().cancel()


async def is_cancelled_as_it_ends() -> None:
    if on_asyncio():
        for delay in (0, 0.0005, 0.001, 0.002):
            asyncio.get_running_loop().call_later(delay, me().cancel)


async def awaits_what_was_cancelled() -> None:
    if not on_asyncio():
        raise Deliberate("nothing of the kind on trio")
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


DEEDS: dict[str, tuple[Callable[[], Awaitable[Any]], Ends]] = {
    deed.__name__: (deed, ends)
    for deed, ends in [
        (raises_system_exit, FAILED),
        (raises_generator_exit, FAILED),
        (raises_text_that_nobody_can_write, {"failed": "ValueError"}),
        (raises_what_cannot_be_shown, {"failed": "Unspeakable"}),
        (raises_what_cannot_be_pickled, FAILED),
        (raises_groups_in_groups, FAILED),
        (returns_what_cannot_be_pickled, {"failed": "TypeError"}),
        (has_a_child_that_exits, {"failed": ["ExecutionFailed", "ExceptionGroup"]}),
        (leaves_a_scope_open, {"failed": "ScopeLeftOpen"}),
        (leaves_a_group_open, {"failed": "ScopeLeftOpen"}),
        (cancels_itself, EITHER),
        (is_cancelled_as_it_ends, EITHER),
        (awaits_what_was_cancelled, {"failed": ["AwaitedCancelled", "Deliberate"]}),
    ]
}


# Tasks -------------------------------------------------------------------------------------------------------------


async def poisonous(number: int, deed: str, execution: AnExecution = CurrentExecution()) -> Any:
    with noted(execution, 1):
        await anyio.sleep(0)
    return await DEEDS[deed][0]()


def poisonous_thread(number: int, execution: AnExecution = CurrentExecution()) -> None:
    with noted(execution, 1, threaded=True):
        pass
    raise SystemExit(number)


async def poisonous_argument(bomb: Any) -> None:
    raise AssertionError("it was called")


async def poisonous_retry(
    number: int,
    execution: AnExecution = CurrentExecution(),
    retry: Retry = Retry(attempts=2, delay=timedelta(milliseconds=50)),
) -> None:
    with noted(execution, 1):
        await anyio.sleep(0)
    raise SystemExit(number)


async def poisonous_chain(
    number: int,
    last: int,
    execution: AnExecution = CurrentExecution(),
    perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=100)),
) -> int:
    with noted(execution, number):
        await anyio.sleep(0)
    if number == last:
        perpetual.cancel()
        return number
    perpetual.perpetuate(number + 1, last)
    raise GeneratorExit


@asynccontextmanager
async def closing_badly() -> AsyncGenerator[None]:
    yield
    raise SystemExit("as it closes")


async def poisonous_dependency(
    number: int, execution: AnExecution = CurrentExecution(), it: None = Depends(closing_badly)
) -> None:
    with noted(execution, 1):
        await anyio.sleep(0)


async def poisonous_holder(
    number: int,
    customer: str,
    execution: AnExecution = CurrentExecution(),
    limit: ConcurrencyLimit = ConcurrencyLimit("customer"),
) -> None:
    with noted(execution, 1, customer):
        await anyio.sleep(0.01)
    raise SystemExit(number)


POISONS = [
    poisonous, poisonous_thread, poisonous_argument, poisonous_retry, poisonous_chain, poisonous_dependency,
    poisonous_holder,
]  # fmt: skip


def ends_of(deed: str) -> Ends:
    """How a poisonous task with this deed may end."""
    return DEEDS[deed][1]
