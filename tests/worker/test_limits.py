"""``run_at_most``: tasks that go on for ever, run a few times."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from docket import Docket, ExecutionCancelled, Perpetual, RateLimit, Retry, Worker, clock
from docket.dependencies import AdmissionBlocked, Dependency, current_execution
from docket.execution import ExecutionState
from tests.worker.conftest import at_most

pytestmark = pytest.mark.anyio


async def test_a_perpetual_task_runs_as_often_as_told(docket: Docket) -> None:
    runs: list[str] = []

    async def endless(name: str, perpetual: Perpetual = Perpetual()) -> None:
        runs.append(name)

    await docket.add(endless, key="two")("two")
    await docket.add(endless, key="three")("three")
    async with at_most():
        await Worker(docket).run_at_most({"two": 2, "three": 3})
    assert sorted(runs) == ["three"] * 3 + ["two"] * 2
    assert (await docket.snapshot()).total_tasks == 0


async def test_a_run_that_is_put_off_counts_as_none(docket: Docket) -> None:
    runs: list[str] = []

    class Shy(Dependency["Shy"]):
        """Does not admit the first attempt."""

        asked = 0

        async def __aenter__(self) -> Shy:
            Shy.asked += 1
            if Shy.asked == 1:
                raise AdmissionBlocked(current_execution.get(), retry_delay=timedelta(0))
            return self

    async def endless(perpetual: Perpetual = Perpetual(), shy: Shy = Shy()) -> None:
        runs.append("run")

    await docket.add(endless, key="key")()
    async with at_most():
        await Worker(docket).run_at_most({"key": 2})
    assert (Shy.asked, len(runs)) == (3, 2)


async def test_the_last_run_is_final(docket: Docket) -> None:
    async def endless(perpetual: Perpetual = Perpetual()) -> str:
        return "done"

    execution = await docket.add(endless, key="key")()
    async with at_most():
        await Worker(docket).run_at_most({"key": 1})
        assert await execution.get_result() == "done"


async def test_a_retry_counts_as_a_run(docket: Docket) -> None:
    attempts: list[int] = []

    async def fails(retry: Retry = Retry(attempts=None)) -> None:
        attempts.append(retry.attempt)
        raise ValueError(retry.attempt)

    execution = await docket.add(fails, key="key")()
    async with at_most():
        await Worker(docket).run_at_most({"key": 3})
        with pytest.raises(ExecutionCancelled):  # its next attempt was
            await execution.get_result()
    assert attempts == [1, 2, 3]


async def test_a_last_attempt_that_is_the_last_run_too_has_failed(docket: Docket) -> None:
    async def fails(retry: Retry = Retry(attempts=2)) -> None:
        raise ValueError(retry.attempt)

    execution = await docket.add(fails, key="key")()
    async with at_most():
        await Worker(docket).run_at_most({"key": 2})
        with pytest.raises(ValueError, match="2"):
            await execution.get_result()


async def test_a_run_that_a_limit_drops_counts(docket: Docket) -> None:
    runs: list[int] = []

    async def task(
        perpetual: Perpetual = Perpetual(),
        rate: RateLimit = RateLimit(1, per=timedelta(hours=1), drop=True),
    ) -> None:
        runs.append(1)

    execution = await docket.add(task, key="key")()
    async with at_most():
        await Worker(docket).run_at_most({"key": 4})
    await execution.sync()
    assert (len(runs), execution.generation, execution.state) == (1, 1, ExecutionState.CANCELLED)
    assert await docket.store.records.generation("key") == 4


async def test_a_task_that_places_itself_again_is_cancelled_after_its_last_run(docket: Docket) -> None:
    runs: list[int] = []

    async def again(number: int) -> None:
        runs.append(number)
        when = clock.now() + (timedelta(0) if number < 3 else timedelta(days=1))
        await docket.replace(again, when, "key")(number + 1)

    await docket.add(again, key="key")(1)
    async with at_most():
        await Worker(docket).run_at_most({"key": 3})
    assert runs == [1, 2, 3]
    execution = await docket.get_execution("key")
    assert execution is not None
    assert execution.state is ExecutionState.CANCELLED


async def test_a_key_with_no_runs_is_cancelled_and_others_run_without_limit(docket: Docket) -> None:
    ran: list[str] = []

    async def task(name: str) -> None:
        ran.append(name)

    never = await docket.add(task, key="never")("never")
    await docket.add(task, key="other")("other")
    async with at_most():
        await Worker(docket).run_at_most({"never": 0})
    await never.sync()
    assert ran == ["other"]
    assert never.state is ExecutionState.CANCELLED


async def test_less_than_no_runs_are_refused(docket: Docket) -> None:
    with pytest.raises(ValueError, match="'key' takes a number of runs from 0, not -1"):
        await Worker(docket).run_at_most({"key": -1})


async def test_a_last_run_that_is_handed_back_is_not_cancelled(docket: Docket) -> None:
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    execution = await docket.add(endless, key="key")()
    worker = Worker(docket)
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(worker.run_at_most, {"key": 1})
        await begun.wait()
        worker.hand_back()
    await execution.sync()
    assert execution.state is ExecutionState.QUEUED
