"""Counting what is on a docket, and listing it page by page."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, get_args

import anyio
import pytest

from docket import ConcurrencyLimit, Docket, Worker, clock
from docket.errors import UsageError
from docket.operating import WaitingState
from tests import where

pytestmark = [pytest.mark.anyio, where.few_pairs]

HOUR = timedelta(hours=1)


async def paint(wall: int = 0) -> None: ...


async def wash(wall: int = 0) -> None: ...


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    async with Docket("d", url) as docket:
        docket.register(paint)
        docket.register(wash)
        yield docket


async def keys(docket: Docket, state: WaitingState, **filters: str) -> list[str]:
    """Of all pages, three at a time."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = await docket.executions(state, limit=3, after=after, **filters)  # type: ignore[arg-type]
        found += [each.key for each in page.executions]
        if page.after is None:
            return found
        after = page.after


async def test_what_waits_for_its_time_is_listed_by_that(docket: Docket) -> None:
    at = clock.now() + HOUR
    for number in (4, 2, 3, 1, 0):
        await docket.add(paint, when=at + number * HOUR, key=f"k{number}")()
    for key in (
        "stream",
        "same-1",
        "same-2",
        "same-3",
        "same-4",
    ):  # `stream` is the name of a key of the docket
        await docket.add(wash, when=at + 9 * HOUR, key=key)()
    first = await docket.executions("later", limit=3)
    assert [each.key for each in first.executions] == ["k0", "k1", "k2"]
    assert (first.total, first.looked_at) == (10, 3)
    assert first.executions[0].function_name == "paint"
    assert await keys(docket, "later") == [
        *("k0", "k1", "k2", "k3", "k4", "same-1", "same-2", "same-3", "same-4", "stream")
    ]


async def test_what_is_due_is_listed_in_its_order_without_what_runs(docket: Docket) -> None:
    begun, go = anyio.Event(), anyio.Event()

    async def holds() -> None:
        begun.set()
        await go.wait()

    docket.register(holds)
    await docket.add(holds, key="held")()
    async with Worker(docket, name="w", concurrency=1) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_until_finished)
        await begun.wait()
        await docket.add_many([docket.call(paint, key=f"k{number}")(number) for number in range(5)])
        assert await keys(docket, "due") == [f"k{number}" for number in range(5)]
        (running,) = (await docket.executions("running")).executions
        assert (running.key, running.worker, running.state.value) == ("held", "w", "running")
        assert running.started_at is not None
        counts = await docket.counts()
        assert (counts.due, counts.running, counts.later, counts.workers) == (5, 1, 0, 1)
        assert counts.oldest_due is not None
        assert clock.now() - counts.oldest_due < HOUR
        go.set()
    assert (await docket.counts()).due == 0


async def test_filters_by_task_and_by_a_part_of_the_key(docket: Docket) -> None:
    calls = [docket.call(paint if n % 2 else wash, key=f"Wall-{n}")() for n in range(10)]
    await docket.add_many(calls)
    await docket.add(wash, when=clock.now() + HOUR, key="later-1")()
    assert await keys(docket, "due", task="paint") == [f"Wall-{n}" for n in (1, 3, 5, 7, 9)]
    assert await keys(docket, "due", contains="wALL-4") == ["Wall-4"]
    assert await keys(docket, "later", task="paint") == []
    assert await keys(docket, "later", task="wash", contains="ater") == ["later-1"]
    page = await docket.executions("due", task="nobody")
    assert (page.executions, page.looked_at, page.after) == ([], 10, None)


async def test_what_waits_for_a_limit_is_listed_and_counted(docket: Docket) -> None:
    begun, go = anyio.Event(), anyio.Event()

    async def alone(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
        begun.set()
        await go.wait()

    docket.register(alone)
    await docket.add_many([docket.call(alone, key=f"k{n}")() for n in range(6)])
    async with Worker(docket) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_until_finished)
        await begun.wait()
        with anyio.fail_after(20):
            while (await docket.counts()).limited < 5:
                await anyio.sleep(0.01)
        assert await keys(docket, "limited") == [f"k{n}" for n in range(1, 6)]
        go.set()


