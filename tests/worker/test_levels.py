"""What workers begin first, where calls have levels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Priority, Retry, Worker
from docket.errors import BadSetting
from docket.notification import Notification
from docket.store import Claims
from docket.store.listing import Listing
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio

HIGH, NORMAL, LOW = Priority


class Took:
    """Which calls began, in their order; those that wait are let go one by one, or all."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.at_once = self.most_at_once = 0
        self._changed, self._open = anyio.Event(), anyio.Event()

    async def play(self, name: str) -> None:
        self.began.append(name)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self._changed.set()
        self._changed = anyio.Event()
        try:
            await self._open.wait()
        finally:
            self.at_once -= 1

    async def until(self, count: int) -> None:
        async with at_most():
            while len(self.began) < count:
                await self._changed.wait()

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def took() -> Took:
    return Took()


async def add(docket: Docket, took: Took, level: Priority, *names: str) -> None:
    async def act(name: str) -> None:
        await took.play(name)

    await docket.add_many([docket.call(act, priority=level)(name) for name in names])


async def test_what_is_high_begins_first_and_each_level_keeps_its_order(docket: Docket, took: Took) -> None:
    took.open()
    await add(docket, took, LOW, "l1", "l2")
    await add(docket, took, NORMAL, "n1", "n2")
    await add(docket, took, HIGH, "h1", "h2")
    await Worker(docket, concurrency=1).run_until_finished()
    assert took.began == ["h1", "h2", "n1", "n2", "l1", "l2"]


async def test_low_calls_begin_beside_high_ones_that_never_end(docket: Docket, took: Took) -> None:
    took.open()
    await add(docket, took, LOW, *(f"l{number}" for number in range(10)))
    await add(docket, took, HIGH, *(f"h{number}" for number in range(150)))
    await Worker(docket, concurrency=1).run_until_finished()
    assert sum(name[0] == "l" for name in took.began[:100]) in (4, 5)


async def test_a_worker_that_waits_hears_of_the_first_call_of_a_level(docket: Docket, took: Took) -> None:
    """It did not know that lane."""
    took.open()
    async with working(Worker(docket)):
        for level in (NORMAL, LOW, HIGH, LOW, HIGH, NORMAL):
            await add(docket, took, level, level.value)
            await took.until(len(took.began) + 1)
    assert took.began == ["normal", "low", "high", "low", "high", "normal"]


