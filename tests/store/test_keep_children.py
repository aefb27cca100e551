"""What is known of children that have ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import pytest

from docket.store import Ended
from tests.store.conftest import Store
from tests.store.groups import LOOK, add, of_task

pytestmark = pytest.mark.anyio


async def test_what_is_known_of_children_is_kept_as_long_as_their_parent_asks(store: Store) -> None:
    first, parent = await of_task(store)
    second = await store.groups.open("parent", "2", parent.fence, look_after=LOOK)
    for group, key in ((first, "a"), (second, "b"), (second, "c")):
        await add(store, group, key)
    for key in "ab":
        await store.claims().settle(await store.claimed(), Ended("completed", result=(key, "RESULT")))
    await store.groups.close(first)
    names = ["d:runs:a", "d:results::a", "d:runs:b", "d:results::b", store.keys.group(first.id)]
    for name in names:
        assert await store.client.pexpire(name, 5000)
    for group in first, second:
        await store.groups.keep(group.id)
    assert [await store.client.pttl(name) > 5000 for name in names] == [True] * 5
    assert await store.client.pttl("d:runs:c") == -1
    assert store.groups.keep_every == store.ttl / 3


async def test_what_another_storage_keeps_of_children_is_put_there_again(store: Store) -> None:
    stored = Stored()
    groups = attrs.evolve(store.groups, storage=stored)
    group = await groups.open("", "1", None, look_after=LOOK)
    for key in "ab":
        await add(store, group, key)
        await store.claims().settle(await store.claimed(), Ended("completed", result=(f"{key}:1", None)))
    await groups.keep(group.id)
    assert stored.put_again == [("a:1", {"data": "a:1"}, groups.ttl.total_seconds() if groups.ttl else None)]
    assert await store.client.pttl("d:runs:a") > 5000


class Stored:
    """A result storage that has lost one result, and refuses another."""

    def __init__(self) -> None:
        self.put_again: list[tuple[str, Any, float | None]] = []

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        if key == "b:1":
            raise OSError("it is away")
        return {"data": key}

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: float | None = None
    ) -> None:
        self.put_again.append((key, value, ttl))
