"""Adding to a group, and what its children give as they end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from docket import Agenda, CurrentDocket, Docket
from docket.client import place
from docket.task_group import nest
from docket.task_group.openers import Program
from tests.task_groups import tasks
from tests.task_groups.conftest import coming_out, running, states, working
from tests.task_groups.tasks import counted, double, endless

pytestmark = pytest.mark.anyio

AT_ONCE = timedelta(0)


class Aside:
    """Who waits in a group steps aside, and has no place to go on in until it is given one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.has_begun, self.is_over, self.place = anyio.Event(), anyio.Event(), anyio.Event()
        monkeypatch.setattr(Program, "stepping_aside", lambda _, view: self._wait())

    @asynccontextmanager
    async def _wait(self) -> AsyncGenerator[None]:
        self.has_begun.set()
        yield
        self.is_over.set()
        await self.place.wait()


async def test_many_are_added_in_order(docket: Docket) -> None:
    async with working(docket):
        async with docket.task_group() as group:
            children = await group.add_many((group.call(double)(n) for n in range(25)), chunk_size=10)
        assert [await child.get_result(timeout=AT_ONCE) for child in children] == [2 * n for n in range(25)]


async def test_an_agenda_is_scattered_into_a_group(docket: Docket) -> None:
    agenda = Agenda()
    for number in range(5):
        agenda.add(double)(number)
    async with working(docket):
        async with docket.task_group() as group:
            children = await agenda.scatter(group, over=timedelta(milliseconds=100))
        assert [await child.get_result(timeout=AT_ONCE) for child in children] == [0, 2, 4, 6, 8]


async def test_a_group_without_children_is_left_at_once(docket: Docket) -> None:
    async with docket.task_group() as group:
        assert [child async for child in group.results()] == []
    async with docket.task_group() as group:
        assert await group.add_many([]) == []


async def test_children_are_given_as_they_end_each_once(docket: Docket) -> None:
    """Those that had ended before, too; and those that fail or are cancelled."""
    async with working(docket):
        async with docket.task_group(on_failure="wait") as group:
            first = await group.add(double)(1)
            await states(docket, first.key)
            second = await group.add(endless, key="second")("x")
            results = group.results()
            assert await anext(results) is first
            await running(docket, "second")
            third = await group.add(double)(3)
            assert await anext(results) is third
            await docket.cancel(second.key)
            assert [child async for child in group.results()] == [second]


async def test_who_adds_a_child_for_each_that_has_ended_keeps_few_of_them(docket: Docket) -> None:
    async def sum_of_all(numbers: int, docket: Docket = CurrentDocket()) -> tuple[int, int]:
        total = most = 0
        left = iter(range(numbers))
        async with docket.task_group() as group:
            await group.add_many(group.call(double)(number) for number in islice(left, 4))
            async for child in group.results():
                total += await child.get_result()
                await group.add_many(group.call(double)(number) for number in islice(left, 1))
                view = group._opened().view
                most = max(most, len(view.under_way) + len(view.ended))
        return total, most

    execution = await docket.add(sum_of_all)(30)
    async with working(docket, concurrency=2):
        assert await execution.get_result() == (870, 4)


@pytest.mark.parametrize("many", [False, True], ids=["one by one", "many"])
async def test_no_more_than_max_running_are_under_way(docket: Docket, many: bool) -> None:
    at_work = most = 0

    async def child() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(0.002)
        at_work -= 1

    async def parent(docket: Docket = CurrentDocket()) -> None:
        async with docket.task_group(max_running=2) as group:
            if many:
                await group.add_many(group.call(child)() for _ in range(9))
            else:
                for _ in range(9):
                    await group.add(child)()

    execution = await docket.add(parent)()
    async with working(docket, concurrency=8):
        await execution.get_result()
    assert 1 <= most <= 2


