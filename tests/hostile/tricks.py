# ruff: noqa: E501 - a row is a line
"""Errors that lie about what they are, groups nobody can count, and what storages and handlers leave behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from docket import Depends, Execution
from docket.dependencies import CompletionHandler, FailureHandler, TaskOutcome
from docket.errors import ExecutionFailed, ScopeLeftOpen
from tests.hostile.exceptions import OfAHostileClass, raising
from tests.hostile.harness import ASYNCIO, KEY, End, Function, Row, fails, returns

__all__ = ["TRICKS"]


class SaysThatItIsCtrlC(Exception):
    __class__ = KeyboardInterrupt  # pyright: ignore


class SaysThatItIsCancelled(Exception):
    __class__ = asyncio.CancelledError  # pyright: ignore


class SpeaksOfAHostileClass(Exception):
    def __str__(self) -> str:
        raise OfAHostileClass

    __repr__ = __str__


def doubled(depth: int) -> BaseException:
    """A group of two that are the same group of two that are the same ..."""
    error: Exception = ValueError("the innermost")
    for _ in range(depth):
        error = ExceptionGroup("twice", [error, error])
    return error


# what is left open ------------------------------------------------------------------------------------------

Leaves = Callable[[], Awaitable[object]]

#: As libraries keep what they have opened.
kept: list[object] = []


async def scope() -> None:
    left = anyio.CancelScope(deadline=anyio.current_time() + 0.01)
    left.__enter__()
    kept.append(left)


async def group() -> None:
    left: AbstractAsyncContextManager[Any] = anyio.create_task_group()
    (await left.__aenter__()).start_soon(anyio.sleep, 60)
    kept.append(left)


def by_a_dependency(leave: Leaves) -> Function:
    async def culprit(it: Any = Depends(leave)) -> None: ...

    return culprit


def by_a_dependency_that_closes(leave: Leaves) -> Function:
    @asynccontextmanager
    async def closes() -> AsyncGenerator[None]:
        yield
        await leave()

    async def culprit(it: None = Depends(closes)) -> None: ...

    return culprit


def by_a_failure_handler(leave: Leaves) -> Function:
    class Handles(FailureHandler[Any]):
        async def __aenter__(self) -> Handles:
            return self

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            await leave()
            return False

    async def culprit(it: Any = Handles()) -> None:
        raise ValueError("the body")

    return culprit


def by_a_completion_handler(leave: Leaves) -> Function:
    class Handles(CompletionHandler[Any]):
        async def __aenter__(self) -> Handles:
            return self

        async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            await leave()
            return False

    async def culprit(it: Any = Handles()) -> None: ...

    return culprit


PLACES: list[tuple[Callable[[Leaves], Function], End]] = [
    (by_a_dependency, fails(ScopeLeftOpen)),
    (by_a_dependency_that_closes, fails(ScopeLeftOpen)),
    (by_a_failure_handler, fails(ValueError, "the body")),
    (by_a_completion_handler, fails(ScopeLeftOpen)),
]


# storages ---------------------------------------------------------------------------------------------------


class Storage:
    """Does something each time that the culprit's result is put."""

    def __init__(self, act: Leaves) -> None:
        self._act = act
        self._kept: dict[str, Any] = {}

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        return self._kept.get(key)

    async def put(
        self, key: str, value: Any, *, collection: str | None = None, ttl: float | None = None
    ) -> None:
        self._kept[key] = value
        if key.startswith(KEY):
            await self._act()


def stored(said: str, act: Leaves, end: End, **more: Any) -> Row:
    def made() -> Function:
        async def culprit() -> int:
            return 7

        return culprit

    return Row(
        said=f"a result storage that {said}",
        make=made,
        end=end,
        settings={"result_storage": Storage(act)},
        **more,
    )


async def raises_cancelled() -> None:
    raise asyncio.CancelledError


async def cancels_its_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancels_its_task_and_waits() -> None:
    await cancels_its_task()
    await asyncio.sleep(0)


TRICKS = [
    Row(said="it says that it is a KeyboardInterrupt", make=raising(SaysThatItIsCtrlC), end=fails(SaysThatItIsCtrlC)),
    Row(said="it says that it is a cancellation", make=raising(SaysThatItIsCancelled), end=fails(SaysThatItIsCancelled), on=ASYNCIO),
    Row(said="its text raises what has no name", make=raising(SpeaksOfAHostileClass), end=fails("", "SpeaksOfAHostileClass")),
    Row(said="two of two of two, sixty times", make=raising(lambda: doubled(60)), end=fails(ExecutionFailed, "twice")),
    Row(said="two of two, five times", make=raising(lambda: doubled(5)), end=fails(ExceptionGroup, "twice")),
    *(Row(said=f"a {leave.__name__} left open {at.__name__.replace('_', ' ')}", make=lambda a=at, e=leave: a(e), end=end) for at, end in PLACES for leave in (scope, group)),
    stored("leaves a scope open", scope, returns(7)),
    stored("leaves a group open", group, returns(7)),
    # Each time anew, so nobody can ever write how that ended: it is set aside.
    stored("always raises a cancellation", raises_cancelled, fails(), on=ASYNCIO),
    stored("always cancels its own task", cancels_its_task, returns(7), on=ASYNCIO),
    stored("always cancels its own task and waits", cancels_its_task_and_waits, fails(), on=ASYNCIO),
]  # fmt: skip
