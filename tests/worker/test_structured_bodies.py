"""Bodies that are structured concurrency themselves: children, clean-up after a cancellation, groups of errors."""

from __future__ import annotations

import anyio
import pytest

from docket import Docket, ExecutionCancelled, Retry, Timeout, Worker
from docket.execution import ExecutionState
from tests.durations import ms
from tests.worker.conftest import drained, working

pytestmark = pytest.mark.anyio


async def test_a_task_waits_for_its_children(docket: Docket) -> None:
    done: list[int] = []

    async def child(number: int) -> None:
        await anyio.sleep(0)
        done.append(number)

    async def task() -> list[int]:
        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(child, number)
        return sorted(done)

    execution = await drained(docket, await docket.add(task)())
    assert await execution.get_result() == [0, 1, 2]


async def test_the_errors_of_children_reach_who_waits_as_the_group_that_they_are(docket: Docket) -> None:
    async def child(error: Exception) -> None:
        raise error

    async def task() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child, ValueError("one"))
            group.start_soon(child, LookupError("two"))

    execution = await drained(docket, await docket.add(task)())
    assert execution.state is ExecutionState.FAILED
    with pytest.raises(ExceptionGroup) as info:
        await execution.get_result()
    assert {type(error) for error in info.value.exceptions} == {ValueError, LookupError}


async def test_a_group_of_errors_is_retried_like_one(docket: Docket) -> None:
    runs: list[int] = []

    async def task(retry: Retry = Retry(attempts=2)) -> str:
        runs.append(retry.attempt)
        if retry.attempt == 1:
            raise ExceptionGroup("both", [ValueError("one"), LookupError("two")])
        return "done"

    execution = await drained(docket, await docket.add(task)())
    assert runs == [1, 2]
    assert await execution.get_result() == "done"


async def test_cancelling_a_task_cancels_its_children_first(docket: Docket) -> None:
    started = anyio.Event()
    log: list[str] = []

    async def child() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            log.append("child")

    async def task() -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(child)
        finally:
            log.append("task")

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket, "worker")):
        await started.wait()
        await docket.cancel("k")
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert log == ["child", "task"]


async def test_a_cancelled_task_may_clean_up_in_a_shield(docket: Docket) -> None:
    started = anyio.Event()
    log: list[str] = []

    async def task() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)  # an await, which the cancellation would end outside of the shield
                log.append("cleaned up")
            raise

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket, "worker")):
        await started.wait()
        await docket.cancel("k")
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert log == ["cleaned up"]


async def test_a_task_that_cancels_a_scope_of_its_own_goes_on_after_it(docket: Docket) -> None:
    async def task() -> str:
        with anyio.move_on_after(0.001) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.cancel_scope.cancel()
        return "went on"

    execution = await drained(docket, await docket.add(task)())
    assert await execution.get_result() == "went on"


async def test_an_error_while_cleaning_up_does_not_undo_the_cancellation(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    started = anyio.Event()

    async def task() -> None:
        try:
            started.set()
            await anyio.sleep_forever()
        finally:
            raise OSError("cannot clean up")

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket, "worker")):
        await started.wait()
        await docket.cancel("k")
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert "cannot clean up" in caplog.text


async def test_an_error_of_one_child_among_cancelled_ones_is_the_tasks_error(docket: Docket) -> None:
    async def fails() -> None:
        raise ValueError("one")

    async def task() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            group.start_soon(fails)

    execution = await drained(docket, await docket.add(task)())
    assert execution.state is ExecutionState.FAILED
    with pytest.raises(ExceptionGroup) as info:
        await execution.get_result()
    assert [str(error) for error in info.value.exceptions] == ["one"]


async def test_a_timeout_ends_the_children_too(docket: Docket) -> None:
    log: list[str] = []

    async def child() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append("child")

    async def task(timeout: Timeout = Timeout(ms(20))) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child)
            group.start_soon(child)

    execution = await drained(docket, await docket.add(task)())
    assert log == ["child", "child"]
    with pytest.raises(TimeoutError):
        await execution.get_result()


async def test_a_task_may_wait_for_another_one_of_the_same_worker(docket: Docket) -> None:
    async def inner() -> str:
        return "inner"

    async def outer() -> str:
        return "outer and " + await (await docket.add(inner)()).get_result()

    execution = await drained(docket, await docket.add(outer)())
    assert await execution.get_result() == "outer and inner"
