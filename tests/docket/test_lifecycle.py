"""Entering and leaving a docket (I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Disposition, Docket, ExecutionState
from tests.docket.conftest import add, later, nothing, work
from tests.where import one_loop


@pytest.mark.anyio
async def test_a_docket_is_used_while_it_is_entered(url: str) -> None:
    docket = Docket("d", url)
    with pytest.raises(RuntimeError, match="docket 'd' is not connected to Redis"):
        await docket.add(add)(1)
    async with docket:
        await docket.add(add)(1)
    with pytest.raises(RuntimeError, match="not connected to Redis"):
        await docket.snapshot()


@pytest.mark.anyio
async def test_a_docket_may_be_entered_again(redis_url: str) -> None:
    docket = Docket("d", redis_url)
    async with docket:
        execution = await docket.add(add)(1)
    async with docket:
        await work(docket)
        assert await execution.get_result() == 1


@pytest.mark.anyio
async def test_a_docket_that_is_entered_twice_is_left_twice(url: str) -> None:
    async with Docket("d", url) as docket:
        async with docket:
            await docket.add(add, key="k")(1)
        assert await docket.get_execution("k") is not None


@pytest.mark.anyio
async def test_entering_does_not_connect() -> None:
    async with Docket("d", "redis://127.0.0.1:1/0"):
        pass


@pytest.mark.anyio
async def test_memory_is_shared_by_name(memory_url: str) -> None:
    async with (
        Docket("d", memory_url) as one,
        Docket("d", memory_url) as two,
        Docket("d", f"{memory_url}-x") as other,
    ):
        await one.add(add, key="k")(1)
        assert await two.get_execution("k") is not None
        assert await other.get_execution("k") is None


@pytest.mark.anyio
async def test_memory_lasts_from_the_first_entering_to_the_last_leaving(memory_url: str) -> None:
    """Also while nobody has used the docket that is still open."""
    async with Docket("d", memory_url) as idle:
        async with Docket("d", memory_url) as docket:
            await docket.add(add, key="k")(1)
        assert await idle.get_execution("k") is not None
    async with Docket("d", memory_url) as docket:
        assert await docket.get_execution("k") is None


@pytest.mark.anyio
async def test_memory_begins_anew_when_a_docket_is_entered_again(memory_url: str) -> None:
    docket = Docket("d", memory_url)
    async with docket:
        await docket.add(add, when=later(), key="k")(1)
    async with docket:
        assert await docket.get_execution("k") is None
        assert (await docket.add(add, key="k")(2)).generation == 1


def test_one_memory_url_serves_one_event_loop_after_another(memory_url: str) -> None:
    async def use(docket: Docket) -> None:
        async with docket:
            execution = await docket.add(add)(1)
            await work(docket)
            assert await execution.get_result() == 1

    docket = Docket("d", memory_url)
    for backend in "asyncio", "trio", "asyncio":
        anyio.run(use, docket, backend=backend)


async def opened(url: str) -> AsyncIterator[Docket]:
    """What fixtures and lifespans of web programs are."""
    async with Docket("d", url) as docket:
        yield docket


@pytest.mark.anyio
async def test_a_docket_is_left_in_another_task_than_it_was_entered_in(url: str) -> None:
    generator = opened(url)
    found: list[Docket] = []

    async def enter() -> None:
        found.append(await anext(generator))
        await found[0].add(add, key="k")(1)

    async def leave() -> None:
        with pytest.raises(StopAsyncIteration):
            await anext(generator)

    async with anyio.create_task_group() as outer:
        outer.start_soon(anyio.sleep_forever)
        async with anyio.create_task_group() as group:
            group.start_soon(enter)
        (docket,) = found
        assert await docket.get_execution("k") is not None
        async with anyio.create_task_group() as group:
            group.start_soon(leave)
        outer.cancel_scope.cancel()
    with pytest.raises(RuntimeError, match="not connected"):
        _ = docket.client


@pytest.mark.anyio
async def test_dockets_are_left_in_any_order_across_scopes(url: str) -> None:
    first, second = Docket("a", url), Docket("b", url)
    await first.__aenter__()
    with anyio.CancelScope() as scope:
        await second.__aenter__()
        await second.add(add, key="k")(1)
        await first.__aexit__(None, None, None)
        scope.cancel()
    assert await second.get_execution("k") is not None
    await second.__aexit__(None, None, None)


def test_entering_and_leaving_by_hand_in_tasks_of_trio(memory_url: str) -> None:
    import trio

    async def main() -> None:
        docket = Docket("d", memory_url)
        async with trio.open_nursery() as nursery:
            entered = trio.Event()

            async def enter() -> None:
                await docket.__aenter__()
                entered.set()

            nursery.start_soon(enter)
            await entered.wait()
            await docket.add(add, key="k")(1)
            nursery.start_soon(docket.__aexit__, None, None, None)
        with pytest.raises(RuntimeError, match="not connected"):
            await docket.get_execution("k")

    trio.run(main)


def test_a_fixture_of_pytest_asyncio_style_enters_and_leaves_in_tasks_of_its_own(memory_url: str) -> None:
    """Setup, test and teardown are three tasks of one loop; nothing binds the docket to the first."""
    import asyncio

    async def step(generator: AsyncIterator[Docket]) -> Docket | None:
        return await anext(generator, None)

    async def use(docket: Docket) -> Any:
        execution = await docket.add(add)(20, 22)
        await work(docket)
        return await execution.get_result()

    with asyncio.Runner() as runner:
        generator = opened(memory_url)
        docket = runner.run(step(generator))
        assert docket is not None
        assert runner.run(use(docket)) == 42
        assert runner.run(step(generator)) is None


@pytest.mark.anyio
async def test_leaving_ends_what_is_under_way(url: str) -> None:
    """A caller that waits is told; it does not hang."""
    docket = Docket("d", url)
    await docket.__aenter__()
    execution = await docket.add(add, when=later())(1)
    following = execution.subscribe()
    await anext(following)
    await following.aclose()
    await docket.__aexit__(None, None, None)
    with pytest.raises(RuntimeError, match="not connected"):
        await execution.get_result()


@pytest.mark.anyio
async def test_how_long_records_are_kept_may_be_changed_at_any_time(url: str) -> None:
    async with Docket("d", url, execution_ttl=timedelta(minutes=1)) as docket:
        docket.execution_ttl = timedelta(hours=2)
        assert docket.execution_ttl == timedelta(hours=2)
        await docket.add(add, when=later(), key="k")(1)
        await docket.cancel("k")
        async with docket.redis() as redis:
            assert await redis.pttl(docket.runs_key("k")) > 60 * 60 * 1000


@pytest.mark.anyio
async def test_when_a_worker_counts_as_gone_may_be_changed_at_any_time(url: str) -> None:
    async with Docket("d", url, heartbeat_interval=timedelta(seconds=1), missed_heartbeats=2) as docket:
        async with docket.redis() as redis:
            seconds, _ = await redis.time()
            await redis.zadd(docket.workers_set, {"quiet": seconds - 30})
        assert await docket.workers() == []
        docket.missed_heartbeats = 60
        assert (docket.missed_heartbeats, docket.heartbeat_interval) == (60, timedelta(seconds=1))
        assert [worker.name for worker in await docket.workers()] == ["quiet"]
        docket.missed_heartbeats, docket.heartbeat_interval = 2, timedelta(seconds=1)
        assert await docket.workers() == []
        docket.heartbeat_interval = timedelta(minutes=1)
        assert [worker.name for worker in await docket.workers()] == ["quiet"]


@pytest.mark.anyio
async def test_strikes_that_were_read_are_known_after_a_setting_was_changed(url: str) -> None:
    async with Docket("d", url) as docket:
        await docket.strike(add)
        docket.execution_ttl = timedelta(hours=2)
        assert (await docket.add(add)(1)).disposition is Disposition.STRUCK


@pytest.mark.anyio
@one_loop
async def test_a_server_in_the_process_ends_with_the_last_docket_on_it_unless_it_is_kept() -> None:
    async def seen(url: str) -> bool:
        async with Docket("d", url) as docket:
            found = await docket.get_execution("k") is not None
            await docket.add(nothing, key="k")()
        return found

    assert [await seen("memory://ends") for _ in range(2)] == [False, False]
    assert [await seen("memory://stays?keep") for _ in range(2)] == [False, True]
    assert await seen("memory://stays")  # the name is the server
    assert await seen("memory://stays?keep=false")


def test_a_kept_server_serves_one_event_loop_after_the_other() -> None:
    async def adds() -> None:
        async with Docket("d", "memory://loops?keep=true") as docket:
            await docket.add(nothing, key="k")()

    async def works() -> None:
        async with Docket("d", "memory://loops") as docket:
            docket.register(nothing)
            await work(docket)
            execution = await docket.get_execution("k")
            assert execution is not None
            assert execution.state is ExecutionState.COMPLETED

    anyio.run(adds)
    anyio.run(works, backend="trio")
