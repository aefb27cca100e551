"""What a parent does not hear of is found all the same; and its children are kept while its block is open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest
from redis.exceptions import ConnectionError

from docket import CurrentDocket, Docket, ExecutionCancelled, ExecutionState, Worker, clock
from docket.store import Claims
from tests.task_groups import tasks
from tests.task_groups.conftest import coming_out, elsewhere, groups_left, running, working
from tests.task_groups.tasks import HOUR, boom, double
from tests.where import few_pairs, slow, virtual_time

pytestmark = pytest.mark.anyio


@slow  # and not on memory://, where nothing is missed
@pytest.mark.pairs(("asyncio", "redis"), ("trio", "redis"))
@pytest.mark.parametrize("waits", [True, False], ids=["waits", "is in its body"])
async def test_a_failure_that_was_published_to_nobody_is_found(docket: Docket, waits: bool) -> None:
    with coming_out() as errors, anyio.fail_after(20):
        async with docket.task_group() as group:
            child = await group.add(double, when=clock.now() + HOUR)(1)
            await group.add(double, when=clock.now() + HOUR)(2)
            view = group._opened().view
            async with docket.redis() as redis:  # as settle.lua writes it
                await redis.hset(docket.keys.run(child.key), "state", "failed")
                await redis.zadd(docket.keys.group(view.group.id), {child.key: -1})
            if not waits:
                await anyio.sleep_forever()
    assert f"execution {child.key!r} failed" in str(errors[0])


@few_pairs
@slow
@pytest.mark.usefixtures("soon_closed")
async def test_patience_is_over_as_the_worker_hands_back(docket: Docket) -> None:
    """What the worker waits for is its shutdown_timeout, not the patience of those that it has stopped."""

    begun = anyio.Event()

    async def parent(docket: Docket = CurrentDocket()) -> None:
        async with docket.task_group(patience=timedelta(minutes=5)) as group:
            await group.add(tasks.stubborn, key="stubborn")(3.0)
            await begun.wait()

    execution = await docket.add(parent)()
    async with working(docket, "here", concurrency=1) as [worker]:
        await running(docket, execution.key)
        async with elsewhere(docket, redelivery_timeout=4000):
            await running(docket, "stubborn")
            begun.set()
            await docket.cancel(execution.key)
            await anyio.sleep(0.2)
            worker.hand_back()
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()
            stubborn = await docket.get_execution("stubborn")
            assert stubborn is not None
            assert stubborn.state is ExecutionState.RUNNING
            assert await stubborn.get_result() == "done"
            assert await groups_left(docket) == 0


@virtual_time
@pytest.mark.parametrize("by_itself", [False, True], ids=["a child has failed", "its body has"])
async def test_a_parent_that_is_failing_as_its_worker_stops_has_failed(
    memory_url: str, by_itself: bool
) -> None:
    """Begun anew it would not find its children, which are being cancelled, and all would run again."""
    begun, lingers = 0, anyio.Event()

    async def lingering() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            lingers.set()
            with anyio.CancelScope(shield=True):
                await anyio.sleep(2)

    async def parent(docket: Docket = CurrentDocket()) -> None:
        nonlocal begun
        begun += 1
        async with docket.task_group() as group:
            await group.add(lingering)()
            await anyio.sleep(1)
            if by_itself:
                await boom()
            await group.add(boom)()

    async with Docket("fails", memory_url) as docket:
        execution = await docket.add(parent)()
        worker = Worker(docket, "w", concurrency=3)
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await lingers.wait()
            worker.stop()
        await execution.sync()
        assert (execution.state, begun) == (ExecutionState.FAILED, 1)


@virtual_time
async def test_children_are_kept_for_as_long_as_the_block_is_open(memory_url: str) -> None:
    """Their records and results would be gone after a minute."""

    async def nap(seconds: float) -> float:
        await anyio.sleep(seconds)
        return seconds

    async def parent(docket: Docket = CurrentDocket()) -> list[float]:
        async with docket.task_group() as group:
            children = [await group.add(nap)(seconds) for seconds in (1, 7200)]
        return [await child.get_result() for child in children]

    async with Docket("kept", memory_url, execution_ttl=timedelta(minutes=1)) as docket:
        execution = await docket.add(parent)()
        async with docket.task_group() as group:
            first = await group.add(nap)(1)
            await group.add(nap)(7200)
            async with anyio.create_task_group() as beside:
                beside.start_soon(Worker(docket, "w", concurrency=2).run_until_finished)
                assert await execution.get_result() == [1, 7200]
        assert await first.get_result() == 1


@few_pairs
async def test_what_a_worker_could_not_look_at_on_a_new_connection_it_looks_at_on_another(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is busy with what it has heard, so who begins to follow a channel finds the connection lost."""
    is_busy, go_on, has_looked = anyio.Event(), anyio.Event(), anyio.Event()
    sees_new_lane = Claims.sees_new_lane

    async def hear(said: bytes | None) -> None:
        is_busy.set()
        await go_on.wait()

    async def look(said: bytes | None) -> None:
        assert said is None
        has_looked.set()

    async def away(self: Claims) -> bool:
        monkeypatch.setattr(Claims, "sees_new_lane", sees_new_lane)
        raise ConnectionError("away")

    async with working(docket) as [worker]:
        await (await docket.add(double)(1)).get_result()  # it is at work
        session: Any = worker._session
        listener = session.listener
        await listener.follow("one", hear, hear)
        async with docket.redis() as redis:
            await redis.publish("one", "news")
        await is_busy.wait()
        listener._pubsub.lose("the network is")
        monkeypatch.setattr(Claims, "sees_new_lane", away)
        await listener.follow("another", look, look)
        assert not has_looked.is_set()
        go_on.set()
        await has_looked.wait()
        for name, tell in ("one", hear), ("another", look):
            listener.unfollow(name, tell)
