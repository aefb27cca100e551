"""draw.lua: somebody has a turn where it was nobody's to see to it."""

from __future__ import annotations

import pytest

from tests.store.conftest import Store
from tests.store.test_turns import LANE, place, row, shared, waiting, worker

pytestmark = pytest.mark.anyio


async def test_one_is_drawn_where_nobody_waits_on_the_lane(store: Store) -> None:
    await place(store, *(shared(f"a{n}", "a") for n in range(3)))
    await store.client.delete(LANE)
    claims = store.claims()
    await claims.look_after_turns("high", "normal", "low")
    await claims.look_after_turns("normal")
    assert (await waiting(store, LANE), await waiting(store, row("a"))) == (["a1"], ["a2"])


async def test_where_nobody_waits_for_a_turn_nothing_is_written(store: Store) -> None:
    await store.claims().look_after_turns("normal")
    assert await store.everything() == {}


async def test_a_worker_that_knows_of_no_turns_sends_nothing(store: Store) -> None:
    claims = await worker(store)
    await place(store, shared("a0", "a"), shared("a1", "a"))
    await store.client.delete(LANE)
    await claims.look_after_turns()
    assert await waiting(store, row("a")) == ["a1"]
    await place(store, shared("h", "a", **{"docket:lane": "high"}))
    await claims.look_after_turns()
    assert await waiting(store, row("a")) == ["a1"]
