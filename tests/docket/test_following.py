"""Watching an execution: `sync` and `subscribe`."""

from __future__ import annotations

import threading
from contextlib import aclosing
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, ExecutionState
from tests.docket.conftest import add, later, nothing, refuse, work, working

pytestmark = pytest.mark.anyio


async def followed(execution: Execution[Any], ready: Any = None) -> list[str]:
    """The states that an execution goes through, to its end."""
    async with aclosing(execution.subscribe(ready=ready)) as events:
        return [event["state"] async for event in events if event["type"] == "state"]


async def test_sync_reads_where_an_execution_stands(docket: Docket) -> None:
    execution = await docket.add(refuse)("no")
    assert (execution.worker, execution.started_at, execution.completed_at) == (None, None, None)
    await work(docket)
    assert execution.state is ExecutionState.QUEUED
    await execution.sync()
    assert execution.state is ExecutionState.FAILED
    assert execution.error == "ValueError: no"
    assert execution.worker is not None
    assert execution.started_at is not None
    assert execution.completed_at is not None
    assert execution.started_at <= execution.completed_at


async def test_an_execution_is_followed_from_its_present_state_to_its_end(docket: Docket) -> None:
    execution = await docket.add(add)(1, 2)
    states: list[str] = []

    async def follow(ready: anyio.Event) -> None:
        states.extend(await followed(execution, ready))

    ready = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(follow, ready)
        await ready.wait()  # whatever happens from now on is seen
        await work(docket)
    assert states == ["queued", "running", "completed"]
    assert execution.state is ExecutionState.COMPLETED


async def test_what_has_ended_is_told_at_once(docket: Docket) -> None:
    execution = await docket.add(add)(1, 2)
    await work(docket)
    async with aclosing(execution.subscribe()) as events:
        first, second = [event async for event in events]
    assert first["type"] == "state"
    assert (first["key"], first["state"], first["error"]) == (execution.key, ExecutionState.COMPLETED, None)
    assert first["completed_at"] is not None
    assert second["type"] == "progress"
    assert (second["current"], second["total"]) == (None, 100)


async def test_a_record_that_is_gone_ends_the_following(docket: Docket) -> None:
    execution = await docket.add(add)(1)
    await work(docket)
    await docket.client.delete(docket.runs_key(execution.key))
    assert await followed(execution) == []


@pytest.mark.parametrize("kind", [anyio.Event, threading.Event])
async def test_ready_is_anything_that_can_be_set(docket: Docket, kind: type[Any]) -> None:
    execution = await docket.add(nothing)()
    ready = kind()
    async with aclosing(execution.subscribe(ready=ready)) as events:
        await anext(events)
        assert ready.is_set()


async def test_progress_is_followed_too(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later(), key="k")()
    async with aclosing(execution.subscribe()) as events:
        await anext(events)
        await anext(events)
        event = '{"type": "progress", "key": "k", "current": 2, "total": 5, "message": "half", "updated_at": null}'
        await docket.client.publish("d:progress:k", event)
        assert await anext(events) == {
            "type": "progress", "key": "k", "current": 2, "total": 5, "message": "half", "updated_at": None,
        }  # fmt: skip
    assert (execution.progress.current, execution.progress.total, execution.progress.message) == (
        2,
        5,
        "half",
    )


async def test_events_that_nobody_knows_are_passed_over(docket: Docket) -> None:
    """I9."""
    execution = await docket.add(nothing, when=later(), key="k")()
    async with aclosing(execution.subscribe()) as events:
        await anext(events)
        await anext(events)
        for payload in (
            "",
            "{",
            "\xff",
            "[]",
            "7",
            '{"type": "news"}',
            '{"type": "state"}',
            '{"type": "progress"}',
        ):
            await docket.client.publish("d:state:k", payload)
        await docket.client.publish("d:state:k", b"\xff\xfe")
        await docket.client.publish("d:state:k", '{"type": "state", "key": "k", "state": "puzzled"}')
        await docket.cancel("k")
        event = await anext(events)
        assert event["type"] == "state"
        assert event["state"] == "cancelled"


