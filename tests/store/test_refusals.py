"""A server that refuses, or has lost everything: what the writes of a claim make of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from redis.exceptions import OutOfMemoryError, RedisError

from docket.rules import Cancellation
from docket.store import EVERY_TASK, Again, Beat, Claims, Delivery, Ended, Settled, Strike, Strikes
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


async def test_a_full_server_lets_children_end_and_be_cancelled_and_their_group_be_left(
    server: Server, redis_url: str
) -> None:
    """All of that frees memory."""
    async with Client.from_url(redis_url) as client:
        store, look = Store(client), timedelta(seconds=10)
        doomed, left = [await store.groups.open("", "1", None, look_after=look) for _ in range(2)]
        for key, group in (("a", doomed), ("b", doomed), ("c", left)):
            await store.schedule.place(message(key), replace=False, child_of=group.id)
        delivery = await store.claimed()
        with REFUSALS["OOM"](server):
            await store.claims().settle(delivery, Ended("completed"))
            await store.schedule.cancel("c")
            assert await store.groups.close(left)
            assert not await store.groups.cancel(doomed, look)
        assert await store.groups.ended(doomed) == {"a", "b"}
        assert await store.client.zcard("d:groups") == 0


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


Act = Callable[[Store], Awaitable[object]]
#: What an operator does about a full server, and what comes of it.
MADE_ROOM_BY: dict[str, tuple[Act, object]] = {
    "pause": (lambda store: store.pauses.pause("f", "full", ""), True),
    "pause all": (lambda store: store.pauses.pause(EVERY_TASK, "full", ""), True),
    "resume": (lambda store: store.pauses.resume("paused"), (True, 0)),
    "strike": (lambda store: Strikes(store.keys).write(store.client, Strike("f", None, "==", None)), None),
    "cancel what is queued": (lambda store: store.schedule.cancel("queued"), Cancellation.CANCELLED),
    "cancel what is for later": (lambda store: store.schedule.cancel("later"), Cancellation.CANCELLED),
    "cancel what runs": (lambda store: store.schedule.cancel("k"), Cancellation.REQUESTED),
    "clear": (lambda store: store.schedule.clear(10), 2),
}


@pytest.mark.parametrize("name", MADE_ROOM_BY)
async def test_what_makes_room_on_a_full_server_or_keeps_it_is_not_refused(
    server: Server, redis_url: str, name: str
) -> None:
    """It frees memory, or takes a bounded little: other than what adds."""
    act, expected = MADE_ROOM_BY[name]
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        await store.running()
        await store.schedule.place(message("queued"), replace=False)
        await store.schedule.place(message("later", FUTURE), replace=False)
        await store.pauses.pause("paused", "", "")
        with REFUSALS["OOM"](server):
            assert await act(store) == expected


async def test_a_full_server_is_not_filled_with_strikes(server: Server, redis_url: str) -> None:
    """They are accepted while there are few of them, and small ones."""
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        with REFUSALS["OOM"](server):
            with pytest.raises(OutOfMemoryError):
                await Strikes(store.keys).write(client, Strike("f", "x", "==", "large" * 1000))
            assert await store.everything() == {}
        async with client.pipeline() as pipeline:
            for number in range(1000):
                struck = Strike(f"f{number}", None, "==", None).as_message()
                pipeline.xadd(store.keys.strikes, dict(struck))
            await pipeline.execute()
        with REFUSALS["OOM"](server), pytest.raises(OutOfMemoryError):
            await Strikes(store.keys).write(client, Strike("g", None, "==", None))


async def test_a_worker_that_lives_stays_on_the_list_of_a_full_server_and_no_other_comes(
    server: Server, redis_url: str
) -> None:
    async with Client.from_url(redis_url) as client:
        store = Store(client)
        before = await store.liveness.beat("w", ["f"], tasks_too=True)
        with REFUSALS["OOM"](server):
            beat = await store.liveness.beat("w", ["f"], tasks_too=True)
            assert (beat.seen, beat.problems) == (before.at, [])
            assert beat.at > before.at
            with pytest.raises(OutOfMemoryError):
                await store.liveness.beat("another", ["f"], tasks_too=True)
            for at in None, "f":
                assert [worker.name for worker in await store.liveness.workers(at)] == ["w"]
