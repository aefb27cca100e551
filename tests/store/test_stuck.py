"""A record alone keeps nobody out: what says that a key waits or runs, though nothing of that is left, is healed.

Whatever took it away: XTRIM or DEL by hand, a stream or a queue that was restored from an older backup, eviction.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from docket.rules import DebounceRule, Drop, SlotRule
from docket.store import Delivery, Ended, Settled
from tests.store.conftest import FUTURE, Store, fields, message, run

pytestmark = pytest.mark.anyio

LEASE = timedelta(seconds=60)
LIMIT = SlotRule("d:concurrency:f", 1)


async def add(store: Store, key: str = "k") -> str:
    placed = await store.schedule.place(message(key), replace=False)
    return placed.disposition.value


async def waiting_for_a_slot(store: Store) -> Delivery:
    """Let ``first`` hold the only slot, and ``k`` wait for it."""
    for key in ("first", "k"):
        delivery = await store.running(key)
        await store.claims().admissions.admit(delivery, [LIMIT], LEASE)
        if key == "first":
            first = delivery
    return first


async def test_whatever_waits_or_runs_keeps_a_second_one_out(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    assert await add(store) == "already_scheduled"
    await store.schedule.place(message(), replace=True)
    assert await add(store) == "already_scheduled"
    delivery = await store.claimed()
    assert await add(store) == "already_scheduled"
    await store.claims().settle(delivery, Ended("completed"))
    assert await add(store) == "scheduled"


async def test_who_waits_for_a_slot_keeps_a_second_one_out(store: Store) -> None:
    await waiting_for_a_slot(store)
    assert await add(store) == "already_scheduled"


async def test_a_record_that_is_scheduled_without_a_place_on_the_queue_is_free(store: Store) -> None:
    await store.schedule.place(message(when=FUTURE), replace=False)
    await store.client.delete("d:queue")
    assert await add(store) == "scheduled"
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields(generation=2)}]},
        "d:runs:k": run("queued", 2, known="1000000000", stream_id="#1"),
    }


async def test_a_record_that_is_queued_without_an_entry_is_free(store: Store) -> None:
    await store.schedule.place(message(), replace=False)
    await store.schedule.place(message("other"), replace=False)
    await store.client.xtrim("d:stream", maxlen=1, approximate=False)
    assert await add(store) == "scheduled"
    assert await add(store, "other") == "already_scheduled"


@pytest.mark.parametrize("how", ["delete", "xtrim"])
async def test_a_record_that_runs_without_an_entry_is_free(store: Store, how: str) -> None:
    """Also where the list of pending deliveries still has it. Who runs it all the same changes nothing any more."""
    lost = await store.running()
    await (store.client.delete("d:stream") if how == "delete" else store.client.xtrim("d:stream", maxlen=0))
    assert await add(store) == "scheduled"
    again = await store.claimed("w2")
    assert again.message.generation == 2
    record = await store.client.hgetall("d:runs:k")
    assert await store.claims().settle(lost, Ended("completed")) is not Settled.OK
    assert await store.client.hgetall("d:runs:k") == record


async def test_a_run_whose_worker_is_dead_keeps_a_second_one_out_until_it_was_redelivered(
    store: Store,
) -> None:
    await store.running(worker="dead")
    assert await add(store) == "already_scheduled"
    (again,) = await store.claims().take_over(await store.abandoned(), timedelta(0))
    assert isinstance(again, Delivery)
    assert await add(store) == "already_scheduled"
    await store.claims().settle(again, Ended("completed"))
    assert await add(store) == "scheduled"


async def test_a_run_of_pydockets_is_live_under_the_claim_of_ours_that_it_replaced(store: Store) -> None:
    """pydocket leaves our field ``claim`` as it is: the entry that it names is gone when our run has ended."""
    ours = await store.running()
    await store.schedule.place(message(), replace=True)
    await store.client.call(
        "XREADGROUP", "GROUP", "docket-workers", "theirs", "COUNT", 1, "STREAMS", "d:stream", ">"
    )
    claim = f"{ours.message_id.decode()}.1"
    await store.client.hset("d:runs:k", mapping={"state": "running", "worker": "theirs", "claim": claim})
    await store.client.hdel("d:runs:k", "known", "stream_id")
    assert await store.claims().settle(ours, Ended("completed")) is Settled.SUPERSEDED
    assert await add(store) == "already_scheduled"


async def test_who_waits_for_a_slot_in_a_row_that_is_gone_is_free(store: Store) -> None:
    await waiting_for_a_slot(store)
    await store.client.delete("d:concurrency:f:waiters")
    assert await add(store) == "scheduled"


async def test_what_is_stuck_can_be_cancelled(store: Store) -> None:
    await store.running()
    await store.client.xtrim("d:stream", maxlen=0)
    assert await store.schedule.cancel("k")
    record: Any = await store.client.hgetall("d:runs:k")
    assert record[b"state"] == b"cancelled"
    assert await store.client.pttl("d:runs:k") > 0


async def test_a_slot_that_is_kept_for_an_entry_that_is_gone_is_free(store: Store) -> None:
    first = await waiting_for_a_slot(store)
    slots = f"60000 1:{len(LIMIT.name)}:{LIMIT.name}"
    claims = store.claims()
    holding = attrs.evolve(first, slots=slots)
    await claims.settle(holding, Ended("completed"))  # wakes k: one of two slots is kept for it
    assert await store.client.zrange("d:concurrency:f:woken", 0, -1) == [b"k"]
    await store.client.xtrim("d:stream", maxlen=0)
    delivery = await store.running("next")
    assert await claims.admissions.admit(delivery, [LIMIT], LEASE) is None


async def test_a_burst_goes_on_without_a_winner_that_is_gone(store: Store) -> None:
    debounce = DebounceRule("d:debounce:w", "d:debounce:l", timedelta(seconds=60))
    admissions = store.claims().admissions
    winner = await store.running("winner")
    await admissions.admit(winner, [debounce], LEASE)
    second = await store.running("second")
    assert await admissions.admit(second, [debounce], LEASE) == Drop("d:debounce:w")
    await store.client.delete("d:runs:winner")  # cancelled where no record is kept
    third = await store.running("third")
    assert await admissions.admit(third, [debounce], LEASE) not in (None, Drop("d:debounce:w"))
    assert await store.client.get("d:debounce:w") == b"third"
