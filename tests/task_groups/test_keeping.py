"""What children have returned is there for as long as their parent may ask for it, and no longer."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import anyio
import pytest
from key_value.aio.stores.memory import MemoryStore

from docket import CurrentDocket, CurrentExecution, Docket, Execution, Worker
from tests.task_groups.conftest import lose, working
from tests.where import slow, virtual_time

pytestmark = pytest.mark.anyio

TTL = timedelta(minutes=2)


async def quick() -> int:
    return 7


async def idle() -> int:
    await anyio.sleep(3600)
    return 8


async def parent(docket: Docket = CurrentDocket()) -> list[int]:
    async with docket.task_group() as first:
        children = [await first.add(quick)()]
    async with docket.task_group() as second:
        children += [await second.add(quick)(), await second.add(idle)()]
    return [await child.get_result(timeout=timedelta(0)) for child in children]


async def busy(docket: Docket = CurrentDocket(), execution: Execution[Any] = CurrentExecution()) -> int:
    """Computes for long after its block, and is lost meanwhile."""
    async with docket.task_group() as group:
        child = await group.add(quick)()
    async with docket.task_group(name="another") as group:
        other = await group.add(quick)()
    await anyio.sleep(3600)
    if not execution.redelivered:
        losses.get().set()
        await anyio.sleep(3600)
    return await child.get_result(timeout=timedelta(0)) + await other.get_result(timeout=timedelta(0))


losses = ContextVar[anyio.Event]("losses")


@virtual_time
async def test_the_results_of_children_are_kept_for_as_long_as_their_parent_waits(url: str) -> None:
    """Also of the groups that it had before: where it is redelivered, it asks for all."""
    async with Docket("keeping", url, execution_ttl=TTL) as docket, anyio.create_task_group() as group:
        for task in quick, idle, parent:
            docket.register(task)
        worker = Worker(docket, "w")
        group.start_soon(worker.run_forever)
        execution = await docket.add(parent)()
        assert await execution.get_result() == [7, 7, 8]
        keys = await docket.client.keys(f"{docket.keys.run('')}*")
        assert len(keys) == 4
        await anyio.sleep(TTL.total_seconds() + 1)
        assert not await docket.client.keys(f"{docket.keys.run('')}*")
        group.cancel_scope.cancel()


@virtual_time
async def test_the_results_of_children_are_kept_while_a_parent_computes_and_begins_anew(url: str) -> None:
    losses.set(anyio.Event())
    async with Docket("busy", url, execution_ttl=TTL) as docket, anyio.create_task_group() as group:
        for task in quick, busy:
            docket.register(task)
        soon = timedelta(seconds=30)  # else they expire until it is redelivered
        worker = Worker(docket, "lost", redelivery_timeout=soon)
        group.start_soon(worker.run_forever)
        execution = await docket.add(busy)()
        await losses.get().wait()
        group.start_soon(Worker(docket, "next", redelivery_timeout=soon).run_forever)
        lose(worker)
        assert await execution.get_result() == 14
        await anyio.sleep(TTL.total_seconds() + 1)
        assert not await docket.client.keys(f"{docket.keys.run('')}*")
        group.cancel_scope.cancel()


@slow
@pytest.mark.pairs(("asyncio", "redis"), ("trio", "memory"))
async def test_results_of_children_that_another_storage_keeps_are_kept_too(
    url: str, anyio_backend: Any
) -> None:
    ttl = timedelta(seconds=1.5)

    async def long() -> None:
        await anyio.sleep(2 * ttl.total_seconds())

    async def parent(docket: Docket = CurrentDocket()) -> int:
        async with docket.task_group() as group:
            child = await group.add(quick)()
            await group.add(long)()
        return await child.get_result(timeout=timedelta(0))

    async with Docket("stored", url, execution_ttl=ttl, result_storage=MemoryStore()) as docket:
        execution = await docket.add(parent)()
        async with working(docket):
            assert await execution.get_result() == 7
