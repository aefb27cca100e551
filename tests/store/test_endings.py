"""Every way to a final state leaves the same: a record with its TTL, or none, and nothing else of the run. It marks the
end in the group whose child the run is, and dooms the groups that it has open (I11)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from docket.clock import now
from docket.errors import DeliveryUnreadable
from docket.rules import AwaitSlot, SlotRule, pack
from docket.store import Admissions, Again, ByHand, Delivery, Ended, ProgressReports, Report, Unreadable
from tests.store.conftest import FUTURE, Heard, Store, message, run

pytestmark = pytest.mark.anyio

LEASE = timedelta(minutes=5)
LIMIT = SlotRule("d:concurrency:a:1", 1)
KEY = "k"

# How a run stands that is to be ended: each returns its delivery, where it has one. ------------------------------


async def scheduled(store: Store) -> None:
    await store.schedule.place(message(KEY, FUTURE), replace=False)


async def parked(store: Store) -> None:
    """By a name that is the docket's own."""
    await store.schedule.place(message("stream", FUTURE), replace=False)


async def queued(store: Store) -> None:
    await store.schedule.place(message(KEY), replace=False)


async def moved(store: Store) -> None:
    """From the queue to the stream, when it was due."""
    await scheduled(store)
    await store.client.zadd("d:queue", {KEY: 1_000_000_000})
    await store.due.move(10)


async def running(store: Store) -> Delivery:
    return await store.running(KEY)


async def holding(store: Store) -> Delivery:
    """A slot of a limit."""
    delivery = await store.running(KEY)
    assert await Admissions(store.client, store.keys, "w").admit(delivery, [LIMIT], LEASE) is None
    return attrs.evolve(delivery, slots=pack([LIMIT], LEASE))


async def waiting(store: Store) -> Delivery:
    """For a slot that another has, whose delivery this returns."""
    other = await store.running("other")
    admissions = Admissions(store.client, store.keys, "w")
    assert await admissions.admit(other, [LIMIT], LEASE) is None
    delivery = await store.running(KEY)
    assert await admissions.admit(delivery, [LIMIT], LEASE) == AwaitSlot(LIMIT.name)
    return attrs.evolve(other, slots=pack([LIMIT], LEASE))


async def woken(store: Store) -> None:
    """It waited, and a slot is kept for it."""
    other = await waiting(store)
    await store.claims().settle(other, Ended("completed"))
    await store.client.delete("d:runs:other")


async def resumed(store: Store) -> Delivery:
    """It waited, was woken, and a worker has claimed it."""
    await woken(store)
    return await store.claimed()


async def put_off(store: Store) -> Delivery:
    """It was retried, and runs again."""
    delivery = await store.running(KEY)
    await store.claims().reschedule(delivery, Again(delivery.message))
    return await store.claimed()


async def handed_back(store: Store) -> Delivery:
    await store.claims().hand_back(await store.running(KEY))
    return await store.claimed()


async def evicted(store: Store) -> None:
    """It is due, and its message is gone."""
    await scheduled(store)
    await store.client.zadd("d:queue", {KEY: 1_000_000_000})
    await store.client.delete(f"d:{KEY}")


# How it is ended. ------------------------------------------------------------------------------------------------


async def complete(store: Store, delivery: Delivery | None) -> None:
    assert delivery is not None
    await store.claims().settle(delivery, Ended("completed", result=("k:1", "RESULT")))


async def fail(store: Store, delivery: Delivery | None) -> None:
    assert delivery is not None
    await store.claims().settle(delivery, Ended("failed", error="why"))


async def by_hand(store: Store, delivery: Delivery | None) -> None:
    generation = int(await store.client.hget(f"d:runs:{KEY}", "generation") or 0)
    ours = delivery.message_id if delivery is not None and delivery.message.key == KEY else None
    assert await ByHand(store.client, store.keys, store.ttl).conclude(
        KEY, generation, ours, state="failed", error="why"
    )


async def cancel(store: Store, delivery: Delivery | None) -> None:
    assert await store.schedule.cancel(KEY)


