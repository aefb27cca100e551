# ruff: noqa: E501 - a row is a line
"""Scopes and task groups that a body leaves open, or leaves without having entered them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import anyio
import trio

from docket import Depends
from tests.hostile.harness import ASYNCIO, EVERY, TRIO, End, Function, Row, ends, fails

__all__ = ["SCOPES"]

Holder = Callable[[], AsyncIterator[int]]

#: What a generator that is still referred to, and so is not closed, is kept in.
kept: list[AsyncIterator[int]] = []


async def a_scope() -> AsyncGenerator[int]:
    with anyio.CancelScope():
        while True:
            yield 1


async def a_short_deadline() -> AsyncGenerator[int]:
    with anyio.fail_after(0.02):
        while True:
            yield 1


async def a_long_deadline() -> AsyncGenerator[int]:
    with anyio.fail_after(3600):
        while True:
            yield 1


async def a_group() -> AsyncGenerator[int]:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 3600)
        while True:
            yield 1


async def an_empty_group() -> AsyncGenerator[int]:
    async with anyio.create_task_group():
        while True:
            yield 1


async def a_nursery() -> AsyncGenerator[int]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 3600)
        while True:
            yield 1


async def a_timeout_of_asyncio() -> AsyncGenerator[int]:
    async with asyncio.timeout(0.02):
        while True:
            yield 1


async def a_group_of_asyncio() -> AsyncGenerator[int]:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(3600))
        while True:
            yield 1


def kept_open(holder: Holder) -> Function:
    async def culprit() -> str:
        kept.append(holder())
        await anext(kept[-1])
        return "returned"

    return culprit


def dropped(holder: Holder) -> Function:
    async def culprit() -> str:
        generator = holder()
        await anext(generator)
        del generator
        return "returned"

    return culprit


def dropped_before_more(holder: Holder) -> Function:
    async def culprit() -> str:
        async for _ in holder():
            break
        for _ in range(3):
            await anyio.sleep(0.01)
        return "returned"

    return culprit


def held_as_it_raises(holder: Holder) -> Function:
    async def culprit() -> str:
        async for _ in holder():
            raise ValueError("the body")
        return "returned"

    return culprit


WAYS: list[tuple[str, Callable[[Holder], Function]]] = [
    ("that is kept", kept_open), ("that is dropped", dropped), ("that is dropped before more", dropped_before_more),
    ("that is left by an error", held_as_it_raises),
]  # fmt: skip

HOLDERS: list[tuple[str, Holder, tuple[str, ...]]] = [
    ("a scope", a_scope, EVERY), ("a short deadline", a_short_deadline, EVERY), ("a long deadline", a_long_deadline, EVERY),
    ("a task group with a child", a_group, EVERY), ("an empty task group", an_empty_group, EVERY),
    ("a nursery of trio's", a_nursery, TRIO),
]  # fmt: skip

#: Of these nobody knows that they were left open.
OF_ASYNCIO: list[tuple[str, Holder]] = [
    ("a timeout of asyncio's", a_timeout_of_asyncio), ("a task group of asyncio's", a_group_of_asyncio),
]  # fmt: skip


# scopes of others -----------------------------------------------------------------------------------------------


def in_a_dependency() -> Function:
    """Entered as it opens, and never left."""

    async def opens() -> None:
        await AsyncExitStack().enter_async_context(anyio.create_task_group())

    async def culprit(it: None = Depends(opens)) -> str:
        return "returned"

    return culprit


def left_twice() -> Function:
    async def culprit() -> None:
        scope = anyio.CancelScope()
        with scope:
            pass
        scope.__exit__(None, None, None)

    return culprit


def in_the_wrong_order() -> Function:
    async def culprit() -> None:
        outer, inner = anyio.CancelScope(), anyio.CancelScope()
        outer.__enter__()
        inner.__enter__()
        outer.__exit__(None, None, None)
        inner.__exit__(None, None, None)

    return culprit


def of_another_task() -> Function:
    async def culprit() -> None:
        scope = anyio.CancelScope()

        async def enters() -> None:
            scope.__enter__()

        async with anyio.create_task_group() as group:
            group.start_soon(enters)
        scope.__exit__(None, None, None)

    return culprit


def never_entered() -> Function:
    async def culprit() -> None:
        anyio.CancelScope().__exit__(None, None, None)

    return culprit


def row(said: str, make: Callable[[], Function], end: End, **more: Any) -> Row:
    return Row(said=said, make=make, end=end, warns=True, **more)


SCOPES = [
    *(row(f"{what} in a generator {way}", lambda make=make, holder=holder: make(holder), fails(), on=on, slow=make is held_as_it_raises or holder is an_empty_group) for what, holder, on in HOLDERS for way, make in WAYS),
    *(row(f"{what} in a generator {way}", lambda make=make, holder=holder: make(holder), ends(), on=ASYNCIO) for what, holder in OF_ASYNCIO for way, make in WAYS),
    row("a task group that a dependency leaves open", in_a_dependency, fails()),
    row("a scope that is left twice", left_twice, fails()),
    row("scopes that are left in the wrong order", in_the_wrong_order, fails()),
    row("a scope of another task", of_another_task, fails()),
    row("a scope that was never entered", never_entered, fails()),
]  # fmt: skip
