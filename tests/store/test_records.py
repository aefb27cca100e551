"""Reading: records, progress, results, and the picture of a whole docket."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from docket.errors import KeyUnreadable
from docket.rules import ExecutionState
from docket.store import Depths, Ended, ProgressRecord, dump_value
from tests.store.conftest import FUTURE, PAST, Store, fields, message

pytestmark = pytest.mark.anyio


async def test_an_unknown_key_has_no_record(store: Store) -> None:
    assert await store.records.read("k") == (None, ProgressRecord())
    assert await store.records.generation("k") is None


async def test_a_run_is_read_with_its_progress(store: Store) -> None:
    await store.running()
    await store.client.hset(
        "d:progress:k",
        mapping={"current": 2, "total": 5, "message": "half", "updated_at": "2026-01-01T00:00:00+00:00"},
    )
    record, progress = await store.records.read("k")
    assert record is not None
    assert (record.state, record.generation, record.worker) == (ExecutionState.RUNNING, 1, "w")
    assert (record.function, record.args, record.kwargs, record.when) == ("f", b"ARGS", b"KWARGS", PAST)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert progress == ProgressRecord(current=2, total=5, message="half", updated_at=moment)
    assert await store.records.generation("k") == 1


@pytest.mark.parametrize("when", ["1795204147.4255469", "1795204147.425547", "1795204147", "1.795204147e9"])
async def test_a_moment_is_read_however_lua_writes_it(store: Store, when: str) -> None:
    await store.client.hset("d:runs:k", mapping={"state": "queued", "when": when})
    record, _ = await store.records.read("k")
    assert record is not None
    assert record.when == datetime.fromtimestamp(round(float(when), 6), UTC)


async def test_a_result_is_found_in_either_place(store: Store) -> None:
    text = dump_value(7)
    assert await store.records.result("k:1") is None
    await store.client.set("d:results:k:1", json.dumps({"data": text}))
    assert await store.records.result("k:1") == text
    await store.client.set("d:results::k:1", json.dumps({"key": "k:1", "value": {"data": dump_value(8)}}))
    assert await store.records.result("k:1") == dump_value(8)


async def test_the_result_of_one_key_is_not_that_of_another(store: Store) -> None:
    """The bare result of ``:k`` would be where the envelope of ``k`` is."""
    await store.claims().settle(await store.running(), Ended("completed", result=("k:1", dump_value(7))))
    assert await store.records.result(":k:1") is None


async def test_an_empty_docket_is_an_empty_picture(store: Store) -> None:
    picture = await store.records.picture()
    assert (picture.waiting, picture.running) == ([], [])


async def test_a_picture_shows_what_waits_in_the_order_of_its_time_and_what_runs(store: Store) -> None:
    await store.running("running")
    await store.schedule.place(message("later", FUTURE), replace=False)
    await store.schedule.place(message("stream", FUTURE.replace(year=2050)), replace=False)
    await store.schedule.place(message("queued"), replace=False)
    picture = await store.records.picture()
    assert [(entry.message.key, entry.state) for entry in picture.waiting] == [
        ("queued", ExecutionState.QUEUED),
        ("stream", ExecutionState.SCHEDULED),
        ("later", ExecutionState.SCHEDULED),
    ]
    ((running),) = picture.running
    assert (running.message.key, running.worker) == ("running", "w")
    assert running.started_at is not None


async def test_a_picture_and_a_record_say_the_same_of_what_is_due_and_was_not_moved(store: Store) -> None:
    await store.schedule.place(message("k", FUTURE), replace=False)
    await store.client.zadd("d:queue", {"k": 1})
    record, _ = await store.records.read("k")
    picture = await store.records.picture()
    assert record is not None
    assert [record.state] == [entry.state for entry in picture.waiting] == [ExecutionState.SCHEDULED]


async def test_what_cannot_be_decoded_is_left_out_of_a_picture(store: Store) -> None:
    """I9."""
    await store.client.xadd("d:stream", {"nonsense": "x"})
    await store.client.zadd("d:queue", {"ghost": 1, "stolen": 2})
    await store.client.set("d:stolen", "not a message")
    await store.schedule.place(message(), replace=False)
    picture = await store.records.picture()
    assert [entry.message.key for entry in picture.waiting] == ["k"]


async def test_thousands_of_tasks_are_read_page_by_page(store: Store) -> None:
    count = 2300
    await store.schedule.place_many([message(f"r{n}") for n in range(count)], replace=False)
    claims = store.claims()
    await claims.create_group()
    await claims.take(count)
    await store.schedule.place_many([message(f"q{n}") for n in range(count)], replace=False)
    await store.schedule.place_many([message(f"s{n}", FUTURE) for n in range(count)], replace=False)
    picture = await store.records.picture()
    assert {entry.message.key for entry in picture.running} == {f"r{n}" for n in range(count)}
    assert {entry.message.key for entry in picture.waiting} == {f"{q}{n}" for q in "qs" for n in range(count)}
    assert len(picture.waiting) == 2 * count


async def test_the_depth_is_what_is_due_and_what_is_scheduled(store: Store) -> None:
    assert await store.records.depths() == Depths(due=0, later=0, waiting={})
    await store.running("running")
    await store.schedule.place(message("queued"), replace=False)
    for reserved in "", "stream":  # either queue
        for when, key in (PAST, "due"), (FUTURE, "later"), (FUTURE, "much later"):
            name = reserved or key
            await store.client.zadd(store.keys.queue_of(name), {f"{key}{reserved}": when.timestamp()})
    assert await store.records.depths() == Depths(due=4, later=4, waiting={})
    await store.client.delete("d:queue")
    await store.client.set("d:queue", "something else")
    with pytest.raises(
        KeyUnreadable, match="'d:queue' holds something else, where docket keeps a sorted set"
    ):
        await store.records.depths()
    with pytest.raises(
        KeyUnreadable, match="'d:queue' holds something else, where docket keeps a sorted set"
    ):
        await store.records.picture()


async def test_the_depth_is_to_be_had_where_the_list_of_those_who_wait_for_a_limit_is_none(
    store: Store,
) -> None:
    await store.schedule.place(message("queued"), replace=False)
    await store.client.set(store.keys.waiting, "something else")
    assert await store.records.depths() == Depths(due=1, later=0, waiting={})


async def test_what_has_begun_between_two_reads_is_shown_once(store: Store) -> None:
    """The queues are read first: what moved on meanwhile is seen in both."""
    await store.running()
    await store.client.zadd("d:queue", {"k": 1})
    await store.client.hset("d:k", mapping=fields())  # type: ignore[arg-type]
    picture = await store.records.picture()
    assert picture.waiting == []
    assert [entry.message.key for entry in picture.running] == ["k"]


async def test_how_a_run_ended_is_read(store: Store) -> None:
    when = "2026-01-01T00:00:00+00:00"
    ended = {"started_at": when, "completed_at": when, "error": "no", "result_key": "k:1", "generation": "-2"}
    await store.client.hset("d:runs:k", mapping={"state": "failed", **ended})
    record, _ = await store.records.read("k")
    assert record is not None
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert (record.state, record.started_at, record.completed_at) == (ExecutionState.FAILED, moment, moment)
    assert (record.error, record.result_key, record.generation) == ("no", "k:1", -2)


async def test_which_cancellations_were_asked_for_is_read_in_the_order_of_the_keys(store: Store) -> None:
    await store.client.hset("d:runs:a", "cancel_requested", "3")
    await store.client.hset("d:runs:b", "cancel_requested", "soon")
    await store.client.set("d:runs:c", "something else")
    assert await store.claims().cancel_requested(["c", "b", "a", "none"]) == [None, None, 3, None]


async def test_a_limit_whose_waiters_are_none_is_no_reason_not_to_count_the_others(store: Store) -> None:
    """I9."""
    await store.client.sadd("d:waiting", "l", "m")
    await store.client.set("l:waiters", "something else")
    await store.client.xadd("m:waiters", {"key": "k"})
    assert await store.claims().unfinished() == 1
