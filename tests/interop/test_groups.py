"""pydocket beside task groups, of which it knows nothing: what it ends is found out by looking."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest

from docket import clock
from docket.store import GroupNow, Message, OpenGroup, dump

from .table import Table

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def group(table: Table) -> AsyncGenerator[tuple[OpenGroup, Callable[..., Awaitable[None]]]]:
    """An open group of a program, and what adds a child to it."""
    store = table.ours.docket.store
    opened = await store.groups.open("", "1", None, look_after=timedelta(seconds=30))

    async def add(key: str, function: str, *args: object, later: bool = False) -> None:
        when = clock.now() + timedelta(hours=later)
        await store.schedule.place(
            Message(key, when, function, dump(args), dump({}), extra={b"docket:held": b"1 1:1:x"}),
            replace=False,
            child_of=opened.id,
        )

    yield opened, add
    assert not await store.groups.cancel(opened, timedelta(seconds=30))
    assert table.redis.zcard(store.keys.groups) == 0
    assert table.redis.ttl(store.keys.group(opened.id)) > 0


async def test_children_that_pydockets_workers_run_are_found_to_have_ended(table: Table) -> None:
    groups = table.ours.docket.store.groups
    async with group(table) as (opened, add):
        await add("a", "tally", 1)
        await add("b", "fail", "why")
        await table.pydocket.drain("theirs")
        assert await groups.recheck(opened) == 2
        assert await groups.now(opened) == GroupNow(is_open=True, under_way=0, failed=1)
        assert await groups.failed(opened, 10) == ["b"]
    assert table.runs() == {b"1": b"1"}
    table.assert_left_clean()


async def test_a_child_that_pydockets_clients_cancel_has_ended(table: Table) -> None:
    groups = table.ours.docket.store.groups
    async with group(table) as (opened, add):
        await add("later", "tally", 1, later=True)
        await add("now", "tally", 2)
        for key in "later", "now":
            await table.pydocket.cancel(key)
        await table.ours.drain("ours")
        await groups.recheck(opened)
        assert await groups.now(opened) == GroupNow(is_open=True, under_way=0, failed=0)
        assert await groups.ended(opened) == {"later", "now"}
    assert table.runs() == {}
    table.assert_left_clean()


async def test_a_child_that_runs_on_pydockets_worker_stops_with_its_group(table: Table) -> None:
    groups = table.ours.docket.store.groups
    async with group(table) as (opened, add):
        await table.pydocket.start_worker("theirs")
        await add("child", "hold")
        await table.begun("child")
        assert await groups.cancel(opened, timedelta(seconds=30))
        with anyio.fail_after(20):
            while not await groups.recheck(opened):
                await anyio.sleep(0.05)
        await table.pydocket.stop_worker("theirs")
        assert await groups.now(opened) == GroupNow(is_open=False, under_way=0, failed=0)
    table.assert_left_clean()


async def test_what_pydockets_clients_put_in_the_place_of_a_child_counts_as_the_child(table: Table) -> None:
    """They leave the fields of a record alone that they do not know; nothing tells their run from a retry of ours."""
    groups = table.ours.docket.store.groups
    async with group(table) as (opened, add):
        await add("child", "tally", 1, later=True)
        await table.pydocket.replace("tally", 2, key="child", when=clock.now().isoformat())
        await table.ours.drain("ours")
        assert await groups.now(opened) == GroupNow(is_open=True, under_way=0, failed=0)
    assert table.runs() == {b"2": b"1"}
    table.assert_left_clean()
