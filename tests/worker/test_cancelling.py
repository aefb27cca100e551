"""``docket.cancel(key)`` while the task runs (StopReason.ASKED)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import pytest

from docket import Depends, Docket, ExecutionCancelled, Retry, Worker
from docket.execution import ExecutionState
from docket.store import Claims, Delivery, Settled
from docket.worker.upkeep import listener as upkeep
from tests.durations import ms
from tests.where import on_asyncio
from tests.worker.conftest import working

pytestmark = pytest.mark.anyio


async def test_a_running_task_is_cancelled_and_acknowledged(docket: Docket) -> None:
    begun = anyio.Event()
    cancelled: list[BaseException] = []

    async def endless() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as error:
            cancelled.append(error)
            raise

    execution = await docket.add(endless)()
    async with working(Worker(docket)):
        await begun.wait()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
        async with docket.redis() as redis:
            assert await redis.xlen(docket.stream_key) == 0
    assert len(cancelled) == 1


async def test_a_body_that_swallows_the_cancellation_and_returns_has_completed(docket: Docket) -> None:
    begun = anyio.Event()

    async def stubborn() -> str:
        begun.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return "all the same"

    execution = await docket.add(stubborn)()
    async with working(Worker(docket)):
        await begun.wait()
        await docket.cancel(execution.key)
        assert await execution.get_result() == "all the same"


async def test_a_body_that_fails_while_it_is_cancelled_is_cancelled_and_not_retried(docket: Docket) -> None:
    begun = anyio.Event()

    async def clumsy(retry: Retry = Retry(attempts=None)) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("on the way out")

    execution = await docket.add(clumsy)()
    async with working(Worker(docket)):
        await begun.wait()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()


async def test_children_of_a_cancelled_body_are_cancelled_also_where_one_of_them_fails(
    docket: Docket,
) -> None:
    begun = anyio.Event()
    ends: list[str] = []

    async def child(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ends.append(name)
            if name == "clumsy":
                raise ValueError(name)

    async def parent() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(child, "clumsy")
            group.start_soon(child, "careful")
            begun.set()

    execution = await docket.add(parent)()
    async with working(Worker(docket)):
        await begun.wait()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert sorted(ends) == ["careful", "clumsy"]


async def test_dependencies_of_a_cancelled_body_see_why_and_close_undisturbed(docket: Docket) -> None:
    begun = anyio.Event()
    seen: list[str] = []

    @asynccontextmanager
    async def transaction() -> AsyncGenerator[int]:
        try:
            yield 1
        except BaseException:
            await anyio.sleep(0)  # a rollback takes a round trip
            seen.append("rolled back")
            raise
        seen.append("committed")

    async def task(number: int = Depends(transaction)) -> None:
        begun.set()
        await anyio.sleep_forever()

    execution = await docket.add(task)()
    async with working(Worker(docket)):
        await begun.wait()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()
    assert seen == ["rolled back"]


async def test_a_task_that_waits_for_its_dependencies_can_be_cancelled(docket: Docket) -> None:
    begun = anyio.Event()

    async def slow() -> int:
        begun.set()
        await anyio.sleep_forever()
        return 1

    async def task(number: int = Depends(slow)) -> None:
        raise AssertionError("must not run")

    execution = await docket.add(task)()
    async with working(Worker(docket)):
        await begun.wait()
        await docket.cancel(execution.key)
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()


async def test_only_the_task_of_that_key_is_cancelled(docket: Docket) -> None:
    begun: dict[int, anyio.Event] = {number: anyio.Event() for number in range(3)}
    go_on = anyio.Event()

    async def task(number: int) -> int:
        begun[number].set()
        await go_on.wait()
        return number

    executions = [await docket.add(task, key=f"key-{number}")(number) for number in range(3)]
    async with working(Worker(docket)):
        for event in begun.values():
            await event.wait()
        await docket.cancel("key-1")
        with pytest.raises(ExecutionCancelled):
            await executions[1].get_result()
        go_on.set()
        assert [await executions[at].get_result() for at in (0, 2)] == [0, 2]


async def test_a_cancellation_asked_for_right_after_the_claim_is_not_lost(docket: Docket) -> None:
    """Whether it is heard before the claim is known here, or after: cancel as soon as the run is announced."""
    for number in range(15):

        async def endless() -> None:
            await anyio.sleep_forever()

        async with working(Worker(docket)):
            execution = await docket.add(endless, key=f"key-{number}")()
            async with aclosing(execution.subscribe()) as events:
                async for event in events:
                    if event["type"] == "state" and event["state"] == "running":
                        await docket.cancel(execution.key)
                        break
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()


async def test_a_cancellation_before_the_claim_is_refused_by_the_claim(docket: Docket) -> None:
    async def never() -> None:
        raise AssertionError("was cancelled")

    execution = await docket.add(never)()
    await docket.cancel(execution.key)
    with anyio.fail_after(10):
        await Worker(docket).run_until_finished()
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_a_cancellation_asked_for_while_nobody_listened_meets_the_redelivered_run(
    docket: Docket,
) -> None:
    """The first worker died with the request unheard."""

    async def endless() -> None:
        await anyio.sleep_forever()

    execution = await docket.add(endless)()
    await claimed_by_a_dead_worker(docket)
    await docket.cancel(execution.key)
    async with working(Worker(docket, "heir", redelivery_timeout=ms(60))):
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()


async def claimed_by_a_dead_worker(docket: Docket) -> None:

    claims = docket.store.claims("dead")
    await claims.create_group()
    assert len(await claims.take(1)) == 1


class TestOnAsyncio:
    pytestmark = on_asyncio

    async def test_the_body_sees_a_real_cancelled_error(self, docket: Docket) -> None:
        begun = asyncio.Event()
        seen: list[type[BaseException]] = []

        async def endless() -> None:
            begun.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError as error:
                seen.append(type(error))
                raise asyncio.CancelledError("my own") from None

        execution = await docket.add(endless)()
        async with working(Worker(docket)):
            await begun.wait()
            await docket.cancel(execution.key)
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()
        assert seen == [asyncio.CancelledError]

    async def test_a_body_on_asyncios_own_task_group_is_cancelled_with_its_children(
        self, docket: Docket
    ) -> None:
        begun = asyncio.Event()

        async def endless() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(3600))
                begun.set()

        execution = await docket.add(endless)()
        async with working(Worker(docket)):
            await begun.wait()
            await docket.cancel(execution.key)
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()


async def test_a_cancellation_asked_for_while_a_run_is_handed_back_is_not_lost(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes it next may have begun to listen since."""
    hand_back, begun = Claims.hand_back, anyio.Event()

    async def late(claims: Claims, delivery: Delivery, **how: Any) -> Settled:
        await docket.cancel("k")
        return await hand_back(claims, delivery, **how)

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    monkeypatch.setattr(Claims, "hand_back", late)
    execution = await docket.add(endless, key="k")()
    async with working(Worker(docket)):  # which hands back at its end
        await begun.wait()
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED


async def test_what_was_asked_for_in_vain_is_forgotten_whatever_it_was(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty key, of somebody who publishes by hand, was once the last thing that was ever forgotten."""
    monkeypatch.setattr(upkeep, "REMEMBERED", 0.0)
    listeners: list[upkeep.Listener] = []
    heard, recorded = anyio.Event(), upkeep.Listener._wake_up  # pyright: ignore[reportPrivateUsage]

    async def woken(listener: upkeep.Listener, text: str) -> None:
        await recorded(listener, text)
        if text == "heard":
            listeners.append(listener)
            heard.set()

    async def nothing() -> None: ...

    monkeypatch.setattr(upkeep.Listener, "_wake_up", woken)
    begun = await docket.add(nothing)()
    async with working(Worker(docket)), docket.redis() as redis:
        await begun.get_result()
        for key in ("", *(f"{number}" for number in range(100))):
            await redis.publish(docket.keys.cancel_channel(key), key)
        await redis.publish(docket.keys.wake, "heard")
        await heard.wait()
    [listener] = listeners
    assert len(listener._unclaimed) < 50  # pyright: ignore[reportPrivateUsage]
