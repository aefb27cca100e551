"""A plain ``def`` task runs in a thread, which nothing can interrupt: its lease is kept until it has ended."""

from __future__ import annotations

import contextvars
import functools
import threading
from datetime import timedelta
from typing import Any

import anyio
import anyio.from_thread
import pytest

from docket import Depends, Docket, ExecutionCancelled, Perpetual, Retry, TaskKey, Timeout, Worker
from docket.execution import ExecutionState
from docket.worker import drain
from tests.durations import ms
from tests.worker.conftest import PATIENCE, at_most, working

pytestmark = pytest.mark.anyio


async def run(docket: Docket, **settings: Any) -> None:
    with anyio.fail_after(PATIENCE):
        await Worker(docket, "worker", **settings).run_until_finished()


class Gate:
    """Lets a thread wait for the test, and the test for the thread."""

    def __init__(self) -> None:
        self.entered, self.go_on = anyio.Event(), threading.Event()

    def pass_through(self) -> None:
        anyio.from_thread.run_sync(self.entered.set)
        assert self.go_on.wait(PATIENCE)


async def test_a_plain_function_runs_in_a_thread_with_its_dependencies(docket: Docket) -> None:
    def setting() -> str:
        return "setting"

    def task(number: int, key: str = TaskKey(), setting: str = Depends(setting)) -> Any:
        return number, key, setting, threading.current_thread() is threading.main_thread()

    execution = await docket.add(task, key="k")(1)
    await run(docket)
    assert await execution.get_result() == (1, "k", "setting", False)


async def test_an_error_in_a_thread_fails_the_task_and_can_be_retried(docket: Docket) -> None:
    runs: list[int] = []

    def task(retry: Retry = Retry(attempts=2)) -> None:
        runs.append(retry.attempt)
        raise ValueError("no")

    execution = await docket.add(task)()
    await run(docket)
    assert runs == [1, 2]
    with pytest.raises(ValueError, match="no"):
        await execution.get_result()


async def test_a_thread_sees_the_context_of_its_task(docket: Docket) -> None:
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")

    def set_tenant() -> None:
        tenant.set("north")

    def task(_: None = Depends(set_tenant)) -> str:
        return tenant.get()

    execution = await docket.add(task)()
    await run(docket)
    assert await execution.get_result() == "north"


async def test_a_thread_may_call_the_docket(docket: Docket) -> None:
    async def child() -> str:
        return "child"

    def task() -> str:
        return anyio.from_thread.run(docket.add(child)).key

    execution = await docket.add(task)()
    await run(docket)
    added = await docket.get_execution(await execution.get_result())
    assert added is not None
    assert await added.get_result() == "child"


async def test_as_many_threads_run_as_the_worker_has_places(docket: Docket) -> None:
    """Also more than anyio's own limit of 40."""
    count = 45
    together = threading.Barrier(count)

    def task() -> None:
        together.wait(PATIENCE)

    executions = [await docket.add(task)() for _ in range(count)]
    await run(docket, concurrency=count)
    for execution in executions:
        assert await execution.get_result() is None


async def test_a_decorated_coroutine_function_runs_on_the_loop(docket: Docket) -> None:
    def logged(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    @logged
    async def task(number: int) -> tuple[int, bool]:
        await anyio.sleep(0)
        return number, threading.current_thread() is threading.main_thread()

    executions = [await docket.add(task)(number) for number in range(2)]
    await run(docket)
    assert [await execution.get_result() for execution in executions] == [(0, True), (1, True)]


async def test_what_a_thread_has_made_is_a_body_like_any_other_once_it_runs_on_the_loop(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A drain does not wait for it as it waits for threads, which nothing can interrupt."""
    monkeypatch.setattr(drain, "CLOSING", 0.01)
    begun = anyio.Event()

    async def holds_on() -> None:
        begun.set()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.1)

    def task() -> Any:
        return holds_on()

    await docket.add(task)()
    worker = Worker(docket, "worker")
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await begun.wait()
        worker.hand_back()
    assert not [line for line in caplog.messages if "in threads" in line]


async def test_a_thread_that_heeds_its_cancellation_is_cancelled(docket: Docket) -> None:
    gate = Gate()

    def task() -> None:
        gate.pass_through()
        anyio.from_thread.check_cancelled()

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket, "worker")):
        await gate.entered.wait()
        await docket.cancel("k")
        while not gate.go_on.is_set():
            record = await docket.get_execution("k")
            assert record is not None
            async with docket.redis() as redis:
                if await redis.hget(docket.runs_key("k"), "cancel_requested"):
                    gate.go_on.set()
            await anyio.sleep(0.02)  # the request is on the server; the worker hears of it in a moment
        with pytest.raises(Exception, match="cancelled"):
            await execution.get_result()
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_a_thread_that_does_not_heed_its_cancellation_completes(docket: Docket) -> None:
    gate = Gate()

    def task() -> str:
        gate.pass_through()
        return "done all the same"

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket, "worker")):
        await gate.entered.wait()
        await docket.cancel("k")
        gate.go_on.set()
        assert await execution.get_result() == "done all the same"


async def test_a_thread_that_does_not_heed_its_cancellation_is_the_last_one_of_its_chain(
    docket: Docket,
) -> None:
    gate, runs = Gate(), []

    def task(perpetual: Perpetual = Perpetual()) -> None:
        runs.append(perpetual.every)
        gate.pass_through()

    execution = await docket.add(task, key="k")()
    async with working(Worker(docket, "worker")):
        await gate.entered.wait()
        await docket.cancel("k")
        gate.go_on.set()
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert len(runs) == 1


async def test_a_thread_that_returns_after_its_timeout_has_timed_out(docket: Docket) -> None:
    def task(timeout: Timeout = Timeout(ms(20))) -> None:
        threading.Event().wait(0.06)  # work that cannot be interrupted, longer than the timeout

    execution = await docket.add(task)()
    await run(docket)
    with pytest.raises(TimeoutError):
        await execution.get_result()


async def test_the_drain_waits_for_threads_and_keeps_their_leases(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3: a body that nobody can stop is not handed back, or it would run twice."""
    monkeypatch.setattr(drain, "CLOSING", 0.05)
    gate = Gate()
    runs: list[str] = []

    def task() -> str:
        runs.append("run")
        gate.pass_through()
        return "done"

    lease = ms(200)
    execution = await docket.add(task)()
    first = Worker(docket, "first", redelivery_timeout=lease, shutdown_timeout=timedelta(0))
    second = Worker(docket, "second", redelivery_timeout=lease)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(first.run_forever)
        await gate.entered.wait()
        first.stop()
        group.start_soon(second.run_forever)
        await anyio.sleep(0.5)  # more than two leases, in which the second worker would take it over
        assert runs == ["run"]
        gate.go_on.set()
        assert await execution.get_result() == "done"
        second.stop()
    assert runs == ["run"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_thread_that_ends_after_the_deadline_has_ended_but_an_error_is_no_failure(
    docket: Docket, fails: bool
) -> None:
    gate = Gate()

    def task(retry: Retry = Retry(attempts=2)) -> str:
        gate.pass_through()
        if fails:
            raise ValueError("no")
        return "done"

    execution = await docket.add(task)()
    worker = Worker(docket, "worker")
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await gate.entered.wait()
        worker.hand_back()
        gate.go_on.set()
    await execution.sync()
    assert execution.state is (ExecutionState.QUEUED if fails else ExecutionState.COMPLETED)
