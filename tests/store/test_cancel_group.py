"""Cancelling who is in a task group."""

from __future__ import annotations

import pytest

from docket.store import Ended
from docket.store.groups import CANCEL_BATCH
from tests.store.conftest import Heard, Store
from tests.store.groups import LOOK, add, of_group, of_program, of_task, scores

pytestmark = pytest.mark.anyio


async def test_cancelling_reaches_everybody_in_steps(store: Store, heard: Heard) -> None:
    group, _ = await of_task(store)
    await add(store, group, "runs")
    running = await store.claimed()
    for number in range(2 * CANCEL_BATCH):
        await add(store, group, f"{number}", later=number % 2 == 0)
    await heard.all()
    assert await store.groups.cancel(group, LOOK) is True
    found = await scores(store, group)
    assert (found.pop(""), found.pop("runs")) == (-6, 2.5)
    assert set(found.values()) == {0}
    assert await store.client.hget("d:runs:runs", "cancel_requested") == b"1"
    assert ("d:cancel:runs", "runs") in await heard.all()
    assert await store.client.xlen("d:stream") == 2
    assert await store.client.zcard("d:queue") == 0
    await store.claims().settle(running, Ended("cancelled"))
    assert await of_group(heard) == ["cancelled runs"]
    assert await store.groups.cancel(group, LOOK) is False
    assert await store.client.zcard("d:groups") == 0
    assert await store.client.pttl(store.keys.group(group.id)) > 0


async def test_who_was_asked_to_stop_is_asked_again(store: Store, heard: Heard) -> None:
    group = await of_program(store)
    await add(store, group)
    await store.claimed()
    for _ in range(2):
        assert await store.groups.cancel(group, LOOK) is True
        assert ("d:cancel:child", "child") in await heard.all()


async def test_a_stale_parent_neither_cancels_nor_leaves_what_another_delivery_has(store: Store) -> None:
    group, delivery = await of_task(store)
    await add(store, group)
    await store.claims().hand_back(delivery)
    assert await store.groups.cancel(group, LOOK) is False
    await store.schedule.cancel("child")
    await store.groups.close(group)
    assert await scores(store, group) == {"": -5, "child": 0}
    assert await store.client.zcard("d:groups") == 1


async def test_a_child_that_another_task_has_replaced_is_not_cancelled_with_the_group(store: Store) -> None:
    group = await of_program(store)
    await add(store, group, later=True)
    await store.client.hset("d:runs:child", "group", "another")
    assert await store.groups.cancel(group, LOOK) is False
    assert await store.client.hget("d:runs:child", "state") == b"scheduled"
    assert await scores(store, group) == {"": -6, "child": 0}
