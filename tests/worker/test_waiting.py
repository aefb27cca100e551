"""Tasks that wait for other tasks step aside: they hold no place of their worker, and go on in one (I14)."""

from __future__ import annotations

import logging
import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from docket import CurrentDocket, CurrentExecution, Docket, Execution, ExecutionState, TaskKey
from docket.parenthood import Parent, current_parent, parent_on
from docket.signals import Subscriber, signals
from tests.durations import ms
from tests.where import few_pairs, virtual_time
from tests.worker.conftest import a_worker, at_most, working

pytestmark = pytest.mark.anyio


class Bodies:
    """Counts the bodies that are under way, without those that wait for a task."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __enter__(self) -> None:
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        self.now -= 1

    async def result_of(self, execution: Execution[Any]) -> Any:
        self.now -= 1
        try:
            return await execution.get_result()
        finally:
            self.__enter__()


@pytest.fixture
def bodies() -> Bodies:
    return Bodies()


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def a_tree(bodies: Bodies, width: int) -> Callable[..., Any]:
    """A task that adds ``width`` of itself down to a depth, and returns how many there were."""

    async def node(depth: int, docket: Docket = CurrentDocket(), key: str = TaskKey()) -> int:
        with bodies:
            total = 1
            numbers = range(width if depth else 0)
            for child in [await docket.add(node, key=f"{key}.{n}")(depth - 1) for n in numbers]:
                total += await bodies.result_of(child)
                await anyio.sleep(random.choice([0, 0.001]))
            return total

    return node


async def test_a_chain_of_any_depth_runs_on_workers_of_one_place(docket: Docket, bodies: Bodies) -> None:
    execution = await docket.add(a_tree(bodies, 1), key="root")(5)
    async with working(a_worker(docket, "one", concurrency=1), a_worker(docket, "two", concurrency=1)):
        assert await execution.get_result() == 6
    assert bodies.most <= 2


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_never_more_bodies_go_on_than_a_worker_has_places(
    docket: Docket, bodies: Bodies, concurrency: int
) -> None:
    roots = [await docket.add(a_tree(bodies, 3), key=f"root{n}")(2) for n in range(10)]
    async with at_most():
        await a_worker(docket, concurrency=concurrency).run_until_finished()
    assert [await root.get_result() for root in roots] == [13] * 10
    assert bodies.most == concurrency


async def test_nor_where_its_read_waits_in_the_server_as_they_come_back(
    docket: Docket, bodies: Bodies
) -> None:
    """What they wait for runs elsewhere, so the reader waits for tasks until one comes back, or both come at once."""

    async def far() -> None:
        await anyio.sleep(random.uniform(0, 0.004))

    async def near() -> None:
        with bodies:
            await anyio.sleep(random.uniform(0, 0.002))

    async def parent() -> int:
        with bodies:
            for _ in range(10):
                await bodies.result_of(await elsewhere.add(far)())
                await anyio.sleep(random.uniform(0, 0.002))
                await docket.add(near)()
            return 1

    async with Docket(f"{docket.name}-elsewhere", docket.url) as elsewhere:
        async with working(a_worker(docket, concurrency=2), a_worker(elsewhere, "far", concurrency=20)):
            parents = [await docket.add(parent)() for _ in range(6)]
            assert sum([await one.get_result() for one in parents]) == 6
    assert bodies.most == 2


@virtual_time
async def test_nor_where_deliveries_of_a_dead_worker_are_taken_over(
    anyio_backend: Any, bodies: Bodies
) -> None:
    async def other() -> None:
        with bodies:
            await anyio.sleep(0.01)

    async with Docket("taken-over", "memory://") as docket:
        root = await docket.add(a_tree(bodies, 4), key="root")(1)
        others = [await docket.add(other)() for _ in range(20)]
        dead = docket.store.claims("dead")
        await dead.create_group()
        await dead.take(21)
        await a_worker(docket, concurrency=2).run_until_finished()
        assert await root.get_result() == 5
        for one in others:
            await one.sync()
        assert {one.state for one in others} == {ExecutionState.COMPLETED}
    assert bodies.most == 2


@virtual_time
async def test_who_has_waited_goes_on_before_anything_new(anyio_backend: Any) -> None:
    order: list[str] = []

    async def child() -> None:
        order.append("child")
        await anyio.sleep(1)

    async def other(number: int) -> None:
        order.append(f"other {number}")

    async def parent(docket: Docket = CurrentDocket()) -> None:
        execution = await docket.add(child)()
        await docket.add_many([docket.call(other)(n) for n in range(50)])
        await execution.get_result()
        order.append("parent")
        await execution.get_result()  # what has ended gives no place away
        order.append("parent again")

    async with Docket("order", "memory://") as docket:
        await docket.add(parent)()
        await a_worker(docket, concurrency=1).run_until_finished()
    # The end of the child leaves with the next take, which brings another one before the parent can know of it; and one
    # more, where that has ended in the step that has started it.
    eager = sys.version_info >= (3, 12) and anyio_backend[0] == "asyncio"
    others = ["other 0", "other 1"] if eager else ["other 0"]
    assert order[: len(others) + 3] == ["child", *others, "parent", "parent again"]


@virtual_time
async def test_a_wait_that_is_cut_short_goes_on_at_once(anyio_backend: Any) -> None:
    """What has its place may be what it waits for, and is to stop."""
    told: list[float] = []

    async def child() -> None:
        await anyio.sleep(3600)

    async def parent(docket: Docket = CurrentDocket()) -> None:
        execution = await docket.add(child, key="child")()
        with pytest.raises(TimeoutError):
            await execution.get_result(timeout=ms(1000))
        told.append(anyio.current_time())
        with anyio.move_on_after(1):
            await execution.get_result()
        told.append(anyio.current_time())
        await docket.cancel("child")

    async with Docket("short", "memory://") as docket:
        await docket.add(parent)()
        began = anyio.current_time()
        await a_worker(docket, concurrency=1).run_until_finished()
    assert [round(at - began) for at in told] == [1, 2]


@virtual_time
async def test_a_task_counts_again_when_none_of_its_own_tasks_waits_any_more(anyio_backend: Any) -> None:
    aside: list[int] = []

    async def child(seconds: float) -> float:
        await anyio.sleep(seconds)
        return seconds

    async def parent(docket: Docket = CurrentDocket()) -> None:
        host = current_parent()
        places = host.parents.roster.places  # type: ignore[union-attr]

        async def waiting(seconds: float) -> None:
            await (await docket.add(child)(seconds)).get_result()
            aside.append(places.aside)

        async with anyio.create_task_group() as group:
            for seconds in (1, 2, 3):
                group.start_soon(waiting, seconds)
        aside.append(places.aside)

    async with Docket("several", "memory://") as docket:
        await docket.add(parent)()
        await a_worker(docket, concurrency=3).run_until_finished()
    assert aside == [1, 1, 0, 0]


async def test_who_follows_the_events_of_a_task_steps_aside_too(docket: Docket) -> None:
    async def child() -> None: ...

    async def parent(docket: Docket = CurrentDocket()) -> str:
        execution = await docket.add(child)()
        return [event["state"] async for event in execution.subscribe() if event["type"] == "state"][-1]

    execution = await docket.add(parent)()
    async with working(a_worker(docket, concurrency=1)):
        assert await execution.get_result() == "completed"


async def test_a_plain_function_steps_aside_as_it_waits_in_the_loop(docket: Docket) -> None:
    async def child() -> str:
        return "from the loop"

    def parent(docket: Docket = CurrentDocket()) -> str:
        execution = anyio.from_thread.run(docket.add(child))
        return anyio.from_thread.run(execution.get_result)

    execution = await docket.add(parent)()
    async with working(a_worker(docket, concurrency=1)):
        assert await execution.get_result() == "from the loop"


@few_pairs
async def test_so_it_does_as_it_waits_with_a_synchronous_docket(docket: Docket) -> None:
    async def child() -> str:
        return "by way of a thread"

    def parent() -> tuple[str, str]:
        with Docket(docket.name, docket.url).sync() as sync:
            execution = sync.add(child)()
            last = [event["state"] for event in execution.subscribe() if event["type"] == "state"][-1]
            return last, execution.get_result()

    docket.register(child)
    execution = await docket.add(parent)()
    async with working(a_worker(docket, concurrency=1)):
        assert await execution.get_result() == ("completed", "by way of a thread")


@few_pairs
async def test_only_a_task_that_runs_here_has_a_worker_to_wait_with(docket: Docket) -> None:
    found: dict[str, Parent | None] = {}

    async def task(docket: Docket = CurrentDocket(), execution: Execution[Any] = CurrentExecution()) -> None:
        found["here"] = current_parent()
        found["on its docket"] = parent_on(docket.store)
        async with Docket(docket.name, docket.url) as same, Docket("another", docket.url) as another:
            found["on the same"] = parent_on(same.store)
            found["on another"] = parent_on(another.store)
        found["in a thread"] = await anyio.to_thread.run_sync(current_parent)
        assert found["here"] is not None
        assert (found["here"].key, found["here"].fence.message_id) == (execution.key, execution.message_id)
        assert [found["here"].open_group(None) for _ in range(2)] == ["1", "2"]

    execution = await docket.add(task)()
    async with working(a_worker(docket)):
        await execution.get_result()
    found["outside"] = current_parent()
    nowhere = {"on another", "in a thread", "outside"}
    assert {where for where, parent in found.items() if parent is None} == nowhere


@virtual_time
async def test_so_many_wait_at_a_time_and_one_more_begins_anew_later(
    anyio_backend: Any, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[int] = []
    roster: Any = None
    most = 0

    async def child(number: int) -> int:
        nonlocal most
        await anyio.sleep(7)
        most = max(most, roster.places.aside)
        return number

    async def parent(
        number: int, docket: Docket = CurrentDocket(), execution: Execution[Any] = CurrentExecution()
    ) -> int:
        nonlocal roster
        begun.append(number)
        roster = current_parent().parents.roster  # type: ignore[union-attr]
        result = await (await docket.add(child, key=f"child {number}")(number)).get_result()
        return 100 * execution.attempt + result

    async with Docket("bound", "memory://") as docket:
        parents = [await docket.add(parent)(number) for number in range(3)]
        began = anyio.current_time()
        caplog.set_level(logging.INFO, "docket.worker")
        await a_worker(docket, concurrency=2, max_waiting=1).run_until_finished()
        assert [await one.get_result() for one in parents] == [100, 101, 102]  # the first attempt of each
    assert len(begun) > 3
    assert most == 1
    assert anyio.current_time() - began < 40
    assert "(put off: as many tasks wait for others here as may)" in caplog.text


@virtual_time
async def test_those_that_are_put_off_leave_places_to_others(anyio_backend: Any) -> None:
    """However many they are, and however long each has a place before it waits."""
    parents, late = 30, list[float]()

    async def other(added: float) -> None:
        late.append(anyio.current_time() - added)

    async def parent(wanted: str, docket: Docket = CurrentDocket()) -> None:
        await anyio.sleep(1)
        execution = await docket.get_execution(wanted)
        assert execution is not None
        await execution.get_result()

    async with Docket("places", "memory://") as docket:
        wanted = await docket.add(other, when=later(), key="wanted")(0)
        for _ in range(parents):
            await docket.add(parent)(wanted.key)
        async with anyio.create_task_group() as group:
            group.start_soon(a_worker(docket, concurrency=2, max_waiting=1).run_forever)
            await anyio.sleep(parents)  # each has waited once, and was put off
            for _ in range(20):
                await docket.add(other)(anyio.current_time())
                await anyio.sleep(3)
            group.cancel_scope.cancel()
    assert max(late) < 3


@virtual_time
async def test_a_tree_deeper_than_may_wait_ends_from_its_leaves_up(anyio_backend: Any) -> None:
    ended: list[int] = []

    async def node(depth: int, docket: Docket = CurrentDocket()) -> int:
        async with docket.task_group() as group:
            child = await group.add(node)(depth - 1) if depth else None
        ended.append(depth)
        return 1 if child is None else 1 + await child.get_result()

    async with Docket("deep", "memory://") as docket:
        execution = await docket.add(node)(5)
        async with working(a_worker(docket, concurrency=1, max_waiting=1), patience=300):
            assert await execution.get_result() == 6
    assert ended == [0, 1, 2, 3, 4, 5]  # each child once


@virtual_time
async def test_a_worker_that_stops_hands_back_at_once_only_who_finds_what_it_waits_for(
    anyio_backend: Any,
) -> None:
    waits = anyio.Event()

    async def child() -> None: ...

    async def parent(docket: Docket = CurrentDocket()) -> None:
        async with docket.task_group() as group:
            await group.add(child, later())()
            waits.set()

    async def asks(docket: Docket = CurrentDocket()) -> None:
        await (await docket.add(child, later())()).get_result(timeout=timedelta(seconds=4))

    async def working_on() -> None:
        await anyio.sleep(3)

    async with Docket("stops", "memory://") as docket:
        executions = [await docket.add(task)() for task in (parent, asks, working_on)]
        worker = a_worker(docket, concurrency=3)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await waits.wait()
            await anyio.sleep(1)
            worker.stop()
            await anyio.sleep(1)
            states = [await execution.sync() or execution.state for execution in executions]
            assert states == [ExecutionState.QUEUED, ExecutionState.RUNNING, ExecutionState.RUNNING]
        states = [await execution.sync() or execution.state for execution in executions]
        assert states == [ExecutionState.QUEUED, ExecutionState.FAILED, ExecutionState.COMPLETED]


@virtual_time
async def test_telemetry_tells_who_only_waits(anyio_backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, str, int]] = []

    class Listener(Subscriber):
        def run_waits(self, docket: str, worker: str, task: str, change: int) -> None:
            told.append((docket, worker, task, change))

    async def child() -> None: ...

    async def parent(docket: Docket = CurrentDocket()) -> None:
        await (await docket.add(child)()).get_result()
        with pytest.raises(TimeoutError):
            await (await docket.add(child, later())()).get_result(timeout=ms(10))

    monkeypatch.setattr(signals, "subscribers", [Listener()])
    async with Docket("told", "memory://") as docket:
        await docket.add(parent)()
        await a_worker(docket).run_until_finished()
    assert told == 2 * [("told", "worker", "parent", change) for change in (1, -1)]
