"""renew_slots.lua: slots are kept as long as their deliveries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.rules import pack
from docket.store import Holding
from tests.store.conftest import Store
from tests.store.test_admit import LEASE, A, admissions, ask

pytestmark = pytest.mark.anyio


async def test_the_slots_of_a_held_delivery_are_renewed(store: Store) -> None:
    delivery = await store.running()
    await ask(store, delivery, A)
    await store.client.zadd(A.name, {"k": 1})
    await store.client.pexpire(A.name, 5000)
    await admissions(store).renew([Holding(delivery.message_id, "k", pack([A], LEASE))])
    assert await store.client.zscore(A.name, "k") > 1
    assert await store.client.pttl(A.name) == pytest.approx(1_200_000, abs=5000)


async def test_those_of_a_lost_delivery_are_not(store: Store) -> None:
    """I4."""
    delivery = await store.running()
    await ask(store, delivery, A)
    await store.client.zadd(A.name, {"k": 1})
    await store.claims("w2").take_over([delivery.message_id], timedelta(0))
    await admissions(store).renew([Holding(delivery.message_id, "k", pack([A], LEASE))])
    assert await store.client.zscore(A.name, "k") == 1