async def cancel_parked(store: Store, delivery: Delivery | None) -> None:
    assert await store.schedule.cancel("stream")


async def clear(store: Store, delivery: Delivery | None) -> None:
    assert await store.schedule.clear(100) == 1


async def set_aside(store: Store, delivery: Delivery | None) -> None:
    assert delivery is not None
    await store.claims().set_aside(
        Unreadable(
            message_id=delivery.message_id,
            key=KEY,
            reason=DeliveryUnreadable("why"),
            generation=delivery.message.generation,
            slots=delivery.slots,
        )
    )


async def move(store: Store, delivery: Delivery | None) -> None:
    assert (await store.due.move(10)).count == 0


Placing = Callable[[Store], Awaitable[Delivery | None]]
Ending = Callable[[Store, Delivery | None], Awaitable[None]]

WAYS: list[tuple[Placing, Ending, str]] = [
    (running, complete, "completed"),
    (holding, complete, "completed"),
    (resumed, complete, "completed"),
    (put_off, complete, "completed"),
    (handed_back, complete, "completed"),
    (running, fail, "failed"),
    (holding, fail, "failed"),
    (scheduled, by_hand, "failed"),
    (queued, by_hand, "failed"),
    (moved, by_hand, "failed"),
    (running, by_hand, "failed"),
    (waiting, by_hand, "failed"),
    (woken, by_hand, "failed"),
    (scheduled, cancel, "cancelled"),
    (parked, cancel_parked, "cancelled"),
    (queued, cancel, "cancelled"),
    (moved, cancel, "cancelled"),
    (waiting, cancel, "cancelled"),
    (woken, cancel, "cancelled"),
    (scheduled, clear, "cancelled"),
    (parked, clear, "cancelled"),
    (queued, clear, "cancelled"),
    (moved, clear, "cancelled"),
    (waiting, clear, "cancelled"),
    (woken, clear, "cancelled"),
    (running, set_aside, "failed"),
    (holding, set_aside, "failed"),
    (resumed, set_aside, "failed"),
    (evicted, move, "failed"),
]

#: What the record of a run has that waits or runs, and one that has ended has not.
OF_THE_LIVING = {"known", "stream_id", "waiter_stream", "waiter_entry_id", "reserved"}


@pytest.mark.parametrize("ttl", [timedelta(minutes=15), timedelta(0), None])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0].__name__}-{way[1].__name__}")
async def test_every_end_leaves_the_same(
    store: Store, heard: Heard, way: tuple[Placing, Ending, str], ttl: timedelta | None
) -> None:
    placing, ending, state = way
    store.ttl = ttl  # type: ignore[assignment]
    key = "stream" if placing is parked else KEY
    delivery = await placing(store)
    reports = ProgressReports(store.client, store.keys, store.ttl)
    assert (
        await reports.write(key, Report(at=now(), amount=1, said={"message": "half-way"}), None) is not None
    )
    await heard.all()

    await ending(store, delivery)

    left: dict[str, Any] = dict(await store.everything())
    events = [json.loads(event) for channel, event in await heard.all() if channel == f"d:state:{key}"]
    assert [(event["type"], event["key"], event["state"]) for event in events] == [("state", key, state)]
    assert events[0]["completed_at"]
    assert ("error" in events[0]) == (state == "failed")
    name = f"d:runs:{key}" if ttl is None else f"d:runs:{key} (expires)"
    record = left.pop(name, None)
    if ttl == timedelta(0):
        assert record is None
    else:
        assert record is not None
        assert not OF_THE_LIVING & set(record)
        assert (record["state"], record["completed_at"], "error" in record) == (
            state,
            "now",
            state == "failed",
        )
        always = set(run(state)) | {"completed_at"}
        assert always <= set(record)
        claimed = {"worker", "started_at", "claim", "admitted"} if delivery is not None else set[str]()
        assert set(record) - always <= claimed | {"error", "result_key"}
    expected = {"d:stream"}
    if placing is waiting:
        expected |= {"d:runs:other", "d:limits", f"{LIMIT.name} (expires)"}
        expected |= {f"{LIMIT.name}:owners (expires)"}
    if ending is complete and ttl != timedelta(0):
        expected |= {"d:results::k:1" if ttl is None else "d:results::k:1 (expires)"}
    if ending is set_aside:
        expected |= {"d:dead (expires)"}
    if ending in (set_aside, move):  # the script itself knows that it has failed
        expected |= {f"d:ops:{each} (expires)" for each in (f"failure:{key}", "failures", "totals")}
    assert set(left) - {"d:stream"} == expected - {"d:stream"}
    if "d:stream" in left:
        assert [entry["key"] for entry in left["d:stream"]["entries"]] == ["other"] * (placing is waiting)


