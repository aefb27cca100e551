"""Leaving a task group."""

from __future__ import annotations

import pytest

from docket.store import Ended
from tests.store.conftest import Store
from tests.store.groups import add, of_task

pytestmark = pytest.mark.anyio


async def test_a_group_is_left_once_nobody_in_it_is_under_way(store: Store) -> None:
    group, _ = await of_task(store)
    await add(store, group)
    assert not await store.groups.close(group)
    delivery = await store.claimed()
    await store.claims().settle(delivery, Ended("completed"))
    assert await store.groups.close(group)
    assert await store.client.hget("d:runs:parent", "groups") is None
    assert await store.client.zcard("d:groups") == 0
    assert await store.client.pttl(store.keys.group(group.id)) > 0
