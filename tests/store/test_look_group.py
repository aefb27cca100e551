"""Looking after groups whose parents are gone."""

from __future__ import annotations

import pytest

from tests.store.conftest import Heard, Store
from tests.store.groups import LOOK, add, of_group, of_program, of_task, scores

pytestmark = pytest.mark.anyio


async def test_cancelling_a_parent_that_waits_dooms_its_groups(store: Store, heard: Heard) -> None:
    group, delivery = await of_task(store)
    await add(store, group)
    await store.claims().hand_back(delivery)
    await of_group(heard)
    await store.schedule.cancel("parent")
    assert await of_group(heard) == ["doomed ", "group"]
    (due,) = await store.groups.due(10)
    await store.groups.look_after(due, LOOK)
    assert await scores(store, group) == {"": -6, "child": 0}
    assert await store.groups.due(10) == []
    assert (await store.client.zcard("d:groups"), await store.client.xlen("d:stream")) == (0, 0)


async def test_the_parent_of_a_group_is_looked_after_by_its_record(store: Store) -> None:
    group, _ = await of_task(store)
    await add(store, group)

    async def look() -> dict[str, float]:
        await store.client.zadd("d:groups", {group.member: 1})
        await store.groups.look_after(store.groups.named(group.member), LOOK)
        return await scores(store, group)

    assert await look() == {"": -5, "child": 2}
    assert await store.groups.due(10) == []
    await store.client.delete("d:runs:parent")
    assert await look() == {"": -6, "child": 0}


async def test_one_of_those_who_look_at_a_doomed_group_cancels_who_is_in_it(store: Store) -> None:
    group = await of_program(store)
    await add(store, group)
    await store.claimed()
    await store.client.zadd("d:groups", {group.member: 1})
    await store.groups.look_after(group, LOOK)
    await store.client.hdel("d:runs:child", "cancel_requested")
    await store.groups.look_after(group, LOOK)  # it is not due
    assert await store.client.hget("d:runs:child", "cancel_requested") is None
    await store.client.zadd("d:groups", {group.member: 1})
    await store.groups.look_after(group, LOOK)
    assert await store.client.hget("d:runs:child", "cancel_requested") == b"1"
