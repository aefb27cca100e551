"""Handlers and runtimes of the user's own: awaited by the worker, with the say over what follows a run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentExecution, Docket, Execution, Perpetual, Retry
from docket.dependencies import CompletionHandler, FailureHandler, Runtime, TaskOutcome
from docket.execution import ExecutionState
from docket.rules import Reschedule
from tests.worker.conftest import drained

pytestmark = pytest.mark.anyio


class Notify(FailureHandler["Notify"]):
    """Tells somebody; has it taken care of the failure?"""

    def __init__(self, handled: bool) -> None:
        self.handled = handled
        self.heard: list[TaskOutcome] = []

    async def __aenter__(self) -> Notify:
        return self

    async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
        await anyio.sleep(0)
        self.heard.append(outcome)
        return self.handled


@pytest.mark.parametrize("handled", [True, False])
async def test_a_failure_handler_hears_of_the_failure_and_the_run_has_failed(
    docket: Docket, handled: bool
) -> None:
    notify = Notify(handled)

    async def task(notify: Notify = notify) -> None:
        raise ValueError("no")

    execution = await drained(docket, await docket.add(task)())
    [outcome] = notify.heard
    assert isinstance(outcome.exception, ValueError)
    assert outcome.duration >= timedelta(0)
    assert execution.state is ExecutionState.FAILED


async def test_a_failure_handler_is_not_asked_about_a_success(docket: Docket) -> None:
    notify = Notify(True)

    async def task(notify: Notify = notify) -> int:
        return 1

    execution = await drained(docket, await docket.add(task)())
    assert not notify.heard
    assert await execution.get_result() == 1


async def test_a_failure_handler_can_have_the_next_run_placed_with_the_end_of_this_one(
    docket: Docket,
) -> None:
    class Again(FailureHandler["Again"]):
        async def __aenter__(self) -> Again:
            return Again()

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            if execution.attempt == 3:
                return False
            self.next_run = Reschedule(
                when=execution.when, attempt=execution.attempt + 1, call=(("new",), {})
            )
            return True

    runs: list[str] = []

    async def task(argument: str, again: Again = Again()) -> None:
        runs.append(argument)
        raise ValueError("no")

    execution = await drained(docket, await docket.add(task)("old"))
    assert runs == ["old", "new", "new"]
    assert execution.state is ExecutionState.FAILED


async def test_the_next_run_of_one_task_is_not_that_of_another_with_the_same_handler(docket: Docket) -> None:
    class Once(FailureHandler["Once"], CompletionHandler["Once"]):
        async def __aenter__(self) -> Once:
            return self

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            return await self.on_complete(execution, outcome)

        async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            if execution.key == "again" and execution.attempt == 1:
                self.next_run = Reschedule(when=execution.when, attempt=2)
            return False

    runs: list[tuple[str, int]] = []

    async def task(fails: bool, at: Execution[Any] = CurrentExecution(), once: Once = Once()) -> None:
        runs.append((at.key, at.attempt))
        if fails:
            raise ValueError("no")

    for fails in True, False:
        for key in "again", "never":
            execution = await docket.add(task, key=key)(fails)
        await drained(docket, execution)
        assert sorted(runs) == [("again", 1), ("again", 2), ("never", 1)]
        runs.clear()


async def test_a_failure_handler_can_place_the_next_run_itself(docket: Docket) -> None:
    class Elsewhere(FailureHandler["Elsewhere"]):
        async def __aenter__(self) -> Elsewhere:
            return self

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            if execution.attempt == 2:
                return False
            execution.attempt += 1
            await execution.schedule(replace=True)
            return True

    attempts: list[int] = []

    class Count(Runtime["Count"]):
        async def __aenter__(self) -> Count:
            return self

        async def run(
            self, execution: Any, function: Callable[..., Awaitable[Any]], args: Any, kwargs: Any
        ) -> Any:
            attempts.append(execution.attempt)
            return await function(*args, **kwargs)

    async def task(elsewhere: Elsewhere = Elsewhere(), count: Count = Count()) -> None:
        raise ValueError("no")

    execution = await drained(docket, await docket.add(task)())
    assert attempts == [1, 2]
    assert (execution.state, execution.error) == (ExecutionState.FAILED, "ValueError: no")
    async with docket.redis() as redis:
        assert await redis.xlen(docket.stream_key) == 0


async def test_a_completion_handler_hears_results_and_failures(docket: Docket) -> None:
    heard: list[Any] = []

    class Count(CompletionHandler["Count"]):
        async def __aenter__(self) -> Count:
            return self

        async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            heard.append(outcome.result if outcome.exception is None else type(outcome.exception))
            return False

    async def task(number: int, count: Count = Count(), retry: Retry = Retry(attempts=2)) -> int:
        return 10 // number

    good, bad = await docket.add(task)(5), await docket.add(task)(0)
    await drained(docket, good)
    assert await good.get_result() == 2
    with pytest.raises(ZeroDivisionError):
        await bad.get_result()
    assert sorted(heard, key=str) == [2, ZeroDivisionError]  # once: a retry is no end


async def test_an_error_in_a_handler_fails_the_run_and_nothing_else(docket: Docket) -> None:
    class Broken(CompletionHandler["Broken"]):
        async def __aenter__(self) -> Broken:
            return self

        async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            raise LookupError("broken handler")

    async def task(broken: Broken = Broken()) -> int:
        return 1

    async def other() -> int:
        return 2

    bad, good = await docket.add(task)(), await docket.add(other)()
    await drained(docket, bad)
    with pytest.raises(LookupError, match="broken handler"):
        await bad.get_result()
    assert await good.get_result() == 2


async def test_a_subclass_of_retry_may_choose_what_to_retry_and_leave_the_rest_to_it(docket: Docket) -> None:
    class Choosy(Retry):
        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            if isinstance(outcome.exception, LookupError):
                return False
            return await super().handle_failure(execution, outcome)

    runs: list[str] = []

    async def task(kind: str, retry: Retry = Choosy(attempts=3)) -> None:
        runs.append(kind)
        raise LookupError("not again") if kind == "lookup" else ValueError("again")

    await docket.add(task)("lookup")
    execution = await drained(docket, await docket.add(task)("value"))
    assert sorted(runs) == ["lookup", "value", "value", "value"]
    assert execution.state is ExecutionState.FAILED


async def test_a_subclass_of_perpetual_may_decide_when_it_ends(docket: Docket) -> None:
    class Limited(Perpetual):
        async def on_complete(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            return False if outcome.result == 3 else await super().on_complete(execution, outcome)

    runs: list[int] = []

    async def task(perpetual: Perpetual = Limited()) -> int:
        runs.append(1)
        return len(runs)

    await drained(docket, await docket.add(task)())
    assert len(runs) == 3


async def test_a_runtime_calls_the_body_in_the_workers_place(docket: Docket) -> None:
    class Twice(Runtime["Twice"]):
        async def __aenter__(self) -> Twice:
            return self

        async def run(
            self,
            execution: Execution[Any],
            function: Callable[..., Awaitable[Any]],
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
        ) -> Any:
            return await function(*args, **kwargs), await function(*args, **kwargs)

    async def task(number: int, *, factor: int, twice: Twice = Twice()) -> int:
        return number * factor

    def plain(number: int, twice: Twice = Twice()) -> int:
        return number

    execution, threaded = await docket.add(task)(2, factor=3), await docket.add(plain)(4)
    await drained(docket, execution)
    assert await execution.get_result() == (6, 6)
    assert await threaded.get_result() == (4, 4)
