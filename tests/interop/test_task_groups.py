"""Children of our task groups on pydocket's workers, and under the hands of its clients, which know of no groups."""

from __future__ import annotations

import anyio
import pytest

from docket import ExecutionState

from . import tasks
from .table import Table

pytestmark = pytest.mark.anyio


async def test_children_on_pydockets_workers_end_and_fail(table: Table) -> None:
    """G14"""
    await table.pydocket.start_worker("theirs")
    docket = table.ours.docket
    with anyio.fail_after(20):
        async with docket.task_group() as group:
            children = await group.add_many(group.call(tasks.echo)(number) for number in range(5))
        assert [await child.get_result() for child in children] == [0, 1, 2, 3, 4]
        with pytest.raises(ExceptionGroup) as raised:
            await _with_one_that_is_refused(table)
    assert [type(error).__name__ for error in raised.value.exceptions] == ["Refused"]
    await table.reaches("holds", "cancelled")
    await table.pydocket.stop_worker("theirs")
    table.assert_left_clean()


async def _with_one_that_is_refused(table: Table) -> None:
    async with table.ours.docket.task_group() as group:
        await group.add(tasks.hold, key="holds")()
        await table.begun("holds")
        await group.add(tasks.refuse)("no", 1)
        await anyio.sleep_forever()


async def test_a_child_that_pydockets_client_cancels_has_ended(table: Table) -> None:
    """G14"""
    with anyio.fail_after(20):
        async with table.ours.docket.task_group() as group:
            child = await group.add(tasks.echo, key="k")(1)
            await table.pydocket.cancel("k")
    await child.sync()
    assert child.state is ExecutionState.CANCELLED
