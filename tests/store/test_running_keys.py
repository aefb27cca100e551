"""The keys of tasks that workers have, for whoever looks for running children."""

from __future__ import annotations

import pytest

from docket.store import trees
from tests.store.conftest import Store, message

pytestmark = pytest.mark.anyio


async def test_nothing_runs_where_nobody_has_worked(store: Store) -> None:
    await store.schedule.place(message("waits"), replace=False)
    assert await store.trees.running() == []


async def test_the_oldest_deliveries_come_first_and_no_more_than_so_many_bytes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a", "b", "c"):
        await store.running(key)
    await store.schedule.place(message("waits"), replace=False)
    before = await store.everything()
    assert await store.trees.running() == ["a", "b", "c"]
    monkeypatch.setattr(trees, "CLAIMED", 2)
    assert await store.trees.running() == ["a", "b"]
    monkeypatch.setattr(trees, "CLAIMED_BYTES", 10)
    assert await store.trees.running() == ["a"]
    assert await store.everything() == before
