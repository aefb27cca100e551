"""What is published of the ends in a task group."""

from __future__ import annotations

import pytest

from docket.store import GroupNow
from tests.store.conftest import Heard, Store
from tests.store.groups import LOOK, add, end_one, of_group, of_program, scores

pytestmark = pytest.mark.anyio


async def test_failures_and_the_last_end_are_published_and_all_ends_once_somebody_watches(
    store: Store, heard: Heard
) -> None:
    group = await of_program(store)
    for key in "abcdef":
        await add(store, group, key)
    await of_group(heard)
    assert [await end_one(store, state) for state in ("completed", "failed")] == ["a", "b"]
    assert await of_group(heard) == ["failed b"]
    await store.groups.watch(group)
    await end_one(store)
    assert await of_group(heard) == ["completed c"]
    assert await store.groups.ended(group) == {"a", "b", "c"}
    await end_one(store)
    await store.schedule.cancel("e")
    await end_one(store)
    assert await of_group(heard) == ["completed d", "cancelled e", "completed f"]
    assert await store.groups.now(group) == GroupNow(is_open=True, under_way=0, failed=1)


async def test_watching_does_not_open_a_doomed_group(store: Store) -> None:
    group = await of_program(store)
    await store.groups.cancel(group, LOOK)
    await store.groups.watch(group)
    assert await scores(store, group) == {"": -6}
