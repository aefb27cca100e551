"""What a parent that waits takes of its worker's memory."""

from __future__ import annotations

import gc
import linecache
import tracemalloc
from datetime import timedelta
from typing import Any, cast

import pytest

from docket import CurrentDocket, Docket, clock
from tests.task_groups.conftest import working
from tests.where import slow

pytestmark = [pytest.mark.anyio, slow]

BEFORE, PARENTS = 20, 100

#: Python reads sources to show where a loop was blocked.
_OF_TRACEBACKS = tracemalloc.Filter(inclusive=False, filename_pattern=linecache.__file__)


async def child(number: int) -> None: ...


async def parent(number: int, docket: Docket = CurrentDocket()) -> None:
    async with docket.task_group() as group:
        await group.add(child, when=clock.now() + timedelta(hours=1))(number)


def taken() -> tracemalloc.Snapshot:
    gc.collect()
    return tracemalloc.take_snapshot().filter_traces([_OF_TRACEBACKS])


async def wait(docket: Docket, roster: Any, parents: int) -> None:
    """Have so many more wait."""
    parents += len(roster)
    await docket.add_many(docket.call(parent)(number) for number in range(len(roster), parents))
    while roster.places.waiting < parents:
        await roster.freed.wait()


async def test_a_parent_that_waits_takes_no_more_than_20_kb(redis_url: str) -> None:
    lease = timedelta(minutes=5)
    async with (
        Docket("weight", redis_url) as docket,
        working(docket, redelivery_timeout=lease) as (worker,),
    ):
        docket.register(parent)
        docket.register(child)
        await (await docket.add(child)(0)).get_result()
        roster = cast("Any", worker._session).roster
        await wait(docket, roster, BEFORE)
        tracemalloc.start()
        try:
            before = taken()
            await wait(docket, roster, PARENTS)
            grown = sum(file.size_diff for file in taken().compare_to(before, "filename"))
        finally:
            tracemalloc.stop()
    assert grown / PARENTS <= 20_000
