"""unheard.lua: claim what this process was given without hearing of it, and nothing of another one of the same name."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.store import Delivery, Ended, Settled, Unreadable
from tests.store.conftest import Store, message

pytestmark = pytest.mark.anyio

ZERO = timedelta(0)
GROUP = "docket-workers"


async def placed(store: Store) -> None:
    await store.claims().create_group()
    await store.schedule.place(message(), replace=False)


async def read(store: Store, worker: str = "w") -> object:
    """Read without claiming; returns the entries."""
    reply = await store.client.call("XREADGROUP", "GROUP", GROUP, worker, "STREAMS", "d:stream", ">")
    return reply[0][1]  # type: ignore[index]


async def test_what_a_lost_answer_has_brought_is_claimed_again(store: Store) -> None:
    await placed(store)
    claims = store.claims()
    (lost,) = await claims.take(1, asked="a.1")
    assert isinstance(lost, Delivery)
    await store.client.hset("d:progress:k", "current", 7)
    (delivery,) = await claims.claim_unheard([lost.message_id], ["a.0", "a.1"], asked="a.2")
    assert not await store.client.exists("d:progress:k")
    assert isinstance(delivery, Delivery)
    assert (delivery.fence.claim, delivery.deliveries, delivery.redelivered) == (2, 1, True)
    assert await claims.claim_unheard([lost.message_id], ["a.0", "a.1"], asked="a.3") == []
    assert await claims.settle(delivery, Ended("completed")) is Settled.OK


async def test_what_a_heard_answer_has_brought_is_not(store: Store) -> None:
    """Neither ours, nor another process's of the same name."""
    await placed(store)
    claims = store.claims()
    (delivery,) = await claims.take(1, asked="b.1")
    assert isinstance(delivery, Delivery)
    before = await store.everything()
    assert await claims.claim_unheard([delivery.message_id], ["a.1"], asked="a.2") == []
    assert await store.everything() == before
    assert await claims.settle(delivery, Ended("completed")) is Settled.OK


async def test_what_was_taken_over_by_a_lost_answer_is_claimed_again(store: Store) -> None:
    delivery = await store.running(worker="dead")
    claims = store.claims()
    await claims.take_over([delivery.message_id], ZERO, asked="a.1")
    (again,) = await claims.claim_unheard([delivery.message_id], ["a.1"], asked="a.2")
    assert isinstance(again, Delivery)
    assert (again.fence.claim, again.deliveries) == (3, 2)


async def test_what_another_worker_holds_is_not(store: Store) -> None:
    delivery = await store.running(worker="other")
    assert await store.claims().claim_unheard([delivery.message_id], ["a.1"], asked="a.2") == []


async def test_what_was_read_and_not_claimed_is_claimed_by_the_first_who_comes(store: Store) -> None:
    """A read names no question; whoever of the same name claims what it has brought, the other one then does not."""
    await placed(store)
    entries = await read(store)
    [pending] = await store.claims().sweeping.look_at_ours()
    (delivery,) = await store.claims().claim_unheard([pending.message_id], [], asked="a.1")
    assert isinstance(delivery, Delivery)
    assert await store.claims()._claim(entries, "b.1") == []  # type: ignore[arg-type]
    assert await store.claims().settle(delivery, Ended("completed")) is Settled.OK


async def test_who_claims_what_it_has_read_once_more_has_it(store: Store) -> None:
    """The answer to the claim was lost."""
    await placed(store)
    entries = await read(store)
    await store.claims()._claim(entries, "a.1")  # type: ignore[arg-type]
    (delivery,) = await store.claims()._claim(entries, "a.1")  # type: ignore[arg-type]
    assert isinstance(delivery, Delivery)
    assert delivery.fence.claim == 2


async def test_what_a_worker_of_pydockets_runs_under_the_same_name_is_left_to_it(store: Store) -> None:
    await placed(store)
    await read(store)
    await store.client.hset("d:runs:k", mapping={"state": "running", "worker": "w"})
    [pending] = await store.claims().sweeping.look_at_ours()
    assert await store.claims().claim_unheard([pending.message_id], ["a.1"], asked="a.2") == []


async def test_what_cannot_be_read_is_told(store: Store) -> None:
    await store.claims().create_group()
    await store.client.xadd("d:stream", {"junk": "1"})
    await read(store)
    [pending] = await store.claims().sweeping.look_at_ours()
    (unreadable,) = await store.claims().claim_unheard([pending.message_id], [], asked="a.1")
    assert isinstance(unreadable, Unreadable)
