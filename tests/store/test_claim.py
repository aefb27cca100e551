"""claim.lua: claim what a blocking read has brought."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.store import Delivery
from tests.store.conftest import RUNNING_PROGRESS, Store, fields, message, run

pytestmark = pytest.mark.anyio

ZERO = timedelta(0)


async def waited(store: Store, worker: str = "w", count: int = 10) -> list[object]:
    """Wait for tasks as an idle worker does."""
    async with store.client.dedicated() as connection:
        claims = store.claims(worker)
        await claims.create_group()
        return list(await claims.wait_for_tasks(connection, count, timedelta(milliseconds=1)))


async def test_a_blocking_read_claims_what_came(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    (delivery,) = await waited(store)
    assert isinstance(delivery, Delivery)
    assert not delivery.redelivered
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields()}], "pending": {"#1": ("w", 1)}},
        "d:runs:k": run("running", worker="w", started_at="now", claim="#1.1"),
        "d:progress:k": RUNNING_PROGRESS,
    }


async def test_a_blocking_read_ends_when_nothing_comes(store: Store) -> None:
    assert await waited(store) == []


async def test_a_delivery_that_another_took_in_between_is_lost(store: Store) -> None:
    """I2: between the read and the claim the entry may have changed hands."""
    await store.schedule.place(message(), replace=False)
    claims = store.claims("slow")
    await claims.create_group()
    reply = await store.client.call(
        "XREADGROUP", "GROUP", "docket-workers", "slow", "STREAMS", "d:stream", ">"
    )
    other = store.claims("quick")
    (taken,) = await other.take_over(await store.abandoned(), ZERO)
    before = await store.everything()
    assert await claims._claim(reply[0][1]) == []  # type: ignore[index]
    assert await store.everything() == before
    assert isinstance(taken, Delivery)


async def test_a_lease_begins_with_the_claim_however_long_ago_it_was_read(store: Store) -> None:
    """I3: a blocked event loop may come to the claim late, and trusts it for a whole timeout from then on."""
    await store.schedule.place(message(), replace=False)
    claims = store.claims()
    await claims.create_group()
    group = ("d:stream", "docket-workers")
    reply = await store.client.call("XREADGROUP", "GROUP", group[1], "w", "STREAMS", "d:stream", ">")
    message_id = reply[0][1][0][0]  # type: ignore[index]
    await store.client.call("XCLAIM", *group, "w", 0, message_id, "IDLE", 5000, "JUSTID")
    (delivery,) = await claims._claim(reply[0][1])  # type: ignore[index]
    assert isinstance(delivery, Delivery)
    [[_, _, idle, times]] = await store.client.call("XPENDING", *group, "-", "+", 10)  # type: ignore[misc]
    assert idle < 5000
    assert times == 1


async def test_more_deliveries_than_lua_unpacks_are_claimed_at_once(store: Store) -> None:
    await store.schedule.place_many([message(f"{n}") for n in range(2700)], replace=False)
    assert len(await waited(store, count=2700)) == 2700
