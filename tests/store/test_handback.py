"""handback.lua: a claim is given back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from docket.store import Settled
from docket.store.lua import script
from tests.store.conftest import FUTURE, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio


async def test_the_task_is_queued_again_and_the_attempt_does_not_count(store: Store, heard: Heard) -> None:
    """I1. The generation stays: it is the same run."""
    await store.schedule.place(message(traceparent="00"), replace=False)
    delivery = await store.claimed()
    await store.client.hset("d:progress:k", mapping={"current": 7})
    await heard.all()
    assert await store.claims().hand_back(delivery) is Settled.OK
    everything = await store.everything()
    record = everything["d:runs:k"]
    assert isinstance(record, dict)
    assert float(record.pop("known")) > 1_000_000_000
    assert everything == {
        "d:stream": {"entries": [{"id": "#1", **fields(traceparent="00")}]},
        "d:runs:k": run("queued", stream_id="#1"),
    }
    assert await heard.all() == [("d:state:k", '{"type":"state","key":"k","state":"queued"}')]


async def test_nothing_is_given_back_whose_cancellation_was_requested(store: Store) -> None:
    """Nobody but the worker that gives it back may have heard of that."""
    delivery = await store.running()
    await store.client.hset("d:runs:k", "cancel_requested", "1")
    before = await store.everything()
    assert await store.claims().hand_back(delivery) is Settled.ASKED
    assert await store.everything() == before


async def test_another_worker_takes_it(store: Store) -> None:
    await store.claims().hand_back(await store.running())
    delivery = await store.claimed("other")
    assert (delivery.fence.claim, delivery.redelivered) == (1, False)


async def test_what_was_handed_back_can_be_cancelled(store: Store) -> None:
    await store.claims().hand_back(await store.running())
    assert await store.schedule.cancel("k")
    assert (await store.everything())["d:stream"] == {"entries": []}


async def test_a_replaced_run_is_not_queued_again(store: Store) -> None:
    """I2, I5."""
    delivery = await store.running()
    await store.schedule.place(message(when=FUTURE), replace=True)
    before = await store.everything()
    assert await store.claims().hand_back(delivery) is Settled.SUPERSEDED
    assert await store.everything() == {**before, "d:stream": {"entries": []}}


async def test_a_lost_delivery_is_not_queued_again(store: Store) -> None:
    """I2."""
    delivery = await store.running()
    other = store.claims("other")
    await other.take_over(await store.abandoned(), timedelta(0))
    before = await store.everything()
    assert await store.claims().hand_back(delivery) is Settled.LOST
    assert await store.everything() == before


async def test_an_entry_that_somebody_trimmed_is_gone(store: Store) -> None:
    delivery = await store.running()
    await store.client.xdel("d:stream", delivery.message_id)
    assert await store.claims().hand_back(delivery) is Settled.LOST
    assert (await store.everything())["d:stream"] == {"entries": []}


async def test_a_server_can_be_prepared_for_it(store: Store) -> None:
    await store.client.script_flush()
    handback = script("handback").sha
    assert await store.client.call("SCRIPT", "EXISTS", handback) == [0]
    await store.claims().prepare()
    assert await store.client.call("SCRIPT", "EXISTS", handback) == [1]
