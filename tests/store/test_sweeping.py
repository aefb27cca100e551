"""Who sweeps, and what is looked at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from docket.errors import KeyUnreadable
from docket.store import Delivery
from docket.store.levels import lane_of_entry
from docket.store.sweeping import PENDING_PAGE
from tests.store.conftest import Store, fields, message

pytestmark = pytest.mark.anyio

LONG, SHORT = timedelta(minutes=1), timedelta(seconds=1)


async def test_one_worker_sweeps_and_prolongs_its_lease(store: Store) -> None:
    one, two = store.claims("one").sweeping, store.claims("two").sweeping
    assert await one.hold_lease(SHORT) is True
    assert 0 < await store.client.pttl(store.keys.sweep_lease) <= 1000
    assert await two.hold_lease(LONG) is False
    assert await one.hold_lease(LONG) is True
    assert 1000 < await store.client.pttl(store.keys.sweep_lease) <= 60_000
    await store.client.delete(store.keys.sweep_lease)
    assert await two.hold_lease(LONG) is True


async def test_a_lease_that_is_none_is_named(store: Store) -> None:
    await store.client.set(store.keys.sweep_lease, "for ever")
    with pytest.raises(
        KeyUnreadable, match="holds something without an end, where docket keeps a lease"
    ) as raised:
        await store.claims().sweeping.hold_lease(LONG)
    assert getattr(raised.value, "key", None) == store.keys.sweep_lease
    await store.client.delete(store.keys.sweep_lease)
    await store.client.sadd(store.keys.sweep_lease, "a set")
    with pytest.raises(KeyUnreadable, match="holds something else, where docket keeps a string"):
        await store.claims().sweeping.hold_lease(LONG)


async def test_a_look_goes_on_behind_an_id(store: Store) -> None:
    first, second = await store.running("1"), await store.running("2", worker="other")
    sweeping = store.claims().sweeping
    found = await sweeping.look()
    assert [(one.message_id, one.holder, one.deliveries) for one in found] == [
        (first.message_id, b"w", 1),
        (second.message_id, b"other", 1),
    ]
    assert [one.message_id for one in await sweeping.look(first.message_id)] == [second.message_id]
    assert await sweeping.look(second.message_id) == []


@pytest.mark.parametrize(
    ("stream", "entry"),
    [
        ("d:ops:lane:high", "1700000000005-1"),
        ("d:ops:lane:high", "1700000000005-200000000000001"),
        ("d:ops:lane:high", "5-100000000000001"),
        ("d:stream", "1700000000005-100000000000001"),
    ],
)
async def test_what_lies_where_its_id_is_none_of_is_set_aside(store: Store, stream: str, entry: str) -> None:
    """Whoever claimed it would acknowledge it on another stream."""
    stray: Any = fields("stray")
    await store.client.xadd(stream, stray, id=entry)
    await store.schedule.place(message("real", **{"docket:lane": "high"}), replace=False)
    claims = store.claims()
    await claims.create_group()
    await claims.take(10)
    await claims.sweeping.look()
    [left] = await claims.sweeping.look()
    assert lane_of_entry(left.message_id) == "high"
    ((_, letter),) = await store.client.xrange("d:dead")
    assert (letter[b"dead:id"], letter[b"key"]) == (entry.encode(), b"stray")
    assert b"not one of the stream" in letter[b"dead:reason"]


async def test_a_worker_sees_all_that_is_its_own_and_nothing_else(store: Store) -> None:
    count = PENDING_PAGE + 1
    await store.schedule.place_many([message(f"{n}") for n in range(count)], replace=False)
    claims = store.claims()
    await claims.create_group()
    taken = [one.message_id for one in await claims.take(count) if isinstance(one, Delivery)]
    await store.running("another's", worker="other")
    assert [one.message_id for one in await claims.sweeping.look_at_ours()] == taken
    assert len(taken) == count
