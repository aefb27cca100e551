"""renew_slots.lua: slots are kept as long as their deliveries."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.rules import AwaitSlot, SlotRule, pack
from docket.store import Delivery, Holding
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


async def expires(store: Store, limit: SlotRule) -> Delivery:
    """A delivery whose slot was not renewed in time."""
    delivery = await store.running("late")
    assert await ask(store, delivery, limit) is None
    await store.client.zadd(limit.name, {"late": 1})
    return delivery


async def test_a_slot_that_somebody_else_has_taken_meanwhile_is_not_taken_back(store: Store) -> None:
    """Else the redelivery of the late run would find a slot of its own, and run beside the other."""
    late = await expires(store, A)
    assert await ask(store, await store.running("other"), A) is None
    await admissions(store).renew([Holding(late.message_id, "late", pack([A], LEASE))])
    assert await store.client.zscore(A.name, "late") is None
    (again,) = await store.claims("w2").take_over([late.message_id], timedelta(0))
    assert isinstance(again, Delivery)
    assert await admissions(store, "w2").admit(again, [A], LEASE) == AwaitSlot(A.name)


async def test_nor_one_that_is_reserved_for_a_task_that_waited(store: Store) -> None:
    late = await expires(store, A)
    waiting = await store.running("waiting")
    await store.client.zadd(A.name, {"late": 9e12})
    assert await ask(store, waiting, A) == AwaitSlot(A.name)
    await store.client.zadd(A.name, {"late": 1})
    await admissions(store).wake([pack([A], LEASE)])
    await admissions(store).renew([Holding(late.message_id, "late", pack([A], LEASE))])
    assert await store.client.zscore(A.name, "late") is None


async def test_a_slot_that_has_expired_is_taken_back_while_there_is_room(store: Store) -> None:
    late = await expires(store, A)
    await store.client.delete(A.name, f"{A.name}:owners")
    await admissions(store).renew([Holding(late.message_id, "late", pack([A], LEASE))])
    assert await store.client.zscore(A.name, "late") is not None
    assert await store.client.hget(f"{A.name}:owners", "late") == late.message_id


async def test_a_slot_that_a_newer_run_of_the_key_has_taken_stays_with_it(store: Store) -> None:
    late = await expires(store, A)
    await store.client.hset(f"{A.name}:owners", "late", "9-9")
    await admissions(store).renew([Holding(late.message_id, "late", pack([A], LEASE))])
    assert await store.client.zscore(A.name, "late") == 1
    assert await store.client.hget(f"{A.name}:owners", "late") == b"9-9"
