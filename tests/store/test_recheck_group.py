"""Children that were ended by somebody who knows of no groups."""

from __future__ import annotations

import pytest

from docket.store import GroupNow
from docket.store.groups import RECHECK_BATCH
from tests.store.conftest import Store
from tests.store.groups import add, of_program, scores

pytestmark = pytest.mark.anyio


async def test_a_recheck_finds_who_was_ended_by_somebody_who_knows_no_groups(store: Store) -> None:
    group = await of_program(store)
    await store.groups.watch(group)
    count = RECHECK_BATCH + 20
    for number in range(count):
        await add(store, group, f"{number}", later=True)
    await store.client.hset("d:runs:3", "state", "completed")
    await store.client.hset("d:runs:4", "state", "failed")
    await store.client.hset("d:runs:5", "group", "another")
    await store.client.delete("d:runs:6", "d:runs:7")
    await store.client.set("d:runs:7", "another type")
    assert await store.groups.recheck(group) == 5
    found = await scores(store, group)
    assert [found[f"{number}"] for number in range(3, 9)] == [1, -1, 0, 0, 0, 2]
    assert await store.groups.recheck(group) == 0
    await store.client.delete("d:queue")
    assert await store.groups.recheck(group, lost_too=True) == count - 5
    assert await store.groups.now(group) == GroupNow(is_open=True, under_way=0, failed=1)
