"""``Worker(on_run_ended=...)``: functions that a worker calls with each run that has ended on it."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from datetime import timedelta
from threading import Lock, current_thread
from typing import Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Depends,
    Docket,
    EndedRun,
    Execution,
    ExecutionCancelled,
    ExecutionState,
    Perpetual,
    Retry,
    Worker,
)
from docket.dependencies import FailureHandler, TaskOutcome
from docket.worker.runs import hooks
from tests.durations import ms
from tests.where import asyncio_and_trio, on_asyncio
from tests.worker.conftest import PATIENCE, at_most

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


class Seen:
    """A hook that remembers."""

    def __init__(self) -> None:
        self.runs: list[EndedRun] = []

    async def __call__(self, run: EndedRun) -> None:
        self.runs.append(run)

    def told(self) -> list[tuple[str, str, bool]]:
        return [(run.ended, run.then, run.is_last) for run in self.runs]


async def run(docket: Docket, *hooks: Any, **settings: Any) -> None:
    with anyio.fail_after(PATIENCE):
        await Worker(docket, "worker", on_run_ended=hooks, **settings).run_until_finished()


async def test_a_hook_is_told_what_a_run_returned_and_how_long_it_took(docket: Docket) -> None:
    async def task(number: int) -> int:
        await anyio.sleep(0.01)
        return number + 1

    seen = Seen()
    await docket.add(task, key="k")(1)
    await run(docket, seen)
    [ended] = seen.runs
    assert (ended.ended, ended.then, ended.is_last) == ("succeeded", "", True)
    assert (ended.result, ended.exception, ended.next_at) == (2, None, None)
    assert (ended.execution.key, ended.execution.args) == ("k", (1,))
    assert ended.duration >= ms(10)


async def test_it_knows_which_attempt_is_the_last_beside_the_tasks_own_retry(docket: Docket) -> None:
    """A worker-wide FailureHandler cannot: a task has one only."""

    async def task(retry: Retry = Retry(attempts=3, delay=ms(20))) -> None:
        raise ValueError(f"attempt {retry.attempt}")

    seen = Seen()
    await docket.add(task)()
    await run(docket, seen)
    assert seen.told() == [
        ("failed", "retried", False),
        ("failed", "retried", False),
        ("failed", "", True),
    ]
    assert [str(ended.exception) for ended in seen.runs] == ["attempt 1", "attempt 2", "attempt 3"]
    assert [ended.next_at is None for ended in seen.runs] == [False, False, True]


async def test_each_run_of_a_perpetual_task_is_told_as_the_last_attempt_of_it(docket: Docket) -> None:
    async def task(perpetual: Perpetual = Perpetual(every=ms(10))) -> None:
        if len(seen.runs) == 1:
            raise ValueError("the second one")
        if len(seen.runs) == 2:
            perpetual.cancel()

    seen = Seen()
    await docket.add(task)()
    await run(docket, seen)
    assert seen.told() == [
        ("succeeded", "perpetuated", True),
        ("failed", "perpetuated", True),
        ("succeeded", "", True),
    ]


async def test_it_is_told_after_the_end_is_written(docket: Docket) -> None:
    states: list[ExecutionState] = []

    async def hook(run: EndedRun) -> None:
        found = await docket.get_execution(run.execution.key)
        assert found is not None
        states.append(found.state)

    async def good() -> None: ...

    async def bad() -> None:
        raise ValueError

    await docket.add(good)()
    await run(docket, hook)
    await docket.add(bad)()
    await run(docket, hook)
    assert states == [ExecutionState.COMPLETED, ExecutionState.FAILED]


async def test_failures_around_the_body_are_told_too(docket: Docket) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    async def depends(broken: None = Depends(broken)) -> None: ...

    async def unpicklable() -> Any:
        return Lock()

    def handler(*_: Any) -> bool:
        raise KeyError("a handler")

    class Handler(FailureHandler[None]):
        async def __aenter__(self) -> Handler:  # type: ignore[override]
            return self

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            return handler()

    async def handled(handler: Any = Handler()) -> None:
        raise ValueError

    seen = Seen()
    for task in depends, unpicklable, handled:
        await docket.add(task, key=task.__name__)()
    await run(docket, seen)
    errors = {ended.execution.key: ended.exception for ended in seen.runs}
    assert {ended.ended for ended in seen.runs} == {"failed"}
    assert isinstance(errors["depends"], ExceptionGroup)
    assert "cannot be pickled" in str(errors["unpicklable"])
    assert isinstance(errors["handled"], KeyError)


async def test_a_cancelled_run_is_told_and_one_that_is_put_off_is_not(docket: Docket) -> None:
    begun = anyio.Event()

    async def endless(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        begun.set()
        await anyio.sleep_forever()

    seen = Seen()
    execution = await docket.add(endless, key="first")()
    waits = await docket.add(endless, key="second")()
    worker = Worker(docket, on_run_ended=seen)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await begun.wait()
        await docket.cancel(waits.key)
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
        worker.stop()
    assert [ended.execution.key for ended in seen.runs] == ["first"]
    assert seen.told() == [("cancelled", "", True)]


async def test_a_run_that_is_handed_back_is_not_told(docket: Docket) -> None:
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    seen = Seen()
    await docket.add(endless)()
    worker = Worker(docket, on_run_ended=seen)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await begun.wait()
        worker.hand_back()
    assert not seen.runs


@pytest.mark.parametrize(
    "error",
    [ValueError("of the hook"), SystemExit(3), GeneratorExit()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("plain", [False, True], ids=["async", "plain"])
async def test_what_a_hook_raises_is_logged_and_harms_neither_the_run_nor_the_next_hook(
    docket: Docket, error: BaseException, plain: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def task() -> str:
        return "fine"

    async def raises(run: EndedRun) -> None:
        raise error

    def raises_at_once(run: EndedRun) -> None:
        raise error

    seen = Seen()
    first, second = await docket.add(task)(), await docket.add(task)()
    await run(docket, raises_at_once if plain else raises, seen)
    assert (await first.get_result(), await second.get_result()) == ("fine", "fine")
    assert seen.told() == [("succeeded", "", True)] * 2
    [record, _] = [record for record in caplog.records if "The hook" in record.getMessage()]
    assert record.levelno == logging.ERROR
    assert "raises" in record.getMessage()
    assert "which is not affected" in record.getMessage()
    assert record.exc_info


async def test_a_plain_hook_runs_in_a_thread(docket: Docket) -> None:
    threads: list[Any] = []

    def hook(word: str, run: EndedRun) -> None:
        threads.append((word, current_thread()))

    async def task() -> None: ...

    await docket.add(task)()
    await run(docket, functools.partial(hook, "bound"))
    assert threads[0][0] == "bound"
    assert threads[0][1] is not current_thread()


async def test_a_hook_that_hangs_is_cancelled_after_a_while(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "HOOK_SECONDS", 0.05)

    async def hangs(run: EndedRun) -> None:
        await anyio.sleep_forever()

    async def task() -> str:
        return "fine"

    seen = Seen()
    execution = await docket.add(task)()
    await run(docket, hangs, seen)
    assert await execution.get_result() == "fine"
    assert seen.told() == [("succeeded", "", True)]
    assert any("hangs had not ended 0.05 s after" in line for line in caplog.messages)


async def test_a_hook_that_hangs_ends_with_the_worker_and_its_run_is_settled_once(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docket.worker.drain.CLOSING", 0.05)
    hanging = anyio.Event()

    async def hangs(run: EndedRun) -> None:
        hanging.set()
        await anyio.sleep_forever()

    async def task() -> str:
        return "fine"

    execution = await docket.add(task)()
    worker = Worker(docket, shutdown_timeout=timedelta(0), on_run_ended=hangs)
    async with at_most(5), anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await hanging.wait()
        worker.stop()
    assert await execution.get_result() == "fine"
    async with docket.redis() as redis:
        assert await redis.xlen(docket.stream_key) == 0


@on_asyncio
async def test_a_hook_that_cancels_its_own_task_harms_nothing(docket: Docket) -> None:
    async def cancels(run: EndedRun) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def task() -> str:
        return "fine"

    seen = Seen()
    executions = [await docket.add(task)() for _ in range(3)]
    await run(docket, cancels, seen)
    assert [await execution.get_result() for execution in executions] == ["fine"] * 3
    assert len(seen.runs) == 3


def _generator(run: EndedRun) -> Any:
    yield run


@pytest.mark.parametrize(
    "given", [["no function"], [_generator], 3, [None]], ids=["text", "generator", "number", "none"]
)
async def test_what_cannot_be_a_hook_is_refused_where_the_worker_is_made(
    memory_url: str, given: Sequence[Any]
) -> None:
    async with Docket("hooked", memory_url) as docket:
        with pytest.raises(TypeError):
            Worker(docket, on_run_ended=given)
