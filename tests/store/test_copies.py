"""I2: an entry that somebody has written beside that of a key, which waits or runs, takes the key from neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from docket.store import Delivery, Ended, Refused
from tests.store.conftest import Store, fields, message

pytestmark = pytest.mark.anyio

#: Generations of copies; that of the key is 1.
GENERATIONS = (0, 1, 2)


async def copied(store: Store, generation: int = 1) -> None:
    """Somebody writes the message of the key k once more."""
    copy: Any = fields(generation=generation)
    await store.client.xadd("d:stream", copy)


async def waited(store: Store, worker: str) -> list[object]:
    """Wait for tasks as an idle worker does."""
    async with store.client.dedicated() as connection:
        return list(await store.claims(worker).wait_for_tasks(connection, 10, timedelta(milliseconds=1)))


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("worker", ["w", "other"])
@pytest.mark.parametrize("waits", [False, True], ids=["take", "wait"])
async def test_a_copy_of_what_runs_is_removed_and_the_run_ends_as_it_would(
    store: Store, generation: int, worker: str, waits: bool
) -> None:
    await store.schedule.place(message(), replace=False)
    delivery = await store.claimed("w")
    before = await store.everything()
    await copied(store, generation)
    [refused] = await (waited(store, worker) if waits else store.claims(worker).take(10))
    assert isinstance(refused, Refused)
    assert refused.superseded
    assert await store.everything() == before
    assert await store.claims("w").settle(delivery, Ended("completed"))


@pytest.mark.parametrize("generation", GENERATIONS)
async def test_a_copy_in_the_same_batch_is_removed(store: Store, generation: int) -> None:
    await store.schedule.place(message(), replace=False)
    await copied(store, generation)
    claims = store.claims()
    await claims.create_group()
    delivery, refused = await claims.take(10)
    assert isinstance(delivery, Delivery)
    assert isinstance(refused, Refused)
    assert await claims.settle(delivery, Ended("completed"))


async def test_a_copy_before_what_waits_is_removed_and_that_is_claimed(store: Store) -> None:
    """It lies on a lane from which workers take first."""
    await store.schedule.place(message(), replace=False)
    copy: Any = {**fields(), "docket:lane": "high"}
    await store.client.xadd("d:ops:lane:high", copy, id="1-100000000000001")
    claims = store.claims()
    await claims.create_group()
    claims.lanes.know(["high"])
    refused, delivery = await claims.take(10)
    assert isinstance(refused, Refused)
    assert isinstance(delivery, Delivery)
    assert delivery.message.key == "k"


async def test_an_entry_is_claimed_where_the_one_of_the_record_is_gone(store: Store) -> None:
    """Somebody has trimmed the stream; or the record is of a run that pydocket has ended."""
    await store.schedule.place(message(), replace=False)
    first = await store.claimed("w")
    await store.client.call("XDEL", "d:stream", first.fence.message_id)
    await copied(store)
    [delivery] = await store.claims("other").take(10)
    assert isinstance(delivery, Delivery)
    await store.client.hset("d:runs:k", mapping={"state": "queued", "stream_id": first.fence.message_id})
    await copied(store)
    [delivery] = await store.claims("other").take(10)
    assert isinstance(delivery, Delivery)
