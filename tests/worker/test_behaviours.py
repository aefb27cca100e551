"""The cells of docs/behaviours.md that no other test claims; on memory:// with a virtual clock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    CurrentExecution,
    Debounce,
    Depends,
    Docket,
    Execution,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    Shared,
    Timeout,
    Worker,
    clock,
)
from docket.dependencies import CompletionHandler, FailureHandler, TaskOutcome
from docket.execution import ExecutionState
from docket.store import Claims
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

SECOND = timedelta(seconds=1)
NOW = timedelta(0)


@pytest.fixture
async def d(memory_url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket("d", memory_url) as d:
        yield d


async def state(execution: Execution[Any]) -> ExecutionState:
    await execution.sync()
    return execution.state


async def interrupted(d: Docket, after: float, act: Callable[[Worker], Awaitable[object]]) -> None:
    """Run a worker, and do something after so many seconds."""
    worker = Worker(d, "interrupted", shutdown_timeout=NOW)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await anyio.sleep(after)
        await act(worker)
        await anyio.sleep(1)  # virtual: for what the act has asked for
        worker.stop()


async def deadline(worker: Worker) -> None:
    """The worker stops and gives what runs no time."""
    worker.stop()


async def taken_by_one_that_dies(d: Docket) -> None:
    claims = d.store.claims("dies")
    await claims.create_group()
    assert await claims.take(1)


async def finish(d: Docket) -> None:
    await Worker(d, "heir").run_until_finished()


# attempts and their times -----------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", ["deadline", "crash"])
async def test_an_attempt_that_is_interrupted_is_repeated_under_its_number(
    d: Docket, interruption: str
) -> None:
    seen: list[tuple[int, bool]] = []

    async def task(retry: Retry = Retry(attempts=2), execution: Execution[Any] = CurrentExecution()) -> None:
        seen.append((retry.attempt, execution.redelivered))
        if len(seen) == 2:
            await anyio.sleep_forever()
        raise ValueError("no")

    execution = await d.add(task)()
    await interrupted(d, 1, deadline)
    if interruption == "crash":
        await taken_by_one_that_dies(d)
    await finish(d)
    assert seen == [(1, False), (2, False), (2, interruption == "crash")]
    assert await state(execution) is ExecutionState.FAILED


async def test_an_attempt_that_fails_while_the_worker_drains_is_followed_by_the_next_one_elsewhere(
    d: Docket,
) -> None:
    runs: list[int] = []

    async def task(retry: Retry = Retry(attempts=2, delay=5 * SECOND)) -> None:
        runs.append(retry.attempt)
        await anyio.sleep(2)
        raise ValueError("no")

    execution = await d.add(task)()
    worker = Worker(d, "drains")
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await anyio.sleep(1)
        worker.stop()
    assert await state(execution) is ExecutionState.SCHEDULED
    await finish(d)
    assert runs == [1, 2]


async def test_the_time_counts_from_the_body_on_and_anew_in_each_run(d: Docket) -> None:
    left: list[float] = []

    async def slow() -> None:
        await anyio.sleep(10)

    async def task(
        timeout: Timeout = Timeout(3 * SECOND), slow: None = Depends(slow), retry: Retry = Retry(attempts=2)
    ) -> None:
        left.append(timeout.remaining().total_seconds())
        timeout.extend(SECOND)
        await anyio.sleep(100)

    execution = await d.add(task)()
    await interrupted(d, 12, deadline)
    began = clock.timestamp()
    await finish(d)
    assert left == [pytest.approx(3)] * 3  # handed back, first attempt, second attempt
    assert clock.timestamp() - began == pytest.approx(2 * (10 + 4), abs=0.1)
    assert await state(execution) is ExecutionState.FAILED


# perpetual tasks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", ["deadline", "crash"])
async def test_what_an_interrupted_run_said_of_the_next_one_is_forgotten(
    d: Docket, interruption: str
) -> None:
    seen: list[int] = []

    async def task(number: int, perpetual: Perpetual = Perpetual()) -> None:
        seen.append(number)
        perpetual.perpetuate(number + 1)
        perpetual.cancel()
        if len(seen) == 1:
            await anyio.sleep_forever()

    await d.add(task)(0)
    await interrupted(d, 1, deadline)
    if interruption == "crash":
        await taken_by_one_that_dies(d)
    await finish(d)
    assert seen == [0, 0]


async def test_what_a_failed_attempt_said_of_the_next_run_is_forgotten(d: Docket) -> None:
    seen: list[tuple[int, int]] = []

    async def task(number: int, retry: Retry = Retry(attempts=2), perpetual: Perpetual = Perpetual()) -> None:
        seen.append((number, retry.attempt))
        perpetual.perpetuate(number + 1)
        if retry.attempt == 1:
            perpetual.cancel()
            raise ValueError("no")
        if number:
            perpetual.cancel()

    await d.add(task)(0)
    await finish(d)
    assert seen == [(0, 1), (0, 2), (1, 1), (1, 2)]


# what it was admitted with ----------------------------------------------------------------------------------


@pytest.mark.parametrize("interruption", ["deadline", "lost"])
async def test_an_interrupted_run_is_not_counted_by_what_has_admitted_it(
    d: Docket, interruption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []

    async def task(
        slot: ConcurrencyLimit = ConcurrencyLimit(1),
        rate: RateLimit = RateLimit(1, per=timedelta(hours=1)),
        pause: Cooldown = Cooldown(timedelta(hours=1)),
        burst: Debounce = Debounce(SECOND),
    ) -> None:
        seen.append(clock.timestamp())
        if len(seen) == 1:
            await anyio.sleep_forever()

    async def interrupt(worker: Worker) -> None:
        worker.stop()

    async def lost(self: Claims, held: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset(held)

    execution = await d.add(task)()
    if interruption == "lost":  # what runs is not settled, as after a crash
        with monkeypatch.context() as patch:
            patch.setattr(Claims, "renew", lost)
            await interrupted(d, 100, interrupt)
        assert await state(execution) is ExecutionState.RUNNING
    else:
        await interrupted(d, 2, interrupt)
    await finish(d)
    first, second = seen
    assert second - first < 10 * 60
    assert await state(execution) is ExecutionState.COMPLETED


# what is open -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["cancel", "deadline", "timeout"])
async def test_a_context_manager_sees_why_the_body_ended_and_may_await(d: Docket, ending: str) -> None:
    seen: list[BaseException | str] = []

    @asynccontextmanager
    async def resource() -> AsyncGenerator[None]:
        try:
            yield
        except BaseException as error:
            await anyio.sleep(1)
            seen.append(error)
            raise
        finally:
            seen.append("closed")

    timeout = Timeout(SECOND if ending == "timeout" else 100 * SECOND)

    async def task(resource: None = Depends(resource), timeout: Timeout = timeout) -> None:
        await anyio.sleep_forever()

    async def act(worker: Worker) -> None:
        if ending == "cancel":
            await d.cancel(execution.key)
        elif ending == "deadline":
            worker.stop()

    execution = await d.add(task)()
    await interrupted(d, 2, act)
    error, closed = seen
    assert isinstance(error, TimeoutError) is (ending == "timeout")
    assert isinstance(error, Exception) is (ending == "timeout")
    assert closed == "closed"
    ends = {"cancel": "CANCELLED", "deadline": "QUEUED", "timeout": "FAILED"}
    assert await state(execution) is ExecutionState[ends[ending]]


@pytest.mark.parametrize("ending", ["cancel", "retry"])
async def test_what_is_shared_stays_open_when_a_task_ends(d: Docket, ending: str) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def pool() -> AsyncGenerator[None]:
        log.append("open")
        yield
        log.append("closed")

    async def task(pool: None = Shared(pool), retry: Retry = Retry(attempts=2)) -> None:
        log.append("begin")
        if ending == "retry":
            raise ValueError("no")
        await anyio.sleep_forever()

    execution = await d.add(task, key="first")()
    if ending == "retry":
        await finish(d)
    else:

        async def act(worker: Worker) -> None:
            await d.cancel(execution.key)
            await d.add(task, key="second")()

        await interrupted(d, 1, act)
    assert log == ["open", "begin", "begin", "closed"]


@pytest.mark.parametrize("interruption", ["retry", "deadline", "crash"])
async def test_progress_begins_anew_with_each_run(d: Docket, interruption: str) -> None:
    seen: list[tuple[int | None, int, str | None]] = []

    async def task(progress: Progress = Progress(), retry: Retry = Retry(attempts=2)) -> None:
        seen.append((progress.current, progress.total, progress.message))
        await progress.set_total(50)
        await progress.increment(5)
        await progress.set_message("at work")
        if len(seen) == 1:
            if interruption == "retry":
                raise ValueError("no")
            await anyio.sleep_forever()

    await d.add(task)()
    if interruption != "retry":
        await interrupted(d, 1, deadline)
    if interruption == "crash":
        await taken_by_one_that_dies(d)
    await finish(d)
    assert seen == [(0, 100, None)] * 2


# handlers ---------------------------------------------------------------------------------------------------


class Asked(FailureHandler["Asked"]):
    """Notes what it was asked about."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def __aenter__(self) -> Asked:
        return self

    async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
        self.log.append(f"failure {type(outcome.exception).__name__}")
        return False


