"""The ends of time, and what is kept for ever, between both implementations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from docket import Docket, Worker

from .table import Table
from .tasks import TASKS

pytestmark = pytest.mark.anyio

LAST = datetime.max.replace(tzinfo=UTC)
ENDS = [LAST, datetime.max.replace(tzinfo=timezone(timedelta(hours=14))), datetime.min.replace(tzinfo=UTC)]


@pytest.mark.parametrize("when", ENDS, ids=str)
async def test_a_task_at_the_end_of_time_is_read_by_pydocket(table: Table, when: datetime) -> None:
    await table.ours.add("echo", 7, key="k", when=when.isoformat())
    ours, theirs = await table.ours.execution("k"), await table.pydocket.execution("k")
    assert ours["when"] == theirs["when"]
    assert abs(datetime.fromisoformat(theirs["when"]) - when) < timedelta(milliseconds=1)
    if when.year > 1:
        assert (await table.pydocket.snapshot())["future"] == ["k"]
        await table.pydocket.cancel("k")
    else:
        await table.pydocket.drain("w")
        assert await table.ours.outcome("k") == {"result": 7}


async def test_what_pydocket_placed_beyond_the_calendar_is_read(table: Table) -> None:
    """Its own clients cannot read it again."""
    when = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
    await table.pydocket.add("echo", 7, key="k", when=when.isoformat())
    assert (await table.ours.execution("k"))["when"] == LAST.isoformat()
    assert (await table.ours.snapshot())["future"] == ["k"]


async def test_a_result_that_is_kept_for_ever_is_read_by_pydocket(table: Table) -> None:
    async with Docket(table.name, table.url, execution_ttl=None) as docket:
        for task in TASKS:
            docket.register(task)
        await docket.add("echo", key="k")(7)
        await Worker(docket).run_until_finished()
    assert table.redis.ttl(f"{table.name}:runs:k") == -1
    assert await table.pydocket.outcome("k") == {"result": 7}
    assert (await table.pydocket.execution("k"))["state"] == "completed"
    await table.pydocket.add("echo", 8, key="k")
    await table.pydocket.drain("w")
    assert table.redis.ttl(f"{table.name}:runs:k") > 0
    assert await table.ours.outcome("k") == {"result": 8}