async def test_a_worker_that_has_read_more_than_it_has_places_for_lets_the_others_wait(
    docket: Docket, took: Took, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One read of several lanes may bring one of each."""
    read: list[int] = []
    wait = Claims.wait_for_tasks

    async def noted(claims: Claims, *args: Any, **kwargs: Any) -> Any:
        taken = await wait(claims, *args, **kwargs)
        read.append(len(taken))
        return taken

    async def takes_nothing(claims: Claims, count: int, ended: Sequence[Any], *, asked: str = "") -> Any:
        return [], [None] * len(ended)

    for level in Priority:
        await add(docket, took, level, level.value)
    monkeypatch.setattr(Claims, "wait_for_tasks", noted)
    monkeypatch.setattr(Claims, "take_settling", takes_nothing)
    async with working(Worker(docket, concurrency=1)):
        await took.until(1)
        await anyio.wait_all_tasks_blocked()
        assert (read, took.at_once) == ([3], 1)
        took.open()
        await took.until(3)
    assert sorted(took.began) == ["high", "low", "normal"]
    assert took.most_at_once == 1


async def test_those_that_wait_for_a_place_are_handed_back_by_a_worker_that_stops(
    docket: Docket, took: Took, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def takes_nothing(claims: Claims, count: int, ended: Sequence[Any], *, asked: str = "") -> Any:
        return [], [None] * len(ended)

    for level in Priority:
        await add(docket, took, level, level.value)
    with monkeypatch.context() as patch:
        patch.setattr(Claims, "take_settling", takes_nothing)
        async with working(Worker(docket, concurrency=1)):
            await took.until(1)
    assert took.began == ["high"]
    took.open()
    await Worker(docket, concurrency=1).run_until_finished()
    assert sorted(took.began[1:]) == ["high", "low", "normal"]


async def test_a_worker_leaves_levels_that_it_does_not_serve_to_others(docket: Docket, took: Took) -> None:
    took.open()
    for level in Priority:
        await add(docket, took, level, level.value)
    async with working(Worker(docket, "low", lanes=[LOW])):
        await took.until(1)
        assert took.began == ["low"]
        async with working(Worker(docket, "others", lanes=[HIGH, NORMAL])):
            await took.until(3)
    assert sorted(took.began[1:]) == ["high", "normal"]


async def test_a_retry_keeps_its_level(docket: Docket, took: Took) -> None:
    took.open()
    tries: list[str] = []

    async def fails(retry: Retry = Retry(attempts=2)) -> None:
        tries.append("try")
        await took.play("low")
        if len(tries) < 2:
            raise ValueError

    await docket.add(fails, priority=LOW)()
    await add(docket, took, NORMAL, "n1")
    await Worker(docket, concurrency=1).run_until_finished()
    assert took.began == ["n1", "low", "low"]
    assert await docket.client.call("XLEN", docket.store.keys.stream) == 0


async def test_a_server_that_has_lost_everything_is_served_as_before(docket: Docket, took: Took) -> None:
    took.open()
    async with working(Worker(docket, reconnection_delay=timedelta(milliseconds=50))):
        await add(docket, took, HIGH, "h1")
        await took.until(1)
        await docket.client.call("FLUSHALL")
        for count, level in enumerate((LOW, HIGH, NORMAL), 2):
            await add(docket, took, level, level.value)
            await took.until(count)
    assert took.began == ["h1", "low", "high", "normal"]


async def test_what_a_dead_worker_has_left_goes_to_one_that_serves_its_level(
    docket: Docket, took: Took
) -> None:
    took.open()
    await add(docket, took, LOW, "l1")
    dead = docket.store.claims("dead")
    await dead.create_group()
    assert len(await dead.take(1)) == 1
    soon = timedelta(milliseconds=100)
    async with working(Worker(docket, "high", lanes=[HIGH], redelivery_timeout=soon)):
        async with working(Worker(docket, "all", redelivery_timeout=soon)):
            await took.until(1)
            async with at_most():
                while await docket.store.claims("any").unfinished():
                    await anyio.sleep(0.01)
    assert took.began == ["l1"]


async def test_a_worker_that_is_to_finish_the_docket_says_what_nobody_serves(
    docket: Docket, took: Took
) -> None:
    took.open()
    await add(docket, took, LOW, "l1")
    await add(docket, took, HIGH, "h1")
    async with at_most():
        with pytest.raises(
            BadSetting, match=r"serves high, normal .* tasks of low, which no live worker serves"
        ):
            await Worker(docket, lanes=[HIGH, NORMAL]).run_until_finished()
    assert took.began == ["h1"]


async def test_a_worker_that_is_to_finish_the_docket_waits_for_what_others_serve(
    docket: Docket, took: Took, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, counts = Notification(), Listing.counts

    async def noted(listing: Listing) -> Any:
        found = await counts(listing)
        looked.notify()
        return found

    monkeypatch.setattr(Listing, "counts", noted)
    await add(docket, took, LOW, "l1", "l2")
    async with working(Worker(docket, "low", concurrency=1, lanes=[LOW])):
        await took.until(1)
        async with anyio.create_task_group() as group:
            group.start_soon(Worker(docket, "others", lanes=[HIGH, NORMAL]).run_until_finished)
            async with at_most():
                await looked.wait_past(0)
                await looked.wait_past(1)
            took.open()
    assert took.began == ["l1", "l2"]
