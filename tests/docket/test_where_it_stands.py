"""Each view says the same of where a task stands: `get_execution`, `snapshot` and the lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Annotated, Any

import anyio
import attrs
import pytest

from docket import ConcurrencyLimit, Docket, Execution, Retry, clock
from docket.operating import WaitingState
from docket.store import Delivery
from tests import where
from tests.docket.conftest import working

pytestmark = [pytest.mark.anyio, where.few_pairs]

DAY = timedelta(days=1)


@attrs.define(eq=False)
class Gate:
    begun: anyio.Event = attrs.field(factory=anyio.Event)
    go: anyio.Event = attrs.field(factory=anyio.Event)


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    async with Docket("d", url, heartbeat_interval=timedelta(seconds=60)) as docket:
        yield docket


async def views(docket: Docket, key: str, state: WaitingState) -> list[Execution[Any]]:
    """What each view has of a task."""
    one = await docket.get_execution(key)
    taken = await docket.snapshot()
    page = await docket.executions(state, contains=key)
    (listed,) = page.executions
    assert one is not None
    return [one, *(each for each in [*taken.future, *taken.running] if each.key == key), listed]


async def test_for_which_limit_it_waits(docket: Docket) -> None:
    gate = Gate()

    async def paint(wall: Annotated[int, ConcurrencyLimit(1)]) -> None:
        gate.begun.set()
        await gate.go.wait()

    docket.register(paint)
    await docket.add(paint, key="holds")(1)
    async with working(docket):
        await gate.begun.wait()
        waits = await docket.add(paint, key="waits")(1)
        async for event in waits.subscribe():
            if event["type"] == "state" and event["state"] == "scheduled":
                break
        (limit,) = await docket.concurrency()
        found = await views(docket, "waits", "limited")
        assert [each.waits_for for each in found] == [limit.key] * 3
        assert not any(each.is_paused for each in found)
        gate.go.set()
        await waits.get_result(timeout=timedelta(seconds=20))
        await waits.sync()
        assert waits.waits_for is None


async def test_that_it_is_paused(docket: Docket) -> None:
    async def paint() -> None: ...

    docket.register(paint)
    await docket.add(paint, key="due")()
    await docket.pause(paint)
    assert [each.is_paused for each in await views(docket, "due", "due")] == [True] * 3
    lined_up = await docket.get_execution("due")
    assert lined_up is not None
    async with working(docket):
        with anyio.fail_after(20):
            while not (await docket.executions("paused")).executions:
                await anyio.sleep(0.02)
        found = await views(docket, "due", "paused")
        assert [(each.is_paused, each.waits_for) for each in found] == [(True, None)] * 3


async def test_which_attempt_is_next_when_and_after_which_error(docket: Docket) -> None:
    async def paint(retry: Retry = Retry(attempts=3, delay=DAY)) -> None:
        raise ValueError("no rows")

    docket.register(paint)
    tried = await docket.add(paint, key="again")()
    async with working(docket):
        async for event in tried.subscribe():
            if event["type"] == "state" and event["state"] == "scheduled":
                break
    found = await views(docket, "again", "later")
    assert [(each.attempt, each.last_error) for each in found] == [(2, "ValueError: no rows")] * 3
    assert len({each.when for each in found}) == 1
    await docket.run_now("again")
    found = await views(docket, "again", "due")
    assert [(each.attempt, each.last_error) for each in found] == [(2, "ValueError: no rows")] * 3


async def test_that_it_has_a_task_group_open(docket: Docket) -> None:
    gate = Gate()

    async def gather() -> None:
        async with docket.task_group():
            gate.begun.set()
            await gate.go.wait()

    docket.register(gather)
    await docket.add(gather, key="runs")()
    async with working(docket, "w"):
        await gate.begun.wait()
        found = await views(docket, "runs", "running")
        assert [each.is_parent for each in found] == [True] * 3
        gate.go.set()
        await found[0].get_result()
        await found[0].sync()
    assert not found[0].is_parent


async def test_that_it_was_asked_to_stop_and_that_its_worker_is_gone(docket: Docket) -> None:
    gate = Gate()

    async def paint() -> None:
        gate.begun.set()
        with anyio.CancelScope(shield=True):
            await gate.go.wait()

    docket.register(paint)
    await docket.add(paint, key="runs")()
    async with working(docket, "w"):
        await gate.begun.wait()
        found = await views(docket, "runs", "running")
        assert [(each.cancel_requested, each.worker_is_gone) for each in found] == [(False, False)] * 3
        await docket.cancel("runs")
        async with docket.redis() as redis:
            await redis.zrem("d:workers", "w")
        found = await views(docket, "runs", "running")
        assert [(each.cancel_requested, each.worker_is_gone) for each in found] == [(True, True)] * 3
        gate.go.set()


async def test_how_often_an_attempt_was_begun(docket: Docket) -> None:
    async def paint() -> None: ...

    docket.register(paint)
    await docket.add(paint, key="lost")()
    lost = docket.store.claims("lost")
    await lost.create_group()
    (delivery,) = await lost.take(1)
    assert isinstance(delivery, Delivery)
    assert [each.times_begun for each in await views(docket, "lost", "running")] == [1] * 3
    await docket.store.claims("heir").take_over([delivery.message_id], timedelta(0))
    found = await views(docket, "lost", "running")
    assert [(each.attempt, each.times_begun) for each in found] == [(1, 2)] * 3


async def test_when_it_was_queued(docket: Docket) -> None:
    async def paint(retry: Retry = Retry(attempts=2, delay=DAY)) -> None:
        raise ValueError("no rows")

    docket.register(paint)
    before = clock.now() - timedelta(seconds=1)
    tried = await docket.add(paint, key="k", when=before + DAY)()
    seen: list[bool] = []

    async def look() -> None:
        await tried.sync()
        seen.append(
            tried.queued_at is not None and before < tried.queued_at < clock.now() + timedelta(seconds=1)
        )

    await look()
    assert tried.queued_at is None
    await docket.run_now("k")
    await docket.store.due.move(1)
    await look()
    first = tried.queued_at
    async with working(docket):
        async for event in tried.subscribe():
            if event["type"] == "state" and event["state"] == "scheduled":
                break
    await look()  # it is tried again tomorrow
    assert tried.queued_at is None
    await docket.run_now("k")
    async with working(docket):
        with pytest.raises(ValueError, match="no rows"):
            await tried.get_result(timeout=timedelta(seconds=20))
    await look()
    assert seen == [False, True, False, True]
    assert tried.queued_at is not None
    assert first is not None
    assert tried.queued_at > first
