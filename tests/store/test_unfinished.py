"""unfinished.lua: whether anything waits or runs, at one moment."""

from __future__ import annotations

import pytest

from docket.store.claims import MOST_ROWS
from tests.store.conftest import FUTURE, Store, message

pytestmark = pytest.mark.anyio


async def test_whatever_waits_or_runs_is_counted(store: Store) -> None:
    claims = store.claims()
    assert await claims.unfinished() == 0
    await store.running("runs")
    await store.schedule.place(message("queued"), replace=False)
    await store.schedule.place(message("later", FUTURE), replace=False)
    await store.schedule.place(message("stream", FUTURE), replace=False)  # kept apart
    assert await claims.unfinished() == 4
    await store.pauses.pause("f", "", "")
    await claims.take(1)
    assert await store.client.scard("d:waiting") == 1
    assert await claims.unfinished() == 4


async def test_rows_that_pydocket_has_emptied_count_for_nothing(store: Store) -> None:
    await store.client.sadd("d:waiting", "d:limit", "d:other")
    await store.client.set("d:other:waiters", "no row")
    assert await store.claims().unfinished() == 0
    await store.client.xadd("d:limit:waiters", {"key": "k"})
    assert await store.claims().unfinished() == 1


async def test_zero_is_not_said_where_not_all_was_seen(store: Store) -> None:
    await store.client.sadd("d:waiting", *(f"d:limit:{n}" for n in range(2 * MOST_ROWS)))
    assert await store.claims().unfinished() == 1
