"""What is known of children that have ended."""

from __future__ import annotations

import pytest

from docket.store import Ended
from tests.store.conftest import Store
from tests.store.groups import LOOK, add, of_task

pytestmark = pytest.mark.anyio


async def test_what_is_known_of_children_is_kept_as_long_as_their_parent_asks(store: Store) -> None:
    first, parent = await of_task(store)
    second = await store.groups.open("parent", 2, parent.fence, look_after=LOOK)
    for group, key in ((first, "a"), (second, "b"), (second, "c")):
        await add(store, group, key)
    for key in "ab":
        await store.claims().settle(await store.claimed(), Ended("completed", result=(key, "RESULT")))
    await store.groups.close(first)
    names = ["d:runs:a", "d:results::a", "d:runs:b", "d:results::b", store.keys.group(first.id)]
    for name in names:
        assert await store.client.pexpire(name, 5000)
    await store.groups.keep(second)
    assert [await store.client.pttl(name) > 5000 for name in names] == [True] * 5
    assert await store.client.pttl("d:runs:c") == -1
    assert store.groups.keep_every == store.ttl / 3