async def test_room_that_another_takes_as_one_comes_back_to_its_place_is_waited_for_again(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = most = 0

    async def child(seconds: float) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(seconds)
        at_work -= 1

    aside = Aside(monkeypatch)
    async with (
        working(docket),
        docket.task_group(max_running=1) as group,
        anyio.create_task_group() as beside,
    ):

        async def add_two() -> None:
            await group.add_many([group.call(child)(0), group.call(child)(0)])

        await group.add(endless, key="first")("first")
        beside.start_soon(add_two)
        await running(docket, "first")
        await aside.has_begun.wait()
        await docket.cancel("first")
        await aside.is_over.wait()
        await group.add(child)(0.2)
        aside.place.set()
    assert most == 1


@pytest.mark.parametrize("is_placed", [True, False], ids=["on its way back", "before it was sent"])
async def test_a_child_whose_add_is_cancelled_counts_for_max_running_if_it_is_one(
    docket: Docket, monkeypatch: pytest.MonkeyPatch, is_placed: bool
) -> None:
    cut, aside = anyio.CancelScope(), Aside(monkeypatch)
    aside.place.set()
    added = anyio.Event()

    async def cut_off(*given: Any, **how: Any) -> Any:
        monkeypatch.setattr(nest, "place", place)
        if is_placed:
            await place(*given, **how)
        cut.cancel()
        await checkpoint()

    monkeypatch.setattr(nest, "place", cut_off)
    async with (
        working(docket),
        docket.task_group(max_running=1) as group,
        anyio.create_task_group() as beside,
    ):

        async def add_second() -> None:
            await group.add(double)(1)
            added.set()

        with cut:
            await group.add(endless, key="first")("first")
        assert cut.cancelled_caught
        beside.start_soon(add_second)
        if is_placed:
            await aside.has_begun.wait()
            assert not added.is_set()
            await running(docket, "first")
            await docket.cancel("first")
        await added.wait()
        assert aside.has_begun.is_set() is is_placed


async def test_an_end_that_another_takes_as_one_comes_back_to_its_place_is_not_the_last(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    aside, iterated = Aside(monkeypatch), list[object]()
    async with working(docket), docket.task_group() as group, anyio.create_task_group() as beside:

        async def iterate() -> None:
            iterated.extend([child async for child in group.results()])

        first, second = [await group.add(endless, key=key)(key) for key in ("first", "second")]
        beside.start_soon(iterate)
        await running(docket, "first", "second")
        await aside.has_begun.wait()
        await docket.cancel("first")
        await aside.is_over.wait()
        assert await anext(group.results()) is first
        aside.place.set()
        await anyio.wait_all_tasks_blocked()
        await docket.cancel("second")
    assert iterated == [second]


async def test_the_first_result_ends_a_race(docket: Docket) -> None:
    async with working(docket):
        async with docket.task_group() as group:
            await group.add(endless, key="slow")("slow")
            await running(docket, "slow")
            await group.add(double)(21)
            winner = await anext(group.results())
            group.cancel()
        assert await winner.get_result(timeout=AT_ONCE) == 42
        assert await states(docket, "slow") == ["cancelled"]


async def test_others_than_the_body_add_while_it_waits(docket: Docket) -> None:
    """As to a nursery, also as the block is left: its end is that of the last child."""
    async with working(docket), anyio.create_task_group() as beside:
        async with docket.task_group() as group:
            await group.add(endless, key="holds it open")("x")

            async def add_later() -> None:
                await running(docket, "holds it open")
                await group.add(double)(1)
                await docket.cancel("holds it open")

            beside.start_soon(add_later)
    assert (await counted(docket))["double 1"] == 1


async def test_groups_nest_and_stand_beside_each_other(docket: Docket) -> None:
    async def sums(docket: Docket = CurrentDocket()) -> list[int]:
        async with docket.task_group() as outer:
            one = await outer.add(double)(1)
            async with docket.task_group() as inner:
                two = await inner.add(double)(2)
            three = await outer.add(double)(await two.get_result())
        async with docket.task_group() as last:
            four = await last.add(double)(await three.get_result())
        return [await each.get_result() for each in (one, two, three, four)]

    execution = await docket.add(sums)()
    async with working(docket, concurrency=1):
        assert await execution.get_result() == [2, 4, 8, 16]


async def test_a_failure_that_the_body_asks_for_comes_out_once(docket: Docket) -> None:
    """``get_result`` raises it in the body, and the group is told; whichever comes first."""
    async with working(docket):
        with coming_out() as errors:
            async with docket.task_group() as group:
                child = await group.add(tasks.boom, key="bad")("bang")
                with anyio.CancelScope(shield=True):
                    await child.get_result()
        [error] = errors
        assert isinstance(error, tasks.Boom)
        assert error.__notes__[-1] == "in task 'boom', key 'bad'"


async def test_of_many_failures_a_hundred_come_out(docket: Docket) -> None:
    async with working(docket, concurrency=100):
        with pytest.raises(ExceptionGroup, match="the first 100 of more") as raised:
            async with docket.task_group(on_failure="wait") as group:
                await group.add_many(group.call(tasks.boom)() for _ in range(101))
    assert len(raised.value.exceptions) == 100


async def test_a_key_that_is_added_again_runs_once_and_is_given_for_each_time(docket: Docket) -> None:
    async with working(docket), docket.task_group() as group:
        given: list[str] = []
        for _ in range(2):
            await group.add(double, key="again")(21)
            given += [child.key async for child in group.results()]
    assert given == ["again", "again"]
    assert (await counted(docket))["double 21"] == 1
