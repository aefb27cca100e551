"""Strikes in the worker: what is struck does not run, whenever it was added."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from docket import Docket, Execution, ExecutionCancelled, ExecutionState, Perpetual, Retry
from tests.durations import ms
from tests.worker.conftest import a_worker, at_most, working

pytestmark = pytest.mark.anyio

_ran: list[Any] = []


@pytest.fixture
def ran() -> list[Any]:
    _ran.clear()
    return _ran


async def note(value: Any) -> None:
    _ran.append(value)


async def twice(value: int, perpetual: Perpetual = Perpetual(every=ms(1))) -> None:
    _ran.append(value)
    perpetual.perpetuate(value + 1)


async def stubborn(retry: Retry = Retry(attempts=100, delay=ms(1))) -> None:
    _ran.append(retry.attempt)
    raise ValueError("again")


@pytest.fixture
async def elsewhere(docket: Docket) -> AsyncIterator[Docket]:
    """The same docket in what might be another process."""
    async with Docket(docket.name, docket.url) as other:
        yield other


async def state(docket: Docket, key: str) -> ExecutionState:
    execution = await docket.get_execution(key)
    assert execution is not None
    return execution.state


async def end_of_chain(docket: Docket, key: str) -> None:
    """Follow a key from run to run."""
    while (run := await docket.get_execution(key)) is not None:
        await run.get_result()


async def test_what_is_struck_after_it_was_added_does_not_run(
    docket: Docket, elsewhere: Docket, ran: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    executions = [await docket.add(note, key=f"{n}")(n) for n in range(6)]
    await elsewhere.strike("note", "value", ">=", 4)
    await a_worker(docket).run_until_finished()
    assert sorted(ran) == [0, 1, 2, 3]
    for execution in executions[4:]:
        with pytest.raises(ExecutionCancelled):
            await execution.get_result(timeout=timedelta(seconds=5))
        assert await state(docket, execution.key) is ExecutionState.CANCELLED
    said = [record.getMessage() for record in caplog.records if "🗙" in record.getMessage()]
    assert sorted(said) == ["🗙 note(...){4}", "🗙 note(...){5}"]
    async with docket.redis() as redis:
        assert await redis.xlen(docket.stream_key) == 0


async def test_a_worker_hears_of_strikes_and_restores_while_it_works(
    docket: Docket, elsewhere: Docket, ran: list[Any]
) -> None:
    """No window: what is taken after a strike has returned does not run, and what is restored does."""
    docket.register(note)
    async with working(a_worker(docket)):
        for n in range(10):
            execution = await elsewhere.add(note)(n)
            await execution.get_result()
            await elsewhere.strike("note")
            struck = Execution(docket, note, ("struck",), {}, f"struck-{n}", execution.when, 1)
            await docket.store.schedule.place(
                struck.message(), replace=False
            )  # as if it had been added before
            with pytest.raises(ExecutionCancelled):
                await struck.get_result()
            await elsewhere.restore("note")
    assert ran == list(range(10))


async def test_a_perpetual_task_that_is_struck_ends(
    docket: Docket, elsewhere: Docket, ran: list[Any]
) -> None:
    async with working(a_worker(docket)):
        execution = await docket.add(twice)(0)
        await elsewhere.strike(twice, "value", "==", 5)
        with pytest.raises(ExecutionCancelled):
            await end_of_chain(docket, execution.key)
    assert ran == list(range(5))


async def test_a_retry_that_is_struck_ends(docket: Docket, elsewhere: Docket, ran: list[Any]) -> None:
    async with working(a_worker(docket)):
        execution = await docket.add(stubborn)()
        await elsewhere.strike(stubborn)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert len(ran) < 100


async def test_an_automatic_task_is_not_seeded_while_it_is_struck(
    docket: Docket, elsewhere: Docket, ran: list[Any]
) -> None:
    async def by_itself(perpetual: Perpetual = Perpetual(every=ms(5), automatic=True)) -> None:
        _ran.append("by itself")
        perpetual.cancel()

    docket.register(by_itself)
    await elsewhere.strike("by_itself")
    await a_worker(docket).run_until_finished()
    assert ran == []
    await elsewhere.restore("by_itself")
    await a_worker(docket).run_until_finished()
    assert ran == ["by itself"]


async def test_a_delivery_that_is_taken_over_is_judged_too(
    docket: Docket, elsewhere: Docket, ran: list[Any]
) -> None:
    await docket.add(note, key="k")("abandoned")
    claims = docket.store.claims("gone")
    await claims.create_group()
    await claims.take(1)
    await elsewhere.strike("note")
    async with at_most():
        await a_worker(docket, redelivery_timeout=ms(200)).run_until_finished()
    assert ran == []
    assert await state(docket, "k") is ExecutionState.CANCELLED


async def test_a_condition_of_the_workers_own_counts_and_one_that_raises_fails_the_task(
    docket: Docket, ran: list[Any]
) -> None:
    def choosy(execution: Execution[Any]) -> bool:
        return bool(execution.args[0] / 1)

    for value in 0, 1, "one":
        await docket.add(note, key=f"{value}")(value)
    docket.strike_list.add_condition(choosy)
    await a_worker(docket).run_until_finished()
    assert ran == [0]
    assert await state(docket, "1") is ExecutionState.CANCELLED
    assert await state(docket, "one") is ExecutionState.FAILED


@pytest.mark.parametrize("url", ["redis"], indirect=True)
async def test_nothing_is_asked_of_the_server_where_nothing_is_struck(docket: Docket, ran: list[Any]) -> None:
    async with docket.redis() as redis:
        for n in range(3):
            await docket.add(note)(n)
        await redis.config_resetstat()
        await a_worker(docket).run_until_finished()
        stats = await redis.info("commandstats")
    assert "cmdstat_xrange" not in stats
    assert sorted(ran) == [0, 1, 2]
