"""begin.lua: a run is claimed by hand."""

from __future__ import annotations

import attrs
import pytest

from docket.store import GROUP, Ended, Fence, Settled
from tests.store.conftest import FUTURE, Store, by_hand, message

pytestmark = pytest.mark.anyio


async def test_a_run_that_waits_on_the_stream_runs_from_then_on(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    await store.client.hset("d:progress:k", "current", 7)
    claimed = await by_hand(store).claim("k", 1, "me", None)
    everything = await store.everything()
    record = everything["d:runs:k"]
    assert isinstance(record, dict)
    assert (record["state"], record["worker"]) == ("running", "me")
    assert claimed is not None
    assert claimed.claim == 1
    assert "d:progress:k" not in everything


async def test_a_delivery_that_was_read_is_claimed_by_its_id_and_ends_with_its_fence(store: Store) -> None:
    """I2."""
    await store.schedule.place(message(), replace=False)
    await store.claims().create_group()
    read = await store.client.xreadgroup(GROUP, "me", {"d:stream": ">"})
    (message_id, _) = read[0][1][0]
    assert await by_hand(store).claim("k", 1, "me", message_id) == Fence(message_id, 1, 1, "me")
    assert await by_hand(store).claim("k", 1, "me", message_id) == Fence(message_id, 1, 2, "me")


async def test_what_was_cancelled_or_replaced_is_not_to_run(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    await store.schedule.place(message(), replace=True)
    assert await by_hand(store).claim("k", 1, "me", None) is None
    await store.schedule.cancel("k")
    assert await by_hand(store).claim("k", 2, "me", None) is None


async def test_what_is_not_there_is_not_to_run(store: Store) -> None:
    assert await by_hand(store).claim("k", 1, "me", None) is None
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await by_hand(store).claim("k", 1, "me", None) is not None


async def test_a_worker_that_had_it_before_writes_nothing_any_more(store: Store) -> None:
    """I2: the second claim of a delivery is not the first one's."""
    delivery = await store.running()
    again = await by_hand(store).claim("k", 1, "w", delivery.message_id)
    assert again == attrs.evolve(delivery.fence, claim=2)
    assert await store.claims().settle(delivery, Ended("completed")) is Settled.LOST


async def test_what_somebody_has_read_or_what_has_ended_is_not_to_run(store: Store) -> None:
    delivery = await store.running()
    assert await by_hand(store).claim("k", 1, "me", None) is None
    await store.claims().settle(delivery, Ended("completed"))
    assert await by_hand(store).claim("k", 1, "me", None) is None
