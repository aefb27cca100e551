"""pause.lua, and what scripts that take tasks do with those that are paused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import attrs
import pytest
from redis.exceptions import ResponseError

from docket.store import EVERY_TASK, Again, Delivery, Depths, Ended, PassedOn, TooManyPauses
from docket.store.pauses import MOST
from tests.store.conftest import FUTURE, PAST, Heard, Store, fields, message, run

pytestmark = pytest.mark.anyio

ZERO = timedelta(0)
ROW, LIMIT = "d:ops:pause:f::waiters", "d:ops:pause:f:"


async def place(store: Store, *keys: str) -> None:
    await store.claims().create_group()
    for key in keys:
        await store.schedule.place(message(key), replace=False)


async def blocking_read(store: Store, count: int, worker: str = "w") -> Any:
    """What a worker reads that waits in the server."""
    words = ("GROUP", "docket-workers", worker, "COUNT", count, "STREAMS", "d:stream", ">")
    return await store.client.call("XREADGROUP", *words)


async def waiting(store: Store, row: str = ROW) -> list[str]:
    """The keys in a row, in their order."""
    return [entry[b"key"].decode() for _, entry in await store.client.xrange(row)]


async def queued(store: Store) -> list[str]:
    """The keys on the stream, in their order."""
    return await waiting(store, "d:stream")


async def test_a_pause_is_written_once(store: Store, heard: Heard) -> None:
    assert await store.pauses.pause("f", "provider down", "ops")
    assert not await store.pauses.pause("f", "another", "somebody")
    assert await heard.all() == [("d:wake", "paused f")]
    (found,) = await store.pauses.listed()
    assert found.since is not None
    assert (found.task, found.reason, found.by, found.waiting) == ("f", "provider down", "ops", 0)
    assert list(await store.client.hgetall("d:ops:pauses")) == [b"f"]


async def test_so_many_tasks_may_be_paused_at_a_time(store: Store) -> None:
    await store.client.hset("d:ops:pauses", mapping={f"f{n}": "{}" for n in range(MOST)})
    with pytest.raises(TooManyPauses, match="500 tasks"):
        await store.pauses.pause("f", "", "")
    assert not await store.pauses.pause("f7", "", "")
    assert await store.pauses.pause(EVERY_TASK, "", "")  # the emergency stop


async def test_a_take_lines_up_what_is_paused(store: Store, heard: Heard) -> None:
    await place(store, "k")
    await store.pauses.pause("f", "", "")
    await heard.all()
    claims = store.claims()
    assert await claims.take(10) == []
    assert (claims.lined_up, claims.is_paused) == (1, False)
    assert await heard.all() == [("d:state:k", '{"type":"state","key":"k","state":"scheduled"}')]
    known = await store.client.hget("d:runs:k", "known")
    everything = await store.everything()
    del everything["d:ops:pauses"]
    assert known is not None
    assert everything == {
        "d:stream": {"entries": []},
        "d:runs:k": run("scheduled", 2, known=known.decode(), waiter_stream=ROW, waiter_entry_id="#1"),
        ROW: {"entries": [{"id": "#1", **fields(generation=2)}]},
        "d:limits": {LIMIT: f"0 0:{len(LIMIT)}:{LIMIT}"},
        "d:waiting": [LIMIT],
    }


async def test_tasks_that_are_not_paused_are_taken(store: Store) -> None:
    await place(store, "a")
    await store.schedule.place(attrs.evolve(message("b"), function="g"), replace=False)
    await place(store, "c")
    await store.pauses.pause("f", "", "")
    claims = store.claims()
    (taken,) = await claims.take(3)
    assert isinstance(taken, Delivery)
    assert taken.message.key == "b"
    assert claims.lined_up == 2
    assert await waiting(store) == ["a", "c"]


async def test_what_waits_is_cancelled_and_replaced_like_every_waiter(store: Store) -> None:
    await place(store, "a", "b", "c")
    await store.pauses.pause("f", "", "")
    await store.claims().take(10)
    await store.schedule.cancel("a")
    await store.schedule.place(message("b", FUTURE), replace=True)
    assert await waiting(store) == ["c"]
    placed = await store.schedule.place(message("c"), replace=False)
    assert placed.disposition.value == "already_scheduled"
    assert await store.schedule.clear(100) == 2
    assert await store.client.exists(ROW, "d:limits", "d:waiting") == 0
    assert [each.task for each in await store.pauses.listed()] == ["f"]


async def test_a_delivery_that_did_not_end_counts(store: Store) -> None:
    await store.running(worker="dead")
    await store.pauses.pause("f", "", "")
    claims = store.claims()
    assert await claims.take_over(await store.abandoned(), ZERO) == []
    assert claims.lined_up == 1
    record = await store.client.hgetall("d:runs:k")
    assert record[b"state"] == b"scheduled"
    assert not {b"worker", b"claim", b"started_at"} & record.keys()
    await store.pauses.resume("f")
    delivery = await store.claimed()
    assert delivery.deliveries == 2
    assert delivery.message.passed_on == PassedOn(0, ZERO, 1)


async def test_deliveries_are_added_to_those_before(store: Store) -> None:
    delivery = await store.running()
    later = attrs.evolve(
        delivery.message.again(PAST, 1),
        passed_on=PassedOn(times=2, waited=timedelta(seconds=3), deliveries=4),
    )
    await store.claims().reschedule(delivery, Again(later, same=True))
    await store.claimed("dead")
    await store.pauses.pause("f", "", "")
    await store.claims().take_over(await store.abandoned(), ZERO)
    await store.pauses.resume("f")
    delivery = await store.claimed()
    assert delivery.message.passed_on == PassedOn(2, timedelta(seconds=3), 5)
    assert delivery.deliveries == 6


async def test_what_was_asked_to_stop_is_claimed_so_that_it_is_cancelled(store: Store) -> None:
    await store.running(worker="dead")
    await store.schedule.cancel("k")
    await store.pauses.pause("f", "", "")
    (delivery,) = await store.claims().take_over(await store.abandoned(), ZERO)
    assert isinstance(delivery, Delivery)
    assert await store.claims().cancel_requested(["k"]) == [delivery.message.generation]


async def test_what_has_been_admitted_stays_so(store: Store) -> None:
    await store.running(worker="dead")
    await store.client.hset("d:runs:k", "admitted", "1")
    await store.pauses.pause("f", "", "")
    await store.claims().take_over(await store.abandoned(), ZERO)
    assert await store.client.hget("d:runs:k", "admitted") == b"2"
    await store.pauses.resume("f")
    assert await store.client.hget("d:runs:k", "admitted") == b"3"


async def test_nothing_is_read_while_all_tasks_are_paused(store: Store) -> None:
    held = await store.running("held")
    await place(store, "a", "b")
    await store.pauses.pause(EVERY_TASK, "", "")
    claims = store.claims()
    taken, settled = await claims.take_settling(10, [(held, Ended("completed"))])
    assert (taken, [each and each.name for each in settled]) == ([], ["OK"])
    assert claims.is_paused
    assert await queued(store) == ["a", "b"]
    await store.pauses.pause("f", "", "")
    assert [(each.task, each.waiting) for each in await store.pauses.listed()] == [("*", 2), ("f", 0)]
    assert (await store.pauses.resume(EVERY_TASK)) == (True, 0)
    assert await claims.take(10) == []
    assert (claims.is_paused, await waiting(store)) == (False, ["a", "b"])


async def test_nothing_is_taken_over_while_all_tasks_are_paused(store: Store) -> None:
    await store.running(worker="dead")
    await store.pauses.pause(EVERY_TASK, "", "")
    before = await store.everything()
    claims = store.claims()
    assert await claims.take_over(await store.abandoned(), ZERO) == []
    assert claims.is_paused
    assert await store.everything() == before


@pytest.mark.parametrize("ids", [(b"5-0", b"5-1"), (b"5-3", b"6-0")])
async def test_what_a_blocking_read_brings_then_is_as_if_it_had_not_been_read(
    store: Store, ids: tuple[bytes, ...]
) -> None:
    await store.claims().create_group()
    for key, message_id in zip("ab", ids, strict=True):
        await store.client.xadd("d:stream", fields(key), message_id)  # type: ignore[arg-type]
        await store.client.hset(f"d:runs:{key}", mapping=run("queued", stream_id=message_id.decode()))
    before = await store.everything()
    reply = await blocking_read(store, 10)
    await store.pauses.pause(EVERY_TASK, "", "")
    claims = store.claims()
    assert await claims._claim(reply[0][1], "asked") == []
    assert (claims.is_paused, claims.lined_up) == (True, 2)
    await store.pauses.resume(EVERY_TASK)
    assert await store.everything() == before
    taken = [one for one in await claims.take(10) if isinstance(one, Delivery)]
    assert [(one.message.key, one.deliveries, one.redelivered) for one in taken] == [
        ("a", 1, False),
        ("b", 1, False),
    ]


async def test_what_others_have_read_behind_it_has_it_lined_up_instead(store: Store) -> None:
    await place(store, "a", "b", "c")
    reply = await blocking_read(store, 1)
    await blocking_read(store, 1, worker="other")
    await store.pauses.pause(EVERY_TASK, "", "")
    claims = store.claims()
    assert await claims._claim(reply[0][1]) == []
    assert claims.is_paused
    assert await waiting(store, "d:ops:pause:*::waiters") == ["a"]
    assert await queued(store) == ["b", "c"]
    assert (await store.pauses.listed())[0].waiting == 2
    assert await store.pauses.resume(EVERY_TASK) == (True, 1)
    assert await queued(store) == ["b", "c", "a"]


async def test_a_blocking_read_lines_up_what_is_paused(store: Store) -> None:
    await place(store, "a")
    reply = await blocking_read(store, 1)
    await store.pauses.pause("f", "", "")
    assert await store.claims()._claim(reply[0][1]) == []
    assert await waiting(store) == ["a"]


async def test_tasks_of_lost_answers_are_lined_up(store: Store) -> None:
    await place(store, "a")
    await store.claims().take(1, asked="lost")
    await store.pauses.pause("f", "", "")
    ids = [one.message_id for one in await store.claims().sweeping.look_at_ours()]
    assert await store.claims().claim_unheard(ids, ["lost"]) == []
    assert await waiting(store) == ["a"]


async def test_the_key_of_pauses_that_holds_something_else_is_named(store: Store) -> None:
    await place(store, "a")
    await store.client.set("d:ops:pauses", "x")
    for act in (
        store.pauses.listed(),
        store.pauses.pause("f", "", ""),
        store.pauses.resume("f"),
        store.pauses.names(),
    ):
        with pytest.raises(ResponseError, match="'d:ops:pauses' holds something else"):
            await act
    before = await store.everything()
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.claims().take(1)
    assert await store.everything() == before


async def test_a_row_that_holds_something_else_keeps_tasks_where_they_are(store: Store) -> None:
    await place(store, "a", "b")
    reply = await blocking_read(store, 1)
    await store.pauses.pause("f", "", "")
    await store.client.set(ROW, "x")
    before = await store.everything()
    claims = store.claims()
    for act in (
        claims.take(1),
        claims._claim(reply[0][1]),
        claims.take_over([reply[0][1][0][0]], ZERO),
        claims.claim_unheard([reply[0][1][0][0]], ["lost"]),
    ):
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await act
    assert await store.everything() == before
    await store.client.delete(ROW)
    assert await claims._claim(reply[0][1]) == []
    assert await claims.take(1) == []
    assert await waiting(store) == ["a", "b"]


async def test_whatever_is_written_about_a_pause_it_is_one(store: Store) -> None:
    remarks = {"a": "[1]", "b": "no json", "c": json.dumps({"since": 5, "by": "ops"})}
    await store.client.hset("d:ops:pauses", mapping=remarks)
    assert [(each.task, each.since, each.by) for each in await store.pauses.listed()] == [
        ("a", None, ""), ("b", None, ""), ("c", None, "ops"),
    ]  # fmt: skip


async def test_what_is_lined_up_counts_as_scheduled_and_for_no_limit(store: Store) -> None:
    await place(store, "a", "b")
    await store.pauses.pause("f", "", "")
    await store.claims().take(10)
    assert await store.records.depths() == Depths(due=0, later=2, waiting={}, paused=frozenset({"f"}))
    assert await store.claims().unfinished() == 2