async def replace(store: Store, delivery: Delivery | None) -> None:
    await store.schedule.place(message(KEY), replace=True)


async def settle_with_a_take(store: Store, delivery: Delivery | None) -> None:
    assert delivery is not None
    await store.claims().take_settling(1, [(delivery, Ended("failed", error="why"))])


async def follow(store: Store, delivery: Delivery | None) -> None:
    """Another run of the key follows, which is another call."""
    assert delivery is not None
    await store.claims().reschedule(delivery, Again(delivery.message, ended=Ended("completed")))


async def claim_after_a_stranger_has_cancelled(store: Store, delivery: Delivery | None) -> None:
    await store.client.hset(f"d:runs:{KEY}", "state", "cancelled")
    claims = store.claims()
    await claims.create_group()
    await claims.take(1)


async def settle_after_a_stranger_has_cancelled(store: Store, delivery: Delivery | None) -> None:
    assert delivery is not None
    await store.client.hset(f"d:runs:{KEY}", "state", "cancelled")
    await store.claims().settle(delivery, Ended("completed"))


FURTHER: list[tuple[Placing, Ending, str]] = [
    *((placing, replace, "cancelled") for placing in (scheduled, queued, moved, waiting, woken, running)),
    (running, settle_with_a_take, "failed"),
    (running, follow, "completed"),
    (queued, claim_after_a_stranger_has_cancelled, "cancelled"),
    (running, settle_after_a_stranger_has_cancelled, "cancelled"),
]

SCORES = {"completed": 1, "cancelled": 0, "failed": -1}


@pytest.mark.parametrize("way", [*WAYS, *FURTHER], ids=lambda way: f"{way[0].__name__}-{way[1].__name__}")
async def test_every_end_is_marked_once_in_the_group_and_dooms_those_that_are_open(
    store: Store, heard: Heard, way: tuple[Placing, Ending, str]
) -> None:
    placing, ending, state = way
    key = "stream" if placing is parked else KEY
    delivery = await placing(store)
    await store.client.hset(
        f"d:runs:{key}", mapping={"group": "its.1", "groups": "own.1 own.2", "nonce": "own"}
    )
    await store.client.zadd("d:group:its.1", {"": -5, key: 2, "sibling": 2})
    for own in "own.1", "own.2":
        await store.client.zadd(f"d:group:{own}", {"": 3, "child": 2})
    await heard.all()

    await ending(store, delivery)

    left = await store.everything()
    assert left["d:group:its.1"] == {"": -5, key: SCORES[state], "sibling": 2}
    assert left["d:group:own.1"] == left["d:group:own.2"] == {"": -6, "child": 2}
    assert left["d:groups"] == {f"own.1 {key}": 0, f"own.2 {key}": 0}
    told = [text for channel, text in await heard.all() if channel == "d:wake" and text.startswith("group")]
    assert told == [f"group own.1 {key}", f"group own.2 {key}"]
    record = await store.client.hgetall(f"d:runs:{key}")
    if record[b"state"] in (b"queued", b"scheduled"):
        assert not {b"group", b"groups", b"nonce"} & record.keys()
    claims = store.claims()
    await claims.create_group()
    await claims.take(10)
    assert (await store.client.zscore("d:group:its.1", key)) == SCORES[state]
