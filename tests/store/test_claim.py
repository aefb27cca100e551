"""claim.lua: claim what a blocking read has brought."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.store import Delivery, Unreadable
from tests.store.conftest import Heard, Store, fields, message, run

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
    await store.client.hset("d:progress:k", "message", "of an earlier run")
    (delivery,) = await waited(store)
    assert isinstance(delivery, Delivery)
    assert not delivery.redelivered
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields()}], "pending": {"#1": ("w", 1)}},
        "d:runs:k": run("running", worker="w", started_at="now", claim="#1.1"),
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


async def test_what_was_read_is_claimed_once(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    claims = store.claims()
    await claims.create_group()
    async with store.client.dedicated() as connection:
        (delivery,) = await claims.wait_for_tasks(connection, 1, timedelta(milliseconds=1), asked="first")
    assert isinstance(delivery, Delivery)
    assert claims.unclaimed == ""
    assert await claims.claim_read() == []


async def test_neighbours_in_this_process_learn_what_they_may_have_to_take_over(
    store: Store, heard: Heard
) -> None:
    """Between processes the sweep looks; nothing polls on memory://."""
    await store.schedule.place(message("taken"), replace=False)
    await store.claimed("taker")
    await store.schedule.place(message("waited for"), replace=False)
    await waited(store, "waiter")
    published = [payload for channel, payload in await heard.all() if channel == "d:wake"]
    claimed = [payload for payload in published if payload.startswith("claimed")]
    assert claimed == (["claimed taker", "claimed waiter"] if store.client.is_memory else [])


@pytest.mark.parametrize("broken", [{"generation": "x"}, {"generation": ""}])
async def test_a_message_that_cannot_be_claimed_keeps_nobody_from_the_others(
    store: Store, broken: dict[str, str]
) -> None:
    """I9."""
    await store.client.xadd("d:stream", {**fields("broken"), **broken})  # type: ignore[arg-type]
    await store.schedule.place(message(), replace=False)
    unreadable, delivery = await waited(store)
    assert isinstance(unreadable, Unreadable)
    assert (unreadable.key, unreadable.task) == ("broken", "f")
    assert isinstance(delivery, Delivery)


async def test_a_message_without_a_readable_key_keeps_the_bytes_of_it(store: Store) -> None:
    await store.client.xadd("d:stream", {**fields(generation=0), "key": b"\xff"})  # type: ignore[dict-item]
    (unreadable,) = await waited(store)
    assert isinstance(unreadable, Unreadable)
    assert unreadable.key == b"\xff"
