"""A call keeps its level whatever becomes of it, its children have it, and who serves which level is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    CurrentDocket,
    CurrentExecution,
    Docket,
    Execution,
    ExecutionState,
    Perpetual,
    Priority,
    Retry,
    Worker,
    remote_task,
)
from tests.where import few_pairs
from tests.worker.conftest import a_worker, at_most, drained, working

pytestmark = [pytest.mark.anyio, few_pairs]

HIGH, NORMAL, LOW = Priority
DAY = timedelta(days=1)

seen: list[tuple[str, int, Priority]]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    global seen
    seen = []


def note(execution: Execution[Any]) -> None:
    seen.append((execution.key, execution.attempt, execution.priority))


async def once(execution: Execution[Any] = CurrentExecution()) -> None:
    note(execution)


async def tried(execution: Execution[Any] = CurrentExecution(), retry: Retry = Retry(attempts=2)) -> None:
    note(execution)
    raise ValueError("no")


async def repeated(
    execution: Execution[Any] = CurrentExecution(), perpetual: Perpetual = Perpetual(every=timedelta(0))
) -> None:
    note(execution)


async def urgent(
    priority: Priority = Priority.HIGH,
    execution: Execution[Any] = CurrentExecution(),
    perpetual: Perpetual = Perpetual(automatic=True, every=DAY),
) -> None:
    note(execution)


async def parent(docket: Docket = CurrentDocket()) -> None:
    async with docket.task_group() as group:
        await group.add(once, key="inherits")()
        await group.add(once, key="its own", priority="normal")()
        await group.add_many([group.call(once, key="one of many")()])


@pytest.mark.parametrize("level", list(Priority))
async def test_a_retry_has_the_level_of_its_call(docket: Docket, level: Priority) -> None:
    execution = await drained(docket, await docket.add(tried, key="k", priority=level)())
    assert seen == [("k", 1, level), ("k", 2, level)]
    assert (execution.state, execution.priority) == (ExecutionState.FAILED, level)
    found = await docket.get_execution("k")
    assert found is not None
    assert found.priority is level  # known after the end, too


@pytest.mark.parametrize("level", list(Priority))
async def test_the_next_runs_of_a_chain_have_its_level(docket: Docket, level: Priority) -> None:
    await docket.add(repeated, key="k", priority=level)()
    async with at_most():
        await Worker(docket, "worker").run_at_most({"k": 3})
    assert seen == [("k", 1, level)] * 3


async def test_workers_place_an_automatic_task_at_its_own_level(docket: Docket) -> None:
    docket.register(urgent)
    async with at_most():
        await Worker(docket, "worker").run_at_most({"urgent": 1})
    assert seen == [("urgent", 1, HIGH)]


@pytest.mark.parametrize("level", list(Priority))
async def test_children_without_a_level_have_that_of_their_parent(docket: Docket, level: Priority) -> None:
    docket.register(once)
    await drained(docket, await docket.add(parent, priority=level)())
    assert sorted(seen) == [("inherits", 1, level), ("its own", 1, NORMAL), ("one of many", 1, level)]


async def test_children_of_a_program_are_normal(docket: Docket) -> None:
    async with working(a_worker(docket)), docket.task_group() as group:
        await group.add(once, key="k")()
    assert seen == [("k", 1, NORMAL)]


async def test_the_level_of_what_waits_for_a_limit_is_known_to_others(docket: Docket) -> None:
    began, go = anyio.Event(), anyio.Event()

    async def alone(
        execution: Execution[Any] = CurrentExecution(), limit: ConcurrencyLimit = ConcurrencyLimit(1)
    ) -> None:
        note(execution)
        began.set()
        await go.wait()

    await docket.add(alone, key="first", priority="high")()
    second = await docket.add(alone, key="second", priority="low")()
    async with working(a_worker(docket)):
        await began.wait()
        async for event in second.subscribe():
            if event["type"] == "state" and event["state"] is ExecutionState.SCHEDULED:
                break
        waits = await docket.get_execution("second")
        assert waits is not None
        assert (waits.waits_for is not None, waits.priority) == (True, LOW)
        levels = {each.key: each.priority for each in (await docket.executions("limited")).executions}
        assert levels == {"second": LOW}
        go.set()
        await second.get_result()
    assert seen == [("first", 1, HIGH), ("second", 1, LOW)]


# what is due of each level, and who serves it ----------------------------------------------------------------


async def test_how_much_is_due_of_each_level_and_what_nobody_serves(docket: Docket) -> None:
    await docket.add_many(
        [docket.call(remote_task("elsewhere"), priority=each)() for each in ("high", "low", "low")]
    )
    await docket.add(remote_task("elsewhere"))()
    counts = await docket.counts()
    assert (counts.due, dict(counts.levels)) == (4, {HIGH: 1, LOW: 2})
    assert counts.unserved == (HIGH, NORMAL, LOW)  # there is no worker


async def test_a_docket_without_levels_says_nothing_of_them(docket: Docket) -> None:
    await docket.add(once)()
    counts = await docket.counts()
    assert (counts.due, dict(counts.levels)) == (1, {})
    depths = await docket.store.records.depths()
    assert (depths.due, depths.levels) == (1, {})


async def test_a_worker_says_which_levels_it_serves(docket: Docket) -> None:
    began, go = anyio.Event(), anyio.Event()

    async def holds() -> None:
        began.set()
        await go.wait()

    await docket.add(holds, priority="high")()
    left = [await docket.add(once, key=level, priority=level)() for level in ("normal", "low")]
    async with working(a_worker(docket, lanes=("high",))):
        await began.wait()
        (worker,) = await docket.workers()
        assert worker.lanes == (HIGH,)
        counts = await docket.counts()
        assert (counts.due, counts.running, counts.unserved) == (2, 1, (NORMAL, LOW))
        depths = await docket.store.records.depths()
        assert dict(depths.levels) == {HIGH: 1, NORMAL: 1, LOW: 1}  # what runs among them
        assert await docket.store.liveness.served() == {HIGH}
        async with working(a_worker(docket, "other", lanes=("normal", "low"))):
            for execution in left:
                await execution.get_result()
            assert await docket.store.liveness.served() == {HIGH, NORMAL, LOW}
        go.set()
    assert sorted(seen) == [("low", 1, LOW), ("normal", 1, NORMAL)]  # they run side by side


async def test_what_a_worker_of_pydockets_serves_is_normal(docket: Docket) -> None:
    await docket.client.call("ZADD", docket.keys.workers, f"{datetime.now(UTC).timestamp()}", "theirs")
    (worker,) = await docket.workers()
    assert worker.lanes is None
    assert await docket.store.liveness.served() == {NORMAL}
    await docket.add(once, priority="high")()
    await docket.add(once)()
    assert (await docket.counts()).unserved == (HIGH,)
