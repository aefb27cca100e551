"""The rows of the table of docs/task-groups.md, each with children on another worker: G1 to G15."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentDocket, Docket, ExecutionCancelled, ExecutionState, Retry, Worker, clock
from docket.errors import DeliveryLimitExceeded
from tests.task_groups import tasks
from tests.task_groups.conftest import (
    coming_out,
    elsewhere,
    groups_left,
    lose,
    process,
    reached,
    running,
    states,
    working,
)
from tests.task_groups.tasks import HOUR, Boom, boom, counted, double, endless, flaky
from tests.where import few_pairs, slow

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)
AT_ONCE = timedelta(0)

#: Milliseconds of a lease; workers look after groups each quarter of it.
QUICK = 4000


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
            second = Worker(
                docket, "second", concurrency=2
            )  # it may get the child, too, which the first has taken
            later.start_soon(second.run_forever)
            first.stop() if waits else first.hand_back()
            assert await execution.get_result() == 42
            second.hand_back()
    assert runs == 2
    assert (await counted(docket))["double 21"] == 1


@few_pairs
@slow
async def test_a_parent_whose_worker_is_lost_finds_its_children(docket: Docket) -> None:
    """G10; its process is killed, or (on memory://) its lease is over."""
    quick = {"redelivery_timeout": 2000, "concurrency": 1}
    execution = await docket.add(tasks.held_up)(3)
    if docket.client.is_memory:
        async with working(docket, "lost", concurrency=1, redelivery_timeout=2 * SECOND) as [worker]:
            await reached(docket, execution.key, ExecutionState.RUNNING)
            async with elsewhere(docket, redelivery_timeout=2000):
                await running(docket, "child")
                lose(worker)
                assert await execution.get_result() == 6
    else:
        with process(docket, **quick) as killed:
            await reached(docket, execution.key, ExecutionState.RUNNING)
            async with working(docket, "next", concurrency=3, redelivery_timeout=2 * SECOND):
                await running(docket, "child")
                killed.kill()
                assert await execution.get_result() == 6
    once = {f"double {number}": 1 for number in range(3)}
    assert await counted(docket) == {"held up": 2, "stopped child": 1, **once}


@few_pairs
@slow
@pytest.mark.usefixtures("soon_closed")
async def test_a_parent_that_was_failing_as_it_was_lost_waits_for_the_children_of_its_keys(
    docket: Docket,
) -> None:
    """G10; who begins anew gets no child that is being cancelled, and its key only once that has ended."""
    quick: dict[str, Any] = {"redelivery_timeout": 2 * SECOND}
    execution = await docket.add(tasks.unlucky)()
    async with working(docket, "lost", concurrency=1, **quick) as [worker]:
        await running(docket, execution.key)
        async with working(docket, "next", concurrency=3, **quick):
            while "stops" not in await counted(docket):
                await anyio.sleep(0.01)
            lose(worker)
            assert await execution.get_result() == 2
            assert await groups_left(docket) == 0
    assert await counted(docket) == {"unlucky": 2, "lingers": 1, "stops": 1}


async def test_parents_that_are_too_many_begin_anew_and_find_their_children(docket: Docket) -> None:
    """G9"""
    parents = [await docket.add(tasks.total)(3) for _ in range(6)]
    async with working(docket, concurrency=1, max_waiting=2):
        assert [await parent.get_result() for parent in parents] == [6] * 6
    assert await counted(docket) == {f"double {number}": 6 for number in range(3)}


@few_pairs
@slow
async def test_a_parent_that_is_given_up_takes_its_children_with_it(docket: Docket) -> None:
    """G11; the worker that settles it never runs its body."""
    quick: dict[str, Any] = {"concurrency": 1, "redelivery_timeout": 2 * SECOND}
    execution = await docket.add(tasks.held_up)(1)
    async with working(docket, "lost", **quick) as [worker]:
        await running(docket, execution.key)
        async with working(docket, "next", max_deliveries=1, **{**quick, "concurrency": 2}):
            await running(docket, "child")
            lose(worker)
            with pytest.raises(DeliveryLimitExceeded):
                await execution.get_result()
            assert await states(docket, "child") == ["cancelled"]
            assert await groups_left(docket) == 0


@few_pairs
@slow
@pytest.mark.usefixtures("soon_closed")
async def test_a_parent_that_is_replaced_goes_on_without_a_group(docket: Docket) -> None:
    """G11"""
    came_out: list[BaseException] = []

    async def parent(docket: Docket = CurrentDocket()) -> None:
        try:
            await tasks.root(docket)
        except BaseException as error:
            came_out.append(error)
            raise

    await docket.add(parent, key="root")()
    async with working(docket, "here", concurrency=1, redelivery_timeout=4 * SECOND) as [worker]:
        async with elsewhere(docket, redelivery_timeout=QUICK):
            await running(docket, "leaf")
            await docket.replace(double, clock.now() + HOUR, "root")(1)
            assert await states(docket, "middle", "leaf", "later") == ["cancelled"] * 3
            assert await groups_left(docket) == 0
        worker.stop()
    assert [type(error) for error in came_out] == [ExecutionCancelled]
    await docket.cancel("root")


@slow
async def test_children_of_a_program_whose_process_has_died_are_cancelled(
    redis_url: str, anyio_backend: Any
) -> None:
    """G12"""
    async with Docket("program", redis_url) as docket:
        for task in tasks.every:
            docket.register(task)
        async with working(docket, redelivery_timeout=4 * SECOND):
            with process(docket, "open", lease=1500) as program:
                await running(docket, "runs")
                await reached(docket, "waits", ExecutionState.SCHEDULED)
                await anyio.sleep(2)  # it gives signs of life
                assert await counted(docket) == {}
                program.kill()
                assert await states(docket, "runs", "waits") == ["cancelled"] * 2


@pytest.mark.pairs(("asyncio", "redis"), ("trio", "redis"))
@slow
async def test_children_of_a_parent_without_a_record_are_cancelled(docket: Docket) -> None:
    """G13; memory:// loses no records, and nobody looks there."""
    await docket.add(tasks.root, key="root")()
    async with working(docket, concurrency=3, redelivery_timeout=4 * SECOND):
        await running(docket, "leaf")
        async with docket.redis() as redis:
            await redis.delete(docket.keys.run("root"))
            for member, _ in await redis.zrange(docket.keys.groups, 0, -1, withscores=True):
                if member.endswith(b" root"):
                    await redis.zadd(docket.keys.groups, {member: 1})  # a minute later
        assert await states(docket, "middle", "leaf", "later") == ["cancelled"] * 3
        assert await groups_left(docket) == 0


@few_pairs
@slow
@pytest.mark.usefixtures("soon_closed")
async def test_a_child_that_cannot_be_stopped_is_waited_for_as_patience_says(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    """G15"""
    async with elsewhere(docket, redelivery_timeout=QUICK):
        with anyio.move_on_after(30) as scope:
            async with docket.task_group(patience=0.1 * SECOND) as group:
                child = await group.add(tasks.stubborn)(1.0)
                await running(docket, child.key)
                scope.cancel()
        assert scope.cancelled_caught
        assert "have not ended within 0.1" in caplog.text
        assert await child.get_result() == "done"
        assert await groups_left(docket) == 0
