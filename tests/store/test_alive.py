"""alive.lua: whether what was placed under a key still has a way to go."""

from __future__ import annotations

import pytest

from docket.store import Chain, Ended, chains
from tests.store.conftest import FUTURE, Store, message, run

pytestmark = pytest.mark.anyio


async def state_of(store: Store, key: str = "k") -> Chain:
    before = await store.everything()
    (found,) = await chains(store.client, store.keys, [key])
    assert await store.everything() == before
    return found


async def test_a_key_that_nobody_placed_is_not_live(store: Store) -> None:
    assert await state_of(store) == Chain(is_live=False, generation=0)


async def test_what_is_scheduled_queued_or_running_is_live(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await state_of(store) == Chain(is_live=True, generation=1)
    await store.schedule.place(message(), replace=True)
    assert await state_of(store) == Chain(is_live=True, generation=2)
    await store.claimed()
    assert await state_of(store) == Chain(is_live=True, generation=2)


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
async def test_what_has_ended_is_not_live(store: Store, state: str) -> None:
    delivery = await store.running()
    await store.claims().settle(delivery, Ended(state))
    assert await state_of(store) == Chain(is_live=False, generation=1)


async def test_a_record_of_which_the_queue_knows_nothing_is_not_live(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    await store.client.zrem("d:queue", "k")
    assert await state_of(store) == Chain(is_live=False, generation=1)


async def test_a_record_whose_entry_is_gone_from_the_stream_is_not_live(store: Store) -> None:
    await store.schedule.place(message("other"), replace=False)
    await store.schedule.place(message(), replace=False)
    await store.client.xtrim("d:stream", maxlen=1, approximate=False)
    assert await state_of(store, "other") == Chain(is_live=False, generation=1)
    assert await state_of(store) == Chain(is_live=True, generation=1)


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_a_record_that_does_not_name_its_entry_is_live_while_the_stream_has_any(
    store: Store, state: str
) -> None:
    """As pydocket leaves it when it moves a due task, and when it runs one."""
    await store.client.hset("d:runs:k", mapping=run(state))
    assert await state_of(store) == Chain(is_live=False, generation=1)
    await store.schedule.place(message("other"), replace=False)
    assert await state_of(store) == Chain(is_live=True, generation=1)


async def test_what_waits_for_a_slot_is_live(store: Store) -> None:
    await store.client.hset("d:runs:k", mapping=run("scheduled", waiter_stream="d:concurrency:k:waiters"))
    assert await state_of(store) == Chain(is_live=True, generation=1)


async def test_a_key_with_a_name_of_the_dockets_own_is_found_where_it_waits(store: Store) -> None:
    await store.schedule.place(message("stream", when=FUTURE), replace=False)
    assert await state_of(store, "stream") == Chain(is_live=True, generation=1)