async def test_a_follower_may_leave_at_any_time(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    with anyio.CancelScope() as scope:
        async with aclosing(execution.subscribe()) as events:
            async for _ in events:
                scope.cancel()
    assert scope.cancelled_caught
    assert (await docket.get_execution(execution.key)) is not None


async def nobody_is_subscribed(docket: Docket, key: str) -> None:
    """Wait until the server has heard that nobody follows a key any more."""
    with anyio.fail_after(5):
        while await docket.client.publish(docket.keys.state_channel(key), b""):
            await anyio.sleep(
                0.001
            )  # nothing tells a client that the server has read the end of another connection


async def test_leaving_by_break_frees_the_connection(docket: Docket) -> None:
    """Also on trio, which complains of async generators that are not closed."""
    execution = await docket.add(nothing, when=later())()
    async for _ in execution.subscribe():
        break
    await nobody_is_subscribed(docket, execution.key)


async def test_nothing_is_open_any_more_at_the_last_event(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    events = execution.subscribe()
    async for event in events:
        if event["type"] == "progress":
            await docket.cancel(execution.key)
        elif event["state"] == "cancelled":
            await nobody_is_subscribed(docket, execution.key)
            break
    assert [event async for event in events] == []


async def test_a_follower_that_is_cancelled_has_ended(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    events = execution.subscribe()
    first = await anext(events), await anext(events)
    assert [event["type"] for event in first] == ["state", "progress"]
    with anyio.move_on_after(0.01) as scope:  # no event comes
        await anext(events)
    assert scope.cancelled_caught
    assert [event async for event in events] == []
    await nobody_is_subscribed(docket, execution.key)


async def test_one_subscription_is_followed_by_one_task(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    async with aclosing(execution.subscribe()) as events, anyio.create_task_group() as group:
        await anext(events)
        await anext(events)
        group.start_soon(anext, events)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="a subscription of its own"):
            await anext(events)
        with pytest.raises(RuntimeError, match="a subscription of its own"):
            await events.aclose()
        await docket.cancel(execution.key)


async def test_what_is_thrown_in_comes_out_and_ends_it(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    events = execution.subscribe()
    await anext(events)
    with pytest.raises(LookupError, match="enough"):
        await events.athrow(LookupError("enough"))
    assert [event async for event in events] == []


async def test_many_follow_one_execution(docket: Docket) -> None:
    execution = await docket.add(add)(1)
    seen: list[list[str]] = []
    ready = [anyio.Event() for _ in range(5)]

    async def follow(event: anyio.Event) -> None:
        same = await docket.get_execution(execution.key)
        assert same is not None
        seen.append(await followed(same, event))

    async with working(docket), anyio.create_task_group() as group:
        for event in ready:
            group.start_soon(follow, event)
    assert [states[-1] for states in seen] == ["completed"] * 5


async def test_all_that_wait_in_a_process_share_one_connection(redis_url: str) -> None:
    async with Docket("d", redis_url) as docket, docket.redis() as redis:
        added = [await docket.add(add, key=f"k{number}")(number) for number in range(400)]
        results: dict[int, int] = {}
        states: dict[str, list[str]] = {}

        async def wait(number: int) -> None:
            results[number] = await added[number].get_result()

        async def follow(number: int) -> None:
            states[added[number].key] = await followed(added[number])

        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(wait, number)
                group.start_soon(follow, 200 + number)
            channels = [docket.keys.state_channel(execution.key) for execution in added]
            with anyio.fail_after(10):
                while sum(count for _, count in await redis.pubsub_numsub(*channels)) < 400:
                    await anyio.sleep(0.01)  # nothing tells a client that others have subscribed
            assert len(await redis.client_list()) <= 3
            await work(docket)
    assert results == {number: number for number in range(200)}
    assert {tuple(each) for each in states.values()} == {("queued", "running", "completed")}


async def test_a_follower_goes_on_after_a_lost_connection_with_what_it_has_missed(redis_url: str) -> None:
    async with Docket("d", redis_url) as docket, docket.redis() as redis:
        execution = await docket.add(nothing, when=later(), key="k")()
        seen: list[Any] = []
        async with (
            aclosing(execution.subscribe()) as events,
            aclosing(execution.progress.subscribe()) as reports,
        ):
            seen += [await anext(events), await anext(events)]
            async with anyio.create_task_group() as group:
                reported: list[Any] = []

                async def report() -> None:
                    reported.append(await anext(reports))

                group.start_soon(report)
                await anyio.wait_all_tasks_blocked()
                await execution.progress.increment(3)
                assert (await anext(events))["type"] == "progress"
            await execution.progress.increment(4)
            await anext(events)
            await redis.client_kill_filter(_type="pubsub")
            seen = [await anext(events), await anext(events), await anext(reports)]
            assert [event["type"] for event in seen] == ["state", "progress", "progress"]
            assert seen[1]["current"] == seen[2]["current"] == 7
            await docket.cancel("k")
            assert [event["state"] async for event in events if event["type"] == "state"] == ["cancelled"]
