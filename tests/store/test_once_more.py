"""The call that runs once more after a run: kept beside it, and placed by whatever ends it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import attrs
import pytest

from docket import clock
from docket.rules import Cancellation, Disposition, ExecutionState
from docket.store import EXPIRES, SHARE, Again, Delivery, Ended, Message, Placed, Record
from docket.store.codec import LANE
from tests.store.conftest import FUTURE, PAST, Heard, Store, by_hand, message, run
from tests.store.groups import add, of_program, scores

pytestmark = pytest.mark.anyio

#: How far above that of a run the generation of what follows it is.
AHEAD = 1_000_000


def call(args: str, when: datetime | None = None, **more: object) -> Message:
    return attrs.evolve(message(when=when or clock.now()), args=args.encode(), **more)


async def once_more(store: Store, args: str, when: datetime | None = None, **more: object) -> Placed:
    return await store.schedule.place(call(args, when, **more), replace=False, once_more=True)


async def recorded(store: Store, key: str = "k") -> Record:
    record, _ = await store.records.read(key)
    assert record is not None
    return record


async def kept(store: Store) -> list[bytes]:
    """What is kept beside runs."""
    return sorted(await store.client.keys("d:ops:successor*"))


async def is_followed(store: Store, state: ExecutionState = ExecutionState.QUEUED) -> None:
    """The run has ended, and its successor waits."""
    record = await recorded(store)
    assert (record.state, record.args, record.generation) == (state, b"2", 1 + AHEAD)
    assert record.last is not None
    assert record.last.generation == 1
    assert await kept(store) == []


async def test_beside_a_run_the_last_call_is_kept(store: Store) -> None:
    delivery = await store.running()
    assert await once_more(store, "1") == Placed(Disposition.ONCE_MORE, 1 + AHEAD)
    assert await once_more(store, "2", FUTURE) == Placed(Disposition.ONCE_MORE, 1 + AHEAD)
    everything = await store.everything()
    assert everything["d:ops:successor:k"] == {
        "s:generation": "1000001", "s:when": "3000000000", "s:ttl": "-", "s:queue": "d:queue",
        "key": "k", "when": FUTURE.isoformat(), "function": "f", "args": "2", "kwargs": "KWARGS", "attempt": "1",
    }  # fmt: skip
    assert everything["d:runs:k"] == run(
        "running", worker="w", started_at="now", claim="#1.1", successor="1000001"
    )
    following = await store.records.successor("k")
    assert following is not None
    assert (following.args, following.generation) == (b"2", 1 + AHEAD)
    assert await store.claims().settle(delivery, Ended("completed"))
    await is_followed(store, ExecutionState.SCHEDULED)
    assert await store.client.zscore("d:queue", "k") == 3_000_000_000


async def test_the_step_that_ends_the_run_places_what_follows(store: Store, heard: Heard) -> None:
    """I1: the end is published first, and what follows has a fresh record."""
    delivery = await store.running()
    await once_more(store, "2", ttl=timedelta(minutes=1), extra={b"trace": b"T"})
    await heard.all()
    await store.claims().settle(delivery, Ended("failed", error="why", result=("k:1", "TEXT")))
    everything = await store.everything()
    record = everything.pop("d:runs:k")
    assert isinstance(record, dict)
    assert float(record.pop("when")) == pytest.approx(clock.timestamp(), abs=5)
    record.pop("known")
    assert record == {
        "state": "queued", "stream_id": "#1", "generation": "1000001", "function": "f", "args": "2", "kwargs": "KWARGS",
        "ttl": "60000", "last_generation": "1", "last_state": "failed", "last_completed_at": "now", "last_error": "why",
        "last_result_key": "k:1",
    }  # fmt: skip
    assert everything.pop("d:results::k:1 (expires)")
    entry = {
        "id": "#1", "key": "k", "when": "now", "function": "f", "args": "2", "kwargs": "KWARGS", "attempt": "1",
        "generation": "1000001", "trace": "T",
    }  # fmt: skip
    assert everything == {"d:stream": {"entries": [entry]}}
    states = [json.loads(event)["state"] for channel, event in await heard.all() if channel == "d:state:k"]
    assert states == ["failed", "queued"]


async def test_each_run_has_a_successor_of_its_own(store: Store) -> None:
    for number in range(1, 4):
        if number == 1:
            delivery = await store.running()
        else:
            delivery = await store.claimed()
        assert (await once_more(store, "2")).generation == 1 + number * AHEAD
        await store.claims().settle(delivery, Ended("completed"))
    assert (await recorded(store)).generation == 1 + 3 * AHEAD


async def test_a_free_key_and_one_whose_run_has_ended_are_placed_as_always(store: Store) -> None:
    assert await once_more(store, "1") == Placed(Disposition.SCHEDULED, 1)
    await store.claims().settle(await store.claimed(), Ended("completed"))
    assert await once_more(store, "2") == Placed(Disposition.SCHEDULED, 2)
    assert await kept(store) == []


# what ends a run ------------------------------------------------------------------------------------------------


async def test_a_retry_keeps_what_follows_until_the_tries_end(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    again = attrs.evolve(delivery.message, attempt=2, when=PAST)
    await store.claims().reschedule(delivery, Again(again, tried="why"))
    assert (await recorded(store)).has_successor
    assert (await once_more(store, "3")).generation == 1 + AHEAD
    await once_more(store, "2")
    second = await store.claimed()
    assert (second.message.args, second.message.attempt) == (b"ARGS", 2)
    await store.claims().settle(second, Ended("failed", error="why"))
    record = await recorded(store)
    assert (record.state, record.args, record.attempt) == (ExecutionState.QUEUED, b"2", 1)
    assert record.last is not None
    assert (record.last.generation, record.last.state) == (2, ExecutionState.FAILED)


async def test_a_run_that_waits_for_its_retry_is_followed(store: Store) -> None:
    delivery = await store.running()
    again = attrs.evolve(delivery.message, attempt=2, when=FUTURE)
    await store.claims().reschedule(delivery, Again(again, tried="why"))
    assert (await once_more(store, "2")).disposition is Disposition.ONCE_MORE
    assert (await recorded(store)).args == b"ARGS"


async def test_the_next_run_of_a_chain_is_what_follows(store: Store) -> None:
    """At once, and with its arguments."""
    delivery = await store.running()
    await once_more(store, "2")
    following = attrs.evolve(delivery.message, when=FUTURE)
    await store.claims().reschedule(
        delivery, Again(following, ended=Ended("completed", result=("k:last", "TEXT")))
    )
    await is_followed(store)
    assert not await store.client.exists("d:queue")
    last = (await recorded(store)).last
    assert last is not None
    assert last.result_key == "k:last"


async def test_a_hand_back_keeps_what_follows(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    await store.claims().hand_back(delivery)
    assert (await recorded(store)).has_successor
    again = await store.claimed()
    assert again.message.args == b"ARGS"
    await store.claims().settle(again, Ended("completed"))
    await is_followed(store)


async def test_a_redelivery_keeps_what_follows(store: Store) -> None:
    await store.running()
    await once_more(store, "2")
    claims = store.claims("other")
    (taken,) = await claims.take_over(await store.abandoned(), timedelta(0))
    await claims.settle(taken, Ended("completed"))  # type: ignore[arg-type]
    await is_followed(store)


async def test_what_is_ended_by_hand_is_followed(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    assert await by_hand(store).conclude("k", 1, delivery.message_id, state="completed")
    await is_followed(store)


async def test_what_cannot_be_read_is_followed(store: Store) -> None:
    running = await store.running()
    await once_more(store, "2")
    await store.client.call("XDEL", "d:stream", running.message_id)
    await store.client.xadd("d:stream", {"key": "k", "generation": "1"})
    await store.client.hset("d:runs:k", "stream_id", "x")
    claims = store.claims()
    (taken,) = await claims.take(1)
    await store.client.hset("d:runs:k", "claim", f"{taken.message_id.decode()}.1")
    await claims.set_aside(taken)  # type: ignore[arg-type]
    await is_followed(store)
    assert (await recorded(store)).last.state is ExecutionState.FAILED  # type: ignore[union-attr]


async def test_a_run_whose_message_is_gone_is_followed(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    await store.claims().reschedule(
        delivery, Again(attrs.evolve(delivery.message, attempt=2, when=PAST), tried="why")
    )
    await store.client.hset("d:runs:k", "state", "scheduled")
    await store.client.hdel("d:runs:k", "stream_id")
    await store.client.delete("d:stream")
    await store.client.zadd("d:queue", {"k": 1})
    await store.due.move(10)
    record = await recorded(store)
    assert (record.state, record.args) == (ExecutionState.QUEUED, b"2")


async def test_a_child_that_its_group_ends_is_followed(store: Store) -> None:
    """The one who has added that is not of the group."""
    group = await of_program(store)
    await add(store, group, "k")
    assert (await once_more(store, "2")).disposition is Disposition.ONCE_MORE
    await store.groups.cancel(group, timedelta(minutes=1))
    await is_followed(store)
    assert (await scores(store, group))["k"] == 0
    assert await store.client.hget("d:runs:k", "group") is None


async def test_without_a_ttl_the_end_of_a_run_is_known_as_long_as_what_follows(store: Store) -> None:
    store.ttl = timedelta(0)
    delivery = await store.running()
    await once_more(store, "2")
    await store.claims().settle(delivery, Ended("completed"))
    await is_followed(store)
    await store.claims().settle(await store.claimed(), Ended("completed"))
    assert await store.everything() == {"d:stream": {"entries": []}}


async def test_settling_again_because_the_reply_was_lost_does_not_place_twice(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    await store.claims().settle(delivery, Ended("completed"))
    before = await store.everything()
    await store.claims().settle(delivery, Ended("completed"))
    assert await store.everything() == before


async def test_an_expiry_counts_from_when_it_was_added(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2", extra={EXPIRES: b"+60000", b"trace": b"T"})
    await store.claims().settle(delivery, Ended("completed"))
    until = await store.client.zscore("d:ops:expiring", "k")
    assert until == pytest.approx(clock.timestamp() + 60, abs=5)
    assert (await recorded(store)).expires is not None
    assert (await store.claimed()).message.extra[b"trace"] == b"T"


async def test_what_has_expired_by_its_turn_does_not_begin(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2", extra={EXPIRES: b"1000000000.000000"})
    await store.claims().settle(delivery, Ended("completed"))
    assert (await store.claimed()).expired


# what drops it --------------------------------------------------------------------------------------------------


async def test_a_cancel_of_the_run_drops_what_follows(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    assert await store.schedule.cancel("k") is Cancellation.REQUESTED
    assert await kept(store) == []
    record = await recorded(store)
    assert (record.has_successor, record.has_dropped(1 + AHEAD)) == (False, True)
    assert (await once_more(store, "3")).generation == 2 + AHEAD
    assert await store.schedule.cancel("k") is Cancellation.REQUESTED
    await store.claims().settle(delivery, Ended("cancelled"))
    assert (await recorded(store)).state is ExecutionState.CANCELLED
    assert await store.client.xlen("d:stream") == 0


async def test_a_replacement_drops_what_follows(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    assert (await store.schedule.place(call("3"), replace=True)).generation == 2
    assert await kept(store) == []
    await store.claims().settle(delivery, Ended("completed"))
    record = await recorded(store)
    assert (record.state, record.args, record.has_successor) == (ExecutionState.QUEUED, b"3", False)


async def test_a_clear_drops_what_follows_and_counts_it(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    again = attrs.evolve((await store.running("other")).message, attempt=2, when=FUTURE)
    assert again.key == "other"
    assert await store.schedule.clear(1) == 1
    assert await kept(store) == []
    await store.claims().settle(delivery, Ended("completed"))
    assert (await recorded(store)).state is ExecutionState.COMPLETED


async def test_the_next_one_has_a_generation_of_its_own_and_remembers_what_was_dropped(store: Store) -> None:
    delivery = await store.running()
    for args in "123":
        await once_more(store, args)
        assert await store.schedule.clear(1) == 1
    assert (await once_more(store, "4")).generation == 4 + AHEAD
    await store.claims().settle(delivery, Ended("completed"))
    second = await store.claimed()
    again = attrs.evolve(second.message, attempt=2, when=PAST)
    await store.claims().reschedule(second, Again(again, tried="why"))
    record = await recorded(store)
    assert (record.args, record.generation) == (b"4", 5 + AHEAD)
    asked = 1, 1 + AHEAD, 3 + AHEAD, 4 + AHEAD, 5 + AHEAD
    assert [record.has_dropped(each) for each in asked] == [False, True, True, False, False]
    assert (await once_more(store, "5")).generation == 5 + 2 * AHEAD


async def test_a_clear_of_what_waits_for_its_retry_does_not_place_what_follows(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2")
    await store.claims().reschedule(
        delivery, Again(attrs.evolve(delivery.message, attempt=2, when=FUTURE), tried="why")
    )
    assert await store.schedule.clear(100) == 2
    assert (await recorded(store)).state is ExecutionState.CANCELLED
    assert await store.client.xlen("d:stream") == 0
    assert await kept(store) == []


# a run that has not begun ---------------------------------------------------------------------------------------


async def parked(store: Store) -> None:
    await store.schedule.place(call("1", FUTURE), replace=False)


async def queued(store: Store) -> None:
    await store.schedule.place(call("1"), replace=False)


async def lined_up(store: Store) -> None:
    await store.pauses.pause("f", by="", reason="")
    await queued(store)
    claims = store.claims()
    await claims.create_group()
    assert await claims.take(1) == []


@pytest.mark.parametrize("wait", [parked, queued, lined_up])
async def test_what_waits_gives_way_to_the_last_call(
    store: Store, wait: Callable[[Store], Awaitable[None]]
) -> None:
    await wait(store)
    before = await recorded(store)
    placed = await once_more(store, "2")
    assert placed == Placed(Disposition.SCHEDULED, before.generation + 1)
    record = await recorded(store)
    assert (record.args, record.when, record.has_successor) == (b"2", before.when, False)
    assert await store.client.xlen("d:stream") + await store.client.zcard("d:queue") == 1
    assert await store.client.exists("d:ops:pause:f::waiters") == 0


async def test_what_waits_for_its_time_keeps_its_moment_unless_the_call_is_due_later(store: Store) -> None:
    await parked(store)
    await once_more(store, "2", FUTURE - timedelta(days=1))
    assert await store.client.zscore("d:queue", "k") == 3_000_000_000
    assert await store.client.hget("d:k", "when") == FUTURE.isoformat().encode()
    await once_more(store, "3", FUTURE + timedelta(seconds=1))
    assert await store.client.zscore("d:queue", "k") == 3_000_000_001
    assert await store.client.hget("d:k", "args") == b"3"
    assert (await recorded(store)).when == FUTURE + timedelta(seconds=1)


async def test_what_is_due_waits_again_where_the_call_is_due_later(store: Store, heard: Heard) -> None:
    await queued(store)
    await heard.all()
    await once_more(store, "2", FUTURE)
    assert await store.client.xlen("d:stream") == 0
    assert await store.client.zscore("d:queue", "k") == 3_000_000_000
    assert '"state": "scheduled"' in (await heard.all())[0][1]


@pytest.mark.parametrize("wait", [parked, queued, lined_up])
async def test_the_same_call_keeps_its_place(store: Store, wait: Callable[[Store], Awaitable[None]]) -> None:
    await wait(store)
    before = await store.everything()
    placed = await once_more(store, "1")
    assert placed.disposition is Disposition.ALREADY_SCHEDULED
    assert await store.everything() == before


async def test_what_has_been_due_for_a_minute_keeps_its_place_and_is_followed(store: Store) -> None:
    """Else a key that is added all the time would never get its turn."""
    await store.schedule.place(call("1", clock.now() - timedelta(seconds=61)), replace=False)
    assert (await once_more(store, "2")).disposition is Disposition.ONCE_MORE
    first = await store.claimed()
    assert first.message.args == b"1"
    await store.claims().settle(first, Ended("completed"))
    await is_followed(store)


async def test_whose_message_was_trimmed_is_free(store: Store) -> None:
    await queued(store)
    await store.client.xtrim("d:stream", maxlen=0, approximate=False)
    assert (await once_more(store, "2")).disposition is Disposition.SCHEDULED


# what others do with the keys -----------------------------------------------------------------------------------


async def test_where_somebody_ended_the_run_who_knows_of_none_the_next_call_takes_its_place(
    store: Store,
) -> None:
    await store.running()
    await once_more(store, "2")
    await store.client.hset("d:runs:k", "state", "completed")
    await store.client.xtrim("d:stream", maxlen=0, approximate=False)
    assert await once_more(store, "3") == Placed(Disposition.SCHEDULED, 2)
    assert await kept(store) == []


async def test_where_somebody_ended_the_run_who_knows_of_none_a_plain_add_is_followed(store: Store) -> None:
    await store.running()
    await once_more(store, "2")
    await store.client.hset("d:runs:k", "state", "completed")
    await store.client.xtrim("d:stream", maxlen=0, approximate=False)
    assert await store.schedule.place(call("3"), replace=False) == Placed(Disposition.SCHEDULED, 2)
    await store.claims().settle(await store.claimed(), Ended("completed"))
    record = await recorded(store)
    assert (record.state, record.args) == (ExecutionState.QUEUED, b"2")


async def test_where_something_else_is_kept_in_place_of_the_list_nothing_is_written(store: Store) -> None:
    await store.running()
    await store.client.set("d:ops:successors", "x")
    before = await store.everything()
    with pytest.raises(Exception, match="d:ops:successors"):
        await once_more(store, "2")
    assert await store.everything() == before


async def test_it_is_placed_on_the_lane_of_its_level(store: Store) -> None:
    delivery = await store.running()
    await once_more(store, "2", extra={LANE: b"high"})
    await store.claims().settle(delivery, Ended("completed"))
    assert await store.client.xlen("d:stream") == 0
    assert await store.client.xlen("d:ops:lane:high") == 1
    await is_followed(store)


async def test_what_waits_on_a_lane_gives_way_to_a_call_of_another_level(store: Store) -> None:
    await store.schedule.place(call("1", extra={LANE: b"low"}), replace=False)
    assert (await once_more(store, "1", extra={LANE: b"low"})).disposition is Disposition.ALREADY_SCHEDULED
    assert (await once_more(store, "1", extra={LANE: b"high"})).disposition is Disposition.SCHEDULED
    assert await store.client.xlen("d:ops:lane:low") == 0
    assert await store.client.xlen("d:ops:lane:high") == 1


async def test_it_waits_in_its_row_if_it_takes_turns(store: Store) -> None:
    share = {SHARE: b"1 t:a"}
    delivery = await store.running()
    await once_more(store, "2", extra=share)
    await store.schedule.place(attrs.evolve(message("other"), extra=share), replace=False)
    await store.claims().settle(delivery, Ended("completed"))
    record = (await store.everything())["d:runs:k"]
    assert isinstance(record, dict)
    assert record["waiter_stream"] == "d:ops:row:normal:t:a::waiters"
    claims = store.claims()
    await claims.create_group()
    assert [one.message.key for one in await claims.take(9) if isinstance(one, Delivery)] == ["other", "k"]