async def test_what_is_paused_is_listed_and_counted(docket: Docket) -> None:
    await docket.pause(paint)
    await docket.add_many([docket.call(paint, key=f"k{n}")() for n in range(5)])
    async with Worker(docket) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_until_finished)
        with anyio.fail_after(20):
            while (await docket.counts()).paused < 5:
                await anyio.sleep(0.01)
        assert (await docket.counts()).limited == 0
        assert await keys(docket, "paused") == [f"k{n}" for n in range(5)]
        assert await keys(docket, "limited") == []
        await docket.resume(paint)


async def test_dead_letters_say_why(docket: Docket) -> None:
    async with docket.redis() as redis:
        await redis.xadd(docket.stream_key, {"key": "k", "function": "paint", "args": b"\x80"})
    logging.getLogger("docket").setLevel(logging.CRITICAL)
    try:
        async with Worker(docket) as worker:
            await worker.run_until_finished()
    finally:
        logging.getLogger("docket").setLevel(logging.NOTSET)
    letters, total = await docket.dead_letters()
    assert total == 1
    assert letters[0].key == "k"
    assert letters[0].function == "paint"
    assert letters[0].reason
    assert letters[0].fields == {"key": "b'k'", "function": "b'paint'", "args": r"b'\x80'"}
    assert (await docket.counts()).dead == 1
    assert (await docket.dead_letters(before=letters[0].entry)) == ([], 1)


@pytest.mark.parametrize(
    "after",
    [
        *(
            "x",
            "garbage",
            "q0|a|0",
            "q0|nan|0",
            "q2|1|0",
            "q0|1|-1",
            "s1",
            "s*-1",
            "s\xb2-1",
            "s99999999999999999999-0",
        ),
        *("1-1", "1-1 ", "x-1 limit", "(", "-", "+", "\x00", 5),
    ],
)
async def test_a_place_that_no_page_gave_is_refused(docket: Docket, after: Any) -> None:
    for state in get_args(WaitingState):
        if (state, after) == ("running", "1-1"):
            continue
        with pytest.raises(UsageError) as refused:
            await docket.executions(state, after=after)
        assert repr(after) in str(refused.value)


async def test_a_place_among_limits_is_none_among_pauses(docket: Docket) -> None:
    pause = docket.keys.pause("gone")
    assert not (await docket.executions("paused", after=f"1-1 {pause}")).executions
    assert not (await docket.executions("limited", after="1-1 limit")).executions
    with pytest.raises(UsageError, match="no place in a list"):
        await docket.executions("paused", after="1-1 limit")
    with pytest.raises(UsageError, match="no place in a list"):
        await docket.executions("limited", after=f"1-1 {pause}")


async def test_bad_words_are_refused(docket: Docket) -> None:
    with pytest.raises(
        UsageError, match="state takes 'due', 'later', 'running', 'limited', 'paused', not 'done'"
    ):
        await docket.executions("done")  # type: ignore[arg-type]
    for limit in (0, 1001):
        with pytest.raises(UsageError, match="limit takes a whole number"):
            await docket.executions("due", limit=limit)
        with pytest.raises(UsageError, match="limit takes a whole number"):
            await docket.dead_letters(limit=limit)
    for wrong in {"task": 5}, {"contains": 5}:
        with pytest.raises(TypeError, match="not int"):
            await docket.executions("due", **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="may not be empty"):
        await docket.executions("due", task="")


async def test_an_empty_docket_has_nothing(docket: Docket) -> None:
    counts = await docket.counts()
    assert (counts.due, counts.later, counts.running, counts.limited, counts.workers) == (0, 0, 0, 0, 0)
    assert counts.oldest_due is None
    for state in ("due", "later", "running", "limited", "paused"):
        page = await docket.executions(state)
        assert (page.executions, page.after, page.total) == ([], None, 0)
    assert await docket.dead_letters() == ([], 0)


def test_a_synchronous_docket_counts_and_lists(memory_url: str) -> None:
    with Docket("d", memory_url).sync() as docket:
        docket.register(paint)
        docket.add(paint, key="k")(1)
        assert docket.counts().due == 1
        assert [each.key for each in docket.executions("due").executions] == ["k"]
        assert docket.dead_letters() == ([], 0)
