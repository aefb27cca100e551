"""Tasks that only one side knows."""

from __future__ import annotations

import anyio
import pytest

from docket import Docket, ExecutionState, Worker

from .table import Table

pytestmark = pytest.mark.anyio


async def mystery() -> None: ...


async def test_what_ours_does_not_know_reaches_a_worker_of_pydocket_that_does(table: Table) -> None:
    """pydocket passes over the field in which ours notes how often that was."""
    async with Docket(table.name, table.url) as blind, anyio.create_task_group() as group:
        worker = Worker(blind, "blind")
        group.start_soon(worker.run_forever)
        await table.pydocket.add("echo", 7, key="k")
        await table.reaches("k", "scheduled")
        assert table.redis.hget(f"{table.name}:k", "docket:unknown")
        await table.pydocket.start_worker("theirs")
        assert await table.pydocket.outcome("k") == {"result": 7}
        worker.stop()
        await table.pydocket.stop_worker("theirs")
    table.assert_left_clean()


async def test_what_pydocket_does_not_know_is_lost_to_ours(table: Table) -> None:
    """It says that it drops it, and completes it: a docket that is shared needs its tasks on both sides."""
    async with Docket(table.name, table.url) as ours:
        execution = await ours.add(mystery, key="k")()
        await table.pydocket.drain("theirs")
        await execution.sync()
    assert (execution.state, execution.error) == (ExecutionState.COMPLETED, None)
    table.assert_left_clean()
