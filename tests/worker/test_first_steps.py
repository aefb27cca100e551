"""What a body does before its first await harms nothing but itself, whether a task runs that step or who starts it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from docket import CurrentExecution, Docket, Execution, ExecutionState, Worker
from docket.dependencies import current_execution
from docket.worker.roster import Running
from docket.worker.runs.runner import Runner
from tests.durations import ms
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

EAGER = getattr(asyncio, "eager_task_factory", None)

seen: ContextVar[int] = ContextVar("seen")


@pytest.fixture(params=["usual", "eager"] if EAGER else ["usual"], autouse=True)
async def tasks(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncGenerator[None]:
    """Also where the program has made all tasks of its loop eager."""
    if request.param == "usual":
        yield
    elif anyio_backend[0] != "asyncio":
        pytest.skip("all tasks of trio are alike")
    else:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(EAGER)
        yield
        loop.set_task_factory(None)


async def test_the_context_of_a_body_is_its_own(docket: Docket) -> None:
    before = dict[int, Any]()

    async def task(number: int, execution: Execution[Any] = CurrentExecution()) -> None:
        before[number] = seen.get(None)
        seen.set(number)
        await anyio.sleep(0)
        assert (seen.get(), current_execution.get()) == (number, execution)

    executions = [await docket.add(task)(n) for n in range(12)]
    async with at_most():
        await Worker(docket, concurrency=5).run_until_finished()
    for execution in executions:
        await execution.get_result()
    assert before == dict.fromkeys(range(12))
    assert seen.get(None) is None


@pytest.mark.parametrize("how", ["stop", "hand_back"])
async def test_a_worker_that_is_stopped_there_begins_none_of_those_that_were_taken_with_it(
    docket: Docket, how: str
) -> None:
    ran: Counter[int] = Counter()

    async def task(number: int) -> int:
        ran[number] += 1
        if number == 2:
            getattr(worker, how)()
        return number

    executions = [await docket.add(task, key=f"{n}")(n) for n in range(9)]
    async with at_most():
        await (worker := Worker(docket, "first", 5)).run_forever()
        for execution in executions:
            await execution.sync()
            begun = int(execution.key) in ran
            assert execution.state is (ExecutionState.COMPLETED if begun else ExecutionState.QUEUED)
        assert len(ran) < 9
        await Worker(docket, "next", max_deliveries=1).run_until_finished()
    assert ran == Counter(range(9))
    assert [await execution.get_result() for execution in executions] == list(range(9))


async def test_a_body_that_raises_exits_or_cancels_there_ends_alone(docket: Docket) -> None:
    """Those before it and after it have been taken with it."""

    async def raises() -> None:
        raise ValueError("at once")

    async def exits() -> None:
        sys.exit(3)

    async def opens() -> None:
        anyio.CancelScope().__enter__()

    async def cancels(execution: Execution[Any] = CurrentExecution()) -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await anyio.sleep(0)
        raise ValueError("of a scope of its own")

    async def innocent(number: int) -> int:
        return number

    guilty, executions = [], []
    for number, task in enumerate((raises, exits, opens, cancels)):
        executions.append(await docket.add(innocent)(2 * number))
        guilty.append(await docket.add(task)())
        executions.append(await docket.add(innocent)(2 * number + 1))
    async with at_most():
        await Worker(docket, concurrency=20).run_until_finished()
    assert [await execution.get_result() for execution in executions] == list(range(8))
    for execution in guilty:
        await execution.sync()
        assert execution.state is ExecutionState.FAILED


async def test_a_body_that_blocks_there_does_not_take_the_lease_of_those_that_were_taken_with_it(
    docket: Docket,
) -> None:
    """I2, I3: a body begins only while its lease is trusted. All are on the roster, and renewed, before one begins."""
    ran: Counter[int] = Counter()

    async def task(number: int, execution: Execution[Any] = CurrentExecution()) -> int:
        ran[number] += 1
        assert not execution.redelivered
        if number == 1:
            time.sleep(0.6)
        return number

    executions = [await docket.add(task)(n) for n in range(6)]
    async with at_most():
        await Worker(docket, concurrency=6, redelivery_timeout=ms(400)).run_until_finished()
    assert [await execution.get_result() for execution in executions] == list(range(6))
    assert ran == Counter(range(6))


async def test_bodies_that_never_wait_begin_about_in_their_order_and_let_others_have_turns(
    docket: Docket,
) -> None:
    """A program beside them goes on after each take, however many wait."""
    turn, begun = 0, list[tuple[int, int]]()

    async def task(number: int) -> None:
        begun.append((number, turn))

    for number in range(60):
        await docket.add(task)(number)
    async with anyio.create_task_group() as beside, at_most():

        async def count_turns() -> None:
            nonlocal turn
            while True:
                await anyio.sleep(0)
                turn += 1

        beside.start_soon(count_turns)
        await Worker(docket, concurrency=5).run_until_finished()
        beside.cancel_scope.cancel()
    assert sorted(number for number, _ in begun) == list(range(60))
    assert all(
        abs(place - number) < 10 for place, (number, _) in enumerate(begun)
    )  # trio starts them in any order
    assert max(Counter(turn for _, turn in begun).values()) <= 5


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no eager tasks")
async def test_on_asyncio_most_bodies_end_in_the_step_that_starts_them(
    docket: Docket, anyio_backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_inside: list[bool] = []
    start = Runner.start

    def started(self: Runner, running: Running) -> None:
        start(self, running)
        begun_inside.append(running.begins_in is None)

    async def task() -> None: ...

    monkeypatch.setattr(Runner, "start", started)
    await docket.add(task)()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert begun_inside == [anyio_backend[0] == "asyncio"]


async def test_what_goes_wrong_in_the_firewall_itself_ends_the_worker(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim would be forgotten otherwise, and its lease run out."""

    def fails(*_: object) -> None:
        raise ValueError("the firewall")

    async def wrong() -> None:
        raise RuntimeError("the body")

    monkeypatch.setattr(Runner, "_contain", fails)
    monkeypatch.setattr(Runner, "finish", fails)
    await docket.add(wrong)()
    async with Worker(docket) as worker:
        with pytest.raises(ValueError, match="the firewall"):
            await worker.run_until_finished()
