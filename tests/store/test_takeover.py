"""takeover.lua: claim what a redelivery sweep has found, in one step with taking it from its holder."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest

from docket.store import Again, Delivery, PassedOn, Unreadable
from tests.store.conftest import PAST, Store, fields, run

pytestmark = pytest.mark.anyio

ZERO = timedelta(0)


async def test_an_abandoned_delivery_is_claimed_once_more(store: Store) -> None:
    await store.running(worker="dead")
    await store.client.hset("d:progress:k", mapping={"current": 7, "message": "half", "updated_at": "then"})
    claims = store.claims()
    abandoned = await store.abandoned()
    (delivery,) = await claims.take_over(abandoned, ZERO)
    assert isinstance(delivery, Delivery)
    assert delivery.redelivered
    assert delivery.fence.claim == 2
    assert await store.everything() == {
        "d:stream": {"entries": [{"id": "#1", **fields()}], "pending": {"#1": ("w", 2)}},
        "d:runs:k": run("running", worker="w", started_at="now", claim="#1.2"),
    }


async def test_it_tells_how_often_a_delivery_was_begun(store: Store) -> None:
    """Renewals are no deliveries (I4); what is handed back begins anew."""
    first = await store.running(worker="dead")
    await store.claims("dead").renew([first.message_id])
    again: Delivery | None = None
    for worker in ("second", "third"):
        (again,) = await store.claims(worker).take_over(await store.abandoned(), ZERO)  # type: ignore[assignment]
        await store.claims(worker).renew([first.message_id])
    assert isinstance(again, Delivery)
    assert (first.deliveries, again.deliveries) == (1, 3)
    await store.claims("third").hand_back(again)
    assert (await store.claimed()).deliveries == 1


async def test_deliveries_before_a_task_was_passed_on_count(store: Store) -> None:
    delivery = await store.running()
    later = attrs.evolve(delivery.message.again(PAST, 1), passed_on=PassedOn(times=1, deliveries=4))
    await store.claims().reschedule(delivery, Again(later, same=True))
    passed = await store.claimed()
    assert passed.message.passed_on == PassedOn(1, ZERO, 4)
    assert passed.deliveries == 5
    (again,) = await store.claims("other").take_over(await store.abandoned(), ZERO)
    assert isinstance(again, Delivery)
    assert again.deliveries == 6


async def test_what_was_renewed_meanwhile_is_left_to_its_holder(store: Store) -> None:
    delivery = await store.running(worker="slow")
    before = await store.everything()
    assert await store.claims().take_over([delivery.message_id], timedelta(minutes=5)) == []
    assert await store.everything() == before


async def test_what_somebody_deleted_from_the_stream_is_nobodys(store: Store) -> None:
    delivery = await store.running(worker="dead")
    await store.client.xdel("d:stream", delivery.message_id)
    assert await store.claims().take_over([delivery.message_id], ZERO) == []


async def test_what_cannot_be_read_is_told(store: Store) -> None:
    await store.claims().create_group()
    message_id = await store.client.xadd("d:stream", {"junk": "1"})
    await store.claims("dead").take(1)
    (unreadable,) = await store.claims().take_over([message_id], ZERO)
    assert isinstance(unreadable, Unreadable)
