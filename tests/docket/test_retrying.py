"""What a docket tells of a task that is tried again, was asked to stop, or has lost its worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Cancellation, Docket, ExecutionState, Perpetual, Retry
from tests.docket.conftest import add, later, nothing, work, working
from tests.where import asyncio_and_trio, few_pairs

pytestmark = [pytest.mark.anyio, asyncio_and_trio, few_pairs]

gate: anyio.Event
entered: anyio.Event


async def fragile(retry: Retry = Retry(attempts=3, delay=timedelta(days=1))) -> None:
    raise ValueError(f"not yet {retry.attempt}")


async def quick(text: str, retry: Retry = Retry(attempts=2)) -> str:
    if retry.attempt == 1:
        raise ValueError(text)
    entered.set()
    await gate.wait()
    return "done"


async def stubborn() -> None:
    entered.set()
    await gate.wait()


async def found(docket: Docket, key: str = "k") -> Any:
    execution = await docket.get_execution(key)
    assert execution is not None
    return execution


async def wait_in(docket: Docket, function: Any, *args: Any) -> None:
    global gate, entered
    gate, entered = anyio.Event(), anyio.Event()
    await docket.add(function, key="k")(*args)
    await entered.wait()


async def test_a_task_that_waits_for_its_next_attempt_says_which_when_and_why(docket: Docket) -> None:
    added = await docket.add(fragile, key="k")()
    async with working(docket):
        async for event in added.subscribe():
            if event["type"] == "state" and event["state"] == "scheduled":
                break
    waiting = await found(docket)
    assert (waiting.state, waiting.attempt) == (ExecutionState.SCHEDULED, 2)
    assert (waiting.last_error, waiting.error) == ("ValueError: not yet 1", None)
    assert timedelta(hours=23) < waiting.when - added.when < timedelta(hours=25)
    await added.sync()
    assert (added.attempt, added.last_error, added.when) == (2, "ValueError: not yet 1", waiting.when)
    replaced = await docket.replace(fragile, later(), "k")()
    assert (await found(docket)).last_error is None
    await replaced.sync()
    assert (replaced.attempt, replaced.last_error) == (1, None)


async def test_the_attempt_that_runs_and_its_end_are_told_too(docket: Docket) -> None:
    async with working(docket):
        await wait_in(docket, quick, "no\n" + "x" * 10_000)
        running = await found(docket)
        assert (running.state, running.attempt) == (ExecutionState.RUNNING, 2)
        assert running.last_error.startswith("ValueError: no\nxxx")
        assert len(running.last_error) == 2000
        assert not running.worker_is_gone
        gate.set()
        assert await running.get_result() == "done"
    ended = await found(docket)
    assert (ended.state, ended.attempt, ended.error) == (ExecutionState.COMPLETED, 2, None)


async def test_a_failed_execution_has_its_error_as_the_last_one(docket: Docket) -> None:
    execution = await docket.add("refuse", key="k")("no")
    await work(docket)
    await execution.sync()
    assert execution.last_error == execution.error == (await found(docket)).last_error == "ValueError: no"


async def test_the_next_run_of_a_chain_is_a_first_attempt(docket: Docket) -> None:
    runs = 0

    async def chain(
        perpetual: Perpetual = Perpetual(every=timedelta(days=1)), retry: Retry = Retry(attempts=2)
    ) -> None:
        nonlocal runs
        runs += 1
        if retry.attempt == 1:
            raise ValueError("no")

    docket.register(chain)
    followed = await docket.add(chain, key="k")()
    async with working(docket):
        await followed.get_result()
    again = await found(docket)
    assert (again.attempt, again.last_error, runs) == (1, None, 2)


async def test_a_requested_cancellation_is_told(docket: Docket) -> None:
    async with working(docket):
        global gate, entered
        gate, entered = anyio.Event(), anyio.Event()

        async def deaf() -> None:
            entered.set()
            with anyio.CancelScope(shield=True):
                await gate.wait()

        docket.register(deaf)
        await docket.add(deaf, key="k")()
        await entered.wait()
        assert not (await found(docket)).cancel_requested
        assert await docket.cancel("k") is Cancellation.REQUESTED
        (running,) = (await docket.snapshot()).running
        assert running.cancel_requested
        execution = await found(docket)
        assert execution.cancel_requested
        gate.set()
        while (await found(docket)).state is ExecutionState.RUNNING:
            await anyio.sleep(0.01)
        await execution.sync()
        assert not execution.cancel_requested


async def test_a_task_whose_worker_has_no_heartbeat_is_marked(docket: Docket) -> None:
    async with working(docket):
        await wait_in(docket, stubborn)
        (running,) = (await docket.snapshot()).running
        assert not running.worker_is_gone
        await docket.client.zrem(docket.workers_set, "w")
        (running,) = (await docket.snapshot()).running
        assert running.worker_is_gone
        assert (await found(docket)).worker_is_gone
        gate.set()


async def test_a_retry_that_pydocket_has_placed_tells_its_attempt(docket: Docket) -> None:
    """Its record does not."""
    await docket.add(add, key="k", when=later())(1)
    await docket.client.hset(docket.parked_task_key("k"), "attempt", 3)
    assert (await found(docket)).attempt == 3
    await docket.add(nothing, key="two", when=later())()
    await docket.client.delete(docket.parked_task_key("two"))
    await docket.client.set(docket.parked_task_key("two"), "something else")
    assert (await found(docket, "two")).attempt == 1
