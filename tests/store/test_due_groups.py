"""Which task groups are to be looked after."""

from __future__ import annotations

import pytest

from docket.store import OpenGroup
from tests.store.conftest import Store

pytestmark = pytest.mark.anyio


async def test_the_first_come_first_and_not_all_at_once(store: Store) -> None:
    groups = [OpenGroup(id=f"g.{number}", parent="p q") for number in range(5)]
    assert (await store.groups.due(3), await store.groups.first_due()) == ([], None)
    await store.client.zadd("d:groups", {group.member: number for number, group in enumerate(groups)})
    assert await store.groups.due(3) == groups[:3]
    assert await store.groups.first_due() == 0
    await store.client.zadd("d:groups", {group.member: float("inf") for group in groups})
    assert (await store.groups.due(3), await store.groups.first_due()) == ([], None)
