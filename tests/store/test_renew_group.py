"""The groups of plain programs."""

from __future__ import annotations

import pytest

from tests.store.conftest import Heard, Store
from tests.store.groups import LOOK, add, of_group, of_program

pytestmark = pytest.mark.anyio


async def test_a_program_that_renews_its_group_keeps_it(store: Store, heard: Heard) -> None:
    group = await of_program(store)
    await add(store, group)
    await store.client.zadd("d:groups", {f"{group.id} ": 1})
    assert await store.groups.renew(group, LOOK)
    assert await store.groups.due(10) == []
    first = await store.groups.first_due()
    assert first is not None
    assert 50 < first <= 60
    await store.client.zadd("d:groups", {f"{group.id} ": 1})
    assert await store.groups.first_due() == 0
    (due,) = await store.groups.due(10)
    await of_group(heard)
    await store.groups.look_after(due, LOOK)
    assert await of_group(heard) == ["doomed ", "group", "cancelled child"]
    assert not await store.groups.renew(group, LOOK)
    assert await store.groups.first_due() is None
