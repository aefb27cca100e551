"""Dependencies that a caller gives as arguments, in place of those that the task declares."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Cooldown,
    CurrentExecution,
    CurrentWorker,
    Debounce,
    Depends,
    Docket,
    Execution,
    ExecutionState,
    ExponentialRetry,
    Perpetual,
    Progress,
    RateLimit,
    Retry,
    TaskArgument,
    TaskKey,
    Timeout,
    Worker,
)
from docket.errors import UsageError
from docket.execution import ExecutionCancelled, ExecutionProgress
from tests.durations import ms, s
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio


async def run(docket: Docket) -> None:
    async with at_most():
        await Worker(docket).run_until_finished()


@pytest.mark.parametrize("by_position", [True, False])
@pytest.mark.parametrize("given", [Retry(attempts=2), ExponentialRetry(2, ms(1), ms(2))])
async def test_a_retry_that_the_caller_gives_is_the_one_that_counts(
    docket: Docket, given: Retry, by_position: bool
) -> None:
    ran: list[tuple[str, int | None, int]] = []

    async def task(x: str, retry: Retry = Retry(attempts=5)) -> None:
        ran.append((x, retry.attempts, retry.attempt))
        raise ValueError

    execution = await (docket.add(task)("x", given) if by_position else docket.add(task)("x", retry=given))
    other = await docket.add(task)("y")
    await run(docket)
    assert [entry for entry in ran if entry[0] == "x"] == [("x", 2, 1), ("x", 2, 2)]
    assert [entry[2] for entry in ran if entry[0] == "y"] == [1, 2, 3, 4, 5]
    await execution.sync()
    await other.sync()
    assert execution.state is other.state is ExecutionState.FAILED


async def test_a_perpetual_that_the_caller_gives_goes_on_from_run_to_run(docket: Docket) -> None:
    ran: list[timedelta] = []

    async def task(x: int, perpetual: Perpetual = Perpetual(every=s(3600))) -> None:
        ran.append(perpetual.every)
        if x == 3:
            perpetual.cancel()
        perpetual.perpetuate(x + 1, perpetual=Perpetual(every=ms(x)))

    await docket.add(task, key="k")(1, perpetual=Perpetual(every=ms(7)))
    await run(docket)
    assert ran == [ms(7), ms(1), ms(2)]


async def test_a_chain_goes_on_by_the_perpetual_of_the_call_where_no_handler_is_asked(docket: Docket) -> None:
    async def task(
        perpetual: Perpetual = Perpetual(every=s(3600)),
        rate: RateLimit = RateLimit(1, per=s(3600), drop=True),
        execution: Execution[Any] = CurrentExecution(),
    ) -> None: ...

    execution = await docket.add(task, key="k")(perpetual=Perpetual(every=ms(1)))
    async with at_most():
        await Worker(docket).run_at_most({"k": 4})
    await execution.sync()
    assert await docket.store.records.generation("k") == 4


async def test_a_timeout_that_the_caller_gives_stops_the_run(docket: Docket) -> None:
    async def task(timeout: Timeout = Timeout(s(3600))) -> None:
        await anyio.sleep_forever()

    execution = await docket.add(task)(timeout=Timeout(ms(20)))
    await run(docket)
    await execution.sync()
    assert execution.error is not None
    assert "exceeded timeout of 0.02s" in execution.error


async def most_at_a_time(docket: Docket, task: Any, **given: Any) -> int:
    for _ in range(3):
        await docket.add(task)(1, **given)
    most = running = 0

    async def body() -> None:
        nonlocal most, running
        running += 1
        most = max(most, running)
        await anyio.sleep(0.02)
        running -= 1

    bodies[:] = [body]
    await run(docket)
    return most


bodies: list[Any] = []


async def limited(customer: int, limit: ConcurrencyLimit | None = ConcurrencyLimit("customer")) -> None:  # type: ignore[assignment]
    await bodies[0]()


class Waiting(Retry):
    async def __aenter__(self) -> Any:
        await anyio.sleep_forever()


async def test_one_that_the_caller_gives_is_stopped_as_it_opens(docket: Docket) -> None:
    async def task(retry: Retry = Retry(attempts=2)) -> None: ...

    execution = await docket.add(task)(retry=Waiting(attempts=2))
    async with working(Worker(docket)):
        while execution.state is not ExecutionState.RUNNING:
            await anyio.sleep(0.001)
            await execution.sync()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()


async def test_a_limit_that_the_caller_gives_admits_by_itself(docket: Docket) -> None:
    assert await most_at_a_time(docket, limited) == 1
    assert await most_at_a_time(docket, limited, limit=ConcurrencyLimit("customer", 2)) == 2
    assert await most_at_a_time(docket, limited, limit=ConcurrencyLimit(1)) == 1
    assert await most_at_a_time(docket, limited, limit=None) == 3  # nothing takes its place
    assert await docket.concurrency() == []


@pytest.mark.parametrize(
    ("declared", "given", "runs"),
    [
        (RateLimit(1, per=s(3600), drop=True), RateLimit(2, per=s(3600), drop=True), 2),
        (Cooldown(s(3600)), RateLimit(2, per=s(3600), drop=True), 2),
        (Debounce(s(3600)), Debounce(ms(10)), 1),
        (Cooldown(s(3600)), Cooldown(ms(1), scope="other"), 3),
    ],
)
async def test_other_limits_are_replaced_alike(docket: Docket, declared: Any, given: Any, runs: int) -> None:
    ran: list[int] = []

    async def task(limit: Any = declared) -> None:
        assert type(limit) is type(given)
        ran.append(1)
        await anyio.sleep(0.005)

    for _ in range(3):
        await docket.add(task)(limit=given)
    async with at_most():
        await Worker(docket, concurrency=1).run_until_finished()
    assert len(ran) == runs


def other() -> str:
    return "other"


async def test_what_else_supplies_a_value_is_resolved_in_its_place(docket: Docket) -> None:
    seen: list[object] = []

    def default() -> str:
        return "default"

    async def task(x: str, value: Any = Depends(default)) -> None:
        seen.append(value)

    for given in (Depends(other), TaskKey(), TaskArgument("x"), CurrentWorker(), "plain", None):
        await docket.add(task, key="k")("x", value=given)
        await run(docket)
    assert seen[:3] == ["other", "k", "x"]
    assert isinstance(seen[3], Worker)
    assert seen[4:] == ["plain", None]


async def test_a_dependency_for_a_parameter_that_declares_none_is_a_value_like_any(docket: Docket) -> None:
    seen: list[object] = []

    async def task(x: object) -> None:
        seen.append(x)
        raise ValueError

    await docket.add(task)(Retry(attempts=3))
    await run(docket)
    assert [type(value) for value in seen] == [Retry]


async def test_what_cannot_take_its_place_is_refused_where_it_is_given(docket: Docket) -> None:
    async def task(
        customer: int,
        retry: Retry = Retry(attempts=5),
        limit: ConcurrencyLimit = ConcurrencyLimit("customer"),
        progress: ExecutionProgress = Progress(),
    ) -> None: ...

    for given in (Perpetual(), Timeout(s(1)), ConcurrencyLimit(1), Depends(other)):
        with pytest.raises(TypeError, match=f"'retry' is a Retry where .* and {type(given).__name__} cannot"):
            await docket.add(task)(1, retry=given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"'limit' is a ConcurrencyLimit .* Retry cannot take its place"):
        await docket.add(task)(1, limit=Retry())  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'account' not found in task arguments"):
        await docket.add(task)(1, limit=ConcurrencyLimit("account"))
    with pytest.raises(TypeError, match=r"'progress' is a Progress .* Retry cannot take its place"):
        await docket.add(task)(1, progress=Retry())  # type: ignore[arg-type]
    assert (await docket.snapshot()).total_tasks == 0


async def test_a_plain_function_and_one_that_takes_anything_have_theirs_too(docket: Docket) -> None:
    ran: list[tuple[str, int | None]] = []

    def plain(x: str, retry: Retry = Retry(5)) -> None:
        ran.append((x, retry.attempts))
        raise ValueError

    async def any_number(*names: str, retry: Retry = Retry(5), **more: str) -> None:
        ran.append((names[0], retry.attempts))
        raise ValueError

    await docket.add(plain)("plain", Retry(2))
    await docket.add(any_number)("any", retry=Retry(3), more="x")
    await run(docket)
    assert sorted(ran) == [("any", 3)] * 3 + [("plain", 2)] * 2
