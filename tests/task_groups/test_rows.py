"""The rows of the table of docs/task-groups.md, each with children on another worker: G1 to G15."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from docket import CurrentDocket, Docket, ExecutionCancelled, ExecutionState, Retry, Worker, clock
from tests.task_groups import tasks
from tests.task_groups.conftest import (
    coming_out,
    elsewhere,
    lose,
    process,
    reached,
    running,
    states,
    working,
)
from tests.task_groups.tasks import HOUR, Boom, boom, counted, double, endless, flaky

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
AT_ONCE = timedelta(0)


async def test_once_all_have_ended_the_parent_goes_on_with_its_place(docket: Docket) -> None:
    """G1; on a worker of one, at every depth of a tree."""
    async with elsewhere(docket, concurrency=1):
        assert await (await docket.add(tasks.total)(7)).get_result() == 42
        assert await (await docket.add(tasks.walk)(3)).get_result() == 8


async def test_a_child_that_is_tried_again_has_not_failed(docket: Docket) -> None:
    """G2"""
    async with elsewhere(docket):
        async with docket.task_group() as group:
            child = await group.add(flaky)()
        assert await child.get_result(timeout=AT_ONCE) == 3


async def test_a_failure_stops_the_body_and_all_siblings(docket: Docket) -> None:
    """G3; those that run, that wait in the stream, for their time, and for a slot."""
    async with elsewhere(docket, concurrency=3):
        with coming_out() as errors:
            async with docket.task_group() as group:
                await group.add(endless, key="runs")("runs")
                await group.add(tasks.one_at_a_time, key="has the slot")("x")
                await running(docket, "runs", "has the slot")
                await group.add(tasks.one_at_a_time, key="parked")("y")
                await group.add(double, key="later", when=clock.now() + HOUR)(1)
                await group.add(boom, key="bad")("bang")
                await anyio.sleep_forever()
        [error] = errors
        assert isinstance(error, Boom)
        assert str(error) == "bang"
        assert error.__notes__[-1] == "in task 'boom', key 'bad'"
        assert await states(docket, "runs", "has the slot", "parked", "later") == ["cancelled"] * 4
        assert await counted(docket) == {"stopped runs": 1}


async def test_with_wait_all_end_and_then_all_failures_come_out(docket: Docket) -> None:
    """G4"""
    async with elsewhere(docket):
        with coming_out() as errors:
            async with docket.task_group(on_failure="wait") as group:
                bad = await group.add_many(group.call(boom)(f"{number}") for number in range(2))
                await states(docket, *(child.key for child in bad))
                good = await group.add(double)(1)
        assert sorted(map(str, errors)) == ["0", "1"]
        assert await good.get_result(timeout=AT_ONCE) == 2


async def test_what_the_body_raises_comes_out_before_what_children_have_failed_with(docket: Docket) -> None:
    """G5"""
    async with elsewhere(docket):
        with coming_out() as errors:
            async with docket.task_group(on_failure="wait") as group:
                await group.add(endless, key="runs")("runs")
                await group.add(double, key="later", when=clock.now() + HOUR)(1)
                await group.add(boom, key="bad")("a child's")
                await running(docket, "runs")
                assert await states(docket, "bad") == ["failed"]
                raise Boom("the body's")
        assert [*map(str, errors)] == ["the body's", "a child's"]
        assert await states(docket, "runs", "later") == ["cancelled"] * 2


@pytest.mark.parametrize("how", ["root", "root_in_time", "root_in_a_scope"])
async def test_what_stops_a_parent_stops_its_children_and_theirs(docket: Docket, how: str) -> None:
    """G6; by docket.cancel, a Timeout, a scope around the block. The parent that waits has no place meanwhile."""
    async with elsewhere(docket), working(docket, "here", concurrency=1):
        execution = await docket.add(how, key="root")()
        await running(docket, "leaf")
        if how == "root":
            await docket.cancel("root")
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()
        elif how == "root_in_time":
            with pytest.raises(TimeoutError):
                await execution.get_result()
        else:
            assert await execution.get_result() == "goes on"
        assert await states(docket, "middle", "leaf", "later") == ["cancelled"] * 3


async def test_a_scope_around_the_group_of_a_program_is_left_as_the_children_have_ended(
    docket: Docket,
) -> None:
    """G6; the scope has cancelled whatever the program waits with, too."""
    async with elsewhere(docket):
        with anyio.fail_after(10), anyio.CancelScope() as scope:
            async with docket.task_group(patience=timedelta(minutes=1)) as group:
                await group.add(endless, key="runs")("runs")
                await running(docket, "runs")
                scope.cancel()
        assert scope.cancelled_caught
        assert await states(docket, "runs") == ["cancelled"]


async def test_a_cancelled_group_is_no_error(docket: Docket) -> None:
    """G7"""
    async with elsewhere(docket):
        async with docket.task_group() as group:
            await group.add(endless, key="runs")("runs")
            await group.add(double, key="later", when=clock.now() + HOUR)(1)
            await running(docket, "runs")
            group.cancel()
            await anyio.sleep_forever()
        assert await states(docket, "runs", "later") == ["cancelled"] * 2


async def test_each_attempt_of_a_parent_has_children_of_its_own(docket: Docket) -> None:
    """G8"""
    keys: list[str] = []

    async def parent(docket: Docket = CurrentDocket(), retry: Retry = Retry(attempts=2)) -> int:
        async with docket.task_group() as group:
            child = await group.add(double, when=clock.now() + (AT_ONCE if keys else HOUR))(21)
            keys.append(child.key)
            if len(keys) == 1:
                raise Boom
        return await child.get_result()

    execution = await docket.add(parent)()
    async with working(docket), elsewhere(docket):
        assert await execution.get_result() == 42
    assert keys[0] != keys[1]
    assert await states(docket, *keys) == ["cancelled", "completed"]


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "runs"])
async def test_a_parent_that_is_handed_back_finds_its_children(docket: Docket, waits: bool) -> None:
    """G9; one that only waits at once, though the worker that drains would wait for its body."""
    runs = 0

    async def parent(docket: Docket = CurrentDocket()) -> int:
        nonlocal runs
        runs += 1
        async with docket.task_group() as group:
            child = await group.add(double)(21)
            await group.add(endless, key="child")("child")
            if runs == 1 and not waits:
                await anyio.sleep_forever()
            if runs == 2:
                await docket.cancel("child")
        return await child.get_result()

    execution = await docket.add(parent)()
    async with working(docket, "first", concurrency=1) as [first], anyio.create_task_group() as later:
        await reached(docket, execution.key, ExecutionState.RUNNING)
        async with elsewhere(docket):
            await running(docket, "child")
            second = Worker(docket, "second", concurrency=1)
            later.start_soon(second.run_forever)
            first.stop() if waits else first.hand_back()
            assert await execution.get_result() == 42
            second.hand_back()
    assert runs == 2
    assert await counted(docket) == {"double 21": 1, "stopped child": 1}


async def test_a_parent_whose_worker_is_lost_finds_its_children(docket: Docket) -> None:
    """G10; its process is killed, or (on memory://) its lease is over."""
    quick = {"redelivery_timeout": 600, "concurrency": 1}
    execution = await docket.add(tasks.held_up)(3)
    if docket.client.is_memory:
        async with working(docket, "lost", concurrency=1, redelivery_timeout=0.6 * SECOND) as [worker]:
            await reached(docket, execution.key, ExecutionState.RUNNING)
            async with elsewhere(docket, redelivery_timeout=600):
                await running(docket, "child")
                lose(worker)
                assert await execution.get_result() == 6
    else:
        with process(docket, **quick) as killed:
            await reached(docket, execution.key, ExecutionState.RUNNING)
            async with working(docket, "next", concurrency=3, redelivery_timeout=0.6 * SECOND):
                await running(docket, "child")
                killed.kill()
                assert await execution.get_result() == 6
    once = {f"double {number}": 1 for number in range(3)}
    assert await counted(docket) == {"held up": 2, "stopped child": 1, **once}
