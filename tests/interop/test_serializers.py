"""What pydocket makes of a docket whose tasks are no pickles: it knows these alone, and ends at the first other one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from docket import Docket, ExecutionState, Worker

from . import tasks
from .sides import RemoteError
from .table import Table

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ours(table: Table) -> AsyncIterator[Docket]:
    async with Docket(table.name, table.url, serializer="json") as docket:
        docket.register(tasks.echo)
        yield docket


async def test_its_programs_cancel_tasks_that_they_cannot_read(table: Table, ours: Docket) -> None:
    execution = await ours.add(tasks.echo, datetime.now(UTC) + timedelta(hours=1), "k")(7)
    for reading in (lambda: table.pydocket.execution("k"), table.pydocket.snapshot):
        with pytest.raises(RemoteError, match="UnpicklingError"):
            await reading()
    await table.pydocket.cancel("k")
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_its_programs_cannot_read_a_result(table: Table, ours: Docket) -> None:
    await ours.add(tasks.echo, key="k")(7)
    await Worker(ours).run_until_finished()
    with pytest.raises(RemoteError, match="UnpicklingError"):
        await table.pydocket.outcome("k")


async def test_its_worker_ends_and_ours_runs_what_it_was_handed(table: Table, ours: Docket) -> None:
    execution = await ours.add(tasks.echo, key="k")(7)
    with pytest.raises(RemoteError, match="ExceptionGroup"):
        await table.pydocket.drain("theirs", redelivery_timeout=0.5)
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    await Worker(ours, redelivery_timeout=timedelta(milliseconds=500)).run_until_finished()
    assert await execution.get_result() == 7
    table.assert_left_clean()
