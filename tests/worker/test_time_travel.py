"""On memory:// with a virtual clock a month of work takes no time: nothing polls (I10)."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentExecution, Docket, Execution, Perpetual, Worker, clock
from docket.errors import ResultExpired
from tests.where import virtual_time

pytestmark = [pytest.mark.anyio, virtual_time]

#: Seconds of processor time that 30 days may take.
LIMIT = 1.0


async def test_thirty_days_of_work_pass_in_under_a_second(memory_url: str) -> None:
    began, start = time.process_time(), clock.now()
    ran: dict[str, list[datetime]] = {}

    async def task(name: str, execution: Execution[Any] = CurrentExecution()) -> str:
        ran.setdefault(name, []).append(clock.now())
        return f"{name}, redelivered" if execution.redelivered else name

    async with Docket("month", memory_url, execution_ttl=timedelta(days=5)) as month:
        plan = {
            "immediate": timedelta(0),
            "in 5 minutes": timedelta(minutes=5),
            "tomorrow": timedelta(days=1),
            "day 30": timedelta(days=30),
        }
        executions = {name: await month.add(task, when=start + after)(name) for name, after in plan.items()}
        abandoned = await month.add(task)("abandoned")
        dead = month.store.claims("dead")
        await dead.create_group()
        taken = await dead.take(10)  # a worker takes what is due, and dies
        assert len(taken) == 2
        async with anyio.create_task_group() as group:
            worker = Worker(month, "heir", redelivery_timeout=timedelta(minutes=10))
            group.start_soon(worker.run_forever)
            assert await abandoned.get_result() == "abandoned, redelivered"
            assert abs(clock.now() - start - timedelta(minutes=10)) < timedelta(seconds=1)
            assert await executions["tomorrow"].get_result() == "tomorrow"
            assert await executions["day 30"].get_result() == "day 30"
            assert await executions["day 30"].get_result() == "day 30"
            with pytest.raises(ResultExpired):
                await executions["tomorrow"].get_result()
            worker.stop()
        for name, after in plan.items():
            due = start + (after or timedelta(minutes=10))
            assert [abs(at - due) < timedelta(seconds=1) for at in ran[name]] == [True], name
        assert clock.now() - start < timedelta(days=31)
        await anyio.sleep(timedelta(days=6).total_seconds())
        with pytest.raises(ResultExpired):
            await executions["day 30"].get_result()
    assert time.process_time() - began < LIMIT


async def test_run_until_finished_goes_through_a_month(memory_url: str) -> None:
    began = time.process_time()
    days: list[int] = []
    start = clock.now()

    async def daily(perpetual: Perpetual = Perpetual(every=timedelta(days=1))) -> None:
        days.append((clock.now() - start + timedelta(seconds=1)).days)
        if len(days) == 31:
            perpetual.cancel()

    async with Docket("month", memory_url) as month:
        await month.add(daily, key="daily")()
        await Worker(month).run_until_finished()
    assert days == list(range(31))
    assert time.process_time() - began < LIMIT


async def test_two_workers_of_which_one_dies_do_not_poll(memory_url: str) -> None:
    """The second worker looks for abandoned deliveries when they can be due, and not before."""
    began = time.process_time()
    begun: list[datetime] = []

    async def task() -> str:
        begun.append(clock.now())
        return "done"

    async with Docket("two", memory_url) as shared:
        async with working_for_ever(Worker(shared, "lives", redelivery_timeout=timedelta(minutes=10))):
            await anyio.sleep(timedelta(days=10).total_seconds())
            dead = shared.store.claims("dead")
            busy = anyio.Event()
            async with anyio.create_task_group() as group:

                async def snatch() -> None:
                    # Before the worker that waits: it is woken by the addition, but has not run yet.
                    execution.append(await shared.add(task)())
                    await dead.take(1)
                    busy.set()

                execution: list[Execution[str]] = []
                group.start_soon(snatch)
                await busy.wait()
            assert await execution[0].get_result() == "done"
            await anyio.sleep(timedelta(days=20).total_seconds())
    assert time.process_time() - began < LIMIT


async def test_a_body_that_sleeps_for_a_day_keeps_its_lease(memory_url: str) -> None:
    began = time.process_time()

    async def long() -> int:
        await anyio.sleep(timedelta(days=1).total_seconds())
        return 1

    async with Docket("long", memory_url) as days:
        execution = await days.add(long)()
        async with working_for_ever(Worker(days, "one"), Worker(days, "two")):
            assert await execution.get_result() == 1
    assert time.process_time() - began < 2 * LIMIT  # some 1200 renewals


def working_for_ever(*workers: Worker) -> Any:
    """`working` without its limit, which is of the clock that jumps."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def at_work() -> Any:
        async with anyio.create_task_group() as group:
            for worker in workers:
                group.start_soon(worker.run_forever)
            yield
            for worker in workers:
                worker.hand_back()

    return at_work()
