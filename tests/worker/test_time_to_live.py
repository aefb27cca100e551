"""Whose time to live counts: that of the task, of the program that adds, of the worker."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Agenda, ConcurrencyLimit, CurrentWorker, Docket, Execution, Perpetual, Retry, Worker
from docket.execution import ResultExpired
from tests.where import asyncio_and_trio, one_loop
from tests.worker.conftest import at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

HOUR = timedelta(hours=1)
GIVEN, WORKERS = HOUR * 7, HOUR * 3
SOON = timedelta(milliseconds=300)

_names = itertools.count()
Opener = Callable[..., Awaitable[Docket]]


async def one() -> int:
    return 1


@pytest.fixture
async def opened(url: str, anyio_backend: Any) -> AsyncIterator[Opener]:
    """Opens one docket as another program."""
    name = f"kept-{next(_names)}"
    async with AsyncExitStack() as stack:
        yield lambda **settings: stack.enter_async_context(Docket(name, url, **settings))


async def kept(docket: Docket, key: str) -> timedelta | None:
    """How long the record of a key that has ended is kept, in whole hours; None for ever."""
    left = await docket.client.pttl(docket.runs_key(key))
    return None if left == -1 else timedelta(hours=round(left / 3_600_000))


async def work(docket: Docket, **settings: Any) -> None:
    async with at_most():
        await Worker(docket, "worker", **settings).run_until_finished()


@pytest.mark.parametrize("given", [GIVEN, None])
async def test_the_time_to_live_of_a_task_wins_over_both_programs(
    opened: Opener, given: timedelta | None
) -> None:
    adder, other = await opened(execution_ttl=HOUR * 5), await opened(execution_ttl=WORKERS)
    execution = await adder.add(one, ttl=given)()
    other.register(one)
    await work(other)
    assert await kept(adder, execution.key) == given
    assert await execution.get_result() == 1
    stored = await adder.client.keys(f"{adder.prefix}:results:*")
    assert await adder.client.ttl(stored[0]) == pytest.approx(
        -1 if given is None else given.total_seconds(), abs=60
    )
    assert execution.ttl == given
    found = await adder.get_execution(execution.key)
    assert found is not None
    assert found.ttl == given


async def test_a_task_with_a_time_to_live_of_zero_leaves_nothing(opened: Opener) -> None:
    adder, other = await opened(), await opened()
    other.register(one)
    execution = await adder.add(one, ttl=timedelta(0))()
    async with working(Worker(other, "worker")):
        with pytest.raises(ResultExpired):
            await execution.get_result()
    assert not await adder.client.keys(f"{adder.prefix}:runs:*")
    assert not await adder.client.keys(f"{adder.prefix}:results:*")


async def test_a_worker_that_keeps_nothing_gives_no_result_for_one(opened: Opener) -> None:
    """The program that adds cannot know of it: it was given None."""
    adder, other = await opened(), await opened(execution_ttl=timedelta(0))
    other.register(one)
    execution = await adder.add(one)()
    async with working(Worker(other, "worker")):
        with pytest.raises(ResultExpired):
            await execution.get_result()


async def test_what_the_adding_program_was_given_travels(opened: Opener) -> None:
    adder, other = await opened(execution_ttl=GIVEN), await opened(execution_ttl=WORKERS)
    other.register(one)
    execution = await adder.add(one)()
    await work(other)
    assert await kept(adder, execution.key) == GIVEN


async def test_what_a_program_sets_later_travels_too(opened: Opener) -> None:
    adder, other = await opened(), await opened(execution_ttl=WORKERS)
    adder.execution_ttl = GIVEN
    other.register(one)
    execution = await adder.add(one)()
    await work(other)
    assert await kept(adder, execution.key) == GIVEN


async def test_where_nobody_gives_one_the_worker_s_counts_and_nothing_travels(opened: Opener) -> None:
    adder, other = await opened(), await opened(execution_ttl=WORKERS)
    other.register(one)
    execution = await adder.add(one)()
    assert not await adder.client.hexists(adder.runs_key(execution.key), "ttl")
    await work(other)
    assert await kept(adder, execution.key) == WORKERS


async def test_each_way_of_adding_takes_one(opened: Opener) -> None:
    docket, later = await opened(), datetime.now(UTC) + HOUR
    docket.register(one)
    agenda = Agenda()
    agenda.add(one, key="agenda", ttl=GIVEN)()
    await agenda.scatter(docket, over=HOUR)
    await docket.add("one", key="named", ttl=GIVEN)()
    await docket.replace(one, later, "replaced", ttl=GIVEN)()
    await docket.add_many([docket.call(one, key="many", ttl=GIVEN)()])
    await docket.replace_many([docket.call(one, key="replaced by many", ttl=GIVEN)()])
    by_hand: Execution[Any] = Execution(docket, one, (), {}, "by hand", later, 1)
    by_hand.ttl = GIVEN
    await docket.schedule(by_hand)
    for key in ["agenda", "named", "replaced", "many", "replaced by many", "by hand"]:
        assert await docket.client.hget(docket.runs_key(key), "ttl") == b"25200000", key


@one_loop
@pytest.mark.parametrize("ttl", [timedelta(seconds=-1), timedelta.max, 60, "1h"])
async def test_one_that_is_none_is_refused_at_once(opened: Opener, ttl: Any) -> None:
    docket = await opened()
    for adding in docket.add, docket.call, Agenda().add:
        with pytest.raises((ValueError, TypeError), match="ttl takes a "):
            adding(one, ttl=ttl)


async def test_a_key_that_is_replaced_has_what_the_new_call_gives(opened: Opener) -> None:
    docket = await opened()
    await docket.add(one, datetime.now(UTC) + HOUR, "k", ttl=GIVEN)()
    await docket.replace(one, datetime.now(UTC), "k")()
    await work(docket)
    assert await kept(docket, "k") == timedelta(0)  # a quarter of an hour
    await docket.add(one, key="k", ttl=GIVEN)()
    await docket.add(one, key="k", ttl=HOUR)()  # it exists, and stays as it is
    await work(docket)
    assert await kept(docket, "k") == GIVEN


async def flaky(retry: Retry = Retry(attempts=3)) -> None:
    if retry.attempt < 3:
        raise ValueError


async def fails() -> None:
    raise ValueError


async def repeats(perpetual: Perpetual = Perpetual()) -> None:
    """Runs as often as `run_at_most` says."""


async def waits(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
    await anyio.sleep(0)


@pytest.mark.parametrize("task", [flaky, fails, waits])
async def test_it_stays_through_all_that_becomes_of_a_task(opened: Opener, task: Any) -> None:
    adder, other = await opened(), await opened()
    other.register(task)
    soon = datetime.now(UTC) + timedelta(milliseconds=50)
    keys = [(await adder.add(task, when, ttl=GIVEN)()).key for when in (None, None, soon)]
    await work(other)
    for key in keys:
        assert await kept(adder, key) == GIVEN


async def test_each_run_of_a_perpetual_task_has_it(opened: Opener) -> None:
    docket = await opened()
    await docket.add(repeats, key="k", ttl=GIVEN)()
    async with at_most():
        await Worker(docket, "worker").run_at_most({"k": 3})
    assert await kept(docket, "k") == GIVEN


async def test_a_run_that_is_handed_back_and_one_that_is_redelivered_have_it(opened: Opener) -> None:
    docket = await opened()
    begun = anyio.Event()

    async def leaves(worker: Worker = CurrentWorker()) -> None:
        if worker.name == "leaver":
            begun.set()
            await anyio.sleep_forever()

    await docket.add(leaves, key="handed back", ttl=GIVEN)()
    async with working(Worker(docket, "leaver", redelivery_timeout=SOON)):
        await begun.wait()
    await docket.add(leaves, key="redelivered", ttl=GIVEN)()
    await docket.store.claims("dead").take(1)
    await docket.store.claims("dead").take(1)
    await work(docket, redelivery_timeout=SOON)
    assert await kept(docket, "handed back") == GIVEN
    assert await kept(docket, "redelivered") == GIVEN


async def test_who_cancels_clears_or_ends_by_hand_keeps_it(opened: Opener) -> None:
    docket, other, later = await opened(), await opened(execution_ttl=WORKERS), datetime.now(UTC) + HOUR
    for key, when in [("cancelled", None), ("cleared", None), ("cleared later", later), ("by hand", later)]:
        await docket.add(one, when, key, ttl=GIVEN)()
    await other.cancel("cancelled")
    by_hand = await other.get_execution("by hand")
    assert by_hand is not None
    await by_hand.mark_as_completed()
    await other.clear()
    for key in ["cancelled", "cleared", "cleared later", "by hand"]:
        assert await kept(docket, key) == GIVEN, key


async def test_a_storage_of_the_user_s_gets_it(opened: Opener) -> None:
    given: list[float | None] = []

    class Shelf:
        async def get(self, key: str, *, collection: str | None = None) -> None: ...

        async def put(
            self, key: str, value: Any, *, collection: str | None = None, ttl: float | None = None
        ) -> None:
            given.append(ttl)

    docket = await opened(result_storage=Shelf())
    await docket.add(one, ttl=GIVEN)()
    await docket.add(one, ttl=None)()
    await work(docket, concurrency=1)
    assert given == [GIVEN.total_seconds(), None]
