"""A run of an automatic task by hand: `docket.run_once` starts no second chain, and `add` warns that it does."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Cron, Docket, ExecutionState, Perpetual, Retry, Worker
from tests.where import asyncio_and_trio

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

ran: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


async def nightly(note: str = "", cron: Cron = Cron("0 3 * * *")) -> None:
    ran.append(note)


async def frequent(
    fail: bool = False,
    retry: Retry = Retry(attempts=2),
    chain: Perpetual = Perpetual(every=timedelta(0), automatic=True),
) -> None:
    ran.append("frequent")
    chain.after(timedelta(0))
    if fail:
        raise ValueError("again")


async def run(docket: Docket) -> None:
    async with Worker(docket, schedule_automatic_tasks=False) as worker:
        with anyio.fail_after(10):
            await worker.run_until_finished()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if "automatic" in each.getMessage()]


@pytest.mark.parametrize(("task", "args"), [(nightly, ("now",)), (frequent, ()), (frequent, (True,))])
async def test_it_runs_once_and_no_chain_begins(
    url: str, task: Any, args: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with Docket("once", url) as docket:
        docket.register(task)
        execution = await docket.run_once(task, key="by hand")(*args)
        await run(docket)
        assert len(ran) == (2 if args == (True,) else 1)  # a retry is part of the run
        await execution.sync()
        assert execution.state is (ExecutionState.FAILED if args == (True,) else ExecutionState.COMPLETED)
        assert (await docket.snapshot()).total_tasks == 0
        assert not warnings(caplog)


async def test_a_redelivered_one_stays_one(url: str) -> None:
    async with Docket("once", url) as docket:
        docket.register(frequent)
        await docket.run_once("frequent")()
        async with docket.redis() as redis:  # a worker took it and died
            await run_group(docket, redis)
        lease = timedelta(milliseconds=100)
        async with Worker(docket, redelivery_timeout=lease, schedule_automatic_tasks=False) as worker:
            with anyio.fail_after(10):
                await worker.run_until_finished()
        assert ran == ["frequent"]


async def run_group(docket: Docket, redis: Any) -> None:
    await redis.xgroup_create(docket.stream_key, docket.worker_group_name, id="0", mkstream=True)
    await redis.xreadgroup(docket.worker_group_name, "dead", {docket.stream_key: ">"}, count=1)


async def test_adding_an_automatic_task_warns_once_but_not_by_its_own_key(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Docket("once", url) as docket:
        docket.register(nightly)
        with caplog.at_level(logging.WARNING):
            await docket.add(nightly, key="nightly")()
            assert not warnings(caplog)
            docket.add(nightly)
            docket.add("nightly", key="another")
        (warning,) = warnings(caplog)
        assert "docket.run_once(nightly)()" in warning


async def test_one_that_a_stopped_worker_hands_back_stays_one(url: str) -> None:
    begun = anyio.Event()

    async def slow(chain: Perpetual = Perpetual(every=timedelta(0), automatic=True)) -> None:
        ran.append("slow")
        begun.set()
        if len(ran) == 1:
            await anyio.sleep_forever()

    async with Docket("once", url) as docket:
        docket.register(slow)
        await docket.run_once(slow)()
        worker = Worker(docket, "first", schedule_automatic_tasks=False, shutdown_timeout=timedelta(0))
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await begun.wait()
            worker.stop()
        await run(docket)
        assert ran == ["slow", "slow"]


def test_so_does_the_synchronous_docket() -> None:
    with Docket("once", "memory://run-once").sync() as docket:
        execution = docket.run_once(nightly, key="by hand")("now")
        assert execution.key == "by hand"
