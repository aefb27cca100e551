"""renew.lua: the redelivery of what is still ours is pushed back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.store import Delivery, Ended
from tests.store.conftest import Store, message

pytestmark = pytest.mark.anyio

ZERO = timedelta(0)


async def test_a_held_delivery_is_renewed_and_its_counter_stays(store: Store) -> None:
    """I4."""
    delivery = await store.running()
    before = await store.everything()
    assert await store.claims().renew([delivery.message_id]) == frozenset()
    assert await store.everything() == before
    assert await store.abandoned(timedelta(seconds=60)) == []


async def test_what_another_worker_holds_stays_with_it(store: Store) -> None:
    """I4."""
    delivery = await store.running()
    other = store.claims("other")
    await other.take_over(await store.abandoned(), ZERO)
    before = await store.everything()
    assert await store.claims().renew([delivery.message_id]) == {delivery.message_id}
    assert await store.everything() == before


async def test_what_was_settled_is_told_as_lost(store: Store) -> None:
    delivery = await store.running()
    await store.claims().settle(delivery, Ended("completed"))
    assert await store.claims().renew([delivery.message_id]) == {delivery.message_id}


async def test_nothing_held_sends_nothing(store: Store) -> None:
    assert await store.claims().renew([]) == frozenset()
    assert await store.everything() == {}


async def test_thousands_are_renewed_at_once(store: Store) -> None:
    await store.schedule.place_many([message(f"{n}") for n in range(1200)], replace=False)
    claims = store.claims()
    await claims.create_group()
    held = [delivery.message_id for delivery in await claims.take(1200) if isinstance(delivery, Delivery)]
    assert len(held) == 1200
    await claims.settle(await store.running("one more"), Ended("completed"))
    await store.client.xack("d:stream", "docket-workers", *held[:10])
    assert await claims.renew(held) == set(held[:10])
