"""A server that refuses, or has lost everything: what the writes of a claim make of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from redis.exceptions import OutOfMemoryError, RedisError

from docket.store import Again, Beat, Claims, Delivery, Ended, Settled
from docket.transport import Client
from tests.servers import Server
from tests.store.conftest import FUTURE, Store, message
from tests.trouble import REFUSALS, SAID

pytestmark = pytest.mark.anyio

ZERO = timedelta(0)


@pytest.mark.parametrize("name", [name for name in REFUSALS if name not in ("BUSY", "MASTERDOWN")])
async def test_what_was_read_and_may_not_be_claimed_is_claimed_when_the_server_lets_us(
    server: Server, redis_url: str, name: str
) -> None:
    """And is not taken for a message whose keys are broken (I9)."""
    async with Client.from_url(redis_url) as client:
        store, claims = Store(client), Store(client).claims()
        await claims.create_group()
        await store.schedule.place(message(), replace=False)
        assert await claims.claim_read() == []
        async with client.dedicated() as connection:

            def refuse() -> None:
                trouble.__enter__()

            trouble = REFUSALS[name](server)
            with pytest.raises(RedisError, match=SAID[name]):
                await claims.wait_for_tasks(connection, 1, ZERO, come=refuse)
        with pytest.raises(RedisError, match=SAID[name]):
            await claims.claim_read()
        trouble.__exit__(None, None, None)
        (delivery,) = await claims.claim_read()
        assert isinstance(delivery, Delivery)
        assert await claims.settle(delivery, Ended("completed")) is Settled.OK
        assert await claims.claim_read() == []


Write = Callable[[Claims, Delivery], Awaitable[object]]
WRITES: dict[str, Write] = {
    "settle": lambda claims, delivery: claims.settle(delivery, Ended("completed")),
    "reschedule": lambda claims, delivery: claims.reschedule(delivery, Again(message(when=FUTURE))),
    "hand back": lambda claims, delivery: claims.hand_back(delivery),
}


@pytest.mark.parametrize("name", WRITES)
async def test_how_a_run_ended_of_which_the_server_knows_nothing_any_more_is_lost(
    store: Store, name: str
) -> None:
    """And is no error: the group is gone, too."""
    delivery = await store.running()
    await store.client.flushall()
    assert await WRITES[name](store.claims(), delivery) is Settled.LOST
    assert await store.everything() == {}


async def test_what_the_server_knows_nothing_of_any_more_cannot_be_renewed(store: Store) -> None:
    delivery = await store.running()
    await store.client.flushall()
    assert await store.claims().renew([delivery.message_id]) == {delivery.message_id}
    assert await store.everything() == {}


async def test_there_are_no_consumers_to_remove_where_everything_is_lost(store: Store) -> None:
    assert await store.claims().sweeping.retire_consumers(ZERO, ZERO) == 0
    await store.schedule.place(message(), replace=False)  # a stream again, without a group
    assert await store.claims().sweeping.retire_consumers(ZERO, ZERO) == 0


async def test_heartbeats_and_counts_need_no_group(store: Store) -> None:
    assert await store.claims().unfinished() == 0
    assert isinstance(await store.liveness.beat("w", {"task"}, tasks_too=True), Beat)


@pytest.mark.parametrize("write", ["settle", "hand back"])
async def test_what_is_done_may_end_though_memory_is_short(
    server: Server, redis_url: str, write: str
) -> None:
    """Its end frees more than it takes, so it does not wait for somebody else to free something."""
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        delivery = await store.running()
        with REFUSALS["OOM"](server):
            with pytest.raises(OutOfMemoryError):
                await store.schedule.place(message("another"), replace=False)
            assert await WRITES[write](store.claims(), delivery) is Settled.OK


@pytest.mark.parametrize("name", ["BUSY", "MASTERDOWN"])
async def test_a_server_that_answers_nothing_is_not_taken_for_an_empty_one(
    server: Server, redis_url: str, name: str
) -> None:
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        await store.running()
        with REFUSALS[name](server):
            for question in (
                store.claims().unfinished(),
                store.claims().cancel_requested(["k"]),
                store.records.read("k"),
                store.records.picture(),
                store.liveness.workers(),
            ):
                with pytest.raises(RedisError, match=SAID[name]):
                    await question
