"""take_turn.lua: a run whose message says nothing of a turn, though its task takes turns, waits before it begins."""

from __future__ import annotations

import pytest

from docket.rules import SlotRule
from docket.store import Delivery, Ended, Settled
from tests.store.conftest import Heard, Store, fields, message, run
from tests.store.test_admit import ask
from tests.store.test_turns import LANE, TURNS, place, row, shared, taken, waiting, worker

pytestmark = pytest.mark.anyio

SHARE = b"2 t:b"


async def test_it_waits_in_the_row_of_its_value(store: Store, heard: Heard) -> None:
    await place(store, shared("k", "a"))
    one = await store.running("k2")
    await heard.all()
    assert await store.claims().take_turn(one, SHARE) is Settled.OK
    assert await heard.all() == [
        ("d:state:k2", '{"type":"state","key":"k2","state":"scheduled","when":"2001-09-09T01:46:40+00:00"}'),
    ]
    found = await store.everything()
    assert found[row("b")] == {
        "entries": [{"id": "#2", **fields("k2", generation=2, **{"docket:share": "2 t:b"})}]
    }
    record = found["d:runs:k2"]
    assert isinstance(record, dict)
    assert record.pop("known")
    assert record == run("scheduled", 2, waiter_stream=row("b"), waiter_entry_id="#2")
    assert found["d:stream"] == {"entries": []}
    claims = await worker(store)
    assert await taken(claims, 10) == ["k", "k2"]


async def test_where_nobody_waits_it_has_its_turn_at_once(store: Store) -> None:
    one = await store.running()
    assert await store.claims().take_turn(one, SHARE) is Settled.OK
    assert await waiting(store, LANE) == ["k"]
    assert await store.client.exists(TURNS) == 0
    assert await taken(await worker(store), 1) == ["k"]


async def test_what_has_waited_for_a_slot_goes_on(store: Store) -> None:
    limit = SlotRule("d:concurrency:f", 1)
    first, second = await store.running("k"), await store.running("k2")
    assert await ask(store, first, limit) is None
    await ask(store, second, limit)
    await store.claims().settle(first.holding(f"1000 1:{len(limit.name)}:{limit.name}"), Ended("completed"))
    woken = await store.claimed()
    assert await store.claims().take_turn(woken, SHARE) is None


async def test_what_is_to_be_cancelled_goes_on(store: Store) -> None:
    one = await store.running()
    await store.schedule.cancel("k")
    assert await store.claims().take_turn(one, SHARE) is None


async def test_a_stale_fence_changes_nothing(store: Store) -> None:
    one = await store.running()
    await store.schedule.place(message(), replace=True)
    assert await store.claims().take_turn(one, SHARE) is Settled.SUPERSEDED
    (left,) = await store.claims().take(10)
    assert isinstance(left, Delivery)
    assert left.message.generation == 2


async def test_it_expires_as_it_waits(store: Store) -> None:
    await place(store, message("k", **{"docket:expires": "3000000000"}))
    one = await store.claimed()
    await store.claims().take_turn(one, SHARE)
    assert await store.client.zrange("d:ops:expiring", 0, -1) == [b"k"]
    assert await store.client.hget("d:runs:k", "expires") == b"3000000000.000000"