class AskedToo(CompletionHandler["AskedToo"]):
    """Notes what it was asked about."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def __aenter__(self) -> AskedToo:
        return self

    async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
        self.log.append(f"end {outcome.result!r} {type(outcome.exception).__name__}")
        return False


async def test_handlers_are_not_asked_about_what_is_cancelled_or_handed_back(d: Docket) -> None:
    log: list[str] = []

    async def task(one: Asked = Asked(log), two: AskedToo = AskedToo(log)) -> int:
        await anyio.sleep(10)
        return 1

    async def cancel(worker: Worker) -> None:
        await d.cancel("cancelled")

    cancelled = await d.add(task, key="cancelled")()
    await interrupted(d, 1, cancel)
    assert await state(cancelled) is ExecutionState.CANCELLED
    handed_back = await d.add(task, key="handed back")()
    await interrupted(d, 1, deadline)
    assert await state(handed_back) is ExecutionState.QUEUED
    assert log == []
    await finish(d)
    assert log == ["end 1 NoneType"]


async def test_handlers_are_asked_about_a_timeout_and_about_a_dependency_that_cannot_be_had(
    d: Docket,
) -> None:
    log: list[str] = []

    def broken() -> None:
        raise OSError("broken")

    async def late(
        one: Asked = Asked(log), two: AskedToo = AskedToo(log), timeout: Timeout = Timeout(SECOND)
    ) -> None:
        await anyio.sleep_forever()

    async def without(
        broken: None = Depends(broken), one: Asked = Asked(log), two: AskedToo = AskedToo(log)
    ) -> None: ...

    for task, error in (late, "TimeoutError"), (without, "ExceptionGroup"):
        log.clear()
        await d.add(task)()
        await finish(d)
        assert log == [f"failure {error}", f"end None {error}"]


async def test_handlers_are_asked_again_about_an_error_on_closing(d: Docket) -> None:
    log: list[str] = []

    @asynccontextmanager
    async def resource() -> AsyncGenerator[None]:
        yield
        raise OSError("cannot commit")

    async def task(
        resource: None = Depends(resource), one: Asked = Asked(log), two: AskedToo = AskedToo(log)
    ) -> int:
        return 1

    execution = await d.add(task)()
    await finish(d)
    assert log == ["end 1 NoneType", "failure OSError", "end None OSError"]
    assert await state(execution) is ExecutionState.FAILED
