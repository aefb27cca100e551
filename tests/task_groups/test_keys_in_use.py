"""The key of a child that is being cancelled is waited for by whoever adds it anew, and is no stranger's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentDocket, Docket, Execution, Retry, TaskGroup, clock
from docket.client import place
from docket.errors import UsageError
from docket.rules import Disposition
from docket.store import Placed
from docket.task_group import nest
from tests.task_groups.conftest import groups_left, running, states, working
from tests.task_groups.tasks import SOON, boom, count, counted, double, endless
from tests.where import few_pairs, virtual_time

pytestmark = pytest.mark.anyio

#: Longer than the lease of a worker, and the patience of a parent.
LONG = 20.0
BRIEF = timedelta(seconds=1)


async def lingering(docket: Docket = CurrentDocket()) -> int:
    """The first one takes its time to stop; which one it was."""
    begun = await count(docket, "children")
    if begun == 1:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(LONG)
    return begun


async def one(group: TaskGroup) -> Execution[int]:
    return await group.add(lingering, key="child")()


async def many(group: TaskGroup) -> Execution[int]:
    children = await group.add_many([group.call(double)(1), group.call(lingering, key="child")()])
    return children[1]


@virtual_time
@pytest.mark.parametrize("add", [one, many])
async def test_another_attempt_of_a_parent_waits_for_the_key_of_a_child_that_has_not_stopped(
    memory_url: str, add: Any
) -> None:
    async def parent(
        docket: Docket = CurrentDocket(), retry: Retry = Retry(attempts=2, delay=SOON)
    ) -> int | None:
        async with docket.task_group(patience=BRIEF) as group:
            child = await add(group)
            if retry.attempt == 1:
                await running(docket, "child")
                await group.add(boom)()
        return await child.get_result()

    async with Docket("again", memory_url) as docket:
        execution = await docket.add(parent)()
        async with working(docket, concurrency=2):
            assert await execution.get_result() == 2


@virtual_time
async def test_a_run_that_replaces_a_parent_waits_for_the_keys_of_its_children(memory_url: str) -> None:
    async def parent(docket: Docket = CurrentDocket()) -> int | None:
        async with docket.task_group() as group:
            child = await one(group)
        return await child.get_result()

    async with Docket("replaced", memory_url) as docket:
        await docket.add(parent, key="parent")()
        async with working(docket, concurrency=3):
            await running(docket, "child")
            execution = await docket.replace(parent, clock.now(), "parent")()
            assert await execution.get_result() == 2


@virtual_time
async def test_the_key_of_a_child_is_waited_for_whose_parent_is_one_that_has_not_stopped(
    memory_url: str,
) -> None:
    """Nobody has told the child yet, since its parent has not come to the end of its block."""

    async def middle(docket: Docket = CurrentDocket()) -> str:
        begun = await count(docket, "middles")
        async with docket.task_group() as group:
            if begun == 2:
                await group.add(double, key="leaf")(1)
            else:
                await group.add(endless, key="leaf")("leaf")
                try:
                    await anyio.sleep_forever()
                finally:
                    with anyio.CancelScope(shield=True):
                        await anyio.sleep(LONG)
        return "all of it"

    async def root(docket: Docket = CurrentDocket(), retry: Retry = Retry(attempts=2, delay=SOON)) -> Any:
        async with docket.task_group(patience=BRIEF) as group:
            child = await group.add(middle)()
            if retry.attempt == 1:
                await running(docket, "leaf")
                await group.add(boom)()
        return await child.get_result()

    async with Docket("below", memory_url) as docket:
        execution = await docket.add(root)()
        async with working(docket, concurrency=4):
            assert await execution.get_result() == "all of it"
        assert (await counted(docket))["stopped leaf"] == 1


@few_pairs
@pytest.mark.usefixtures("soon_closed")
async def test_a_key_is_free_whose_child_ends_just_as_it_is_refused(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was asked for again only where it was found in use, and it was not any more."""
    may_end = anyio.Event()

    async def child() -> int:
        if not may_end.is_set():
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await may_end.wait()
            return 1
        return 2

    async def parent(
        docket: Docket = CurrentDocket(), retry: Retry = Retry(attempts=2, delay=SOON)
    ) -> int | None:
        async with docket.task_group(patience=SOON) as group:
            added = await group.add(child, key="child")()
            if retry.attempt == 1:
                await running(docket, "child")
                await group.add(boom)()
        return await added.get_result()

    async def refused(*given: Any, **how: Any) -> Placed:
        placed = await place(*given, **how)
        if placed.disposition is Disposition.ALREADY_SCHEDULED and placed.in_group is None:
            may_end.set()
            await states(docket, "child")
        return placed

    monkeypatch.setattr(nest, "place", refused)
    execution = await docket.add(parent)()
    async with working(docket, concurrency=2, redelivery_timeout=2 * BRIEF):
        assert await execution.get_result() == 2
        assert await groups_left(docket) == 0


async def test_a_key_that_another_group_of_the_same_run_has_is_refused(docket: Docket) -> None:
    """Whoever waited for it might wait for ever."""
    async with working(docket), docket.task_group() as outer:
        await outer.add(endless, key="child")("child")
        await running(docket, "child")
        async with docket.task_group() as inner:
            with pytest.raises(UsageError, match="is that of another task"):
                await inner.add(endless, key="child")("child")
        outer.cancel()
