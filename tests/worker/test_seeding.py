"""Automatic tasks are scheduled by any worker, and again when their chain has ended."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import pytest

from docket import Cron, Docket, Execution, ExecutionState, Perpetual, Worker, clock
from docket.dependencies import Retry
from docket.worker.intake.seeder import Seeder
from tests.where import virtual_time
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)


async def hourly(perpetual: Perpetual = Perpetual(every=HOUR, automatic=True)) -> None:
    pass


@asynccontextmanager
async def seeding(docket: Docket, interval: float = 0.05) -> AsyncGenerator[Seeder]:
    """A seeder at work, without a worker."""
    async with at_most(), anyio.create_task_group() as group:
        seeder = Seeder(docket, interval=interval)
        group.start_soon(seeder.run, lambda: None)
        await seeder.wait_seeded()
        yield seeder
        group.cancel_scope.cancel()


async def state(docket: Docket, key: str) -> tuple[ExecutionState, int]:
    execution = await docket.get_execution(key)
    assert execution is not None
    record = await execution.refresh()
    assert record is not None
    return execution.state, record.generation


async def changed(docket: Docket, key: str, before: tuple[ExecutionState, int]) -> tuple[ExecutionState, int]:
    """Wait until the state under a key is no longer ``before``, and return it."""
    async with at_most():
        while (found := await state(docket, key)) == before:
            await anyio.sleep(0.01)  # a changed record notifies nobody
    return found


async def test_an_automatic_task_is_placed_once_however_many_workers_look(docket: Docket) -> None:
    docket.register(hourly)
    async with seeding(docket), seeding(docket), seeding(docket):
        assert await state(docket, "hourly") == (ExecutionState.QUEUED, 1)
    assert await docket.client.exists(docket.key("perpetual:lock")) == 0


async def test_a_seeder_that_finds_the_lock_taken_waits_for_its_turn(docket: Docket) -> None:
    """The other one may be a worker of pydocket, and know other tasks."""
    docket.register(hourly)
    async with at_most(), anyio.create_task_group() as group:
        async with docket.client.lock(docket.key("perpetual:lock"), timeout=10):
            seeder = Seeder(docket)
            group.start_soon(seeder.run, lambda: None)
            await anyio.sleep(0.05)  # its waiting notifies nobody
            assert await docket.get_execution("hourly") is None
        await seeder.wait_seeded()
        assert await state(docket, "hourly") == (ExecutionState.QUEUED, 1)
        group.cancel_scope.cancel()


async def test_a_chain_that_was_cancelled_begins_anew(docket: Docket) -> None:
    docket.register(hourly)
    async with seeding(docket):
        await docket.cancel("hourly")
        before = ExecutionState.CANCELLED, 1
        assert await changed(docket, "hourly", before) == (ExecutionState.QUEUED, 2)


async def test_a_chain_that_ended_by_itself_begins_anew(docket: Docket) -> None:
    runs = 0
    again = anyio.Event()

    async def once(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        nonlocal runs
        runs += 1
        perpetual.cancel()
        if runs == 2:
            again.set()

    docket.register(once)
    async with working(Worker(docket, schedule_automatic_tasks=False)), seeding(docket):
        await again.wait()


@pytest.mark.parametrize("harm", ["record", "queue", "all"])
async def test_a_chain_whose_keys_were_removed_begins_anew(redis_url: str, harm: str) -> None:
    every_hour = Cron("@hourly")

    async def cut(cron: Cron = every_hour) -> None:
        pass

    async with Docket("cut", redis_url) as docket:
        docket.register(cut)
        async with seeding(docket):
            if harm in ("queue", "all"):
                await docket.client.zrem(docket.queue_key, "cut")
                await docket.client.delete(docket.parked_task_key("cut"))
            if harm in ("record", "all"):
                await docket.client.delete(docket.runs_key("cut"))
            async with at_most():
                while await docket.client.zscore(docket.queue_key, "cut") is None:
                    await anyio.sleep(0.01)  # a write notifies nobody
                while (execution := await docket.get_execution("cut")) is None:
                    await anyio.sleep(0.01)
        assert execution.state is ExecutionState.SCHEDULED
        assert execution.when == every_hour.initial_when


async def test_the_rest_of_a_cut_chain_does_not_run_beside_the_new_one(docket: Docket) -> None:
    """I5: the delivery that a record does not name is of an older generation when it turns up."""
    docket.register(hourly)
    async with at_most():
        placed = await docket.add(hourly, key="hourly")()
        await docket.client.hset(docket.runs_key("hourly"), mapping={"state": "scheduled"})
        async with seeding(docket):
            assert await state(docket, "hourly") == (ExecutionState.QUEUED, 2)
        await Worker(docket, schedule_automatic_tasks=False).run_at_most({"hourly": 1})
        assert placed.generation == 1
        assert await docket.client.xlen(docket.stream_key) == 0


async def test_a_live_chain_is_left_alone(docket: Docket) -> None:
    docket.register(hourly)
    execution = await docket.add(hourly, when=clock.now() + HOUR, key="hourly")()
    async with seeding(docket):
        await anyio.sleep(0.12)  # as two looks take
        assert await state(docket, "hourly") == (ExecutionState.SCHEDULED, 1)
    assert execution.generation == 1


async def test_runs_of_an_automatic_task_can_be_limited(docket: Docket) -> None:
    ran: list[str] = []

    async def endless(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        ran.append("endless")

    async def never(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        ran.append("never")

    docket.register(endless)
    docket.register(never)
    async with at_most():
        await Worker(docket).run_at_most({"endless": 3, "never": 0})
    assert ran == ["endless"] * 3


async def test_a_worker_that_runs_until_finished_has_looked_before_it_ends(docket: Docket) -> None:
    ran: list[int] = []

    async def once(perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        ran.append(1)
        perpetual.cancel()

    docket.register(once)
    async with at_most():
        await Worker(docket).run_until_finished()
    assert ran == [1]


async def test_an_automatic_task_that_needs_arguments_is_refused(docket: Docket) -> None:
    async def needy(what: str, perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        pass

    async def by_hand(what: str, cron: Cron = Cron("@daily", automatic=False)) -> None:
        pass

    with pytest.raises(TypeError, match=r"automatic task.*'needy'.*'what'"):
        docket.register(needy)
    docket.register(by_hand)


async def test_a_task_that_was_registered_past_the_check_is_logged_once_and_harms_no_other(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def needy(what: str, perpetual: Perpetual = Perpetual(automatic=True)) -> None:
        pass

    docket.tasks["needy"] = needy
    docket.register(hourly)
    with caplog.at_level(logging.ERROR, "docket.worker"):
        async with seeding(docket):
            before = await state(docket, "hourly")
            await docket.cancel("hourly")
            await changed(docket, "hourly", (ExecutionState.CANCELLED, before[1]))
    assert [record.message for record in caplog.records if "'needy'" in record.message] == [
        "Automatic task 'needy' cannot be scheduled: task 'needy' cannot be called so: missing a required "
        "argument: 'what'; its signature is needy(what: 'str', perpetual: 'Perpetual' = "
        f"{needy.__defaults__[0]!r}) -> 'None'"  # type: ignore[index]
    ]


class At(Perpetual):
    """An automatic task whose class decides when it runs first."""

    def __init__(self, says: Any) -> None:
        super().__init__(automatic=True)
        self.says = says

    @property
    def initial_when(self) -> Any:
        return self.says() if callable(self.says) else self.says


def raises() -> None:
    raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("says", "logged"),
    [
        ("soon", "initial_when= takes an aware datetime, not str: 'soon'"),
        (datetime(2030, 1, 1), "initial_when=2030-01-01T00:00:00 has no time zone"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))), "has no date in UTC"),
        (raises, "not today"),
    ],
    ids=["text", "naive", "beyond", "raises"],
)
async def test_a_task_without_a_valid_first_time_is_logged_once_and_harms_no_other(
    docket: Docket, caplog: pytest.LogCaptureFixture, says: Any, logged: str
) -> None:
    async def odd(perpetual: Perpetual = At(says)) -> None:
        pass

    docket.register(odd)
    docket.register(hourly)
    with caplog.at_level(logging.ERROR, "docket.worker"):
        async with seeding(docket):
            before = await state(docket, "hourly")
            await docket.cancel("hourly")
            await changed(docket, "hourly", (ExecutionState.CANCELLED, before[1]))
    [message] = [record.message for record in caplog.records if "'odd'" in record.message]
    assert message.startswith("Automatic task 'odd' cannot be scheduled: ")
    assert logged in message


class TestInVirtualTime:
    """On memory:// nothing polls: the seeder is notified of the end of a chain (I10)."""

    pytestmark = virtual_time

    async def test_a_cancelled_chain_begins_anew_within_a_minute(self, memory_url: str) -> None:
        began, ran = clock.now(), list[float]()

        async def daily(perpetual: Perpetual = Perpetual(every=timedelta(days=1), automatic=True)) -> None:
            ran.append((clock.now() - began).total_seconds())

        async with Docket("minute", memory_url) as docket:
            docket.register(daily)
            async with anyio.create_task_group() as group:
                worker = Worker(docket)
                group.start_soon(worker.run_forever)
                await anyio.sleep(1000)
                await docket.cancel("daily")
                await anyio.sleep(1000)
                await docket.clear()
                await anyio.sleep(1000)
                worker.stop()
        assert ran == [pytest.approx(at, abs=1) for at in (0, 1060, 2060)]

    async def test_a_month_of_an_automatic_task_takes_no_time(self, memory_url: str) -> None:
        began, start = time.perf_counter(), clock.now()
        ran: list[timedelta] = []

        async def nightly(cron: Cron = Cron("30 2 * * *")) -> None:
            ran.append(clock.now() - start)

        async with Docket("month", memory_url) as docket:
            docket.register(nightly)
            async with anyio.create_task_group() as group:
                worker = Worker(docket)
                group.start_soon(worker.run_forever)
                await anyio.sleep(timedelta(days=30).total_seconds())
                worker.stop()
        assert len(ran) == 30
        assert time.perf_counter() - began < 30

    async def test_a_worker_that_runs_until_finished_does_not_wait_for_the_next_look(
        self, memory_url: str
    ) -> None:
        start = clock.now()

        async def once(
            perpetual: Perpetual = Perpetual(automatic=True), retry: Retry = Retry(attempts=2)
        ) -> None:
            perpetual.cancel()

        async with Docket("once", memory_url) as docket:
            docket.register(once)
            await Worker(docket).run_until_finished()
            found: Execution[Any] | None = await docket.get_execution("once")
        assert found is not None
        assert found.state is ExecutionState.COMPLETED
        assert clock.now() - start < timedelta(seconds=1)
