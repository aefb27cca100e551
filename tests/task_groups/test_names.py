"""By its name a group is found again where its parent begins anew, in whatever order that opens its groups."""

from __future__ import annotations

import anyio
import pytest

from docket import CurrentDocket, CurrentExecution, Docket, Execution
from docket.errors import UsageError
from tests.durations import ms
from tests.task_groups.conftest import coming_out, lose, running, working
from tests.task_groups.tasks import counted, double, endless
from tests.where import few_pairs, slow

pytestmark = pytest.mark.anyio

SUPPLIERS = {"a.b c": 1, "ü": 10}


@slow
@few_pairs
async def test_groups_side_by_side_find_their_children_by_their_names(docket: Docket) -> None:
    async def parent(
        docket: Docket = CurrentDocket(), execution: Execution[int] = CurrentExecution()
    ) -> list[int]:
        found: dict[str, int] = {}

        async def one(name: str, number: int) -> None:
            async with docket.task_group(name=name) as group:
                child = await group.add(double)(number)
            found[name] = await child.get_result()

        order = list(SUPPLIERS.items())
        for name, number in reversed(order) if execution.redelivered else order:
            async with anyio.create_task_group() as beside:
                beside.start_soon(one, name, number)
        async with docket.task_group() as group:
            await group.add(endless, key="last")("last")
            if execution.redelivered:
                await docket.cancel("last")
        return [found[name] for name in SUPPLIERS]

    execution = await docket.add(parent)()
    async with working(docket, "lost", concurrency=2, redelivery_timeout=ms(2000)) as [lost]:
        await running(docket, "last")
        async with working(docket, "next", redelivery_timeout=ms(2000)):
            lose(lost)
            assert await execution.get_result() == [2, 20]
    assert {name: often for name, often in (await counted(docket)).items() if "double" in name} == {
        "double 1": 1,
        "double 10": 1,
    }


async def test_groups_that_are_open_side_by_side_need_names(docket: Docket) -> None:
    async def parent(docket: Docket = CurrentDocket()) -> None:
        async with anyio.create_task_group() as beside:

            async def one(child: str) -> None:
                async with docket.task_group() as group:
                    await group.add(endless, key=child)(child)

            beside.start_soon(one, "first")
            await running(docket, "first")
            beside.start_soon(one, "second")

    execution = await docket.add(parent)()
    async with working(docket, concurrency=2):
        with coming_out() as errors:
            await execution.get_result()
    [error] = errors
    assert isinstance(error, UsageError)
    assert "Name those that are open side by side" in str(error)


async def test_a_name_is_given_once_in_a_run(docket: Docket) -> None:
    async def parent(docket: Docket = CurrentDocket()) -> None:
        for _ in range(2):
            async with docket.task_group(name="pages") as group:
                await group.add(double)(1)

    execution = await docket.add(parent)()
    async with working(docket):
        with pytest.raises(UsageError, match="has had a task group named 'pages'"):
            await execution.get_result()


async def test_a_program_may_name_its_groups_alike(docket: Docket) -> None:
    """It does not begin anew."""
    async with docket.task_group(name="pages"), docket.task_group(name="pages"):
        pass
