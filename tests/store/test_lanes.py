"""Levels: what every script does with messages, deliveries and records of a lane."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
import attrs
import pytest

from docket.errors import UsageError
from docket.rules import Cancellation, Priority
from docket.store import Again, Claims, Delivery, Ended, Message, Settled, Taken, Unreadable
from docket.store.codec import LANE
from docket.store.lanes import Lanes
from docket.store.levels import level_of_entry as level_of
from docket.store.levels import stream_of_lane
from docket.store.listing import Listing
from tests.store.conftest import FUTURE, Heard, Store, message

pytestmark = pytest.mark.anyio

ZERO, DAY = timedelta(0), timedelta(days=1)


def of(level: str, key: str = "k", when: object = None) -> Message:
    made = message(key) if when is None else message(key, FUTURE)
    return made if level == "normal" else attrs.evolve(made, extra={LANE: level.encode()})


async def place(store: Store, *keys: str) -> None:
    """Keys begin with the first letter of their level."""
    levels = {"h": "high", "n": "normal", "l": "low"}
    for key in keys:
        await store.schedule.place(of(levels[key[0]], key), replace=False)


async def reader(store: Store, worker: str = "w", lanes: Sequence[str] | None = None) -> Claims:
    claims = store.claims(worker)
    if lanes is not None:
        claims.lanes = Lanes(store.keys, [Priority(each) for each in lanes])
    await claims.create_group()
    return claims


def keys_of(taken: Sequence[Taken]) -> list[str]:
    return [one.message.key for one in taken if isinstance(one, Delivery)]


async def one(store: Store, level: str = "high") -> tuple[Claims, Delivery]:
    """A claim of that level."""
    await store.schedule.place(of(level), replace=False)
    claims = await reader(store)
    (delivery,) = await claims.take(1)
    assert isinstance(delivery, Delivery)
    return claims, delivery


async def length(store: Store, level: str) -> object:
    return await store.client.call("XLEN", stream_of_lane(store.keys, level))


async def test_who_adds_to_an_empty_lane_says_so_and_its_id_tells_the_lane(
    store: Store, heard: Heard
) -> None:
    await place(store, "h1", "h2")
    assert [event for channel, event in await heard.all() if channel == "d:wake"] == ["lane high"]
    record = await store.client.hgetall("d:runs:h2")
    assert level_of(record[b"stream_id"]) == "high"
    assert await length(store, "high") == 2
    assert not await store.client.exists("d:stream")


async def test_ids_of_a_lane_grow_where_the_clock_has_gone_back(store: Store) -> None:
    await store.client.call("XADD", "d:ops:lane:low", "99999999999999-200000000000007", "key", "x")
    await place(store, "l1")
    record = await store.client.hgetall("d:runs:l1")
    assert record[b"stream_id"] == b"99999999999999-200000000000008"


async def test_a_level_that_is_none_is_normal(store: Store) -> None:
    await store.schedule.place(attrs.evolve(message(), extra={LANE: b"urgent"}), replace=False)
    assert await length(store, "normal") == 1


async def test_the_first_level_is_taken_first_each_in_its_order(store: Store) -> None:
    await place(store, "l1", "n1", "h1", "l2", "n2", "h2")
    claims = await reader(store)
    assert keys_of(await claims.take(3)) == ["h1", "h2", "n1"]
    assert keys_of(await claims.take(9)) == ["n2", "l1", "l2"]


@pytest.mark.parametrize("at_a_time", [1, 3])
async def test_each_later_level_has_a_twentieth_of_what_begins(store: Store, at_a_time: int) -> None:
    await place(store, *(f"{level}{number:03}" for level in "lnh" for number in range(120)))
    claims, began = await reader(store), list[str]()
    while len(began) < 120:
        began += keys_of(await claims.take(at_a_time))
    counts = [sum(key.startswith(level) for key in began) for level in "hnl"]
    assert counts[1] >= 5
    assert counts[2] >= 5
    assert counts[0] >= 100


async def test_a_level_that_had_nothing_for_long_does_not_come_all_at_once(store: Store) -> None:
    await place(store, *(f"h{number:03}" for number in range(200)), "n0")
    claims = await reader(store)
    for _ in range(10):
        await claims.take(10)
    await place(store, *(f"l{number}" for number in range(10)))
    await claims.create_group()
    assert len([key for key in keys_of(await claims.take(10)) if key[0] == "l"]) <= 2


async def test_a_worker_takes_nothing_of_levels_that_it_does_not_serve(store: Store) -> None:
    await place(store, "h1", "n1", "l1")
    assert keys_of(await (await reader(store, lanes=["high"])).take(9)) == ["h1"]
    assert keys_of(await (await reader(store, lanes=["normal"])).take(9)) == ["n1"]
    low = await reader(store, lanes=["low"])
    async with store.client.dedicated() as connection:
        assert keys_of(await low.wait_for_tasks(connection, 5, DAY)) == ["l1"]


async def test_a_blocking_read_brings_one_of_each_lane_at_least(store: Store) -> None:
    await place(store, "h1", "n1", "l1")
    claims = await reader(store)
    async with store.client.dedicated() as connection:
        assert keys_of(await claims.wait_for_tasks(connection, 1, DAY)) == ["h1", "n1", "l1"]


async def test_a_claim_of_a_lane_ends_there(store: Store, heard: Heard) -> None:
    claims, delivery = await one(store)
    assert level_of(delivery.message_id) == "high"
    assert await claims.settle(delivery, Ended("completed")) is Settled.OK
    assert await length(store, "high") == 0
    assert ("d:wake", "finished") in await heard.all()


async def test_ends_of_several_lanes_leave_together(store: Store) -> None:
    await place(store, "h1", "n1", "l1")
    claims = await reader(store)
    taken = [each for each in await claims.take(9) if isinstance(each, Delivery)]
    await claims.take_settling(9, [(each, Ended("completed")) for each in taken])
    assert [await length(store, level) for level in ("high", "normal", "low")] == [0, 0, 0]


async def test_a_docket_is_not_finished_while_a_lane_has_something(store: Store, heard: Heard) -> None:
    await place(store, "l1")
    claims, delivery = await one(store)
    await claims.settle(delivery, Ended("completed"))
    assert ("d:wake", "finished") not in await heard.all()
    assert await claims.unfinished() == 1


async def test_a_task_keeps_its_level_wherever_it_goes(store: Store) -> None:
    claims, delivery = await one(store, "low")
    await claims.hand_back(delivery)
    (again,) = await claims.take(1)
    assert isinstance(again, Delivery)
    await claims.reschedule(again, Again(again.message.again(FUTURE, 2)))
    await store.client.call("ZADD", "d:queue", 1, "k")
    await store.due.move(10)
    (retried,) = await claims.take(1)
    assert isinstance(retried, Delivery)
    assert (level_of(retried.message_id), retried.message.attempt) == ("low", 2)


async def test_a_lease_in_a_lane_is_renewed_and_runs_out(store: Store) -> None:
    claims, delivery = await one(store)
    assert await claims.renew([delivery.message_id]) == frozenset()
    other = await reader(store, "other")
    (pending,) = await other.sweeping.look()
    assert pending.message_id == delivery.message_id
    (taken,) = await other.take_over([pending.message_id], ZERO)
    assert isinstance(taken, Delivery)
    assert taken.redelivered
    assert await claims.renew([delivery.message_id]) == {delivery.message_id}
    assert await claims.settle(delivery, Ended("completed")) is Settled.LOST


async def test_the_sweep_goes_through_all_lanes_page_by_page(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docket.store.sweeping.PENDING_PAGE", 2)
    await place(store, "h1", "h2", "h3", "n1", "l1")
    claims = await reader(store)
    ids = [each.message_id for each in await claims.take(9) if isinstance(each, Delivery)]
    seen, after = list[bytes](), b""
    while True:
        page = await claims.sweeping.look(after)
        seen += [each.message_id for each in page]
        if len(page) < 2:
            break
        after = seen[-1]
    assert sorted(seen) == sorted(ids)
    assert {each.message_id for each in await claims.sweeping.look_at_ours()} == set(ids)


async def test_answers_that_were_lost_are_found_in_lanes(store: Store) -> None:
    await place(store, "h1")
    claims = await reader(store)
    (delivery,) = await claims.take(1, asked="lost")
    assert isinstance(delivery, Delivery)
    (found,) = await claims.claim_unheard([delivery.message_id], ["lost"], asked="again")
    assert isinstance(found, Delivery)
    assert found.fence.claim == 2


async def test_what_waits_in_a_lane_is_cancelled_and_replaced(store: Store) -> None:
    await place(store, "h1", "h2")
    assert await store.schedule.cancel("h1") is Cancellation.CANCELLED
    await store.schedule.place(of("low", "h2"), replace=True)
    assert [await length(store, level) for level in ("high", "normal", "low")] == [0, 0, 1]
    assert await store.schedule.place(of("high", "h2"), replace=False) is not None
    assert await length(store, "high") == 0  # it waits, at its level


async def test_what_runs_in_a_lane_is_asked_to_stop(store: Store) -> None:
    await one(store)
    assert await store.schedule.cancel("k") is Cancellation.REQUESTED


@pytest.mark.parametrize("batch", [1, 2, 100])
async def test_clear_empties_all_lanes_step_by_step(store: Store, batch: int) -> None:
    await place(store, "h1", "n1", "l1", "n2", "h2")
    assert await store.schedule.clear(batch) == 5
    assert [await length(store, level) for level in ("high", "normal", "low")] == [0, 0, 0]


async def test_what_cannot_be_read_is_set_aside_from_its_lane(store: Store) -> None:
    await store.client.call(
        "XADD", "d:ops:lane:high", "1000000000000-100000000000000", "key", "k", "no", "message"
    )
    claims = await reader(store)
    (taken,) = await claims.take(1)
    assert isinstance(taken, Unreadable)
    await claims.set_aside(taken)
    assert await length(store, "high") == 0
    assert await length(store, "normal") == 0
    assert await store.client.call("XLEN", "d:dead") == 1


async def test_a_paused_docket_lines_up_what_a_lane_brings_and_gives_it_back(store: Store) -> None:
    claims, _ = await one(store, "high")
    await store.pauses.pause("*", "", "")
    await place(store, "h1")
    async with store.client.dedicated() as connection:
        assert await claims.wait_for_tasks(connection, 5, DAY) == []
    await store.pauses.resume("*")
    assert keys_of(await claims.take(5)) == ["h1"]


async def test_consumers_of_lanes_are_retired(store: Store) -> None:
    high = await reader(store, "gone", lanes=["high"])
    await place(store, "h1")
    (delivery,) = await high.take(1)
    assert isinstance(delivery, Delivery)
    claims = await reader(store)
    assert await claims.sweeping.retire_consumers(ZERO, ZERO) == 0  # it holds something
    await high.settle(delivery, Ended("completed"))
    assert await claims.sweeping.retire_consumers(ZERO, ZERO) == 1


async def test_a_worker_with_fewer_levels_sweeps_by_a_lease_of_its_own(store: Store) -> None:
    all_of_them, high = await reader(store), await reader(store, "h", lanes=["high"])
    assert await all_of_them.sweeping.hold_lease(DAY)
    assert await high.sweeping.hold_lease(DAY)
    assert not await (await reader(store, "h2", lanes=["high"])).sweeping.hold_lease(DAY)


async def test_the_picture_and_the_lists_have_all_lanes(store: Store) -> None:
    await place(store, "l1", "n1", "h1", "h2")
    claims = await reader(store)
    assert keys_of(await claims.take(1)) == ["h1"]
    picture = await store.records.picture()
    assert {entry.message.key for entry in picture.waiting} == {"l1", "n1", "h2"}
    assert [(entry.message.key, entry.worker) for entry in picture.running] == [("h1", "w")]
    listing = Listing(store.client, store.keys, DAY)
    listed, after = list[str](), ""
    while True:
        page = await listing.due(None, 1, after)
        listed += [entry.message.key for entry in page.entries]
        if page.after is None:
            break
        after = page.after
    assert listed == ["h2", "n1", "l1"]
    assert [entry.message.key for entry in (await listing.running(None, 9)).entries] == ["h1"]
    counts = await listing.counts()
    assert (counts.due, counts.running, counts.levels) == (3, 1, {Priority.HIGH: 1, Priority.LOW: 1})
    levels = (await store.records.depths()).levels
    assert (levels[Priority.HIGH], levels[Priority.NORMAL], levels[Priority.LOW]) == (2, 1, 1)
    with pytest.raises(UsageError):
        await listing.running(None, 9, "nonsense")


async def test_a_reader_is_told_of_a_lane_that_it_does_not_know(store: Store) -> None:
    claims = await reader(store)
    assert not await claims.sees_new_lane()
    await place(store, "l1")
    assert await claims.sees_new_lane()
    await claims.create_group()
    assert not await claims.sees_new_lane()


async def test_a_full_lane_is_read_by_several_workers_once_each(store: Store) -> None:
    await place(store, *(f"h{number}" for number in range(20)))
    workers = [await reader(store, f"w{number}") for number in range(4)]
    began = list[str]()

    async def take(claims: Claims) -> None:
        while taken := keys_of(await claims.take(2)):
            began.extend(taken)

    async with anyio.create_task_group() as group:
        for claims in workers:
            group.start_soon(take, claims)
    assert sorted(began) == sorted(f"h{number}" for number in range(20))
