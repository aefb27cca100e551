"""A worker that stops finishes its tasks or hands them back, and cancellation comes out of it (I6)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from docket import Docket, Worker, clock
from docket.execution import Execution, ExecutionState
from tests.durations import ms
from tests.where import on_asyncio, virtual_time
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio


class Body:
    """A task that sets ``begun``, and ends when it is released."""

    def __init__(self) -> None:
        self.begun, self.released, self.runs = anyio.Event(), anyio.Event(), 0

    async def __call__(self) -> str:
        self.runs += 1
        self.begun.set()
        await self.released.wait()
        return "finished"

    async def add(self, docket: Docket) -> Execution[Any]:
        async def task() -> str:
            return await self()

        return await docket.add(task, key="the-key")()


async def test_a_cancelled_worker_finishes_its_tasks_and_then_the_cancellation_comes_out(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    body = Body()
    execution = await body.add(docket)
    came_out: list[BaseException] = []

    async def work() -> None:
        try:
            await Worker(docket).run_forever()
        except anyio.get_cancelled_exc_class() as error:
            came_out.append(error)
            raise

    with caplog.at_level(logging.INFO, "docket"):
        async with at_most(), anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as inner:
                    inner.start_soon(work)

                    async def cancel() -> None:
                        await body.begun.wait()
                        scope.cancel()
                        body.released.set()

                    group.start_soon(cancel)
    assert len(came_out) == 1
    assert scope.cancelled_caught
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED
    assert "Shutdown requested, finishing 1 active tasks..." in caplog.messages


async def test_a_worker_cancelled_before_it_has_begun_ends(docket: Docket) -> None:
    body = Body()
    execution = await body.add(docket)
    async with at_most():
        with anyio.CancelScope() as scope:
            scope.cancel()
            await Worker(docket).run_forever()
        assert scope.cancelled_caught
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    assert body.runs == 0
    assert not await docket.workers()


@pytest.mark.parametrize("steps", range(12))
async def test_a_worker_cancelled_at_any_moment_of_its_start_ends(docket: Docket, steps: int) -> None:
    async def quick() -> None: ...

    await docket.add_many([docket.call(quick)() for _ in range(3)])
    async with at_most(5), anyio.create_task_group() as group:
        group.start_soon(Worker(docket).run_forever)
        for _ in range(steps):
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    async with at_most(5):  # no task is stranded: each was run or handed back
        await Worker(docket, "next").run_until_finished()


async def test_a_worker_that_drains_is_seen_to_at_once_and_is_gone_afterwards(url: str) -> None:
    body = Body()
    async with Docket("drains", url, heartbeat_interval=timedelta(hours=1)) as docket:
        await body.add(docket)
        worker = Worker(docket)
        async with at_most(), anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await body.begun.wait()
            (seen,) = await docket.workers()
            assert not seen.draining
            worker.stop()
            while not seen.draining:
                await anyio.sleep(0.001)  # no heartbeat is told of
                (seen,) = await docket.workers()
            (knows,) = await docket.task_workers("task")
            counts = await docket.counts()
            assert (knows.draining, counts.workers, counts.draining) == (True, 1, 1)
            body.released.set()
        counts = await docket.counts()
        assert (counts.workers, counts.draining) == (0, 0)


async def test_stop_finishes_running_tasks_takes_nothing_new_and_ends_normally(docket: Docket) -> None:
    body = Body()
    first = await body.add(docket)
    worker = Worker(docket, concurrency=5)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await body.begun.wait()
        worker.stop()

        async def never() -> None: ...

        second = await docket.add(never)()
        body.released.set()
    await first.sync()
    await second.sync()
    assert (first.state, second.state) == (ExecutionState.COMPLETED, ExecutionState.QUEUED)


async def test_stop_without_a_run_is_without_effect(docket: Docket) -> None:
    async def task() -> int:
        return 1

    worker = Worker(docket)
    worker.stop()
    worker.hand_back()
    execution = await docket.add(task)()
    async with at_most():
        await worker.run_until_finished()
        assert await execution.get_result() == 1


async def test_a_task_that_is_handed_back_starts_elsewhere_at_once_and_its_attempt_does_not_count(
    docket: Docket,
) -> None:
    attempts: list[tuple[str, int]] = []
    begun = {name: anyio.Event() for name in ("first", "second")}
    from docket import CurrentExecution, CurrentWorker

    async def task(execution: Execution[Any] = CurrentExecution(), worker: Worker = CurrentWorker()) -> None:
        attempts.append((worker.name, execution.attempt))
        begun[worker.name].set()
        await anyio.sleep_forever()

    execution = await docket.add(task)()
    first = Worker(docket, "first")
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(first.run_forever)
        await begun["first"].wait()
        first.hand_back()
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
    assert execution.worker is None
    async with working(Worker(docket, "second")):
        await begun["second"].wait()
    assert attempts == [("first", 1), ("second", 1)]


async def test_a_waiting_worker_starts_a_task_that_another_hands_back(docket: Docket) -> None:
    await taken_over(docket)


@virtual_time
async def test_a_waiting_worker_starts_it_within_100_ms(docket: Docket) -> None:
    assert await taken_over(docket) < 0.1


async def taken_over(docket: Docket) -> float:
    """Seconds from the hand-back by one worker to the start by the other."""
    begun = [anyio.Event(), anyio.Event()]
    count = 0

    async def task() -> None:
        nonlocal count
        count += 1
        begun[count - 1].set()
        await anyio.sleep_forever()

    await docket.add(task)()
    workers = {name: Worker(docket, name) for name in ("one", "two")}
    async with at_most(), anyio.create_task_group() as group:
        for worker in workers.values():
            group.start_soon(worker.run_forever)
        await begun[0].wait()
        execution = (await docket.snapshot()).running[0]
        began = clock.monotonic()
        workers[execution.worker].hand_back()
        await begun[1].wait()
        took = clock.monotonic() - began
        for worker in workers.values():
            worker.hand_back()
    return took


async def test_after_the_shutdown_timeout_running_tasks_are_handed_back(docket: Docket) -> None:
    body = Body()
    execution = await body.add(docket)
    worker = Worker(docket, shutdown_timeout=ms(30))
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await body.begun.wait()
        worker.stop()
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED


async def test_a_body_that_fails_as_it_is_handed_back_is_queued_all_the_same(docket: Docket) -> None:
    begun = anyio.Event()

    async def clumsy() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    execution = await docket.add(clumsy)()
    worker = Worker(docket)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await begun.wait()
        worker.hand_back()
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED


async def test_dependencies_that_do_not_close_do_not_keep_the_worker(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collections.abc import AsyncGenerator
    from contextlib import asynccontextmanager

    from docket import Depends
    from docket.worker import drain

    monkeypatch.setattr(drain, "CLOSING", 0.05)
    begun = anyio.Event()

    @asynccontextmanager
    async def sticky() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            await anyio.sleep_forever()

    async def task(number: int = Depends(sticky)) -> None:
        begun.set()
        await anyio.sleep_forever()

    execution = await docket.add(task)()
    worker = Worker(docket, shutdown_timeout=ms(0))
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await begun.wait()
        worker.stop()
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED


@virtual_time
async def test_a_lease_is_kept_while_draining(docket: Docket) -> None:
    """I3: another worker does not get the task although the drain outlasts the redelivery timeout."""
    body = Body()
    execution = await body.add(docket)
    timeout = timedelta(seconds=5)
    first = Worker(docket, "first", redelivery_timeout=timeout)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(first.run_forever)
        await body.begun.wait()
        first.stop()
        other = Worker(docket, "other", redelivery_timeout=timeout)
        group.start_soon(other.run_forever)
        # Time must pass here, in which nothing may happen.
        await anyio.sleep(3 * timeout.total_seconds())
        body.released.set()
        assert await execution.get_result() == "finished"
        other.stop()
    assert body.runs == 1


async def test_a_clean_exit_removes_the_worker_from_the_lists(docket: Docket) -> None:
    async def task() -> None: ...

    docket.register(task)
    worker = Worker(docket, "leaves")
    async with working(worker):
        while not await docket.task_workers("task"):
            await anyio.sleep(0.005)  # a heartbeat notifies nobody
        [known] = await docket.workers()
        assert known.name == "leaves"
        assert "task" in known.tasks
    assert not await docket.workers()
    assert not await docket.task_workers("task")
    async with docket.redis() as redis:
        assert not await redis.exists(docket.worker_tasks_set("leaves"))


async def test_a_second_run_until_finished_after_a_stop_takes_the_rest(docket: Docket) -> None:
    ran: list[int] = []

    async def task(number: int) -> None:
        ran.append(number)
        if number == 0:
            worker.stop()

    worker = Worker(docket, concurrency=1)
    await docket.add_many([docket.call(task)(number) for number in range(4)])
    async with at_most():
        await worker.run_until_finished()
        assert len(ran) < 4
        await worker.run_until_finished()
    assert sorted(ran) == [0, 1, 2, 3]


class TestOnAsyncio:
    pytestmark = on_asyncio

    async def test_a_native_cancel_drains_and_comes_out(self, docket: Docket) -> None:
        body = Body()
        execution = await body.add(docket)
        async with at_most():
            run = asyncio.create_task(Worker(docket).run_forever())
            await body.begun.wait()
            run.cancel()
            await asyncio.sleep(0.01)
            assert not run.done()
            body.released.set()
            with pytest.raises(asyncio.CancelledError):
                await run
            assert await execution.get_result() == "finished"

    @pytest.mark.parametrize("method", ["run_forever", "run_until_finished", "run_with_signals"])
    @pytest.mark.parametrize("times", [2, 3])
    async def test_a_second_native_cancel_hands_back_at_once_as_a_second_signal_does(
        self, docket: Docket, method: str, times: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        body = Body()
        execution = await body.add(docket)
        worker = Worker(docket, shutdown_timeout=timedelta(minutes=1))
        with caplog.at_level(logging.INFO, "docket"):
            async with at_most(5):
                run = asyncio.create_task(getattr(worker, method)())
                await body.begun.wait()
                for _ in range(times):
                    run.cancel()
                    await asyncio.sleep(0)
                with pytest.raises(asyncio.CancelledError):
                    await run
        assert run.cancelled()
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED
        assert "Cancelled again, handing back what runs" in caplog.messages

    async def test_so_does_one_that_follows_the_cancellation_of_a_scope_around_the_worker(
        self, docket: Docket
    ) -> None:
        body = Body()
        execution = await body.add(docket)

        async def work() -> None:
            async with anyio.create_task_group() as group:
                scopes.append(group.cancel_scope)
                await Worker(docket, shutdown_timeout=timedelta(minutes=1)).run_forever()

        scopes: list[anyio.CancelScope] = []
        async with at_most(5):
            run = asyncio.create_task(work())
            await body.begun.wait()
            scopes[0].cancel()
            scopes[0].cancel()  # a scope is cancelled once
            await asyncio.sleep(0.01)
            assert not run.done()
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # anyio's scope may take it for its own
                await run
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED

    async def test_so_does_one_that_follows_a_stop(self, docket: Docket) -> None:
        body = Body()
        execution = await body.add(docket)
        worker = Worker(docket, shutdown_timeout=timedelta(minutes=1))
        async with at_most(5):
            run = asyncio.create_task(worker.run_forever())
            await body.begun.wait()
            worker.stop()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run, 0.01)
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED

    @pytest.mark.parametrize("steps", range(6))
    async def test_a_native_cancel_right_after_the_start_ends_it(self, docket: Docket, steps: int) -> None:
        async with at_most():
            run = asyncio.create_task(Worker(docket).run_forever())
            for _ in range(steps):
                await asyncio.sleep(0)
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run


@pytest.mark.parametrize("use_uvloop", [False, True], ids=["asyncio", "uvloop"])
def test_a_loop_that_shuts_down_has_handed_back_its_tasks(redis_url: str, use_uvloop: bool) -> None:
    async def start_and_leave() -> None:
        begun = asyncio.Event()

        async def endless() -> None:
            begun.set()
            await asyncio.sleep(3600)

        docket = Docket("left", redis_url)
        await docket.__aenter__()
        await docket.add(endless, key="the-key")()
        abandoned.append(
            asyncio.create_task(Worker(docket, redelivery_timeout=timedelta(seconds=9)).run_forever())
        )
        await begun.wait()

    async def look() -> tuple[str, int]:
        async with Docket("left", redis_url) as docket:
            execution = await docket.get_execution("the-key")
            assert execution is not None
            async with docket.redis() as redis:
                return execution.state.value, await redis.xlen(docket.stream_key)

    abandoned: list[asyncio.Task[None]] = []
    began = time.perf_counter()
    anyio.run(start_and_leave, backend_options={"use_uvloop": use_uvloop})
    assert time.perf_counter() - began < 5
    assert abandoned[0].cancelled()
    assert anyio.run(look) == ("queued", 1)
