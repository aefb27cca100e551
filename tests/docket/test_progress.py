"""`Progress` and `ExecutionProgress`: tasks that say how far they are, and those who want to know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentExecution, Depends, Docket, Execution, Progress
from docket._execution_progress import ExecutionProgress as TheSameClass
from docket._execution_progress import ProgressEvent, StateEvent
from docket.execution import ExecutionProgress
from tests.docket.conftest import later, work, working

pytestmark = pytest.mark.anyio


class Collected:
    """What a subscription has brought."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.over = anyio.Event()

    async def follow(self, events: AsyncGenerator[Any], ready: anyio.Event | None = None) -> None:
        async with aclosing(events):
            async for event in events:
                self.events.append(event)
        self.over.set()

    @property
    def steps(self) -> list[tuple[int | None, int, str | None]]:
        return [(e["current"], e["total"], e["message"]) for e in self.events if e["type"] == "progress"]


async def import_records(count: int, progress: ExecutionProgress = Progress()) -> None:  # type: ignore[assignment]
    assert (progress.current, progress.total, progress.message) == (0, 100, None)
    await progress.set_total(count)
    await progress.set_message("Starting")
    for _ in range(count):
        await progress.increment()
    await progress.set_message(None)


async def test_what_a_task_reports_is_heard_in_order_and_gone_with_its_end(docket: Docket) -> None:
    execution = await docket.add(import_records)(2)
    collected, ready = Collected(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(collected.follow, execution.progress.subscribe(ready=ready))
        await ready.wait()
        await work(docket)
        with anyio.fail_after(10):
            await collected.over.wait()
    assert collected.steps == [
        (0, 2, None), (0, 2, "Starting"), (1, 2, "Starting"), (2, 2, "Starting"), (2, 2, None),
    ]  # fmt: skip
    assert (execution.progress.current, execution.progress.total) == (2, 2)
    assert execution.progress.updated_at is not None
    await execution.sync()
    assert (execution.progress.current, execution.progress.total) == (None, 100)
    assert not await docket.client.exists(docket.keys.progress(execution.key))


async def test_the_events_of_an_execution_have_its_progress_in_between(docket: Docket) -> None:
    execution = await docket.add(import_records)(1)
    collected, ready = Collected(), anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(collected.follow, execution.subscribe(ready=ready))
        await ready.wait()
        await work(docket)
    kinds = [event["type"] if event["type"] == "progress" else event["state"] for event in collected.events]
    assert kinds == ["queued", "progress", "running", *["progress"] * 4, "completed"]


async def test_every_progress_of_a_run_is_the_same(docket: Docket) -> None:
    """Also that of a dependency, and that of the execution."""
    seen: list[Any] = []

    @asynccontextmanager
    async def counting(progress: Progress = Progress()) -> AsyncIterator[Progress]:
        await progress.increment(1)
        yield progress
        await progress.increment(100)

    async def task(
        inner: Progress = Depends(counting),
        progress: Progress = Progress(),
        execution: Execution[None] = CurrentExecution(),
    ) -> None:
        await progress.increment(10)
        await progress.sync()
        fresh = await ExecutionProgress.create(execution.docket, execution.key)
        seen.extend([inner.current, progress.current, execution.progress.current, fresh.current])

    await docket.add(task)()
    await work(docket)
    assert seen == [11, 11, 11, 11]


async def test_phases_report_to_one_whole(docket: Docket) -> None:
    """As in pydocket's documentation, "Nested Progress Tracking"."""
    heard: list[tuple[int | None, int]] = []

    async def phase(database: str) -> AsyncIterator[int]:
        for percent in 30, 100:
            yield percent

    async def migrate(database: str, progress: Progress = Progress()) -> None:
        phases = {"extract": phase, "load": phase}
        await progress.set_total(len(phases) * 100)
        for name, run in phases.items():
            await progress.set_message(f"Phase: {name}")
            before = 0
            async for update in run(database):
                await progress.increment(update - before)
                before = update
        heard.append((progress.current, progress.total))

    await docket.add(migrate)("db")
    await work(docket)
    assert heard == [(200, 200)]


async def test_a_run_that_was_replaced_does_not_disturb_its_successor(docket: Docket) -> None:
    begun, go_on, seen = anyio.Event(), anyio.Event(), list[Any]()

    async def task(n: int, progress: Progress = Progress()) -> None:
        if n == 1:
            begun.set()
            await go_on.wait()
            await progress.increment(40)
            await progress.set_message("old")
            seen.append(("old", progress.current, progress.message))
            done.set()
        else:
            await progress.increment(2)
            go_on.set()
            await done.wait()
            await progress.sync()
            seen.append(("new", progress.current, progress.message))

    done = anyio.Event()
    async with working(docket):
        with anyio.fail_after(10):
            await docket.add(task, key="k")(1)
            await begun.wait()
            replaced = await docket.replace(task, when=later() - timedelta(days=9), key="k")(2)
            await replaced.get_result()
    assert seen == [("old", 40, "old"), ("new", 2, None)]


async def test_a_late_report_does_not_bring_the_progress_back(docket: Docket) -> None:
    kept: list[Any] = []

    async def task(progress: Progress = Progress()) -> None:
        kept.append(progress)

    execution = await docket.add(task)()
    await work(docket)
    await kept[0].increment()
    by_hand = ExecutionProgress(docket, execution.key)
    await by_hand.set_message("zombie")
    assert kept[0].current == 1
    assert by_hand.message == "zombie"
    assert not await docket.client.exists(docket.keys.progress(execution.key))


async def test_nothing_is_kept_where_nothing_is_to_be_kept(url: str) -> None:
    async with Docket("d", url, execution_ttl=timedelta(0)) as docket:
        heard: list[Any] = []

        async def task(
            progress: Progress = Progress(), execution: Execution[None] = CurrentExecution()
        ) -> None:
            await progress.increment(5)
            heard.append((await ExecutionProgress.create(docket, execution.key)).current)

        await docket.add(task, key="k")()
        await work(docket)
        assert heard == [5]
        assert await docket.client.keys("d:*:k") == []


async def test_by_hand_one_may_report_for_what_runs(docket: Docket) -> None:
    begun, go_on, seen = anyio.Event(), anyio.Event(), list[Any]()

    async def task(progress: Progress = Progress()) -> None:
        begun.set()
        await go_on.wait()
        await progress.increment(1)
        seen.append(progress.current)

    execution = await docket.add(task)()
    async with working(docket):
        with anyio.fail_after(10):
            await begun.wait()
            found = await docket.get_execution(execution.key)
            assert found is not None
            assert (found.progress.current, found.progress.total) == (0, 100)
            await found.progress.increment(6)
            go_on.set()
            await execution.get_result()
    assert seen == [7]


async def test_who_follows_what_has_ended_hears_nothing_and_goes_on(docket: Docket) -> None:
    execution = await docket.add(import_records)(1)
    await work(docket)
    with anyio.fail_after(10):
        assert [event async for event in execution.progress.subscribe()] == []


async def test_before_anything_is_known(docket: Docket) -> None:
    progress = ExecutionProgress(docket, "k")
    assert (progress.current, progress.total, progress.message, progress.updated_at) == (None, 1, None, None)
    assert (await ExecutionProgress.create(docket, "k")).total == 100
    assert repr(progress) == "<ExecutionProgress of 'k': None/1>"


@pytest.mark.parametrize("number", [0, -1])
async def test_counts_begin_at_one(docket: Docket, number: int) -> None:
    progress = ExecutionProgress(docket, "k")
    with pytest.raises(ValueError, match="Amount must be at least 1"):
        await progress.increment(number)
    with pytest.raises(ValueError, match="Total must be at least 1"):
        await progress.set_total(number)


@pytest.mark.parametrize("number", [2.5, "3", True, None])
async def test_counts_are_whole_numbers(docket: Docket, number: Any) -> None:
    progress = ExecutionProgress(docket, "k")
    with pytest.raises(TypeError, match="Amount takes a whole number from 1"):
        await progress.increment(number)
    with pytest.raises(TypeError, match="Total takes a whole number from 1"):
        await progress.set_total(number)


async def test_messages_are_text(docket: Docket) -> None:
    progress = ExecutionProgress(docket, "k")
    with pytest.raises(TypeError, match="a str or None, not int"):
        await progress.set_message(3)  # type: ignore[arg-type]
    await progress.set_message("\ud800")
    assert progress.message == "\\ud800"


async def test_a_progress_of_nobody_says_how_to_get_one() -> None:
    with pytest.raises(ValueError, match="Progress must be used as a dependency"):
        _ = Progress().current
    with pytest.raises(ValueError, match="Progress must be used as a dependency"):
        await Progress().increment()


def test_the_names_are_where_users_look_for_them() -> None:
    assert TheSameClass is ExecutionProgress
    assert {"current", "total", "message", "updated_at"} <= set(ProgressEvent.__annotations__)
    assert "state" in StateEvent.__annotations__
