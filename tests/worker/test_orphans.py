"""Whoever is in a task group whose parent is gone is cancelled, by one worker of the fleet."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentDocket, Docket, Execution, ExecutionCancelled
from docket.parenthood import current_parent
from docket.store import Groups, OpenGroup
from tests.durations import ms
from tests.where import asyncio_and_trio, virtual_time
from tests.worker.conftest import a_worker, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

LOOK = timedelta(minutes=1)


async def child() -> None:
    await anyio.sleep_forever()


async def added_to(docket: Docket, group: OpenGroup, *, later: bool) -> Execution[Any]:
    when = datetime.now(UTC) + timedelta(days=later)
    execution: Execution[Any] = Execution(docket, child, (), {}, f"{group.id}:{later:d}", when, 1)
    await docket.store.schedule.place(execution.message(), replace=False, child_of=group.id)
    return execution


async def are_cancelled(*executions: Execution[Any]) -> None:
    for execution in executions:
        with pytest.raises(ExecutionCancelled):
            await execution.get_result(timeout=ms(10_000))


async def test_a_program_that_gives_no_sign_of_life_leaves_nobody_behind(
    redis_url: str, anyio_backend: Any
) -> None:
    async with Docket("program", redis_url) as docket:
        docket.register(child)
        group = await docket.store.groups.open("", "1", None, look_after=ms(200))
        async with working(a_worker(docket, redelivery_timeout=ms(800))):
            await are_cancelled(*[await added_to(docket, group, later=later) for later in (False, True)])


@virtual_time
async def test_the_children_of_a_run_that_ends_are_cancelled_at_once(anyio_backend: Any) -> None:
    children: list[Execution[Any]] = []
    added = anyio.Event()

    async def parent(docket: Docket = CurrentDocket()) -> None:
        here = current_parent()
        assert here is not None
        group = await docket.store.groups.open(here.key, here.open_group(None), here.fence, look_after=LOOK)
        children.extend([await added_to(docket, group, later=later) for later in (False, True)])
        added.set()
        await anyio.sleep_forever()

    async with Docket("orphans", "memory://") as docket:
        docket.register(child)
        await docket.add(parent, key="parent")()
        async with working(a_worker(docket)):
            await added.wait()
            await anyio.sleep(1)
            began = anyio.current_time()
            await docket.cancel("parent")
            await are_cancelled(*children)
            assert anyio.current_time() - began < 0.1
            await anyio.sleep(11)  # looked at once more, since one was only asked to stop
            assert await docket.store.groups.first_due() is None


async def test_one_worker_looks_and_another_one_after_it(
    redis_url: str, anyio_backend: Any, monkeypatch: Any
) -> None:
    looks = Counter[str]()
    look = Groups.look_after

    async def counted(groups: Groups, group: OpenGroup, period: timedelta) -> None:
        looks[group.id] += 1
        await look(groups, group, period)

    monkeypatch.setattr(Groups, "look_after", counted)
    async with Docket("fleet", redis_url) as docket:
        docket.register(child)
        first = await docket.store.groups.open("", "1", None, look_after=ms(1))
        for_first = await added_to(docket, first, later=True)
        async with working(*(a_worker(docket, f"w{n}", redelivery_timeout=ms(2000)) for n in range(5))):
            await are_cancelled(for_first)
        assert looks[first.id] == 1
        second = await docket.store.groups.open("", "1", None, look_after=ms(1))
        for_second = await added_to(docket, second, later=True)
        async with working(a_worker(docket, "later", redelivery_timeout=ms(2000))):
            await are_cancelled(for_second)
