"""What children have returned is there for as long as their parent may ask for it, and no longer."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from docket import CurrentDocket, Docket, Worker
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

TTL = timedelta(minutes=2)


async def quick() -> int:
    return 7


async def slow() -> int:
    await anyio.sleep(3600)
    return 8


async def parent(docket: Docket = CurrentDocket()) -> list[int]:
    async with docket.task_group() as first:
        children = [await first.add(quick)()]
    async with docket.task_group() as second:
        children += [await second.add(quick)(), await second.add(slow)()]
    return [await child.get_result(timeout=timedelta(0)) for child in children]


async def test_the_results_of_children_are_kept_for_as_long_as_their_parent_waits(url: str) -> None:
    """Also of the groups that it had before: where it is redelivered, it asks for all."""
    async with Docket("keeping", url, execution_ttl=TTL) as docket, anyio.create_task_group() as group:
        for task in quick, slow, parent:
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
