"""One docket, used from several threads and event loops at once."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread
import pytest
from redis.exceptions import ConnectionError

from docket import CurrentDocket, Docket, ExecutionState, Progress, Worker
from docket.execution import ExecutionProgress
from docket.rules import Disposition
from docket.strikelist import Operator, StrikeList
from tests.docket.conftest import add, later, nothing, work, working
from tests.loops import LOOPS, PATIENCE, Elsewhere, Loop, run, together
from tests.transport.stress import open_descriptors

ALL_AT_ONCE = LOOPS * 2


async def in_thread(loop: Loop, work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """Run ``work(*args)`` in an event loop of its own, in a thread, while this one goes on."""
    with anyio.fail_after(PATIENCE):
        return await anyio.to_thread.run_sync(lambda: run(loop, work, *args), abandon_on_cancel=True)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["memory", "redis", "cluster", "sentinel"])
async def test_threads_with_loops_of_their_own_add_to_one_docket_at_once(
    kind: str, request: pytest.FixtureRequest
) -> None:
    async with Docket("d", request.getfixturevalue(f"{kind}_url")) as docket:

        async def add_some(first: int) -> None:
            async with anyio.create_task_group() as group:
                for number in range(first, first + 20):
                    group.start_soon(add_one, number)

        async def add_one(number: int) -> None:
            await docket.add(add, key=f"k{number}")(number)

        async with anyio.create_task_group() as group:
            for at, loop in enumerate(ALL_AT_ONCE):
                group.start_soon(in_thread, loop, add_some, 100 * at)
        await work(docket)
        for number in range(20):
            execution = await docket.get_execution(f"k{500 + number}")
            assert execution is not None
            assert await execution.get_result() == 500 + number


@pytest.mark.anyio
@pytest.mark.parametrize("foreign", LOOPS, ids=["asyncio", "uvloop", "trio"])
async def test_a_worker_goes_on_when_a_task_was_added_in_another_loop(docket: Docket, foreign: Loop) -> None:
    async def add_one(number: int) -> None:
        await docket.add(add, key=f"k{number}")(number)

    async with working(docket):
        with anyio.fail_after(PATIENCE):
            for number in range(3):
                await in_thread(foreign, add_one, number)
                execution = await docket.get_execution(f"k{number}")
                assert execution is not None
                assert await execution.get_result() == number


@pytest.mark.anyio
async def test_a_result_is_awaited_in_several_loops_at_once(docket: Docket) -> None:
    execution = await docket.add(add, key="k")(20, 22)
    waiting = threading.Semaphore(0)

    async def wait() -> int:
        found = await docket.get_execution("k")
        assert found is not None
        waiting.release()
        return await found.get_result()

    results: list[int] = []

    async def collect(loop: Loop) -> None:
        results.append(await in_thread(loop, wait))

    async with anyio.create_task_group() as group:
        for loop in ALL_AT_ONCE:
            group.start_soon(collect, loop)
        for _ in ALL_AT_ONCE:
            await anyio.to_thread.run_sync(waiting.acquire)
        await work(docket)
    assert results == [42] * len(ALL_AT_ONCE)
    assert await execution.get_result() == 42


@pytest.mark.anyio
async def test_an_execution_is_followed_in_several_loops_at_once(docket: Docket) -> None:
    async def report(progress: ExecutionProgress = Progress()) -> None:
        await progress.set_total(3)
        for _ in range(3):
            await progress.increment()

    await docket.add(report, key="k")()

    class Following:
        def __init__(self) -> None:
            self.ready, self.seen = threading.Event(), list[str]()

        async def follow(self) -> None:
            execution = await docket.get_execution("k")
            assert execution is not None
            async for event in execution.subscribe(ready=self.ready):
                self.seen.append(event["state"] if event["type"] == "state" else "progress")

    followings = [Following() for _ in LOOPS]
    async with anyio.create_task_group() as group:
        for loop, each in zip(LOOPS, followings, strict=True):
            group.start_soon(in_thread, loop, each.follow)
            await anyio.to_thread.run_sync(each.ready.wait, PATIENCE)
        await work(docket)
    for each in followings:
        assert each.seen[0] == ExecutionState.QUEUED
        assert each.seen[-1] == ExecutionState.COMPLETED
        assert each.seen.count("progress") >= 4


@pytest.mark.anyio
async def test_a_strike_counts_in_every_loop_at_once(docket: Docket) -> None:
    async def strike(value: int) -> None:
        await docket.strike(add, "a", "==", value)
        assert (await docket.add(add, key=f"k{value}")(value)).disposition is Disposition.STRUCK

    async def all_of_them(first: int) -> None:
        for value in range(first, first + 10):
            await strike(value)

    async with anyio.create_task_group() as group:
        for at, loop in enumerate(ALL_AT_ONCE):
            group.start_soon(in_thread, loop, all_of_them, 100 * at)
    assert len(await docket.strikes()) == 10 * len(ALL_AT_ONCE)
    assert (await docket.add(add)(309)).disposition is Disposition.STRUCK
    assert (await docket.add(add)(310)).disposition is Disposition.SCHEDULED


@pytest.mark.anyio
async def test_a_list_of_strikes_is_read_in_every_thread_with_and_without_a_loop(
    url: str, docket: Docket
) -> None:
    async with StrikeList(url, "d") as strikes:

        async def strike_and_look(value: int) -> None:
            await strikes.strike("add", "a", "==", value)
            assert (Operator.EQUAL, value) in strikes.task_strikes["add"]["a"]

        async with anyio.create_task_group() as group:
            for at, loop in enumerate(ALL_AT_ONCE):
                group.start_soon(in_thread, loop, strike_and_look, at)
        await docket.strike(add, "a", "==", 100)
        with anyio.fail_after(PATIENCE):
            while (Operator.EQUAL, 100) not in strikes.task_strikes["add"]["a"]:
                await anyio.lowlevel.checkpoint()
        together(*[lambda: strikes.strikes()] * 4)
        assert len(strikes.strikes()) == len(ALL_AT_ONCE) + 1


@pytest.mark.anyio
async def test_workers_in_several_loops_share_one_docket(docket: Docket) -> None:
    """And all tasks run once."""
    ran: list[int] = []

    async def note(number: int) -> None:
        ran.append(number)

    for number in range(60):
        await docket.add(note)(number)

    async def work_elsewhere(name: str) -> None:
        await Worker(docket, name, concurrency=2).run_until_finished()

    async with anyio.create_task_group() as group:
        for loop in LOOPS:
            group.start_soon(in_thread, loop, work_elsewhere, repr(loop))
        await Worker(docket, "here", concurrency=2).run_until_finished()
    assert sorted(ran) == list(range(60))


@pytest.mark.anyio
async def test_a_plain_function_adds_in_a_loop_of_its_own(docket: Docket) -> None:
    """As a task that is called in a thread does."""

    def parent(docket: Docket = CurrentDocket()) -> None:
        async def place() -> None:
            await docket.add(add, key="child")(1, 2)

        anyio.run(place)

    docket.register(parent)
    await docket.add(parent)()
    with anyio.fail_after(PATIENCE):
        await work(docket)
        execution = await docket.get_execution("child")
        assert execution is not None
        assert await execution.get_result() == 3


@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop", "trio"])
def test_three_hundred_short_runs_in_threads_leave_nothing_behind(url: str, loop: Loop) -> None:
    """No connection, no thread, no event loop, while the loop that has the docket goes on."""

    async def main() -> None:
        async with Docket("d", url) as docket:
            await docket.add(nothing, when=later())()
            loops: list[weakref.ref[Any]] = []

            async def add_one() -> None:
                loops.append(weakref.ref(anyio.lowlevel.current_token().native_token))
                await docket.add(nothing, when=later())()

            def in_a_row() -> None:
                for at in range(60):
                    run(LOOPS[at % len(LOOPS)], add_one)

            await anyio.to_thread.run_sync(together, in_a_row)  # what is made once is there by now
            gc.collect()
            before, threads = open_descriptors(), threading.active_count()
            await anyio.to_thread.run_sync(together, *[in_a_row] * 5)
            gc.collect()
            assert open_descriptors() == before
            assert threading.active_count() <= threads  # those that trio keeps may have gone
            assert len(loops) == 360
            assert [loop() for loop in loops if loop() is not None] == []
            assert len((await docket.snapshot()).future) == 361

    run(loop, main)


def test_one_thread_runs_one_loop_after_another_with_a_docket_that_stays_entered(url: str) -> None:
    docket = Docket("d", url)
    run(LOOPS[0], docket.__aenter__)
    for loop in LOOPS:
        run(loop, anyio.sleep, 0)  # the first run of a loop opens what the process keeps
    before = open_descriptors()

    async def add_one(number: int) -> None:
        await docket.add(add, key=f"k{number}")(number)

    async def result(number: int) -> int:
        await work(docket)
        execution = await docket.get_execution(f"k{number}")
        assert execution is not None
        return await execution.get_result()

    for at, loop in enumerate(LOOPS * 2):
        run(loop, add_one, at)
    for at, loop in enumerate(LOOPS * 2):
        assert run(loop, result, at) == at
    gc.collect()
    assert open_descriptors() == before
    run(LOOPS[0], docket.__aexit__, None, None, None)


@pytest.mark.anyio
@pytest.mark.parametrize("foreign", LOOPS, ids=["asyncio", "uvloop", "trio"])
async def test_who_waits_in_another_loop_is_told_when_the_docket_is_left(url: str, foreign: Loop) -> None:
    docket, waits = Docket("d", url), threading.Event()
    await docket.__aenter__()
    await docket.add(add, when=later(), key="k")(1)

    async def wait() -> None:
        execution = await docket.get_execution("k")
        assert execution is not None
        async for _ in execution.subscribe(ready=waits):
            pass

    errors: list[BaseException] = []

    async def collect() -> None:
        try:
            await in_thread(foreign, wait)
        except ConnectionError as error:
            errors.append(error)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(collect)
            await anyio.to_thread.run_sync(waits.wait)
            await docket.__aexit__(None, None, None)
    assert "closed by client" in str(errors[0])
    with pytest.raises(RuntimeError, match="docket 'd' is not connected to Redis"):
        await in_thread(foreign, wait)


@pytest.mark.anyio
async def test_threads_enter_and_leave_a_docket_while_others_use_it(url: str) -> None:
    docket = Docket("d", url)

    async def use(number: int) -> None:
        for at in range(10):
            async with docket:
                await docket.add(add, key=f"k{number}-{at}", when=later())(1)

    async with docket:
        async with anyio.create_task_group() as group:
            for at, loop in enumerate(ALL_AT_ONCE):
                group.start_soon(in_thread, loop, use, at)
        assert len((await docket.snapshot()).future) == 10 * len(ALL_AT_ONCE)
    with pytest.raises(RuntimeError, match="not connected"):
        _ = docket.client


@pytest.mark.anyio
async def test_an_error_in_another_loop_stays_there(docket: Docket) -> None:
    async def fail() -> None:
        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(docket.add(nothing, key=f"k{number}", when=later()))
            await anyio.lowlevel.checkpoint()
            raise ZeroDivisionError

    async with working(docket):
        for loop in LOOPS:
            with pytest.raises(ExceptionGroup):
                await in_thread(loop, fail)
        with anyio.fail_after(PATIENCE):
            assert await (await docket.add(add)(1)).get_result() == 1


@pytest.mark.anyio
async def test_a_loop_that_goes_on_in_a_thread_is_asked_now_and_then(docket: Docket) -> None:
    async def add_one(number: int) -> None:
        await docket.add(add, key=f"k{number}")(number)

    with Elsewhere(LOOPS[2]) as one, Elsewhere(LOOPS[1]) as other:
        for number in range(6):
            await (one, other)[number % 2].ask(add_one, number)
        await work(docket)
        execution = await docket.get_execution("k5")
        assert execution is not None
        assert await execution.get_result() == 5
